"""Why tokens were written to the cache: over time, ranked, and the requests, sessions and prefixes that cost most."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from dashboard import numbers, tables
from dashboard.figures import causes as figures
from dashboard.panels import shape, stored
from dashboard.panels.base import Ask, Content, KeyItem, Panel
from dashboard.queries.causes import AGAIN
from dashboard.reports.kinds import CAUSES
from ingest.core.cache import causes
from ingest.core.pricing import total
from ingest.core.timegrain import to_micros

WAITING = "Every written token of this range is being given its cause."
HELPS = {
    causes.GROWTH: "nothing: new tokens are written once",
    causes.COLD_START: "share one prefix between sessions; warm it before many start",
    causes.MODEL_CHANGED: "stay with one model within a session",
    causes.LAPSE: "a 1-hour TTL, or keep-alive pings",
    causes.LONG_LAPSE: "pings if people come back; else do not cache the last turn",
    causes.PREFIX_CHANGED: "keep what comes first stable: no times, no ids, tools in a fixed order",
    causes.EARLY_EVICTION: "nothing on your side: the provider dropped it early",
    causes.COMPACTION: "compact rarely; keep the system part in front as it is",
    causes.CONCURRENT: "send one request first, the others once its answer begins",
    causes.BELOW_MINIMUM: "no cache_control on prompts this short",
    causes.UNKNOWN: "send prefix lists: counters alone cannot tell",
}
assert set(HELPS) == set(causes.CAUSES)
HOW = (
    "Every written token has one cause. Growth, cold start and model changed are tokens the cache had not held; all "
    "other causes are tokens written again.",
    "With prefix lists, each block is asked whether it had been used, was alive and could be read.",
    "With counters alone, a rewrite gets the first cause that fits: compaction, lapse, concurrent start, changed "
    "prefix, else unknown.",
    "Dollars: what writing these tokens cost. Above reading, of what was written again: tokens × (write price − read "
    "price), what reading them instead would have saved.",
)


# --- over time and ranked ---------------------------------------------------------------------------------------------


def present_causes(body: dict[str, Any], ask: Ask) -> Content | None:
    """Stacked over time, and below that one row a cause that adds up to the bill."""
    if not body["input"]["written_tokens"]:
        return Content(
            extra={
                "pending": "No request of this range wrote to the cache.",
                "instead": "Nothing was written",
            }
        )
    said = " ".join([*_sums(body), *stored.of_what(body)])
    return replace(_over_time(body, ask), extra={"ranked": _ranked(body), "said": said})


def _over_time(body: dict[str, Any], ask: Ask) -> Content:
    grain = body["grain"]
    starts = {text: pd.Timestamp(text) for text in {row["bucket_start"] for row in body["rows"]}}
    rows = pd.DataFrame(
        {
            shape.BUCKET: [starts[row["bucket_start"]] for row in body["rows"]],
            "cause": [row["cause"] for row in body["rows"]],
            "list_cost": [Decimal(row["list_cost"]) for row in body["rows"]],
        }
    )
    buckets = shape.timeline(ask, grain, rows)
    if len(buckets) > _MOST_BUCKETS:  # all of time, with a few requests from a clock that was years off
        buckets = sorted(set(rows[shape.BUCKET]))
    names = shape.labels(buckets, grain, ask)
    occurred = set(rows["cause"])
    shown = [cause for cause in figures.ROLES if cause in occurred]
    frame = shape.pivot(rows, "cause", shown, buckets)
    columns = (
        tables.Column("bucket", "bucket", text=True),
        *(tables.Column(cause, cause) for cause in shown),
        tables.Column("total", "all writes"),
    )
    lines = tuple(
        tables.Row(
            (
                tables.Cell(name, name),
                *map(tables.money_cell, amounts),
                tables.money_cell(total(amounts)),
            )
        )
        for name, amounts in zip(names, frame.itertuples(index=False, name=None), strict=True)
    )
    sums = [total(frame[cause]) for cause in shown]
    return Content(
        sub=f"dollars of cache writes per {grain}",
        figure=figures.over_time(
            {cause: list(frame[cause]) for cause in shown}, names, shape.unfinished(ask, grain, buckets)
        ),
        figure_label=f"Dollars of cache writes per {grain} by cause",
        key=tuple(KeyItem(cause, figures.ROLES[cause]) for cause in shown),
        table=tables.Table(
            "Dollars of cache writes by cause",
            columns,
            lines,
            tables.Row(
                (
                    tables.Cell("total", "total"),
                    *(tables.money_cell(each) for each in sums),
                    tables.money_cell(total(sums)),
                )
            ),
        ),
    )


_MOST_BUCKETS = 750


def _ranked(body: dict[str, Any]) -> tables.Table:
    bill = body["input"]
    cost = Decimal(bill["write_list_cost"])
    columns = (
        tables.Column("cause", "cause", text=True),
        tables.Column("tokens", "tokens"),
        tables.Column("list_cost", "dollars"),
        tables.Column("_share", "share"),
        tables.Column("extra_cost", "above reading", hide_narrow=True),
        tables.Column("helps", "what helps", text=True, hide_narrow=True),
    )
    shown = [row for row in body["causes"] if row["tokens"] or row["cause"] == causes.UNKNOWN]
    rows = tuple(
        tables.Row(
            (
                tables.name_cell(row["cause"], role=figures.ROLES[row["cause"]]),
                tables.tokens_cell(row["tokens"]),
                tables.money_cell(Decimal(row["list_cost"])),
                tables.share_cell(figures.ROLES[row["cause"]], Decimal(row["list_cost"]), cost),
                tables.money_cell(Decimal(row["extra_cost"]))
                if row["cause"] in AGAIN
                else tables.Cell(numbers.NONE, None, "New tokens: there was nothing to read"),
                tables.Cell(HELPS[row["cause"]], HELPS[row["cause"]]),
            )
        )
        for row in shown
    )
    everything = (
        tables.Cell("all writes", "all writes"),
        tables.tokens_cell(bill["written_tokens"]),
        tables.money_cell(cost),
        tables.Cell(),
        tables.money_cell(total([Decimal(row["extra_cost"]) for row in shown if row["cause"] in AGAIN])),
        tables.Cell(),
    )
    return tables.Table("Causes of cache writes", columns, rows, tables.Row(everything))


def _sums(body: dict[str, Any]) -> list[str]:
    bill = body["input"]
    names = ("write_list_cost", "read_list_cost", "uncached_list_cost", "input_list_cost")
    write, read, uncached, whole = (numbers.money(Decimal(bill[name])) for name in names)
    return [
        f"Writes {write} + reads {read} + uncached input {uncached} = input bill {whole}.",
        "Basis exact: from prefix lists."
        if body["basis"] == "exact"
        else "Basis estimated: some or all requests are judged by counters alone.",
    ]


# --- what cost most --------------------------------------------------------------------------------------------------


def present_dearest(body: dict[str, Any], ask: Ask) -> Content | None:
    """Requests, then sessions, then prefixes."""
    made = (
        _requests_table(body["dearest"], ask),
        _chains_table("Sessions", "session", body["sessions"], ask),
        _chains_table("Prefixes", "prefix", body["prefixes"], ask),
    )
    found = [table for table in made if table.rows]
    if not found:
        return Content(
            extra={
                "pending": "No token that had been in the cache was written to it again.",
                "instead": "Nothing to see",
            }
        )
    notes = stored.of_what(body)
    if not body["prefixes"]:
        notes.append(
            "Prefixes are listed where requests carry prefix lists; the capture module sends them, without any text."
        )
    return Content(
        sub="tokens written again; a row opens its timeline", note=" ".join(notes), extra={"tables": found}
    )


def _requests_table(dearest: list[dict[str, Any]], ask: Ask) -> tables.Table:
    columns = (
        tables.Column("occurred_at", "time", text=True),
        tables.Column("model", "model", text=True, hide_narrow=True),
        tables.Column("workspace_id", "workspace", text=True, hide_narrow=True),
        tables.Column("session_id", "session", text=True, hide_narrow=True),
        tables.Column("cause", "why", text=True),
        tables.Column("tokens", "tokens"),
        tables.Column("extra_cost", "above reading"),
    )
    rows = []
    for row in dearest[:MOST_REQUESTS]:
        at = datetime.fromisoformat(row["occurred_at"])
        local = at.astimezone(ask.zone)
        session = row["session_id"] or ""
        link = chain_link(ask, at, at, session=session, moment=at) if session else ""
        time = f"{numbers.day(local)} {local:%H:%M:%S}"
        rows.append(
            tables.Row(
                (
                    tables.Cell(time, row["occurred_at"], row["occurred_at"], href=link),
                    tables.name_cell(row["model"]),
                    tables.name_cell(row["workspace_id"] or ""),
                    tables.name_cell(session),
                    tables.name_cell(row["cause"], role=figures.ROLES[row["cause"]]),
                    tables.tokens_cell(row["tokens"]),
                    tables.money_cell(Decimal(row["extra_cost"])),
                ),
                href=link,
            )
        )
    return tables.Table("Requests", columns, tuple(rows))


def _chains_table(title: str, kind: str, rows: list[dict[str, Any]], ask: Ask) -> tables.Table:
    prefix = kind == "prefix"
    columns = (
        tables.Column(kind, kind, text=True),
        tables.Column("model", "model", text=True, hide_narrow=True),
        tables.Column("requests", "requests"),
        *((tables.Column("sessions", "sessions"),) if prefix else ()),
        tables.Column("cause", "mostly", text=True, hide_narrow=True),
        tables.Column("tokens", "tokens again", hide_narrow=True),
        tables.Column("extra_cost", "above reading"),
    )
    made = []
    for row in rows[:MOST_CHAINS]:
        start, end = datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])
        link = (
            chain_link(ask, start, end, prefix=row["name"], model=row["model"], workspace=row["workspace_id"])
            if prefix
            else chain_link(ask, start, end, session=row["name"])
        )
        shown = f"{row['name'][:8]}… {numbers.tokens(row['prefix_tokens'])} tokens" if prefix else row["name"]
        made.append(
            tables.Row(
                (
                    tables.name_cell(row["name"], href=link, text=shown),
                    tables.Cell(row["model"] or "several", row["model"]),
                    tables.count_cell(row["requests"]),
                    *((tables.count_cell(row["sessions"]),) if prefix else ()),
                    tables.name_cell(row["cause"], role=figures.ROLES[row["cause"]]),
                    tables.tokens_cell(row["tokens"]),
                    tables.money_cell(Decimal(row["extra_cost"])),
                ),
                href=link,
            )
        )
    return tables.Table(title, columns, tuple(made))


MOST_REQUESTS = 10
MOST_CHAINS = 8
LONGEST_BACK = 200  # as much of a knob as a page reads
AROUND = timedelta(hours=12)  # a session on both sides of one of its requests


def chain_link(
    ask: Ask,
    start: datetime,
    end: datetime,
    *,
    session: str = "",
    prefix: str = "",
    model: str = "",
    workspace: str = "",
    moment: datetime | None = None,
) -> str:
    """The address of the timeline of one session or prefix, no longer than it has to be: around one moment, or from
    its first to its last request."""
    if moment:
        start, end = start - AROUND, end + AROUND
    filters = ask.filters.with_(start=start, end=end + timedelta(seconds=1), compare=False)
    if session:
        filters = filters.only("session_id", session)
    if prefix:  # a block in one cache
        filters = filters.only("model", model).only("workspace_id", workspace)
    back = ask.filters.to_query()
    return ask.link(
        filters,
        page="chain",
        prefix=prefix or None,
        moment=str(to_micros(moment)) if moment else None,
        back=back if len(back) <= LONGEST_BACK else None,
    )


REASONS = Panel(
    slug="cache-causes",
    title="Why tokens were written",
    help=(
        *HOW,
        "Writes + reads + uncached input = the input bill at list prices, to the cent.",
        "Days are those of the reporting zone; a range of more than 100 days is told by months.",
    ),
    fetch=stored.fetching(CAUSES),
    present=stored.presenting(present_causes, WAITING),
    body="_causes",
)
DEAREST = Panel(
    slug="cache-dearest",
    title="What cost most",
    help=(
        "Tokens written again × (write price − read price). Growth, cold starts and changed models are not among them: "
        "those tokens were new.",
        "Requests are ranked by their dearest cause; sessions and prefixes by all that was written again in them.",
        "Prefixes are told apart by the block they begin with, in one workspace and model; beside each is how many "
        "sessions use it. Only requests with prefix lists have one.",
    ),
    fetch=stored.fetching(CAUSES),
    present=stored.presenting(present_dearest, WAITING),
    body="_stored_tables",
)
PANELS = (REASONS, DEAREST)
