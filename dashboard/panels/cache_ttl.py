"""What a TTL does: token hit rate and money at any TTL, and the gaps that outlast the ones that are sold."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from itertools import accumulate, pairwise

from dashboard import numbers, tables
from dashboard.figures import gaps as figures
from dashboard.panels import stored
from dashboard.panels.base import Ask, Content, KeyItem, Panel
from dashboard.queries import gaps
from ingest.core.cache.curve import EDGES_S
from ingest.core.cache.log import SECOND_US
from ingest.core.pricing import ZERO, total

FIRST_S, LAST_S = 10, 86_400
JUST_OVER_5M_S = 301  # where the 1h price begins
TABLED_S = (30, 60, 120, 300, 600, 1800, 3600, 14_400, 86_400)
STEPS_PER_DECADE = 40
# Bars of about the same width on a logarithmic axis; all of them end at an edge of the rollup, so they are exact.
BAR_ENDS_S = (
    0,
    10,
    20,
    30,
    60,
    120,
    180,
    300,
    480,
    720,
    1200,
    2100,
    3600,
    7200,
    14_400,
    28_800,
    43_200,
    86_400,
)
assert set(BAR_ENDS_S) <= set(EDGES_S)


@cache
def ttls() -> list[int]:
    """TTLs in seconds for drawing and dragging: evenly on the logarithm, and every edge of the rollup."""
    edges = {edge for edge in EDGES_S if FIRST_S <= edge <= LAST_S}
    # None right beside an edge: what one drags to is 1 h, not 59.1 min.
    between = (
        each
        for each in numbers_between(FIRST_S, LAST_S, STEPS_PER_DECADE)
        if all(abs(each / edge - 1) > 0.03 for edge in edges)
    )
    return sorted({*between, *edges, JUST_OVER_5M_S})


def numbers_between(low: int, high: int, per_decade: int) -> list[int]:
    """Whole numbers from low to high, so many for each factor of ten."""
    found, step = [float(low)], 10.0 ** (1 / per_decade)
    while found[-1] * step < high:
        found.append(found[-1] * step)
    return [round(each) for each in found]


def price_tier(ttl_s: int) -> str:
    """Which price holds for a TTL, in words."""
    if ttl_s <= 300:
        return "5m write price"
    return "1h write price" if ttl_s <= 3600 else "1h write price; nobody sells a TTL this long"


def fetch(ask: Ask) -> gaps.Gaps:
    return gaps.histogram(ask.filters)


def _nothing(data: gaps.Gaps) -> Content | None:
    """What to show without a single token: that it is coming, or nothing."""
    if not data.pending_days:
        return None
    return stored.pending("The gaps between requests of this range are being worked out, day by day.")


def _any(data: gaps.Gaps) -> bool:
    histogram = data.histogram
    return bool(histogram.reused.sum() + histogram.first.sum() + histogram.uncached.sum())


def _notes(data: gaps.Gaps) -> str:
    said = []
    whole = int(data.histogram.reused.sum() + data.histogram.first.sum() + data.histogram.uncached.sum())
    if data.histogram.basis == "exact":
        said.append("Basis exact: from prefix lists.")
    else:
        share = numbers.percent(Decimal(data.exact_tokens) / whole) if data.exact_tokens else "none"
        said.append(
            f"Basis estimated: {share} of the tokens rest on prefix lists, the rest on counters and a table of reuse."
        )
    if data.pending_days:
        said.append(f"{data.pending_days} days are still to be worked out.")
    if data.unpriced_tokens:
        said.append(f"{numbers.tokens(data.unpriced_tokens)} tokens without a price are left out.")
    return " ".join(said)


def present_curve(data: gaps.Gaps, ask: Ask) -> Content | None:
    if not _any(data):
        return _nothing(data)
    drawn = ttls()
    micros = [ttl * SECOND_US for ttl in drawn]
    rates, costs = data.histogram.token_hit_rates(micros), data.histogram.input_list_costs(micros)
    points = list(map(figures.Point, drawn, rates, costs))
    steps = [
        [
            round(figures.place(point.ttl_s), 6),
            numbers.seconds(point.ttl_s),
            numbers.percent(point.token_hit_rate),
            numbers.money(point.input_list_cost),
            price_tier(point.ttl_s),
        ]
        for point in points
    ]
    chosen = next(index for index, point in enumerate(points) if point.ttl_s == 300)
    known = {point.ttl_s: point for point in points}
    columns = (
        tables.Column("ttl_seconds", "TTL", text=True),
        tables.Column("token_hit_rate", "token hit rate"),
        tables.Column("input_list_cost", "input list cost"),
        tables.Column("price", "at the", text=True),
    )
    rows = tuple(
        tables.Row(
            (
                tables.Cell(numbers.seconds(ttl), ttl),
                tables.percent_cell(known[ttl].token_hit_rate),
                tables.money_cell(known[ttl].input_list_cost),
                tables.Cell(price_tier(ttl), price_tier(ttl)),
            )
        )
        for ttl in TABLED_S
    )
    return Content(
        sub="drag the line",
        figure=figures.ttl_curve(points),
        figure_label="Token hit rate and input list cost against the TTL, from 10 seconds to a day",
        key=(
            KeyItem("token hit rate", "meter:read", "swatch-line"),
            KeyItem("input list cost", "series:1", "swatch-line"),
        ),
        table=tables.Table("Token hit rate and input list cost by TTL", columns, rows),
        note=" ".join(
            [
                _notes(data),
                *(
                    ["At the prices for short prompts, as the policies."]
                    if data.billed.prices != data.histogram.prices
                    else []
                ),
                "Waits for an answer to begin are left out: many calls at once look cheaper here.",
            ]
        ),
        extra={
            "steps": {"low": figures.EDGES[0], "high": figures.EDGES[1], "steps": steps},
            "steps_id": "ttl-steps",
            "last": len(steps) - 1,
            "chosen": chosen,
            "shown": steps[chosen],
        },
    )


def bars_of(data: gaps.Gaps) -> list[figures.Bar]:
    """The reuse of each bar, and what rewriting it costs above reading where 5 minutes do not cover it."""

    tokens = data.histogram.reused.sum(axis=1)
    costs = data.billed.rewrite_cost("5m")
    found = []
    for low, high in pairwise(BAR_ENDS_S):
        inside = [at for at, edge in enumerate(EDGES_S) if low < edge <= high or (edge == 0 and low == 0)]
        lapsed = high > 300
        found.append(
            figures.Bar(
                low,
                high,
                int(tokens[inside].sum()),
                total([costs[at] for at in inside]) if lapsed else ZERO,
            )
        )
    return found


def present_gaps(data: gaps.Gaps, ask: Ask) -> Content | None:
    if not _any(data):
        return _nothing(data)
    bars = bars_of(data)
    whole = int(data.histogram.reused.sum())
    within = [tokens / whole if whole else 0.0 for tokens in accumulate(bar.tokens for bar in bars)]
    columns = (
        tables.Column("gap", "gap", text=True),
        tables.Column("tokens", "tokens needed again"),
        tables.Column("within", "reuse so far"),
        tables.Column("rewrite_cost", "rewrites with a 5m TTL"),
        tables.Column("kept_by", "kept by", text=True, hide_narrow=True),
    )
    rows = tuple(
        tables.Row(
            (
                tables.Cell(figures.bar_name(bar), figures.bar_name(bar)),
                tables.tokens_cell(bar.tokens),
                tables.percent_cell(share),
                tables.money_cell(bar.rewrite_cost),
                tables.Cell("5m" if bar.high_s <= 300 else "1h" if bar.high_s <= 3600 else "pings"),
            )
        )
        for bar, share in zip(bars, within, strict=True)
    )
    lapsed = [total([bar.rewrite_cost for bar in bars if low <= bar.low_s < high]) for low, high in _SPANS]
    return Content(
        sub="dollars of writing again what a 5-minute TTL had let lapse",
        figure=figures.rewrites(bars, within),
        figure_label="Rewrite dollars by gap since the last use, and the share of reuse within each gap",
        key=(
            KeyItem("5–60 min: kept by 1h", "meter:write-5m"),
            KeyItem("over 1 h", "meter:write-1h"),
            KeyItem("reuse within", "line", "line"),
        ),
        table=tables.Table("Rewrites by gap", columns, rows),
        note=(
            f"Gaps of 5 to 60 minutes: {numbers.money(lapsed[0])}; of 1 hour to 1 day: {numbers.money(lapsed[1])}. "
            + _notes(data)
        ),
    )


_SPANS = ((300, 3600), (3600, 86_400))

HOW_CURVE = (
    "If every prefix were written and lived for the TTL, restarted by each use: hits are the tokens whose gap since "
    "their last use is no longer than the TTL.",
    "Cost: uncached input + reads + writes at the 5m price up to 5 minutes and at the 1h price beyond, which makes the "
    "step at 5 minutes; each model at its price for short prompts, as with the policies. No TTL beyond 1 hour is sold; "
    "pings can stand in for one.",
    "Exact at 5 minutes and 1 hour; between two edges of the histogram, gaps are taken as spread evenly over their "
    "logarithm. The wait for an answer to begin is left out. Gaps are kept by UTC day: a range is widened to whole "
    "days.",
)
CURVE = Panel(
    slug="cache-ttl",
    title="Token hit rate and cost against TTL",
    help=HOW_CURVE,
    fetch=fetch,
    present=present_curve,
    body="_ttl",
    size="tall",
)
GAPS = Panel(
    slug="cache-gaps",
    title="Rewrites by gap since the last use",
    help=(
        "Gap: time from the start of a request to the start of the next one that needs the same tokens. Gaps of more "
        "than a day count as a first use.",
        "Bars: tokens needed again after such a gap × (5m write price − read price): what writing them again costs "
        "when a 5-minute TTL is all there is, at the prices billed. Up to 5 minutes they are read: no cost here.",
        "Line: the share of all reused tokens whose gap is no longer.",
    ),
    fetch=fetch,
    present=present_gaps,
    size="tall",
)
PANELS = (CURVE, GAPS)
