"""OpenAI's organization usage: sums a bucket and group, stored as reported usage.

`input_tokens` holds the cached ones; where the report splits it, the parts must add up.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError
from ingest.core.meters_openai import service_tier
from ingest.core.reported import Reported, ReportedUsage
from ingest.formats._base import Format, Item, ParseContext
from ingest.formats._openai_reports import bucket, dimensions, parse_with, sniff_report
from ingest.formats._reports import Row, optional_sum, some_of, sum_of, word_of

NAME = "openai_usage"
BATCH = "batch"
_COUNTS = ("input_tokens", "output_tokens", "num_model_requests")


def _read(row: Row, context: ParseContext) -> Iterator[Reported]:
    start, end, imputed = bucket(row, context)
    some_of(row, _COUNTS)
    uncached, read, written = _inputs(row)
    said = row.get("batch")
    if said is not None and not isinstance(said, bool):
        raise MeterError(Reason.INVALID_TYPE, "batch", "batch must be true or false")
    tier = word_of(row, "service_tier")
    yield ReportedUsage(
        kind=_kind(row),
        provider="openai",
        platform="openai",
        start=start,
        end=end,
        model=word_of(row, "model", 200),
        service_tier=BATCH if said else service_tier(tier) if tier or said is False else "",
        dimensions=imputed,
        uncached_input_tokens=uncached,
        cache_read_input_tokens=read,
        cache_write_unknown_ttl_input_tokens=written,
        output_tokens=sum_of(row, "output_tokens"),
        requests=optional_sum(row, "num_model_requests"),
        **dimensions(row),
    )


def _inputs(row: Row) -> tuple[int, int, int]:
    """(uncached, read, written)"""
    total, read = sum_of(row, "input_tokens"), sum_of(row, "input_cached_tokens")
    written = sum_of(row, "input_cache_write_tokens")
    uncached = optional_sum(row, "input_uncached_tokens")
    if read + written > total:
        detail = f"input_tokens is {total} and includes cached tokens, but {read + written} are cached"
        raise MeterError(
            Reason.CONTRADICTORY_COUNTS, "input_tokens", f"{detail} ({read} read, {written} written)"
        )
    if uncached is not None and uncached + read + written != total:
        detail = f"input_tokens is {total} but its parts sum to {uncached + read + written}"
        raise MeterError(Reason.CONTRADICTORY_COUNTS, "input_tokens", detail)
    return total - read - written, read, written


def _kind(row: Row) -> str:
    """One report for each endpoint, since each is asked for, and grouped, by itself."""
    said = word_of(row, "object", 256).removeprefix("organization.usage.").removesuffix(".result")
    plain = said in ("completions", "bucket", "page") or not said.replace("_", "").isalpha()
    return NAME if plain else f"{NAME}.{said[:32]}"


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    yield from parse_with(stream, context, _read)


def _sniff(head: bytes) -> int:
    return sniff_report(head, b"usage")


FORMAT = Format(NAME, "OpenAI organization usage", True, _sniff, _parse)
