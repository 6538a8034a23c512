"""Price files: the shipped figures, row by row, and errors that say what to change."""

from __future__ import annotations

import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from ingest import prices
from ingest.core.price_files import PriceFileError, parse_price_file
from ingest.core.pricebook import parse_pricebook
from ingest.core.pricing import PROMPT_STEPS

D = Decimal
FOLDER = Path(prices.__file__).parent
FILES = sorted(FOLDER.glob("*.toml"))
ROWS = [row for model in prices.load_pricebook().models for row in model.rows]

# model, speed, prompt_over, effective_from -> in, out, 5m write, 1h write, read: from the published tables.
OPUS, SONNET, BIG = "5 25 6.25 10 0.5", "3 15 3.75 6 0.3", "15 75 18.75 30 1.5"
PUBLISHED = f"""
claude-fable-5-2            standard 0      2026-11-09  8 40 10 16 0.2
claude-fable-5-2            fast     0      2026-11-09  16 80 20 32 0.4
claude-mythos-5-2           standard 0      2026-11-09  8 40 10 16 0.2
claude-fable-5-1            standard 0      2026-09-01  10 50 12.5 20 0.25
claude-mythos-5-1           standard 0      2026-09-01  10 50 12.5 20 0.25
claude-fable-5              standard 0      2026-06-09  10 50 12.5 20 1
claude-mythos-5             standard 0      2026-06-09  10 50 12.5 20 1
claude-mythos-preview       standard 0      2026-04-07  25 125 31.25 50 2.5
claude-opus-5-5             standard 0      2026-09-22  4 20 5 8 0.2
claude-opus-5-5             fast     0      2026-10-15  8 40 10 16 0.4
claude-opus-5               standard 0      2026-07-24  {OPUS}
claude-opus-5               fast     0      2026-07-24  10 50 12.5 20 1
claude-opus-4-8             standard 0      2026-05-28  {OPUS}
claude-opus-4-8             fast     0      2026-05-28  10 50 12.5 20 1
claude-opus-4-7             standard 0      2026-04-16  {OPUS}
claude-opus-4-7             fast     0      2026-05-12  30 150 37.5 60 3
claude-opus-4-6             standard 0      2026-02-05  {OPUS}
claude-opus-4-6             standard 200000 2026-02-05  10 37.5 12.5 20 1
claude-opus-4-6             fast     0      2026-02-07  30 150 37.5 60 3
claude-opus-4-6             fast     0      2026-06-29  {OPUS}
claude-opus-4-5-20251101    standard 0      2025-11-24  {OPUS}
claude-opus-4-1-20250805    standard 0      -           {BIG}
claude-opus-4-20250514      standard 0      -           {BIG}
claude-3-opus-20240229      standard 0      -           {BIG}
claude-sonnet-5-5           standard 0      2026-09-28  2 10 2.5 4 0.2
claude-sonnet-5-5           standard 0      2026-10-07  2 10 2.5 4 0.1
claude-sonnet-5             standard 0      2026-06-30  2 10 2.5 4 0.2
claude-sonnet-4-6           standard 0      2026-02-17  {SONNET}
claude-sonnet-4-6           standard 200000 2026-02-17  6 22.5 7.5 12 0.6
claude-sonnet-4-5-20250929  standard 0      2025-09-29  {SONNET}
claude-sonnet-4-5-20250929  standard 200000 2025-09-29  6 22.5 7.5 12 0.6
claude-sonnet-4-20250514    standard 0      -           {SONNET}
claude-sonnet-4-20250514    standard 200000 2025-08-12  6 22.5 7.5 12 0.6
claude-3-7-sonnet-20250219  standard 0      -           {SONNET}
claude-3-5-sonnet-20241022  standard 0      -           {SONNET}
claude-3-5-sonnet-20240620  standard 0      -           {SONNET}
claude-3-sonnet-20240229    standard 0      -           {SONNET}
claude-haiku-5-5            standard 0      2026-10-07  0.1 0.5 0.125 0.2 0.01
claude-haiku-5-5            standard 100000 2026-10-07  0.5 2.5 0.625 1 0.05
claude-haiku-4-5-20251001   standard 0      -           1 5 1.25 2 0.1
claude-3-5-haiku-20241022   standard 0      -           0.8 4 1 1.6 0.08
claude-3-haiku-20240307     standard 0      -           0.25 1.25 0.3 0.5 0.03
claude-2.1                  standard 0      -           8 24 10 16 0.8
claude-2.0                  standard 0      -           8 24 10 16 0.8
claude-instant-1.2          standard 0      -           0.8 2.4 1 1.6 0.08
"""


def test_the_shipped_rows_are_the_published_ones_and_no_other() -> None:
    published = {
        tuple(words[:4]): [*map(D, words[4:])] for words in map(str.split, PUBLISHED.strip().splitlines())
    }
    shipped = {
        (row.model, row.speed, str(row.prompt_over), str(row.effective_from or "-")): [
            row.uncached_input,
            row.output,
            row.cache_write_5m,
            row.cache_write_1h,
            row.cache_read,
        ]
        for row in ROWS
    }
    assert shipped == published


