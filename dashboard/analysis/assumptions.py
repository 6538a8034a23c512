"""What a scenario takes for granted, in sentences: printed beside every result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from dashboard.analysis import tokenizers
from dashboard.analysis.replayed import Replayed
from dashboard.analysis.scenario import ANY, OBSERVED, Scenario, Shares, Swap
from dashboard.analysis.streams import TooShort
from dashboard.analysis.what_if import Comparison
from ingest.core.pricebook import PriceBook
from ingest.core.pricing import as_text
from ingest.core.short_prefixes import undecided


def assumptions(
    scenario: Scenario, result: Comparison, book: PriceBook, replayed: Replayed | None = None
) -> Iterator[str]:
    """One sentence for each thing that is assumed, in the order of the steps."""
    if scenario.is_identity:
        yield "Nothing is changed: the scenario is what was observed."
        return
    yield "Token counts are those that were logged; nobody is assumed to use more or less because a price changes."
    yield from _prices(scenario)
    for number, swap in enumerate(scenario.swaps):
        yield _swap(swap, book)
        yield from _short_prefixes(swap, [each for each in result.too_short if each.swap == number])
    yield from _cache(scenario, replayed)
    yield from _routing(scenario)
    yield from _batch(scenario)
    if scenario.growth:
        yield f"Growth: {_listed(scenario.growth, '×')} the calls, each with the tokens it has today."
    for kept in result.kept:
        yield f"Not reached by {kept.knob}: {kept.requests:,} requests of {kept.model} ({kept.reason})."
    if len(result.unpriced):
        names = ", ".join(dict.fromkeys(result.unpriced["model"]))
        yield f"On neither side, for it has no price: {names}."


def basis(scenario: Scenario, model: str, becomes: str, replayed: Replayed | None = None) -> str:
    """How sure a model's row is: "exact", or the guesses that are in it."""
    guesses: list[str] = []
    if becomes and any(
        swap.token_growth is None and tokenizers.growth(model, swap.target) != 1 for swap in scenario.swaps
    ):
        guesses.append("tokenizer guess")
    if scenario.policy not in (OBSERVED, "none") and replayed is not None and model in replayed.shares:
        error = f" ±{_percent(replayed.error)}" if replayed.error is not None else ""
        guesses.append(f"replay{error}")
    if scenario.token_hit_rate is not None:
        guesses.append("target")
    if scenario.batch_share and scenario.batch_reads is not None:
        guesses.append("batch reads")
    return ", ".join(guesses) or "exact"


def _prices(scenario: Scenario) -> Iterator[str]:
    if scenario.price_date is not None:
        yield (
            f"Every day is priced at the list of {scenario.price_date}; a model that was launched later has its "
            "first price."
        )
    if scenario.contract:
        names = ", ".join(rates.model for rates in scenario.contract)
        yield (
            f"Contract rates hold for {names} at standard speed and ordinary prompt sizes; tier and region multiply "
            "them as they do list prices, and cache prices that the draft leaves out keep the list's ratio to input."
        )
    if scenario.discounts:
        yield f"Discount: {_shares(scenario.discounts)} off every token price; web searches keep theirs."


def _swap(swap: Swap, book: PriceBook) -> str:
    source = "any model" if swap.source == ANY else swap.source
    target = book.model(swap.target)
    growth = tokenizers.growth(swap.source, swap.target) if swap.token_growth is None else swap.token_growth
    of = "" if swap.of.dimension == ANY else f" of {swap.of.text}"
    parts = [
        f"{_percent(swap.share)} of {source}{of} goes to {swap.target}",
        "as many tokens as is published for each pair of models (about 30 % more across the 4.7 line)"
        if swap.source == ANY and swap.token_growth is None
        else f"{as_text(growth)} tokens for one"
        + (" (published: about 30 % across the 4.7 line)" if growth != 1 else ""),
        "as many calls and turns as before",
    ]
    if target and target.context_window:
        parts.append(
            f"prompts that by themselves are known to exceed {target.context_window:,} tokens stay, and those that "
            "exceed them only with their answer, or by less than prompt-size steps tell, are listed but move"
        )
    return "; ".join(parts) + "."


