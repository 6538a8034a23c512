"""Amazon Bedrock's Converse usage: camelCase counts, input without cached tokens, a total with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.core.errors import Reason
from ingest.core.meter_fields import (
    Metered,
    MeterError,
    Part,
    checked,
    count,
    kind_of,
    remainder,
    split_writes,
)

_KEYS = ("inputTokens", "outputTokens")
# Bodies on the wire repeat the cached counts under a second name: one count, not two.
_READ = ("cacheReadInputTokens", "cacheReadInputTokenCount")
_WRITTEN = ("cacheWriteInputTokens", "cacheWriteInputTokenCount")


def is_converse(usage: Mapping[str, Any]) -> bool:
    """Whether either of Converse's own counts is there."""
    return any(usage.get(name) is not None for name in _KEYS)


def read_converse(usage: Mapping[str, Any], model: str, path: str) -> Metered:
    """One call's counts. The written tokens are split by `cacheDetails` where that is given."""
    uncached, output = count(usage, "inputTokens", path), count(usage, "outputTokens", path)
    read, written = _either(usage, _READ, path), _either(usage, _WRITTEN, path)
    by_ttl = _by_ttl(usage.get("cacheDetails"), f"{path}.cacheDetails")
    in_5m, in_1h, flags = split_writes(written, by_ttl.get("5m", 0), by_ttl.get("1h", 0), bool(by_ttl))
    if usage.get("totalTokens") is not None:
        total, parts = count(usage, "totalTokens", path), uncached + read + in_5m + in_1h + output
        if total == uncached + output and total != parts:  # a gateway wrote its inclusive input there
            uncached = remainder(uncached, read, in_5m + in_1h, path, "inputTokens")
        elif total != parts:
            detail = f"{path}.totalTokens is {total} but its parts sum to {parts}"
            raise MeterError(Reason.CONTRADICTORY_COUNTS, f"{path}.totalTokens", detail)
    part = Part(
        model=model,
        uncached_input_tokens=uncached,
        cache_read_input_tokens=read,
        cache_write_5m_input_tokens=in_5m,
        cache_write_1h_input_tokens=in_1h,
        output_tokens=output,
        flags=flags,
    )
    part.prompt_step_tokens = part.prompt_tokens
    return checked(Metered(main=part), path)


def _either(usage: Mapping[str, Any], names: tuple[str, str], path: str) -> int:
    found = [count(usage, name, path) for name in names if usage.get(name) is not None]
    if len(set(found)) > 1:
        where = f"{path}.{names[0]}"
        detail = f"{where} is {found[0]} but {path}.{names[1]}, the same count, is {found[1]}"
        raise MeterError(Reason.CONTRADICTORY_COUNTS, where, detail)
    return found[0] if found else 0


def _by_ttl(details: object, path: str) -> dict[str, int]:
    """Written tokens by time to live; one that is neither 5m nor 1h stays in the total alone."""
    if details is None:
        return {}
    if not isinstance(details, list):
        raise MeterError(Reason.INVALID_TYPE, path, f"{path} must be a list, not {kind_of(details)}")
    found: dict[str, int] = {}
    for number, entry in enumerate(details):
        where = f"{path}[{number}]"
        if not isinstance(entry, Mapping):
            raise MeterError(Reason.INVALID_TYPE, where, f"{where} must be an object, not {kind_of(entry)}")
        ttl = entry.get("ttl")
        if ttl in ("5m", "1h"):
            found[ttl] = found.get(ttl, 0) + count(entry, "inputTokens", where)
    return found
