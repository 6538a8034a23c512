"""Prices of models that no price file here knows: the genai-prices package behind the price book."""

from __future__ import annotations

from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest
from genai_prices.data import providers
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.pricebook import PriceBook
from ingest.core.pricing import EXACT, PROMPT_STEPS, TOKEN_METERS, Lane
from ingest.prices import load_pricebook
from ingest.prices.other_rows import Unpriced, amounts, start_days
from ingest.prices.others import SELLERS, OtherPrices

D = Decimal
BOOK = load_pricebook()
MARCH, NOVEMBER = date(2026, 3, 20), date(2026, 11, 20)
PACKAGE = {provider.id: provider for provider in providers}


def lane(name: str, **more: Any) -> Lane:
    """The lane of a call as a log would name it."""
    known = BOOK.resolve(name, more.pop("platform", ""))
    return Lane(known.provider, known.platform, known.model, routing=known.routing)._replace(**more)


def per_million(name: str, day: date = NOVEMBER, **more: Any) -> tuple[Decimal, ...] | str:
    """USD per million tokens: uncached, read, written 5m, written 1h, output; or why there is no price."""
    quote = BOOK.quote(lane(name, **more), day)
    if quote.vector is None:
        return quote.reason
    return tuple(EXACT.scaleb(getattr(quote.vector, meter), 6) for meter in TOKEN_METERS)


def usd(*texts: str) -> tuple[Decimal, ...]:
    return tuple(map(Decimal, texts))


