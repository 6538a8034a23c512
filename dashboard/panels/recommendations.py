"""Recommendations: what to change, what it saves in dollars a month, how sure that is; and what came of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dashboard import numbers
from dashboard.analysis.recommendations.finding import BATCH
from dashboard.analysis.recommendations.realised import FEWEST_SESSIONS
from dashboard.analysis.recommendations.traffic import SESSION_CLASS
from dashboard.panels import shape, stored
from dashboard.panels.base import PATHS, Ask, Content, Empty, Panel
from dashboard.reports import decisions
from dashboard.reports.recommended import RECOMMENDATIONS
from dashboard.reports.words import SCENARIO

OPEN, DISMISSED = "open", "dismissed"
SURE = {
    "likely": (
        "likely",
        "positive",
        "exact, and even the low end is more than half of the estimate",
    ),
    "fair": ("fair", "accent", "the low end still saves"),
    "unsure": (
        "unsure",
        "warning",
        "the interval reaches down to nothing saved: try it on a few sessions first",
    ),
}
WAITING = "The requests of this range are being replayed under other policies."
HOW = (
    "Every session is replayed under other cache policies, exactly where requests carry prefix lists, else estimated"
    " from counters. A card says which.",
    "Dollars a month = the saving in the range × 30 ÷ its days, at list prices. The range beside it holds 95 % of the"
    " months that other sessions of the same kind would make (bootstrap by session); on the estimated basis it is"
    " widened by what reuse after a gap is not known.",
    "A change is held against what was observed, or against the replay of today's policy where that is lower, so that"
    " nothing is claimed that only a replay saves.",
    "Advice of one kind is given by the one dimension that says most. Advice of different kinds can be about the same"
    " money: such cards say that they overlap, and the sum counts only the first of them.",
)


def scope_words(scope: Any) -> list[tuple[str, str]]:
    """Where advice holds, as people say it."""
    return [
        ("sessions of", str(value))
        if name == SESSION_CLASS
        else (shape.word(name), shape.shown(shape.name_of(value)))
        for name, value in scope
    ]


def amount_words(estimate: str | None, low: str | None, high: str | None) -> dict[str, str]:
    """A monthly amount and its range as text."""
    if estimate is None:
        return {"amount": numbers.NONE, "range": ""}
    known = low is not None and high is not None and low != high
    return {
        "amount": numbers.money_round(Decimal(estimate)),
        "range": f"{numbers.money_round(Decimal(str(low)))} to {numbers.money_round(Decimal(str(high)))}"
        if known
        else "",
        "exact": f"{estimate} USD",
    }


def present(body: dict[str, Any], ask: Ask) -> Content | None:
    decided = decisions.statuses([card["key"] for card in body["recommendations"]])
    known = {card["key"]: card for card in body["recommendations"]}
    cards = [
        _card(card, decided.get(card["key"], OPEN), known)
        for card in body["recommendations"]
        if decided.get(card["key"], OPEN) in (OPEN, "accepted")
    ]
    return Content(
        sub="ranked by dollars a month" if cards else "",
        note=" ".join([*_together(cards), *stored.of_what(body)]),
        extra={"advice": cards, **_posting(ask)},
    )


def _together(cards: list[dict[str, Any]]) -> list[str]:
    """What the cards that stand here come to, the first of those that overlap alone."""
    counted: list[dict[str, Any]] = []
    for card in cards:
        others = {other["key"] for other in counted}
        if card["sure"] != "unsure" and others.isdisjoint(card["overlaps"]):
            counted.append(card)
    if len(counted) < 2:
        return []
    total = sum((Decimal(card["monthly_saving"]) for card in counted), Decimal(0))
    return [f"Together about {numbers.money_round(total)} a month, overlaps and what is unsure left out."]


def _posting(ask: Ask) -> dict[str, Any]:
    return {
        "decide_url": f"{PATHS['recommendations']}decide/",
        "question": ask.filters.to_query(),
        "back": ask.link(),
    }


def _card(card: dict[str, Any], status: str, known: dict[str, Any]) -> dict[str, Any]:
    word, tone, why = SURE[card["sure"]]
    others = [known[key] for key in card["overlaps"] if key in known]
    return {
        **card,
        **amount_words(card["monthly_saving"], card["low"], card["high"]),
        "where": scope_words(card["scope"]),
        "status": status,
        "sure_word": word,
        "sure_tone": tone,
        "sure_why": why
        if card["low"] is not None
        else "one session says nothing about others: there is no range",
        "basis_word": _basis(card),
        "of": f"{numbers.count(card['requests'])} requests in {numbers.count(card['sessions'])} sessions",
        "overlap_words": _overlaps(others),
    }


def _basis(card: dict[str, Any]) -> str:
    if card["basis"] != "exact":
        return "estimated from counters"
    if card["action"] == BATCH:
        return "exact counts and prices"
    return "exact, from prefix lists"


def _overlaps(others: list[dict[str, Any]]) -> str:
    """The cards about the same money; what they save is not added."""
    names = list(dict.fromkeys(card["title"] for card in others))
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    return f"Overlaps with “{'”, “'.join(names[:2])}”{more}: do not add them up."


PANEL = Panel(
    slug="recommendations",
    title="What to change",
    help=HOW,
    fetch=stored.fetching(RECOMMENDATIONS),
    present=stored.presenting(present, WAITING),
    body="_recommendations",
    size="tall",
    empty=Empty(
        what="What to change about caching stands here, ranked by dollars a month.",
        why="No request that passes the filters lies in this range.",
        fix="Choose a longer range or remove a filter.",
    ),
)


# --- what was decided -------------------------------------------------------------------------------------------------


def fetch_history(ask: Ask) -> list[dict[str, Any]]:
    return decisions.history()


def present_history(data: list[dict[str, Any]], ask: Ask) -> Content | None:
    if not data:
        return None
    return Content(
        sub="predicted beside realised, dollars a month",
        extra={
            "decided": [_line(line, ask) for line in data],
            "ask_again": any(_is_pending(line) for line in data),
            **_posting(ask),
        },
    )


def _is_pending(line: dict[str, Any]) -> bool:
    return bool(line["status"] == "done" and line["realised"] is None and not line["problem"])


def _line(line: dict[str, Any], ask: Ask) -> dict[str, Any]:
    predicted, came_of = line["predicted"], line["realised"]
    at = (line["done_at"] or line["decided_at"]).astimezone(ask.zone)
    return {
        **line,
        "where": scope_words(line["scope"]),
        "when": f"{numbers.day(at)} {at:%Y}",
        "predicted": amount_words(predicted["monthly_saving"], predicted["low"], predicted["high"]),
        "realised": _realised(line, came_of),
        "href": _scenario_link(line, ask),
        "tone": {"done": "positive", "accepted": "accent"}.get(line["status"], ""),
    }


def _realised(line: dict[str, Any], came_of: dict[str, Any] | None) -> dict[str, str]:
    if line["status"] != "done":
        return {
            "amount": numbers.NONE,
            "range": "measured once it is done" if line["status"] == "accepted" else "",
        }
    if came_of is None and line["problem"]:
        return {"amount": numbers.NONE, "range": line["problem"]}
    if came_of is None:
        return {"amount": numbers.NONE, "range": "being worked out"}
    if came_of["monthly_saving"] is None:
        seen = f"{numbers.count(came_of['sessions'])} of {FEWEST_SESSIONS} sessions"
        if came_of["sessions_before"] < FEWEST_SESSIONS:
            seen = f"only {numbers.count(came_of['sessions_before'])} sessions before"
        elif came_of["sessions"] >= FEWEST_SESSIONS:
            seen = "not a day yet"
        return {"amount": "too early", "range": seen}
    rates = [
        numbers.money(Decimal(came_of[name]) * (1_000_000 if line["measure"] == "input token" else 1))
        for name in ("before", "after")
    ]
    unit = "million input tokens" if line["measure"] == "input token" else line["measure"]
    return {
        **amount_words(came_of["monthly_saving"], came_of["low"], came_of["high"]),
        "rates": f"{rates[0]} → {rates[1]} per {unit}, {numbers.count(came_of['sessions'])} sessions since",
    }


def _scenario_link(line: dict[str, Any], ask: Ask) -> str:
    if line["action"] != SCENARIO or not line["knobs"]:
        return ""
    return ask.link(None, "what_if", **line["knobs"])


HISTORY = Panel(
    slug="recommendation-history",
    title="Decided",
    help=(
        "Predicted: as the card had it when somebody decided on it.",
        "Realised: (cost per unit of work before − since it is done) × the work done since, in 30 days, in the same"
        " place. Before is the range that the prediction was made from. Work is input tokens at their list cost;"
        " for pings answered requests, for batches and scenarios requests at their whole list cost.",
        f"It is too early until there are {FEWEST_SESSIONS} sessions on either side and a day has passed. The range is"
        " 95 %, by session on both sides. Prompts and traffic change for other reasons too: this is a before and"
        " after, no experiment.",
    ),
    fetch=fetch_history,
    present=present_history,
    body="_decided",
    size="short",
    empty=Empty(
        what="What was accepted, dismissed or done stands here, with what came of it.",
        why="Nothing is decided yet.",
        fix="Press Accept on a card; press Done when the change is live.",
    ),
)

PANELS = (PANEL, HISTORY)