def test_a_one_hour_write_costs_twice_the_input_everywhere() -> None:
    assert [row.model for row in ROWS if row.cache_write_1h != 2 * row.uncached_input] == []


def test_a_five_minute_write_costs_a_quarter_more_except_where_rounded() -> None:
    odd = {row.model for row in ROWS if row.cache_write_5m != row.uncached_input * D("1.25")}
    assert odd == {"claude-3-haiku-20240307"}


def test_reads_cost_the_tenth_part_except_where_published_otherwise() -> None:
    odd = {
        row.model: row.cache_read / row.uncached_input
        for row in ROWS
        if row.cache_read * 10 != row.uncached_input
    }
    assert odd == {
        "claude-fable-5-2": D("0.025"),
        "claude-mythos-5-2": D("0.025"),
        "claude-fable-5-1": D("0.025"),
        "claude-mythos-5-1": D("0.025"),
        "claude-opus-5-5": D("0.05"),
        "claude-sonnet-5-5": D("0.05"),
        "claude-3-haiku-20240307": D("0.12"),
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_step_threshold_is_one_that_lanes_know(path: Path) -> None:
    """A threshold outside PROMPT_STEPS could never be reached: lanes keep no other edge."""
    models = tomllib.loads(path.read_text(encoding="utf-8"))["model"]
    thresholds = {
        price["prompt_over"] for model in models for price in model["price"] if "prompt_over" in price
    }
    assert thresholds <= set(PROMPT_STEPS)


def test_every_row_says_where_it_comes_from() -> None:
    assert all(row.source and row.checked_on for row in ROWS)


def test_uncertain_rows_are_these_and_say_why() -> None:
    uncertain = prices.load_pricebook().uncertain
    assert [row.model for row in uncertain] == [
        "claude-mythos-preview",
        "claude-opus-5-5",
        "claude-sonnet-5-5",
        "claude-3-sonnet-20240229",
        "claude-2.1",
        "claude-2.0",
        "claude-instant-1.2",
    ]
    assert all(row.note for row in uncertain)


# ---- errors

GOOD = """
provider = "acme"
refusal_before_output_free_from = 2026-06-02

[sources]
page = "A price page"

[[meters.web_search_requests]]
usd = "0.01"
source = "page"
checked_on = 2026-01-01

[[tier]]
name = "standard"
factor = "1"

[[surcharge]]
name = "us_geo"
factor = "1.1"
platforms = ["acme"]
inference_geo = "us"

[[model]]
id = "m-1"
name = "M 1"
aliases = ["m"]
min_cacheable_tokens = 1024
us_geo = true

[[model.price]]
effective_from = 2026-01-01
effective_to = 2026-02-01
in = "1"
out = "2"
write_5m = "1.25"
write_1h = "2"
read = "0.1"
source = "page"
checked_on = 2026-01-01

[[model.price]]
effective_from = 2026-02-01
in = "2"
out = "4"
write_5m = "2.5"
write_1h = "4"
read = "0.2"
source = "page"
checked_on = 2026-01-01
"""

SECOND_MODEL = GOOD[GOOD.index("[[model]]") :]

# what is changed, into what -> parts of the message
MISTAKES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "missing column": (
        'read = "0.1"\n',
        "",
        ("model m-1, price 1", "key 'read'", "add read = a decimal in quotes"),
    ),
    "float": ('read = "0.1"', "read = 0.1", ("key 'read'", "must be a decimal in quotes", "not 0.1")),
    "whole number": ('in = "1"', "in = 1", ("key 'in'", "must be a decimal in quotes")),
    "exponent": ('read = "0.1"', 'read = "1e-1"', ("key 'read'", "plain decimal", '"1e-1"')),
    "negative": ('read = "0.1"', 'read = "-1"', ("key 'read'", "plain decimal")),
    "NaN": ('read = "0.1"', 'read = "nan"', ("key 'read'", "plain decimal")),
    "unknown price key": (
        'read = "0.1"',
        'read = "0.1"\nreed = "1"',
        ("model m-1, price 1", "'reed'", "spelling"),
    ),
    "unknown model key": ('name = "M 1"', 'name = "M 1"\nalias = "x"', ("model m-1", "'alias'", "spelling")),
    "unknown file key": ('provider = "acme"', 'provider = "acme"\nprices = 1', ("key 'prices'", "spelling")),
    "unknown meter": ("meters.web_search_requests", "meters.searches", ("meters", "'searches'", "spelling")),
    "overlap": (
        "effective_to = 2026-02-01",
        "effective_to = 2026-02-02",
        ("model m-1", "overlap", "effective_to"),
    ),
    "no end": ("effective_to = 2026-02-01\n", "", ("model m-1", "overlap", "end the earlier one")),
    "gap": (
        "effective_to = 2026-02-01",
        "effective_to = 2026-01-31",
        ("model m-1", "no price from 2026-01-31", "gap"),
    ),
    "backwards": (
        "effective_to = 2026-02-01",
        "effective_to = 2026-01-01",
        ("key 'effective_to'", "must be after"),
    ),
    "quoted date": (
        "effective_to = 2026-02-01",
        'effective_to = "2026-02-01"',
        ("'effective_to'", "without quotes"),
    ),
    "date with time": (
        "effective_to = 2026-02-01",
        "effective_to = 2026-02-01T00:00:00Z",
        ("a date without quotes",),
    ),
    "unknown source": (
        'read = "0.1"\nsource = "page"',
        'read = "0.1"\nsource = "pag"',
        ("'pag' is not in [sources]",),
    ),
    "no source": ('read = "0.1"\nsource = "page"', 'read = "0.1"', ("price 1", "key 'source'", "is missing")),
    "no check date": (
        'read = "0.1"\nsource = "page"\nchecked_on = 2026-01-01',
        'read = "0.1"\nsource = "page"',
        ("'checked_on'",),
    ),
    "strange step": (
        'in = "1"',
        'in = "1"\nprompt_over = 150_000',
        ("key 'prompt_over'", "100000", "PROMPT_STEPS"),
    ),
    "doubt without a note": (
        'in = "1"',
        'in = "1"\nuncertain = true',
        ("key 'note'", "say what is uncertain"),
    ),
    "no standard price": (
        "[[model.price]]",
        '[[model.price]]\nspeed = "fast"',
        ("model m-1", "one standard price"),
    ),
    "text for a flag": ("us_geo = true", 'us_geo = "yes"', ("key 'us_geo'", "true or false")),
    "flag for a count": (
        "min_cacheable_tokens = 1024",
        "min_cacheable_tokens = true",
        ("'tokens'", "a whole number"),
    ),
    "negative count": (
        "min_cacheable_tokens = 1024",
        "min_cacheable_tokens = -1",
        ("'tokens'", "not be negative"),
    ),
    "text for a list": ('aliases = ["m"]', 'aliases = "m"', ("key 'aliases'", "a list of strings")),
    "number in a list": ('aliases = ["m"]', "aliases = [1]", ("key 'aliases'", "but holds 1")),
    "no provider": ('provider = "acme"', "", ("key 'provider'", "is missing")),
    "empty name": ('name = "M 1"', 'name = ""', ("model m-1", "key 'name'", "is empty")),
    "no factor": ('name = "standard"\nfactor = "1"', 'name = "standard"', ("tier standard", "key 'factor'")),
    "surcharge on nothing": ('inference_geo = "us"', "", ("surcharge us_geo", "inference_geo or a routing")),
    "table for a list": ("[[tier]]", "[tier]", ("key 'tier'", "write [[tier]]")),
    "list for a table": (
        "[sources]\npage",
        "sources = []\n[x]\npage",
        ("key 'sources'", "a table [sources]"),
    ),
    "same model twice": ("[[model]]", SECOND_MODEL + "\n[[model]]", ("model m-1", "twice")),
    "shared alias": (
        "[[model]]",
        SECOND_MODEL.replace("m-1", "m-2") + "\n[[model]]",
        ("model m-1", "id 'm'", "also belongs to m-2"),
    ),
    "not TOML": ('provider = "acme"', "provider = acme", ("not valid TOML",)),
}