PUBLISHED = {
    "gpt-5.4": usd("2.50", "0.25", "2.50", "2.50", "15"),
    "gpt-4.1": usd("2", "0.5", "2", "2", "8"),
    "gpt-4.1-nano": usd("0.10", "0.025", "0.10", "0.10", "0.40"),
    "gpt-5.6-sol": usd("4", "0.4", "5", "5", "20"),
    "gemini-2.5-flash": usd("0.3", "0.03", "0.3", "0.3", "2.5"),
    "openrouter/deepseek/deepseek-chat": usd("0.2574", "0.2574", "0.2574", "0.2574", "1.0287"),
    "global.openai.gpt-5.6-luna": usd("0.2", "0.02", "0.25", "0.25", "1.2"),
    "us.openai.gpt-5.6-luna": usd("0.22", "0.022", "0.275", "0.275", "1.32"),
    "text-embedding-3-small": usd("0.02", "0.02", "0.02", "0.02", "0"),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_prices_are_met_to_the_last_digit(name: str) -> None:
    assert per_million(name) == PUBLISHED[name]


def test_a_dated_change_is_a_boundary_and_holds_from_its_day() -> None:
    change = date(2026, 8, 21)
    assert per_million("gpt-5.6-sol", change - timedelta(days=1)) == usd("5", "0.5", "6.25", "6.25", "30")
    assert per_million("gpt-5.6-sol", change) == usd("4", "0.4", "5", "5", "20")
    assert change in BOOK.boundaries
    assert list(BOOK.boundaries) == sorted(set(BOOK.boundaries))


def test_a_long_prompt_is_charged_at_the_edge_it_exceeds() -> None:
    assert per_million("gpt-5.4", prompt_step=256_000) == PUBLISHED["gpt-5.4"]
    assert per_million("gpt-5.4", prompt_step=272_000) == usd("5", "0.5", "5", "5", "22.5")
    row = BOOK.base(lane("gpt-5.4", prompt_step=512_000), NOVEMBER)
    assert row is not None and row.prompt_over == 272_000


TIERS: dict[tuple[str, str, date], tuple[Decimal, ...] | str] = {
    ("gpt-5.4", "default", NOVEMBER): PUBLISHED["gpt-5.4"],
    ("gpt-5.4", "auto", NOVEMBER): PUBLISHED["gpt-5.4"],
    ("gpt-5.4", "flex", NOVEMBER): usd("1.25", "0.13", "1.25", "1.25", "7.5"),
    ("gpt-5.4", "priority", NOVEMBER): usd("5", "0.5", "5", "5", "30"),
    ("gpt-5.4", "batch", NOVEMBER): usd("1.25", "0.13", "1.25", "1.25", "7.5"),
    # Batch has always been half price; of the other tiers nothing is known from before they were looked at.
    ("gpt-4.1-nano", "batch", MARCH): usd("0.05", "0.025", "0.05", "0.05", "0.20"),
    ("gpt-5.4", "priority", MARCH): "known from 2026-10-12 on only",
    # The standard price was another one then.
    ("gpt-5.6-sol", "batch", date(2026, 8, 1)): "known from 2026-10-14 on only",
    ("gpt-4.1", "flex", NOVEMBER): "No price is published for the service tier 'flex'",
    ("gpt-4.1", "scale", NOVEMBER): "No price is published for the service tier 'scale'",
    (
        "azure/gpt-4.1",
        "batch",
        NOVEMBER,
    ): "No price is published for the service tier 'batch' of gpt-4.1 on azure",
    ("gemini-2.5-flash", "provisioned_throughput", NOVEMBER): "'provisioned_throughput' of gemini-2.5-flash",
}


@pytest.mark.parametrize("case", TIERS, ids=str)
def test_a_service_tier_costs_what_is_published_or_is_unpriced(case: tuple[str, str, date]) -> None:
    name, tier, day = case
    wanted, got = TIERS[case], per_million(name, day, service_tier=tier)
    if isinstance(wanted, str):
        assert isinstance(got, str) and wanted in got
    else:
        assert got == wanted


UNPRICED: dict[str, tuple[str, dict[str, Any]]] = {
    "the hour of the day": ("deepseek-chat", {}),
    "changes its price at 32,000 tokens": ("openrouter/qwen/qwen3-coder-flash", {}),
    "also charges for output citation": ("perplexity/sonar-deep-research", {}),
    "No price per token": ("whisper-1", {}),
    "at fast speed": ("gpt-5.4", {"speed": "fast"}),
    "holds audio": ("gemini-2.5-flash", {"outcome": "audio+image"}),
    "know the model 'my-deployment' on azure": ("azure/my-deployment", {}),
    "do not know the model 'my-deployment'": ("my-deployment", {}),
    "do not know the model 'claude-opus-99'": ("openrouter/anthropic/claude-opus-99", {}),
}


@pytest.mark.parametrize("reason", UNPRICED)
def test_what_the_meters_cannot_say_is_unpriced_with_a_reason(reason: str) -> None:
    name, more = UNPRICED[reason]
    got = per_million(name, **more)
    assert isinstance(got, str) and reason in got


def test_media_without_a_price_of_their_own_cost_what_text_does() -> None:
    assert per_million("gemini-2.5-flash", outcome="image") == PUBLISHED["gemini-2.5-flash"]


def test_searches_have_their_price() -> None:
    vector = BOOK.vector(lane("gpt-5.4"), NOVEMBER)
    assert vector is not None and vector.web_search_requests == D("0.01")


def test_our_own_files_win_wherever_the_model_is_served() -> None:
    for name in ("openrouter/anthropic/claude-sonnet-4.5", "anthropic.claude-haiku-4-5", "claude-opus-5"):
        row = BOOK.base(lane(name), NOVEMBER)
        assert row is not None and "genai-prices" not in row.source
    row = BOOK.base(lane("gpt-5.4"), NOVEMBER)
    assert row is not None and row.source == "genai-prices-0.2.3: OpenAI"


def test_the_version_names_the_package() -> None:
    others = OtherPrices()
    assert BOOK.version.endswith(f"+{others.version}")
    assert others.version == "genai-prices-0.2.3"


def test_every_seller_is_a_list_of_the_package() -> None:
    assert {*SELLERS.values()} <= PACKAGE.keys()


def test_a_book_without_the_package_knows_none_of_it() -> None:
    alone = PriceBook(BOOK._files.values(), "own")
    assert not alone.resolve("gpt-5.4").known
    assert "do not know" in alone.why_unpriced(Lane(model="gpt-5.4"), NOVEMBER)


OF_OTHERS = [
    (word, model)
    for word, seller in SELLERS.items()
    for model in PACKAGE[seller].models
    if "claude" not in model.id.lower()
]


def figures(model: ModelInfo) -> set[Decimal]:
    """Every price the package has for a model, in any tier, on any day, at any prompt size."""
    conditional = [model.prices] if isinstance(model.prices, ModelPrice) else [p.prices for p in model.prices]
    values = [
        v for p in (*conditional, *(v.prices for v in model.price_variants or ())) for v in vars(p).values()
    ]
    tiers = [tier.price for value in values if isinstance(value, TieredPrices) for tier in value.tiers]
    return {value.base if isinstance(value, TieredPrices) else value for value in values} | set(tiers)


@given(
    st.sampled_from(OF_OTHERS),
    st.sampled_from((0, *PROMPT_STEPS)),
    st.sampled_from(["standard", "batch", "flex", "priority"]),
    st.dates(date(2024, 1, 1), date(2027, 12, 31)),
)
def test_every_price_is_the_packages_own(
    listed: tuple[str, ModelInfo], step: int, tier: str, day: date
) -> None:
    word, model = listed
    asked = Lane(platform=word, model=model.id, service_tier=tier, prompt_step=step)
    quote = BOOK.quote(asked, day)
    assert (quote.vector is None) == bool(quote.reason)
    if quote.row is None:
        return
    found = PACKAGE[SELLERS[word]].find_model(model.id)
    if found is model:  # an id that another entry matches first is that entry's
        row = quote.row
        assert {row.uncached_input, row.cache_read, row.cache_write_5m, row.cache_write_1h} <= figures(model)
        assert row.output in figures(model) | {D(0)}


def test_prices_change_on_the_books_boundaries_only() -> None:
    for word, model in OF_OTHERS:
        assert set(start_days(model)) <= set(BOOK.boundaries), (word, model.id)


@given(
    st.sampled_from([*OF_OTHERS, *(("", model) for model in BOOK.models)]),
    st.sampled_from((0, 200_000, 272_000)),
    st.sampled_from(["standard", "batch", "flex"]),
    st.sampled_from(["", "global"]),
)
def test_a_models_price_changes_on_its_own_days_only(
    listed: tuple[str, Any], step: int, tier: str, routing: str
) -> None:
    word, model = listed
    asked = Lane("", word, model.id, tier, prompt_step=step, routing=routing)
    own = set(BOOK.boundaries_of([(model.id, "", word)]))
    assert own <= set(BOOK.boundaries)
    moved = {
        day
        for day in BOOK.boundaries
        if BOOK.vector(asked, day) != BOOK.vector(asked, day - timedelta(days=1))
    }
    assert moved <= own


def test_a_book_asked_about_claude_alone_knows_no_other_days() -> None:
    claude = BOOK.boundaries_of([("claude-sonnet-4-6", "anthropic", "bedrock")])
    assert claude == PriceBook(BOOK._files.values(), "own").boundaries
    assert BOOK.boundaries_of([("gpt-4.1", "openai", "openai"), ("no-such-model", "", "")]) == (
        date(2026, 10, 12),
        date(2026, 10, 14),
    )


# ---- rules, on models made for them


def model_of(prices: ModelPrice | list[ConditionalPrice]) -> ModelInfo:
    return ModelInfo(id="m", match=PACKAGE["openai"].models[0].match, prices=prices)


def test_the_first_price_also_covers_earlier_days() -> None:
    old, new = ModelPrice(input_mtok=D(2), output_mtok=D(4)), ModelPrice(input_mtok=D(1), output_mtok=D(2))
    starts = [date(2026, 1, 1), date(2026, 2, 1)]
    model = model_of(
        [
            ConditionalPrice(StartDateConstraint(start), prices=price)
            for start, price in zip(starts, (old, new), strict=True)
        ]
    )
    costs = [amounts(model, "m", day, "", 0, ()).uncached_input for day in (date(2025, 1, 1), *starts)]
    assert costs == [2, 2, 1]


def test_a_price_by_the_hour_counts_only_while_it_could_be_in_force() -> None:
    night = ConditionalPrice(TimeOfDateConstraint(time(1), time(4)), prices=ModelPrice(input_mtok=D(2)))
    flat = ConditionalPrice(prices=ModelPrice(input_mtok=D(1), output_mtok=D(1)))
    assert amounts(model_of([night, flat]), "m", MARCH, "", 0, ()).uncached_input == 1
    with pytest.raises(Unpriced, match="hour of the day"):
        amounts(model_of([flat, night]), "m", MARCH, "", 0, ())


def test_an_edge_that_lanes_do_not_know_is_never_guessed() -> None:
    steps = TieredPrices(base=D(1), tiers=[Tier(start=33_000, price=D(2))])
    with pytest.raises(Unpriced, match="33,000"):
        amounts(model_of(ModelPrice(input_mtok=steps, output_mtok=D(1))), "m", MARCH, "", 100_000, ())


def test_output_that_is_only_priced_as_audio_makes_the_model_unpriced() -> None:
    spoken = model_of(ModelPrice(input_mtok=D(1), output_audio_mtok=D(9)))
    with pytest.raises(Unpriced, match="not priced by the text token"):
        amounts(spoken, "m", MARCH, "", 0, ())


@pytest.mark.parametrize("key", ["requests_kcount", "output_reasoning_mtok", "input_mchars"])
def test_a_price_of_something_no_meter_counts_makes_the_model_unpriced(key: str) -> None:
    prices = ModelPrice(input_mtok=D(1), output_mtok=D(1), **{key: D(1)})
    with pytest.raises(Unpriced, match="which the meters do not tell apart"):
        amounts(model_of(prices), "m", MARCH, "", 0, ())


# ---- where both know a model


LANES: dict[str, dict[str, Any]] = {
    "standard": {},
    "batch": {"service_tier": "batch"},
    "fast": {"speed": "fast"},
}


def as_fast(model: ModelInfo) -> ModelInfo | None:
    """The package's model at its fast prices, if it has any."""
    variants = [v for v in model.price_variants or () if v.when == {"speed": "fast"}]
    if not variants:
        return None
    base = model.prices if isinstance(model.prices, ModelPrice) else model.prices[-1].prices
    return model_of(ModelPrice(**{**vars(base), **vars(variants[0].prices)}))


def found_disagreements() -> tuple[dict[tuple[str, str, str, str, str], tuple[Any, ...]], set[str], set[str]]:
    """Our Anthropic file against the package's, from each model's launch on.

    (model, tier, meter, ours, theirs) -> (prompt steps, first day, last day of those looked at); models the package
    does not have; models it has no batch price for."""
    numbers: dict[tuple[str, str, str, str, str], list[tuple[int, date]]] = {}
    missing, no_batch = set(), set()
    for model in BOOK.models:
        theirs = PACKAGE["anthropic"].find_model(model.id)
        if theirs is None:
            missing.add(model.id)
            continue
        launch = model.launched_on or date.min
        days = [launch, *(day for day in (*BOOK.boundaries, date(2027, 6, 1)) if day > launch)]
        for tier, step, day in ((t, s, d) for t in LANES for s in (0, *PROMPT_STEPS) for d in days):
            asked = Lane("anthropic", "anthropic", model.id, prompt_step=step)._replace(**LANES[tier])
            vector = BOOK.vector(asked, day)
            fast = as_fast(theirs) if tier == "fast" else theirs
            if vector is None or fast is None:
                if (vector is None) != (fast is None):
                    key = (
                        model.id,
                        tier,
                        "any",
                        "none" if vector is None else "some",
                        "none" if fast is None else "some",
                    )
                    numbers.setdefault(key, []).append((step, day))
                continue
            try:
                other = amounts(fast, model.id, day, tier if tier == "batch" else "", step, ())
            except Unpriced:
                assert tier == "batch"
                no_batch.add(model.id)
                continue
            pairs = zip(
                ("uncached", "read", "5m", "1h", "output"),
                (EXACT.scaleb(price, 6) for price in vector[:5]),
                (
                    other.uncached_input,
                    other.cache_read,
                    other.cache_write_5m,
                    other.cache_write_1h,
                    other.output,
                ),
                strict=True,
            )
            for meter, ours, price in pairs:
                if ours != price:
                    key = (model.id, tier, meter, f"{ours.normalize():f}", f"{price.normalize():f}")
                    numbers.setdefault(key, []).append((step, day))
    told = {
        key: (
            min(s for s, _ in where),
            min(d for _, d in where).isoformat(),
            max(d for _, d in where).isoformat(),
        )
        for key, where in numbers.items()
    }
    return told, missing, no_batch


FIVE_METERS = ("uncached", "read", "5m", "1h", "output")


def _premium(model: str, tier: str, where: tuple[Any, ...], *prices: str) -> dict[Any, tuple[Any, ...]]:
    """A disagreement over all five meters: ours and theirs in turn."""
    pairs = zip(FIVE_METERS, prices[::2], prices[1::2], strict=True)
    return {(model, tier, meter, ours, theirs): where for meter, ours, theirs in pairs}


ALWAYS = (0, "0001-01-01", "2027-06-01")
SONNET_4, SONNET_4_5 = "claude-sonnet-4-20250514", "claude-sonnet-4-5-20250929"
# Why -> what: (model, tier, meter, ours, theirs) -> (lowest prompt step, first day, last day that was looked at).
KNOWN: dict[str, dict[tuple[str, str, str, str, str], tuple[Any, ...]]] = {
    "the package lists no cache prices for the oldest models": {
        (model, "standard", meter, ours, "8"): ALWAYS
        for model in ("claude-2.0", "claude-2.1")
        for meter, ours in (("read", "0.8"), ("5m", "10"), ("1h", "16"))
    },
    "the package never had the long-context beta of Sonnet 4": _premium(
        SONNET_4, "standard", (200_000, "2025-08-12", "2026-04-30"),
        "6", "3", "0.6", "0.3", "7.5", "3.75", "12", "6", "22.5", "15",
    ),
    "the package does not end the long-context price of Sonnet 4.5 with its beta": {
        **_premium(
            SONNET_4_5, "standard", (200_000, "2026-05-01", "2027-06-01"),
            "3", "6", "0.3", "0.6", "3.75", "7.5", "6", "12", "15", "22.5",
        ),
        **_premium(
            SONNET_4_5, "batch", (200_000, "2026-05-01", "2027-06-01"),
            "1.5", "3", "0.15", "0.3", "1.875", "3.75", "3", "6", "7.5", "11.25",
        ),
    },
    "the package knows only today's cache-read price of Sonnet 5.5, halved on 2026-10-07": {
        ("claude-sonnet-5-5", "standard", "read", "0.2", "0.1"): (0, "2026-09-28", "2026-09-28"),
        ("claude-sonnet-5-5", "batch", "read", "0.1", "0.05"): (0, "2026-09-28", "2026-09-28"),
    },
    "the package does not date fast mode": {
        ("claude-opus-4-8", "fast", "any", "none", "some"): (0, "2026-11-30", "2027-06-01"),
        ("claude-opus-5-5", "fast", "any", "none", "some"): (0, "2026-09-22", "2026-10-14"),
    },
    "the package has dropped fast modes that ended": {
        ("claude-opus-4-6", "fast", "any", "some", "none"): (0, "2026-02-07", "2027-06-01"),
        ("claude-opus-4-7", "fast", "any", "some", "none"): (0, "2026-05-12", "2026-06-29"),
    },
    "our file has no fast mode for Mythos 5.2": {
        ("claude-mythos-5-2", "fast", "any", "none", "some"): (0, "2026-11-09", "2027-06-01"),
    },
}  # fmt: skip
NOT_IN_PACKAGE = {"claude-instant-1.2", "claude-mythos-preview", "claude-mythos-5", "claude-mythos-5-1"}
# Retired before the package looked at batch prices; of Opus 4.6 and Sonnet 4.6 on days with another standard price.
NO_BATCH_IN_PACKAGE = {
    "claude-2.0",
    "claude-2.1",
    "claude-3-haiku-20240307",
    "claude-3-opus-20240229",
    "claude-3-sonnet-20240229",
    "claude-3-5-haiku-20241022",
    "claude-3-5-sonnet-20240620",
    "claude-3-5-sonnet-20241022",
    "claude-3-7-sonnet-20250219",
    "claude-opus-4-20250514",
    "claude-opus-4-1-20250805",
    "claude-opus-4-6",
    "claude-sonnet-4-20250514",
    "claude-sonnet-4-6",
}


def test_our_anthropic_file_and_the_package_disagree_only_where_it_is_known_why() -> None:
    numbers, missing, no_batch = found_disagreements()
    explained = {key: where for entries in KNOWN.values() for key, where in entries.items()}
    assert {key: where for key, where in numbers.items() if explained.get(key) != where} == {}
    assert explained.keys() - numbers.keys() == set(), "no longer a disagreement"
    assert (missing, no_batch) == (NOT_IN_PACKAGE, NO_BATCH_IN_PACKAGE)
