"""The timeline of one chain: each request of a session or of a prefix, what it read, what it wrote, and why."""

from __future__ import annotations

from dashboard import numbers, tables
from dashboard.figures import causes as figures
from dashboard.filters import METER, SESSION, FilterError
from dashboard.panels.base import PATHS, Ask, Content, Empty, KeyItem, Panel
from dashboard.queries import chains
from dashboard.queries.causes import AGAIN, block_of
from ingest.core.timegrain import to_micros

PREFIX_KNOB, PAGE_KNOB, MOMENT_KNOB = "prefix", "at", "moment"
BACK_KNOB = "back"  # what the Cache page was asked when this was opened
CHOOSE = "Open one from the lists of what cost most on the Cache page, or filter by a session."
KNOBS = (PREFIX_KNOB, PAGE_KNOB, MOMENT_KNOB, BACK_KNOB)


def fetch(ask: Ask) -> chains.Timeline | None:
    """None until a session or a prefix is chosen."""
    prefix = ask.knob(PREFIX_KNOB)
    if ask.filters.values(METER):
        raise FilterError(METER, "a timeline is of whole requests: it cannot be limited to single meters")
    if not prefix and not ask.filters.values(SESSION):
        return None
    try:
        block = block_of(prefix) if prefix else None
    except ValueError as error:
        raise FilterError(PREFIX_KNOB, str(error)) from None
    page, moment = _number(ask, PAGE_KNOB), _number(ask, MOMENT_KNOB)
    return chains.timeline(ask.filters, block, page or 1, moment)


def _number(ask: Ask, knob: str) -> int | None:
    text = ask.knob(knob)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 17):
        raise FilterError(knob, f"{knob} must be a whole number, not {text[:40]!r}")
    return int(text)


def present(data: chains.Timeline | None, ask: Ask) -> Content | None:
    if data is None:
        return Content(extra={"instead": "No session or prefix is chosen", "pending": CHOOSE})
    if not data.steps:
        return None
    labels = [f"#{step.number}" for step in data.steps]
    found = [cause for cause in figures.ROLES if any(cause in dict(step.causes) for step in data.steps)]
    figure = figures.chain(
        [step.read for step in data.steps],
        [step.uncached for step in data.steps],
        {cause: [dict(step.causes).get(cause, 0) for step in data.steps] for cause in found},
        labels,
    )
    first, last = data.steps[0].number, data.steps[-1].number
    return Content(
        sub=f"requests {first}–{last} of {numbers.count(data.requests)}",
        figure=figure,
        figure_label="Input tokens of each request: read, written by cause, uncached",
        key=(
            KeyItem("read", "meter:read"),
            *(KeyItem(cause, figures.ROLES[cause]) for cause in found),
            KeyItem("uncached", "meter:uncached"),
        ),
        table=tables.Table(
            "Requests of this chain", _columns(ask), tuple(_row(step, ask) for step in data.steps)
        ),
        note=" ".join(_notes(data, ask)),
        extra={
            "title": _title(ask),
            "earlier": _page(ask, data.page - 1) if data.page > 1 else "",
            "later": _page(ask, data.page + 1) if data.page < data.pages else "",
            "page": data.page,
            "pages": data.pages,
            "back": f"{PATHS['cache']}?{ask.knob(BACK_KNOB)}",
        },
    )


def _page(ask: Ask, page: int) -> str:
    return ask.link(None, at=str(page), moment=None)


def _columns(ask: Ask) -> tuple[tables.Column, ...]:
    return (
        tables.Column("number", "#"),
        tables.Column("occurred_at", "time", text=True),
        tables.Column("gap_seconds", "gap"),
        _whose(ask),
        tables.Column("read", "read"),
        tables.Column("written", "written"),
        tables.Column("uncached", "uncached", hide_narrow=True),
        tables.Column("causes", "why", text=True),
        tables.Column("extra_cost", "above reading", hide_narrow=True),
    )


def _whose(ask: Ask) -> tables.Column:
    """A prefix is of one model and may be of several sessions; a session the other way round."""
    name, label = ("session_id", "session") if ask.knob(PREFIX_KNOB) else ("model", "model")
    return tables.Column(name, label, text=True, hide_narrow=True)


def _row(step: chains.Step, ask: Ask) -> tables.Row:
    local = step.occurred_at.astimezone(ask.zone)
    written = step.write_5m + step.write_1h
    tier = ", ".join(
        f"{name} {numbers.count(tokens)}"
        for name, tokens in (("5m", step.write_5m), ("1h", step.write_1h))
        if tokens
    )
    why = ", ".join(f"{cause} {numbers.tokens(tokens)}" for cause, tokens in step.causes)
    worst = next(
        (cause for cause, _ in step.causes if cause in AGAIN), step.causes[0][0] if step.causes else ""
    )
    return tables.Row(
        (
            tables.Cell(str(step.number), step.number),
            tables.Cell(
                f"{numbers.day(local)} {local:%H:%M:%S}",
                step.occurred_at.isoformat(),
                step.occurred_at.isoformat(),
            ),
            tables.Cell(numbers.seconds(step.gap_s) if step.gap_s is not None else "first", step.gap_s),
            tables.name_cell(step.session_id if ask.knob(PREFIX_KNOB) else step.model),
            tables.tokens_cell(step.read),
            tables.Cell(numbers.tokens(written), written, tier),
            tables.tokens_cell(step.uncached),
            tables.Cell(why or "nothing written", why, role=figures.ROLES[worst] if worst else ""),
            tables.money_cell(step.extra_cost or None),
        ),
        current=str(to_micros(step.occurred_at)) == ask.knob(MOMENT_KNOB),
    )


def _notes(data: chains.Timeline, ask: Ask) -> list[str]:
    said = [
        "Basis exact: from prefix lists."
        if data.basis == "exact"
        else "Basis estimated: judged by counters alone.",
        f"{numbers.tokens(data.written_again)} tokens were written again.",
    ]
    if not ask.knob(PREFIX_KNOB):
        said.append(
            "Requests are judged by those shown here alone: what other sessions wrote before can change a cause."
        )
    if data.more:
        said.append(
            f"These are the first {numbers.count(chains.MOST_REQUESTS)} requests; choose a shorter range for others."
        )
    if data.unpriced:
        said.append(f"{numbers.count(data.unpriced)} requests without a price are left out.")
    return said


def _title(ask: Ask) -> str:
    prefix = ask.knob(PREFIX_KNOB)
    return f"Prefix {prefix[:8]}…" if prefix else f"Session {', '.join(ask.filters.values(SESSION))}"


PANEL = Panel(
    slug="cache-chain",
    title="Timeline",
    help=(
        "Each request in order of time: input tokens read, written and uncached, and why they were written.",
        "Gap: the time since the request before, from start to start, within one cache: one workspace and model.",
        "Above reading: tokens written again × (write price − read price).",
    ),
    fetch=fetch,
    present=present,
    body="_chain",
    size="tall",
    empty=Empty(
        what="The requests of one session or prefix stand here.",
        why="The chosen one has no request in this range that passes the filters.",
        fix="Choose a longer range, or open one from the lists on the Cache page.",
    ),
)
PANELS = (PANEL,)
