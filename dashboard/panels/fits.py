"""Which requests a model swap would not fit: counted and listed, beside the other model's limits."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard import numbers, tables
from dashboard.analysis import tokenizers
from dashboard.analysis.scenario import Swap
from dashboard.panels import shape
from dashboard.panels.base import Ask, Content, Empty, Panel
from dashboard.panels.what_if import scenario_of
from dashboard.queries import fits


@dataclass(frozen=True)
class Judged:
    swap: Swap
    fit: fits.Fit


def fetch(ask: Ask) -> list[Judged]:
    found = []
    for swap in scenario_of(ask).swaps:
        growth = (
            tokenizers.growth(swap.source, swap.target) if swap.token_growth is None else swap.token_growth
        )
        found.append(Judged(swap, fits.fit(ask.filters, swap.source, swap.target, growth)))
    return found


def present(data: list[Judged], ask: Ask) -> Content | None:
    if not data:
        return None
    rows = []
    for judged in data:
        for request in judged.fit.largest:
            cells = (
                tables.Cell(str(request["occurred_at"])[:16].replace("T", " "), request["occurred_at"]),
                tables.name_cell(request["model"], text=f"{request['model']} → {judged.swap.target}"),
                tables.name_cell(request["session_id"]),
                tables.tokens_cell(request["prompt_tokens"]),
                tables.tokens_cell(request["output_tokens"]),
            )
            rows.append(tables.Row(cells))
    columns = (
        tables.Column("occurred_at", "time (UTC)", text=True),
        tables.Column("model", "model", text=True),
        tables.Column("session_id", "session", text=True, hide_narrow=True),
        tables.Column("prompt_tokens", "prompt"),
        tables.Column("output_tokens", "output"),
    )
    table = tables.Table("Requests that would not fit", columns, tuple(rows)) if rows else None
    return Content(table=table, extra={"sentences": [_sentence(judged) for judged in data]})


def _sentence(judged: Judged) -> str:
    swap, fit = judged.swap, judged.fit
    source = "any model" if swap.source == "*" else shape.shown(swap.source)
    parts = [f"{source} → {swap.target}: of {numbers.count(fit.requests)} requests"]
    if fit.window is None:
        parts.append("no context window is published")
    else:
        parts.append(f"{numbers.count(fit.too_large)} would not fit into {numbers.tokens(fit.window)} tokens")
    if fit.minimum:
        parts.append(
            f"{numbers.count(fit.too_short)} have a cached prefix under {numbers.count(fit.minimum)} tokens, which "
            f"is not cached there ({numbers.tokens(fit.too_short_tokens)} tokens)"
        )
    return f"{parts[0]} {', '.join(parts[1:])}."


PANEL = Panel(
    slug="fits",
    title="Requests that would not fit",
    help=(
        "Prompt and output of every request, times the token growth, beside the other model's context window; and its "
        "cached prefix beside the shortest that the other model caches. Read from single events of the range.",
        "The scenario keeps calls whose prompt is known from the rollups to exceed the window; those in between are "
        "only listed here, and are still counted at the other model. It sends cached prefixes that are too short there "
        "uncached, exactly at a token growth of 1, 1.3 or 0.77; at others it leaves those that may be long enough.",
    ),
    fetch=fetch,
    present=present,
    body="_fits",
    size="short",
    live=False,
    plain=True,
    empty=Empty(
        what="Requests that would not fit stand here.",
        why="No model is swapped.",
        fix="Choose two models in the form.",
    ),
)

PANELS = (PANEL,)