def test_the_good_example_parses() -> None:
    file = parse_price_file("acme.toml", GOOD)
    assert [(row.effective_from, row.open_to_past) for row in file.models[0].rows] == [
        (file.models[0].rows[0].effective_from, True),
        (file.models[0].rows[1].effective_from, False),
    ]


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_names_the_file_the_place_and_the_way_out(case: str) -> None:
    old, new, parts = MISTAKES[case]
    assert old in GOOD
    count = -1 if case == "no standard price" else 1
    with pytest.raises(PriceFileError) as caught:
        parse_price_file("acme.toml", GOOD.replace(old, new, count))
    message = str(caught.value)
    assert message.startswith("acme.toml: ")
    for part in parts:
        assert part in message


def test_two_files_of_one_provider_are_refused() -> None:
    with pytest.raises(PriceFileError, match=r"b.toml: .*acme is already in a.toml"):
        parse_pricebook({"a.toml": GOOD, "b.toml": GOOD})


def test_two_providers_cannot_claim_one_id() -> None:
    with pytest.raises(PriceFileError, match="id 'm-1' also belongs to m-1"):
        parse_pricebook({"a.toml": GOOD, "b.toml": GOOD.replace("acme", "bolt")})


def test_a_model_without_prices_is_refused() -> None:
    with pytest.raises(PriceFileError, match=r"model m-1: key 'price': is missing; add at least one"):
        parse_price_file("acme.toml", GOOD[: GOOD.index("[[model.price]]")])
