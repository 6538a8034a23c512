"""The price book: dates, windows, tiers, surcharges, and what it refuses to price."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from ingest.core.pricebook import PriceBook, parse_pricebook
from ingest.core.pricing import PROMPT_STEPS, Lane
from ingest.prices import load_pricebook

D = Decimal
BOOK = load_pricebook()
OWN = PriceBook(BOOK._files.values(), "own")  # without the models that no price file here knows
MARCH = date(2026, 3, 20)
EXTREMES = (date(2023, 1, 1), date(2028, 1, 1))


def output_price(lane: Lane, day: date) -> Decimal | None:
    """USD per million output tokens; None = unpriced."""
    vector = BOOK.vector(lane, day)
    return None if vector is None else vector.output_tokens * 1_000_000


def read_price(lane: Lane, day: date) -> Decimal | None:
    vector = BOOK.vector(lane, day)
    return None if vector is None else vector.cache_read_input_tokens * 1_000_000


# ---- dates

LONG = 200_000
# lane, last day of one price, first day of the next, output price on either (None = unpriced)
CHANGES = {
    "Opus 4.6 long context": (
        Lane(model="claude-opus-4-6", prompt_step=LONG),
        date(2026, 3, 12),
        "37.50",
        "25",
    ),
    "Sonnet 4.6 long context": (
        Lane(model="claude-sonnet-4-6", prompt_step=LONG),
        date(2026, 3, 12),
        "22.50",
        "15",
    ),
    "Sonnet 4.5 long context": (
        Lane(model="claude-sonnet-4-5", prompt_step=LONG),
        date(2026, 4, 30),
        "22.50",
        "15",
    ),
    "Sonnet 4 long context": (
        Lane(model="claude-sonnet-4", prompt_step=LONG),
        date(2026, 4, 30),
        "22.50",
        "15",
    ),
    "Sonnet 4 beta begins": (
        Lane(model="claude-sonnet-4", prompt_step=LONG),
        date(2025, 8, 11),
        "15",
        "22.50",
    ),
    "Opus 4.6 fast begins": (Lane(model="claude-opus-4-6", speed="fast"), date(2026, 2, 6), None, "150"),
    "Opus 4.6 fast is standard": (
        Lane(model="claude-opus-4-6", speed="fast"),
        date(2026, 6, 28),
        "150",
        "25",
    ),
    "Opus 4.7 fast begins": (Lane(model="claude-opus-4-7", speed="fast"), date(2026, 5, 11), None, "150"),
    "Opus 4.7 fast ends": (Lane(model="claude-opus-4-7", speed="fast"), date(2026, 7, 23), "150", None),
    "Opus 4.8 fast begins": (Lane(model="claude-opus-4-8", speed="fast"), date(2026, 5, 27), None, "50"),
    "Opus 4.8 fast ends": (Lane(model="claude-opus-4-8", speed="fast"), date(2026, 11, 29), "50", None),
    "Opus 5 fast begins": (Lane(model="claude-opus-5", speed="fast"), date(2026, 7, 23), None, "50"),
    "Opus 5.5 fast begins": (Lane(model="claude-opus-5-5", speed="fast"), date(2026, 10, 14), None, "40"),
    "Fable 5.2 fast begins": (Lane(model="claude-fable-5-2", speed="fast"), date(2026, 11, 8), None, "80"),
    "refusals become free": (
        Lane(model="claude-opus-4-8", outcome="refused_before_output"),
        date(2026, 6, 1),
        "25",
        "0",
    ),
}


@pytest.mark.parametrize("case", CHANGES)
def test_a_price_changes_on_its_day(case: str) -> None:
    lane, last_day, before, after = CHANGES[case]
    lane = lane._replace(model=BOOK.resolve(lane.model).model)
    assert output_price(lane, last_day) == (None if before is None else D(before))
    assert output_price(lane, last_day + timedelta(days=1)) == (None if after is None else D(after))
    assert last_day + timedelta(days=1) in BOOK.boundaries


def test_sonnet_5_never_had_the_announced_rise() -> None:
    lane = Lane(model="claude-sonnet-5")
    for day in (date(2026, 6, 30), date(2026, 8, 31), date(2026, 9, 1), date(2026, 11, 20)):
        assert output_price(lane, day) == D(10)


def test_sonnet_5_5_reads_halved_in_october() -> None:
    lane = Lane(model="claude-sonnet-5-5")
    assert [read_price(lane, date(2026, 10, day)) for day in (6, 7)] == [D("0.20"), D("0.10")]


@pytest.mark.parametrize("model", [model.id for model in BOOK.models])
def test_every_model_has_a_standard_price_on_every_day(model: str) -> None:
    for day in (*EXTREMES, *BOOK.boundaries):
        assert BOOK.vector(Lane(model=model), day) is not None


def test_prices_change_on_boundaries_and_nowhere_else() -> None:
    """Looks past the per-period cache, at every boundary, the day before it and the middle of a month."""
    lanes = [
        Lane(model=model.id, speed=speed, prompt_step=step, outcome=outcome)
        for model in OWN.models
        for speed in ("standard", "fast")
        for step in (0, 100_000, 200_000)
        for outcome in ("ok", "refused_before_output")
    ]
    day, moved = date(2025, 1, 1), set()
    before = [OWN._quote(lane, day).vector for lane in lanes]
    while day < date(2027, 1, 1):
        day += timedelta(days=1)
        if day in OWN.boundaries or day + timedelta(days=1) in OWN.boundaries or day.day == 15:
            now = [OWN._quote(lane, day).vector for lane in lanes]
            if now != before:
                moved.add(day)
            before = now
    assert moved == set(OWN.boundaries)


def test_boundaries_are_these_days() -> None:
    assert [day.isoformat() for day in OWN.boundaries] == [
        "2025-08-12",
        "2025-09-29",
        "2026-02-05",
        "2026-02-07",
        "2026-02-17",
        "2026-03-13",
        "2026-05-01",
        "2026-05-12",
        "2026-05-28",
        "2026-06-02",
        "2026-06-29",
        "2026-07-24",
        "2026-10-07",
        "2026-10-15",
        "2026-11-09",
        "2026-11-30",
    ]


# ---- steps and speed


@pytest.mark.parametrize("step", PROMPT_STEPS)
def test_haiku_5_5_is_five_times_dearer_over_every_step(step: int) -> None:
    lane = Lane(model="claude-haiku-5-5")
    below, above = (BOOK.vector(lane._replace(prompt_step=s), date(2026, 11, 1)) for s in (0, step))
    assert below is not None
    assert above is not None
    assert list(above[:5]) == [price * 5 for price in below[:5]]


def test_a_step_below_200k_does_not_trigger_the_200k_price() -> None:
    lane = Lane(model="claude-sonnet-4-5-20250929", prompt_step=128_000)
    assert output_price(lane, MARCH) == D(15)


def test_fast_mode_has_no_long_context_price() -> None:
    lane = Lane(model="claude-opus-4-6", speed="fast", prompt_step=272_000)
    assert output_price(lane, date(2026, 3, 1)) == D(150)


@pytest.mark.parametrize("model", ["claude-opus-5-5", "claude-opus-5", "claude-opus-4-8", "claude-fable-5-2"])
def test_fast_doubles_every_token_price_cache_columns_included(model: str) -> None:
    day = date(2026, 11, 20)
    standard, fast = (BOOK.vector(Lane(model=model, speed=speed), day) for speed in ("", "fast"))
    assert standard is not None
    assert fast is not None
    assert list(fast[:5]) == [price * 2 for price in standard[:5]]


@pytest.mark.parametrize("speed", ["", "standard", "normal", "Standard"])
def test_other_words_for_standard_speed_bill_as_standard(speed: str) -> None:
    assert output_price(Lane(model="claude-opus-4-6", speed=speed), MARCH) == D(25)


# ---- geography and routing

# model, platform, inference_geo, routing -> factor on 1M output tokens
PLACES = [
    ("claude-opus-4-6", "anthropic", "us", "", "1.1"),
    ("claude-opus-4-6", "", "us", "", "1.1"),
    ("claude-opus-4-6", "anthropic", "US", "", "1.1"),
    ("claude-opus-4-6", "anthropic", "global", "", "1"),
    ("claude-opus-4-6", "anthropic", "not_available", "", "1"),
    ("claude-opus-4-6", "foundry", "us", "", "1.1"),
    ("claude-opus-4-6", "claude-platform-on-aws", "us", "", "1.1"),
    ("claude-opus-4-6", "bedrock", "us", "", "1"),
    ("claude-opus-4-6", "bedrock", "us", "regional", "1.1"),
    ("claude-opus-4-6", "vertex", "us", "regional", "1.1"),
    ("claude-opus-4-6", "bedrock", "", "global", "1"),
    ("claude-opus-4-6", "bedrock", "", "", "1"),
    ("claude-opus-4-6", "anthropic", "", "regional", "1"),
    ("claude-opus-4-6", "openrouter", "us", "regional", "1"),
    ("claude-sonnet-4-5-20250929", "anthropic", "us", "", "1"),
    ("claude-haiku-4-5-20251001", "bedrock", "", "regional", "1.1"),
    ("claude-opus-4-5-20251101", "vertex", "", "regional", "1.1"),
    ("claude-opus-4-1-20250805", "bedrock", "", "regional", "1"),
    ("claude-sonnet-4-20250514", "bedrock", "", "regional", "1"),
    ("claude-fable-5-2", "bedrock", "", "regional", "1.1"),
]


@pytest.mark.parametrize(("model", "platform", "geo", "routing", "factor"), PLACES)
def test_a_place_costs_ten_percent_more_at_most_once(
    model: str, platform: str, geo: str, routing: str, factor: str
) -> None:
    plain = BOOK.vector(Lane(model=model), MARCH)
    placed = BOOK.vector(Lane(model=model, platform=platform, inference_geo=geo, routing=routing), MARCH)
    assert plain is not None
    assert placed is not None
    assert list(placed[:5]) == [price * D(factor) for price in plain[:5]]
    assert placed.web_search_requests == D("0.01")


def test_surcharges_begin_with_the_published_generations() -> None:
    def flagged(flag: str) -> set[str]:
        return {model.id for model in BOOK.models if flag in model.surcharges}

    assert flagged("regional") - flagged("us_geo") == {
        "claude-opus-4-5-20251101",
        "claude-sonnet-4-5-20250929",
        "claude-haiku-4-5-20251001",
    }
    assert flagged("us_geo") < flagged("regional")
    without = {model.id for model in BOOK.models} - flagged("regional")
    assert {BOOK.model(name) for name in without} == {
        BOOK.model(name)
        for name in (
            "claude-opus-4-1",
            "claude-opus-4-0",
            "claude-sonnet-4-0",
            "claude-3-opus-latest",
            "claude-3-7-sonnet-latest",
            "claude-3-5-sonnet-20241022",
            "claude-3-5-sonnet-20240620",
            "claude-3-sonnet-20240229",
            "claude-3-5-haiku-latest",
            "claude-3-haiku-20240307",
            "claude-2.1",
            "claude-2.0",
            "claude-instant-1.2",
        )
    }


# ---- tiers


@pytest.mark.parametrize("tier", ["", "standard", "default", "auto", "standard_only", "STANDARD"])
def test_words_for_the_standard_tier_bill_as_standard(tier: str) -> None:
    assert output_price(Lane(model="claude-opus-4-6", service_tier=tier), MARCH) == D(25)


@pytest.mark.parametrize("tier", ["priority", "priority_on_demand"])
def test_priority_tokens_cost_nothing_at_the_margin_and_say_so(tier: str) -> None:
    lane = Lane(model="claude-opus-4-6", platform="anthropic", service_tier=tier)
    vector = BOOK.vector(lane, MARCH)
    assert vector is not None
    assert not any(vector[:5])
    assert vector.web_search_requests == D("0.01")
    assert "paid for in advance" in BOOK.note(lane, MARCH)
    base = BOOK.base(lane, MARCH)
    assert base is not None
    assert base.output == D(25)


def test_an_ordinary_price_carries_no_note() -> None:
    assert BOOK.note(Lane(model="claude-opus-4-6"), MARCH) == ""


UNPRICED = {
    "unknown model": (Lane(model="claude-opus-5-6"), "do not know the model 'claude-opus-5-6'"),
    "no model": (Lane(), "do not know the model ''"),
    "flex": (Lane(model="claude-opus-4-6", service_tier="flex"), "service tier 'flex' of Opus 4.6"),
    "Bedrock's own priority tier": (
        Lane(model="claude-opus-4-6", platform="bedrock", service_tier="priority"),
        "'priority' on bedrock",
    ),
    "fast without a fast price": (
        Lane(model="claude-sonnet-4-6", speed="fast"),
        "Sonnet 4.6 has no published price at fast speed",
    ),
    "fast before it began": (Lane(model="claude-opus-4-7", speed="fast"), "no published price at fast speed"),
    "fast in a batch": (
        Lane(model="claude-opus-4-6", speed="fast", service_tier="batch"),
        "is never served in the batch tier at fast speed",
    ),
    "some other speed": (Lane(model="claude-opus-4-6", speed="turbo"), "at turbo speed"),
}


@pytest.mark.parametrize("case", UNPRICED)
def test_what_has_no_price_is_unpriced_with_a_reason(case: str) -> None:
    lane, reason = UNPRICED[case]
    assert BOOK.vector(lane, MARCH) is None
    assert BOOK.base(lane, MARCH) is None
    assert reason in BOOK.why_unpriced(lane, MARCH)


def test_a_refusal_of_an_unknown_model_is_unpriced_not_free() -> None:
    assert BOOK.vector(Lane(model="claude-opus-5-6", outcome="refused_before_output"), MARCH) is None


# ---- how a price came about


def test_a_quote_tells_the_row_and_every_multiplier() -> None:
    lane = Lane(model="claude-opus-4-6", platform="anthropic", service_tier="batch", inference_geo="us")
    quote = BOOK.quote(lane, MARCH)
    assert quote.row is not None
    assert (quote.row.effective_from, quote.row.checked_on) == (date(2026, 2, 5), date(2026, 11, 22))
    assert "pricing page" in quote.row.source
    assert quote.factors == (("batch", D("0.5")), ("us_geo", D("1.1")))
    assert quote.row.output == D(25)
    assert quote.vector is not None
    assert quote.vector.output_tokens == D("0.00001375")


def test_the_base_row_of_a_long_prompt_is_the_premium_one() -> None:
    row = BOOK.base(Lane(model="claude-opus-4-6", prompt_step=200_000), date(2026, 3, 1))
    assert row is not None
    assert (row.prompt_over, row.uncached_input) == (200_000, D(10))


def test_minimum_prefix_lengths_follow_the_day() -> None:
    found = {model.id: model.min_cacheable_tokens(MARCH) for model in BOOK.models}
    assert found["claude-opus-4-6"] == 4096
    assert found["claude-3-haiku-20240307"] == 2048
    assert found["claude-opus-4-8"] == 1024
    assert found["claude-opus-5"] == 512
    assert found["claude-2.1"] is None
    sonnet = BOOK.model("claude-sonnet-4-6")
    assert sonnet is not None
    assert [sonnet.min_cacheable_tokens(date(2026, 5, day)) for day in (1, 31)] == [2048, 1024]


# ---- the book as a whole

SMALL = """
provider = "{provider}"
[sources]
a = "A price page"
[[tier]]
name = "standard"
factor = "1"
[[model]]
id = "{model}"
name = "M"
[[model.price]]
in = "1"
out = "2"
write_5m = "1.25"
write_1h = "2"
read = "{read}"
source = "a"
checked_on = 2026-01-01
"""


def small(provider: str = "acme", model: str = "m-1", read: str = "0.1") -> str:
    return SMALL.format(provider=provider, model=model, read=read)


def test_version_follows_the_content_of_every_file() -> None:
    versions = [
        parse_pricebook({"a.toml": small()}).version,
        parse_pricebook({"a.toml": small(read="0.2")}).version,
        parse_pricebook({"b.toml": small()}).version,
        parse_pricebook({"a.toml": small(), "b.toml": small("bolt", "m-2")}).version,
    ]
    assert len(set(versions)) == 4
    assert parse_pricebook({"a.toml": small()}).version == versions[0]


def test_files_of_several_providers_make_one_book() -> None:
    book = parse_pricebook({"b.toml": small("bolt", "m-2"), "a.toml": small()})
    assert [(model.provider, model.id) for model in book.models] == [("acme", "m-1"), ("bolt", "m-2")]
    assert book.resolve("m-2", "bedrock").provider == "bolt"
    assert book.vector(Lane(model="m-2"), MARCH) is not None


def test_a_book_without_files_prices_nothing() -> None:
    book = parse_pricebook({})
    assert isinstance(book, PriceBook)
    assert (book.models, book.boundaries) == ((), ())
    assert book.vector(Lane(model="claude-opus-4-6"), MARCH) is None
    assert not book.resolve("claude-opus-4-6").known