def _short_prefixes(swap: Swap, found: Sequence[TooShort]) -> Iterator[str]:
    """What the other model does not cache, by its minimum and the token growth."""
    for each in found:
        grown = "" if each.growth == 1 else f" at {as_text(each.growth)} tokens for one"
        what = (
            f"{each.requests:,} of these calls have a cached prefix under it, {each.tokens:,} tokens as logged, which "
            "are sent uncached"
            if each.tokens
            else "no cached prefix of these calls is under it for sure"
        )
        unsure = undecided(each.minimum, each.growth)
        yield (
            f"{swap.target} caches from {each.minimum:,} tokens{grown}: {what}."
            + (
                f" Prefixes of {unsure[0]:,} to {unsure[1] - 1:,} tokens stay cached, as token sums "
                "cannot tell which of them are too short."
                if unsure
                else ""
            )
        )
    if found:
        yield (
            "What was not cached as logged is not cached at another model either, even if that caches shorter "
            "prefixes."
        )


def _cache(scenario: Scenario, replayed: Replayed | None) -> Iterator[str]:
    if scenario.policy == "none":
        yield "Caching off: every read and written token is sent uncached."
    elif scenario.policy != OBSERVED and replayed is not None:
        error = "" if replayed.error is None else f" Error of the cost: ±{_percent(replayed.error)}."
        yield (
            f"Caching policy {replayed.policy}, from a replay of this log. {replayed.basis} What it makes of a "
            f"model's input on average holds for all of the model's calls.{error}"
        )
    if scenario.token_hit_rate is not None:
        yield (
            f"Token hit rate of {_percent(scenario.token_hit_rate)} for every model that caches: more reads come from "
            "uncached and written tokens in proportion, lost reads are written again for five minutes. A target, not "
            "a forecast."
        )
    if any((scenario.read_multiplier, scenario.write_5m_multiplier, scenario.write_1h_multiplier)):
        yield "Cache multipliers are of each call's own input price, with its tier and region."


def _routing(scenario: Scenario) -> Iterator[str]:
    if scenario.inference_geo != OBSERVED:
        yield (
            f"All calls with inference_geo {scenario.inference_geo}; the 1.1× of US-only inference applies to the "
            "models and platforms that the list names, others keep their price."
        )
    if scenario.routing != OBSERVED:
        yield f"Calls on Bedrock and Vertex through {scenario.routing} endpoints; others are not touched."
    if scenario.fast_share:
        yield (
            f"Fast mode for {_shares(scenario.fast_share)} of standard calls, where the model offers it; fast calls "
            "are never in a batch."
        )
    if scenario.priority_share or scenario.priority_rate is not None:
        rate = (
            "nothing at the margin"
            if scenario.priority_rate is None
            else f"${as_text(scenario.priority_rate)}"
        )
        yield (
            f"Priority commitment for {_shares(scenario.priority_share)} of the standard calls left: {rate} per "
            "million tokens burned down, which are reads at 0.1, 5m writes at 1.25, 1h writes at 2, others at 1, and "
            "1.1 times that in the US. Unused commitment is not counted."
        )
    if scenario.inference_geo != OBSERVED or scenario.swaps:
        yield "Prompt-size prices follow each request's own prompt size as logged, before any token growth."


def _batch(scenario: Scenario) -> Iterator[str]:
    if scenario.batch_share:
        yield (
            f"Batch takes {_shares(scenario.batch_share)} of the standard-tier, standard-speed calls that are left; "
            "nobody may be waiting for them. Fast mode and batch exclude each other."
        )
        yield (
            "Caching inside the batch as observed outside."
            if scenario.batch_reads is None
            else f"In the batch {_percent(scenario.batch_reads)} of the observed reads still hit, the rest is written "
            "again for five minutes; the provider quotes 30 to 98 %, best effort."
        )
    if scenario.batch_discount is not None:
        yield f"Batch takes {_percent(scenario.batch_discount)} off, for calls that are in batch already too."


def _shares(given: Shares) -> str:
    if not given:
        return "none"
    named = [f"{_percent(number)}{'' if of.dimension == ANY else f' of {of.text}'}" for of, number in given]
    more = f" and {len(named) - 4} more" if len(named) > 4 else ""
    return ", ".join(named[:4]) + more


def _listed(given: Shares, sign: str) -> str:
    return ", ".join(
        f"{as_text(number)}{sign}{'' if of.dimension == ANY else f' {of.text}'}" for of, number in given
    )


def _percent(share: Decimal) -> str:
    return f"{as_text(share * 100)} %"
