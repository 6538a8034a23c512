"""Guessing a mapping from the names of a table's columns and a few of its rows.

A guess is sure only when nothing had to be assumed: every needed column found once, the times carry a zone, and the
names or the totals show whether the input count holds cached tokens. Everything else waits for a person's word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal

from ingest.formats._mapping import CACHE_METERS, REQUIRED, TARGETS, Mapping
from ingest.formats._mapping_rows import Cells, is_empty, read_moment

# Spellings of headers, as words joined by "_", best first. A target takes the best one the table has.
NAMES: dict[str, tuple[str, ...]] = {
    "occurred_at": (
        "occurred_at", "start_time", "starttime", "started_at", "request_time", "request_created_at",
        "request_timestamp", "requested_at", "timestamp", "event_time", "event_timestamp", "time",
        "datetime", "date_time", "ts", "created_at", "created", "created_time", "logged_at", "usage_time",
        "end_time", "ended_at", "usage_date_utc", "usage_date", "date", "day",
    ),
    "model": (
        "model", "model_name", "response_model", "model_id", "model_version", "llm_model",
        "llm_model_name", "ai_model", "request_model", "deployment", "engine",
    ),
    "input_tokens": (
        "uncached_input_tokens", "input_tokens_uncached", "input_uncached_tokens",
        "non_cached_input_tokens", "input_tokens_no_cache", "input_tokens_without_cache",
        "total_input_tokens", "input_tokens_total", "prompt_tokens", "input_tokens",
        "n_context_tokens_total", "prompt_token_count", "input_token_count", "num_prompt_tokens",
        "num_input_tokens", "tokens_in", "tokens_input", "tokens_prompt", "in_tokens", "input_token",
        "prompt_token", "input_usage", "token_count_prompt", "req_units", "input",
    ),
    "cache_read_input_tokens": (
        "cache_read_input_tokens", "cache_read_tokens", "cached_input_tokens", "input_cached_tokens",
        "cached_tokens", "prompt_cache_read_tokens", "input_tokens_cache_read", "input_cache_read",
        "cached_prompt_tokens", "prompt_tokens_details_cached_tokens",
        "input_tokens_details_cached_tokens", "cached_content_token_count", "prompt_cache_hit_tokens",
        "tokens_cached", "cache_hit_tokens", "cached_input", "cache_read", "cache_reads",
        "native_tokens_cached", "cached_token_count", "cache_read_input_token_count",
    ),
    "cache_write_5m_input_tokens": (
        "cache_write_5m_input_tokens", "cache_write_5m_tokens", "ephemeral_5m_input_tokens",
        "input_tokens_cache_write_5m", "cache_creation_ephemeral_5m_input_tokens",
        "cache_creation_5m_input_tokens", "cache_creation_5m_tokens", "input_cache_creation_5m",
        "cache_write_5m",
    ),
    "cache_write_1h_input_tokens": (
        "cache_write_1h_input_tokens", "cache_write_1h_tokens", "ephemeral_1h_input_tokens",
        "input_tokens_cache_write_1h", "cache_creation_ephemeral_1h_input_tokens",
        "cache_creation_1h_input_tokens", "cache_creation_1h_tokens", "input_cache_creation_1h",
        "cache_write_1h",
    ),
    "cache_write_input_tokens": (
        "cache_creation_input_tokens", "cache_write_input_tokens", "cache_write_tokens",
        "cache_creation_tokens", "prompt_cache_write_tokens", "input_cache_creation",
        "input_tokens_cache_write", "cache_write", "cache_writes", "cache_creation",
        "prompt_tokens_details_cache_write_tokens", "cache_creation_input_token_count",
    ),
    "output_tokens": (
        "output_tokens", "completion_tokens", "total_output_tokens", "output_tokens_total",
        "generated_tokens", "n_generated_tokens_total", "completion_token_count", "output_token_count",
        "num_completion_tokens", "num_output_tokens", "tokens_out", "tokens_output", "tokens_completion",
        "out_tokens", "output_token", "completion_token", "candidates_token_count", "output_usage",
        "token_count_completion", "res_units", "output",
    ),
    "thinking_tokens": (
        "thinking_tokens", "reasoning_tokens", "reasoning_output_tokens", "output_reasoning_tokens",
        "output_reasoning", "completion_tokens_details_reasoning_tokens",
        "output_tokens_details_reasoning_tokens", "output_tokens_details_thinking_tokens",
        "thoughts_token_count", "native_tokens_reasoning", "tokens_reasoning",
    ),
    "total_tokens": (
        "total_tokens", "tokens_total", "total_token_count", "total_units", "total_usage",
        "token_count_total",
    ),
    "web_search_requests": (
        "web_search_requests", "web_search_count", "web_searches", "num_search_results",
    ),
    "id": (
        "response_id", "message_id", "completion_id", "generation_id", "id", "event_id", "request_id",
        "call_id", "uuid",
    ),
    "provider": (
        "provider", "provider_name", "custom_llm_provider", "vendor", "llm_provider", "ai_org",
        "model_provider",
    ),
    "platform": ("platform",),
    "service_tier": ("service_tier", "tier"),
    "speed": ("speed",),
    "inference_geo": ("inference_geo",),
    "workspace_id": (
        "workspace_id", "workspace", "workspace_name", "project_id", "project", "project_name", "team_id",
        "team", "workspace_slug", "organization_id", "org_id",
    ),
    "api_key_id": (
        "api_key_id", "api_key_name", "api_key_alias", "key_name", "key_alias", "key_id", "api_key_hash",
        "api_key", "apikey", "key",
    ),
    "user_id": (
        "user_id", "user", "end_user", "user_email", "email", "user_name", "username", "request_user_id",
        "actor",
    ),
    "session_id": ("session_id", "session", "conversation_id", "thread_id", "chat_id"),
    "stop_reason": ("stop_reason", "finish_reason", "finish_reasons"),
    "latency_ms": (
        "latency_ms", "duration_ms", "request_duration_ms", "response_time_ms", "delay_ms", "elapsed_ms",
        "latency", "duration", "response_time", "latency_s", "duration_s", "latency_seconds",
        "duration_seconds", "response_time_seconds", "elapsed",
    ),
    "ttft_ms": (
        "ttft_ms", "time_to_first_token_ms", "time_to_first_token", "ttft", "ttft_s", "first_token_ms",
    ),
}  # fmt: skip
TAG_NAMES = frozenset(
    {"team", "environment", "env", "department", "cost_center", "feature", "app", "application", "service", "region",
     "customer", "tenant", "product", "agent", "department_name", "service_name", "app_name", "use_case"}
)  # fmt: skip
_UNCACHED = NAMES["input_tokens"][:6]
_WHOLE = (
    "total_input_tokens",
    "input_tokens_total",
    "prompt_tokens",
    "n_context_tokens_total",
    "prompt_token_count",
)
_BESIDE = (
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "ephemeral_5m_input_tokens",
    "cache_read_tokens",
)
_INSIDE = ("cached_tokens", "cached_input_tokens", "input_cached_tokens", "cached_prompt_tokens")
_SEVERAL_CALLS = {
    "requests",
    "request_count",
    "num_requests",
    "num_model_requests",
    "n_requests",
    "calls",
    "call_count",
}
_PREFIX = re.compile(
    r"^(gen_ai_usage|gen_ai|usage_details|usage_metadata|usage|llm_usage|llm_token_count|token_usage|attributes|metadata"
    r"|response_usage|response_body_usage|body_usage|properties|metrics)_(?=.)"
)
_PATTERNS = (
    ("%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y/%m/%d"),
    ("%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M", "%d.%m.%Y"),
    ("%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M", "%d/%m/%Y", "%d/%m/%y %H:%M", "%d/%m/%y"),
    ("%m/%d/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%m/%d/%y %H:%M", "%m/%d/%y", "%m/%d/%Y %I:%M:%S %p"),
)
_EPOCHS = (("epoch_s", 10**9), ("epoch_ms", 10**12), ("epoch_us", 10**15), ("epoch_ns", 10**18))
_GROUPED = re.compile(r"-?\d{1,3}([,.' _\u00a0\u202f])\d{3}(\1\d{3})+")


def plain_name(header: str) -> str:
    """A header as words joined by "_": 'Prompt Tokens', 'promptTokens' and 'usage.prompt_tokens' are one name."""
    text = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", header.strip()[:200])
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def guess(columns: Sequence[str], sample_rows: Sequence[Cells] = ()) -> Mapping:
    """The likeliest mapping of a table; what a person has to decide is named in its `unsure`."""
    rows = [cells for cells in sample_rows if len(cells) == len(columns)]
    names = [_short(plain_name(column)) for column in columns]
    found, unsure = _columns(columns, names, rows)
    unsure |= {name for name in (*REQUIRED, "input_tokens", "output_tokens") if name not in found}
    times = _values(rows, found.get("occurred_at"))
    if _SEVERAL_CALLS & set(names) or (times and all(map(_is_day, times))):
        unsure.add("requests")  # it looks like sums of many calls
    time_format, zone, time_unsure = _time(times, names, found.get("occurred_at"))
    included, included_unsure = _included(names, found, rows)
    thousands = _thousands([value for name in _counts(found) for value in _values(rows, found[name])])
    if included_unsure:
        unsure.add("input_includes_cached")
    return Mapping(
        columns={name: columns[position] for name, position in found.items()},
        tags=_tags(columns, names, found),
        input_includes_cached=included,
        time_format=time_format,
        zone=zone,
        thousands=thousands,
        duration_unit=_duration_unit(names, found, rows),
        unsure=tuple(sorted(unsure | time_unsure)),
    )


def _short(name: str) -> str:
    """A name without the path that flattened JSON puts before it."""
    known = _known(name)
    while not known and (match := _PREFIX.match(name)):
        name = name[match.end() :]
        known = _known(name)
    return name


def _known(name: str) -> bool:
    return any(name in spellings for spellings in NAMES.values())


def _columns(
    columns: Sequence[str], names: Sequence[str], rows: Sequence[Cells]
) -> tuple[dict[str, int], set[str]]:
    """Target -> position of its column; and the targets for which two columns are equally likely."""
    found: dict[str, int] = {}
    unsure: set[str] = set()
    for target in TARGETS:
        fitting = [
            (rank, position)
            for position, name in enumerate(names)
            if list(columns).count(columns[position]) == 1
            for rank, spelling in enumerate(NAMES.get(target.name, ()))
            if spelling in (name, name.removesuffix("_utc"))
        ]
        if not fitting:
            continue
        fitting.sort()
        found[target.name] = fitting[0][1]
        rivals = [
            position for rank, position in fitting[1:] if rank == fitting[0][0] or target.kind == "count"
        ]
        if target.name == "input_tokens" and names[fitting[0][1]] in _UNCACHED:
            rivals = []  # beside the uncached input, any other input count is a sum
        if any(_differ(rows, fitting[0][1], position) for position in rivals):
            unsure.add(target.name)
    if "id" in found and found.get("request_id") is None and names[found["id"]] != "request_id":
        second = [position for position, name in enumerate(names) if name == "request_id"]
        if len(second) == 1 and columns.count(columns[second[0]]) == 1:
            found["request_id"] = second[0]
    return found, unsure


def _differ(rows: Sequence[Cells], first: int, second: int) -> bool:
    return not rows or any(cells[first] != cells[second] for cells in rows)


def _values(rows: Iterable[Cells], position: int | None) -> list[object]:
    if position is None:
        return []
    return [cells[position] for cells in rows if not is_empty(cells[position])]


def _counts(found: dict[str, int]) -> list[str]:
    return [target.name for target in TARGETS if target.kind == "count" and target.name in found]


# ---------------------------------------------------------------------------------------------------- details


def _included(names: Sequence[str], found: dict[str, int], rows: Sequence[Cells]) -> tuple[bool, bool]:
    """(whether the input count holds the cached tokens, whether that is unsure)."""
    if "input_tokens" not in found or not any(name in found for name in CACHE_METERS):
        return False, False
    name = names[found["input_tokens"]]
    cached = [names[found[meter]] for meter in CACHE_METERS if meter in found]
    if name in _UNCACHED:
        return False, False
    inside, beside = _seen(found, rows)
    if inside or beside:
        return inside and not beside, inside and beside
    if name in _WHOLE:
        return True, name.startswith("prompt") and any(spelling in _BESIDE for spelling in cached)
    if any(spelling in _INSIDE for spelling in cached):
        return True, name != "input_tokens"
    return False, not any(spelling in _BESIDE for spelling in cached)


def _seen(found: dict[str, int], rows: Sequence[Cells]) -> tuple[bool, bool]:
    """Whether a row proves that cached tokens are inside the input count, and whether one proves the opposite."""
    inside = beside = False
    for cells in rows:
        number = {name: _number(cells[found[name]]) for name in _counts(found)}
        split = number.get("cache_write_5m_input_tokens", 0) + number.get("cache_write_1h_input_tokens", 0)
        written = max(number.get("cache_write_input_tokens", 0), split)
        cached = number.get("cache_read_input_tokens", 0) + written
        given, output, total = (
            number["input_tokens"],
            number.get("output_tokens", 0),
            number.get("total_tokens", 0),
        )
        if not cached:
            continue
        if total == given + output:
            inside = True
        elif total == given + output + cached or (not total and cached > given):
            beside = True
    return inside, beside


def _number(cell: object) -> int:
    text = re.sub(r"[,' _\u00a0\u202f]", "", str(cell)) if not is_empty(cell) else "0"
    match = re.fullmatch(r"(\d{1,15})(\.0+)?", text)
    return int(match[1]) if match else 0


def _time(values: list[object], names: Sequence[str], position: int | None) -> tuple[str, str, set[str]]:
    """(time format, zone, what is unsure) from the values of the time column."""
    if not values or position is None:
        return "iso", "UTC", set()
    in_utc = "utc" in names[position].split("_") or names[position].endswith("_gmt")
    time_format, sure = _time_format(values)
    moments = [read_moment(value, time_format) for value in values]
    # A few broken times cost their rows, not the file.
    unsure = set() if sure and _most(moments) else {"time_format"}
    if not in_utc and any(moment is not None and moment.tzinfo is None for moment in moments):
        unsure.add("zone")
    return time_format, "UTC", unsure


def _time_format(values: list[object]) -> tuple[str, bool]:
    if _most([isinstance(value, date) for value in values]):
        return "iso", True
    numbers = [
        float(str(value)) for value in values if _is_number(value) or isinstance(value, int | float | Decimal)
    ]
    if 2 * len(numbers) > len(values):
        largest = max(map(abs, numbers))
        for unit, least in _EPOCHS:
            if largest < least * 10:
                return unit, largest >= least / 10  # from the year 1973 on
        return "epoch_ns", False
    if _most([read_moment(value, "iso") for value in values]):
        return "iso", True
    fitting = [
        next((p for p in family if all(read_moment(value, p) is not None for value in values)), "")
        for family in _PATTERNS
    ]
    likely = [pattern for pattern in fitting if pattern]
    return (likely[0], len(likely) == 1) if likely else ("iso", False)


def _is_day(value: object) -> bool:
    """Whether it is a day without a time of day."""
    if isinstance(value, str):
        return bool(re.fullmatch(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}", value.strip()))
    return isinstance(value, date) and not isinstance(value, datetime)


def _most(signs: Sequence[object]) -> bool:
    return 2 * sum(map(bool, signs)) > len(signs)


def _is_number(value: object) -> bool:
    return (
        isinstance(value, str)
        and bool(re.fullmatch(r"\d{1,20}(\.\d{1,9})?", value.strip()))
        and value.isascii()
    )


def _thousands(values: list[object]) -> str:
    """The separator of numbers with at least two groups: one group alone could be decimals."""
    seen = {
        match[1]
        for value in values
        if isinstance(value, str) and (match := _GROUPED.fullmatch(value.strip()))
    }
    seen = {" " if separator in "\u00a0\u202f" else separator for separator in seen}
    return seen.pop() if len(seen) == 1 else ""


def _duration_unit(names: Sequence[str], found: dict[str, int], rows: Sequence[Cells]) -> str:
    for target in ("latency_ms", "ttft_ms"):
        if target not in found:
            continue
        words = names[found[target]].split("_")
        if "ms" in words:
            return "ms"
        if "s" in words or "seconds" in words:
            return "s"
        if target == "latency_ms":
            # A call takes longer than a tenth of a second and not often longer than ten minutes.
            numbers = [float(str(v)) for v in _values(rows, found[target]) if _is_number(str(v))]
            return "s" if numbers and max(numbers) < 100 else "ms"
    return "ms"


def _tags(columns: Sequence[str], names: Sequence[str], found: dict[str, int]) -> dict[str, str]:
    taken = set(found.values())
    tags: dict[str, str] = {}
    for position, (column, name) in enumerate(zip(columns, names, strict=True)):
        tag = re.sub(r"^(tag|tags|label|labels)_", "", name)
        if position in taken or columns.count(column) > 1 or not tag:
            continue
        if tag != name or name in TAG_NAMES:
            tags.setdefault(tag[:64], column)
    return dict(list(tags.items())[:32])
