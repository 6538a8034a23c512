"""Counts as gateways and tables report them: whether the input holds cached tokens is decided by the total.

With input i, output o, reads r and writes w: a total of i + o means that cached tokens are inside the input, a total
of i + o + r + w that they are beside it. Anything else cannot be true and is refused with both numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from ingest.core.errors import Reason
from ingest.core.events import FLAG_OUTPUT_INCOMPLETE
from ingest.core.meter_fields import MAX_COUNT, Metered, MeterError, Part, split_writes


@dataclass(frozen=True, slots=True)
class Counts:
    """One call's counts under the source's own meaning. `written` is all writes, `written_*` their split if known."""

    given_input: int
    output: int
    read: int = 0
    written: int = 0
    written_5m: int | None = None
    written_1h: int | None = None
    thinking: int = 0
    total: int | None = None
    # What the counts are called where they came from, for messages.
    input_field: str = "input"
    output_field: str = "output"
    total_field: str = "total"


def metered(
    counts: Counts,
    model: str,
    *,
    included: bool | None,
    unless_told: bool = False,
    thinking_may_be_beside: bool = False,
    total_may_hold_more: bool = False,
) -> Metered:
    """The five disjoint meters. Raises MeterError with both numbers where the counts contradict each other.

    `included` says whether the input holds cached tokens; None leaves it to the total, and `unless_told` stands where
    that says nothing. `thinking_may_be_beside`: thinking can be a count of its own instead of a part of the output.
    `total_may_hold_more`: a larger total means output that the source left out, which is flagged.
    """
    in_5m, in_1h, flags = _split(counts)
    written = in_5m + in_1h
    beside = counts.thinking if thinking_may_be_beside else 0
    if included is None:
        included = _included(counts, written, beside, unless_told)
    whole_input = counts.given_input if included else counts.given_input + counts.read + written
    output = counts.output
    if counts.total is not None:
        extra = counts.total - whole_input - output
        if extra and extra == beside:
            output += beside
        elif extra > 0 and total_may_hold_more:
            flags |= FLAG_OUTPUT_INCOMPLETE
        elif extra:
            raise _contradiction(
                counts.total_field,
                f"{counts.total_field} is {counts.total} but its parts sum to {whole_input + output}",
            )
    elif beside > output:
        output += beside
    uncached = whole_input - counts.read - written
    if uncached < 0:
        raise _contradiction(
            counts.input_field,
            f"{counts.input_field} is {counts.given_input} and includes cached tokens, but {counts.read + written} "
            f"are cached ({counts.read} read, {written} written)",
        )
    if counts.thinking > output:
        detail = f"{counts.thinking} thinking tokens cannot be inside {output} output tokens"
        raise _contradiction(counts.output_field, detail)
    part = Part(
        model=model,
        uncached_input_tokens=uncached,
        cache_read_input_tokens=counts.read,
        cache_write_5m_input_tokens=in_5m,
        cache_write_1h_input_tokens=in_1h,
        output_tokens=output,
        flags=flags,
    )
    part.prompt_step_tokens = part.prompt_tokens
    if max(part.prompt_tokens, output) > MAX_COUNT:
        detail = f"counts sum to {max(part.prompt_tokens, output)}, above {MAX_COUNT}"
        raise MeterError(Reason.COUNT_TOO_LARGE, counts.input_field, detail)
    return Metered(main=part, thinking_tokens=counts.thinking)


def _split(counts: Counts) -> tuple[int, int, int]:
    known = counts.written_5m is not None or counts.written_1h is not None
    return split_writes(counts.written, counts.written_5m or 0, counts.written_1h or 0, known)


def _included(counts: Counts, written: int, beside: int, unless_told: bool) -> bool:
    """Whether the input holds the cached tokens, by the total where there is one."""
    cached = counts.read + written
    if counts.total is not None:
        for more in {0, beside}:
            left = counts.total - counts.given_input - counts.output - more
            if left in (0, cached):
                return left == 0
    # A part cannot be larger than the whole.
    return unless_told and cached <= counts.given_input


def _contradiction(field: str, detail: str) -> MeterError:
    return MeterError(Reason.CONTRADICTORY_COUNTS, field, detail)
