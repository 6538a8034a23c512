"""How low the bill could have been: what was observed beside other cache policies and the floors."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import numbers, tables
from dashboard.panels import stored
from dashboard.panels.base import Ask, Content, Panel
from dashboard.reports.kinds import POLICIES
from ingest.core.cache.policies import parse_policy
from ingest.core.pricing import EXACT

OBSERVED = "observed"
BEST = "best per session"
FLOORS = {
    "without_pings": "floor, no pings",
    "with_pings": "floor, with pings",
    "never_forgets": "floor, never forgets",
}
_TIERS = {"5m": "5 min", "1h": "1 hour"}
_ROLES = {"none": "meter:uncached", "5m": "meter:write-5m", "1h": "meter:write-1h"}


@dataclass(frozen=True)
class Line:
    """One bill of the comparison."""

    name: str
    cost: Decimal
    role: str
    rate: Decimal | None = None
    low: Decimal | None = None
    high: Decimal | None = None


def policy_name(name: str) -> str:
    """A policy as people say it: no caching, 5 min everywhere, 5 min + 3 pings."""
    policy = parse_policy(name)
    if policy.tier == "none":
        return "no caching"
    tier = _TIERS[policy.tier]
    if not policy.pings:
        return f"{tier} everywhere"
    return f"{tier} + {policy.pings} ping{'s' if policy.pings > 1 else ''}"


def lines_of(body: dict[str, Any]) -> list[Line]:
    """Every bill, dearest first."""
    lines = [
        Line(
            policy_name(row["policy"]),
            Decimal(row["input_list_cost"]),
            _ROLES[row["policy"].split("+")[0]],
            Decimal(row["token_hit_rate"]),
            Decimal(row["low"]),
            Decimal(row["high"]),
        )
        for row in body["policies"]
    ]
    for name, role, row in (
        (OBSERVED, "accent", body["observed"]),
        (BEST, "series:1", body["best_per_chain"]),
    ):
        lines.append(Line(name, Decimal(row["input_list_cost"]), role, Decimal(row["token_hit_rate"])))
    lines += [Line(FLOORS[name], Decimal(amount), "series:other") for name, amount in body["floor"].items()]
    return sorted(lines, key=lambda line: -line.cost)


def verdict(body: dict[str, Any]) -> str:
    """Which policy is cheapest, in one plain sentence. Ties go to what asks for less change."""
    now = Decimal(body["observed"]["input_list_cost"])
    best = min(body["policies"], key=lambda row: Decimal(row["input_list_cost"]))
    cost = Decimal(best["input_list_cost"])
    saved = EXACT.subtract(now, cost)
    if saved <= 0:
        return "What you do now is cheaper than every one of these policies applied everywhere."
    less = f"{numbers.money(saved)} less than observed ({numbers.change(cost, now)})"
    if best["policy"] == "none":
        return f"Do not cache this: no caching is the cheapest of these policies, {less}."
    said = f"{policy_name(best['policy'])} is the cheapest of these policies, {less}."
    if Decimal(best["high"]) >= now:
        said += " Its estimated range reaches up to what was observed, so this is not certain."
    return said


def basis(body: dict[str, Any]) -> str:
    """What the figures rest on."""
    if body["basis"] == "exact":
        return "Basis exact: every request was replayed on its prefix list."
    share = Decimal(body["exact_requests"]) / body["requests"] if body["requests"] else Decimal(0)
    if not share:
        return (
            "Basis estimated: no request has a prefix list, so what a longer gap would have kept is taken from a table"
            " of reuse by gap measured on public traces; the range is that table's."
        )
    return (
        f"Basis estimated: prefix lists for {numbers.percent(share)} of the requests, counters for the rest."
    )


def present(body: dict[str, Any], ask: Ask) -> Content:
    lines = lines_of(body)
    now = Decimal(body["observed"]["input_list_cost"])
    most = max(line.cost for line in lines)
    estimated = body["basis"] != "exact"
    columns = (
        tables.Column("policy", "policy", text=True),
        tables.Column("input_list_cost", "list cost"),
        tables.Column("change", "vs observed"),
        *((tables.Column("range", "range"),) if estimated else ()),
        tables.Column("token_hit_rate", "token hit rate", hide_narrow=True),
        tables.Column("_bar", ""),
    )
    rows = []
    for line in lines:
        own = line.name == OBSERVED
        cells = [
            tables.Cell(line.name, line.name),
            tables.money_cell(line.cost),
            tables.Cell(numbers.NONE) if own else tables.change_cell(line.cost, now),
            *((_range(line),) if estimated else ()),
            tables.percent_cell(line.rate),
            tables.share_cell(line.role, line.cost, most),
        ]
        rows.append(tables.Row(tuple(cells), current=own))
    floor = Decimal(body["floor"]["without_pings"])
    captured = body["captured_share"]
    notes = [basis(body), *stored.of_what(body)]
    if Decimal(body["observed"]["prompt_step_premium"]):
        premium = numbers.money(Decimal(body["observed"]["prompt_step_premium"]))
        notes.append(
            f"All of it at the prices for short prompts; long ones cost {premium} more, whatever the policy."
        )
    return Content(
        sub="input side, list prices, same requests",
        table=tables.Table("Input bill by cache policy", columns, tuple(rows)),
        note=" ".join(notes),
        extra={
            "reuse": _reuse_table(body["reuse"]) if body.get("reuse") else None,
            "verdict": verdict(body),
            "facts": [
                (
                    "captured share",
                    numbers.percent(Decimal(captured)) if captured is not None else numbers.NONE,
                ),
                ("observed", numbers.money(now)),
                ("floor, no pings", numbers.money(floor)),
                ("above the floor", numbers.money(EXACT.subtract(now, floor))),
            ],
        },
    )


def _range(line: Line) -> tables.Cell:
    if line.low is None or line.high is None:
        return tables.Cell(numbers.NONE)
    low, high = numbers.money_round(line.low), numbers.money_round(line.high)
    return tables.Cell(numbers.NONE if low == high else f"{low} – {high}")


def _reuse_table(reuse: dict[str, Any]) -> tables.Table:
    """What estimates rest on, with its range."""
    columns = (
        tables.Column("prompt", "prompt", text=True),
        tables.Column("gap", "gap", text=True),
        tables.Column("share", "used again"),
        tables.Column("range", "range"),
        tables.Column("requests", "requests", hide_narrow=True),
    )
    rows = [
        tables.Row(
            (
                tables.Cell(row["prompt"], row["prompt"]),
                tables.Cell(row["gap"], row["gap"]),
                tables.percent_cell(Decimal(row["share"])),
                tables.Cell(
                    f"{numbers.percent(Decimal(row['low']))} – {numbers.percent(Decimal(row['high']))}"
                ),
                tables.count_cell(row["requests"]),
            )
        )
        for row in reuse["rows"]
    ]
    return tables.Table(
        f"How much of a prompt is used again after a gap ({reuse['source']})", columns, tuple(rows)
    )


PANEL = Panel(
    slug="cache-policies",
    title="How low could this bill have been?",
    help=(
        "Each policy writes every prefix for its TTL, on the same requests at the same times, and reads what is still "
        "alive; a ping is a small request that reads a prefix to keep it alive while its session is idle.",
        "Best per session: each session with the cheapest of these policies.",
        "Floor: the least any policy could have paid, block by block, knowing the future; without pings, with pings, "
        "and for a cache that never forgets. Nothing real can be below it.",
        "Captured share = (cost without cache − observed) ÷ (cost without cache − floor without pings). It is negative "
        "when caching costs more than it saves.",
        "Input side only: uncached input, writes, reads and pings, each model at its own prices.",
    ),
    fetch=stored.fetching(POLICIES),
    present=stored.presenting(present, "Every request of this range is being replayed under other policies."),
    body="_policies",
    size="tall",
)
PANELS = (PANEL,)
