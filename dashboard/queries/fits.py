"""Would the requests of one model fit another? Counted and listed from single events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from psycopg import sql

from dashboard import pricebook
from dashboard.filters import LANE_DIMENSIONS, Filters
from dashboard.queries import database, quantities
from dashboard.queries.remembering import WHILE_TURNING_S, Memory

LISTED = 20
_KEPT = 24


@dataclass(frozen=True, slots=True)
class Fit:
    """Requests of a model beside the limits of another.

    requests          looked at
    too_large         prompt and output together over the other model's context window, after token growth
    too_short         with a cached prefix that is under the other model's minimum on its day, after token growth
    too_short_tokens  tokens of those prefixes, as logged
    window, minimum   the other model's limits (the minimum at the end of the range); None = not published
    largest           up to LISTED of the too large: occurred_at, model, session_id, prompt_tokens, output_tokens
    """

    requests: int
    too_large: int
    too_short: int
    too_short_tokens: int
    window: int | None
    minimum: int | None
    largest: tuple[dict[str, Any], ...]


_fits: Memory[Fit] = Memory(_KEPT)


def fit(filters: Filters, source: str, target: str, growth: Decimal) -> Fit:
    """The question's requests of `source` ("*" = any model) at `target`; filters on labels are not applied."""
    asked = Filters(
        start=filters.start,
        end=filters.end,
        where=tuple((name, values) for name, values in filters.where if name in LANE_DIMENSIONS),
    )
    return _fits.answer(
        asked, (source, target, growth), lambda: _fit(asked, source, target, growth), WHILE_TURNING_S
    )


def _fit(filters: Filters, source: str, target: str, growth: Decimal) -> Fit:
    start, end = filters.instants(database.reporting_zone())
    lanes = quantities.lanes(filters)
    wanted = lanes[(lanes["model"] == source) | (source == "*")]
    model = pricebook.current().model(target)
    window = model.context_window if model else None
    last = (end or datetime.now(UTC)).date()
    minimum = model.min_cacheable_tokens(last) if model else None
    dated = model.minimum_tokens if model else ()
    always = sql.SQL("TRUE")
    row = database.row(
        database.statement(
            "too_large",
            start_condition=always if start is None else sql.SQL("occurred_at >= %(start)s"),
            end_condition=always if end is None else sql.SQL("occurred_at < %(end)s"),
            most=sql.Literal(LISTED),
        ),
        {
            "lanes": wanted["lane_id"].tolist(),
            "start": start,
            "end": end,
            "growth": growth,
            "window": window if window is not None else 2**62,
            "minimums": [int(each.amount) for each in dated] or [0],
            "changes": [
                datetime.combine(each.effective_from, time(), UTC)
                for each in dated[1:]
                if each.effective_from
            ],
        },
    )
    counts = {name: int(row[name]) for name in ("requests", "too_large", "too_short", "too_short_tokens")}
    return Fit(**counts, window=window, minimum=minimum, largest=tuple(row["largest"]))
