"""One set of knobs as a frozen value with a stable JSON form: what a what-if changes, and nothing about the data."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from ingest.core.pricing import ZERO, total

ONE = Decimal(1)
MAX_FACTOR = Decimal(100)
MAX_RATE = Decimal(1_000_000)  # USD per million tokens
MAX_PLACES = 12  # keeps every amount exact
MAX_RULES = 200
OBSERVED = "observed"
POLICIES = (OBSERVED, "none")  # beside those of the replay
GEOS = (OBSERVED, "global", "us")
ROUTINGS = (OBSERVED, "global", "regional")
ANY = "*"
MODEL = "model"
TAG_PREFIX = "tag:"
# What a class of calls can be told by beside a tag; the more particular wins where a call fits several.
CLASS_DIMENSIONS = ("api_key_id", "user_id", "workspace_id", "source", MODEL)


class ScenarioError(ValueError):
    """A knob outside what can be: which one, and its bounds."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Class(NamedTuple):
    """A class of calls: everything ("*", ""), one model, or one value of a label, as ("workspace_id", "search")."""

    dimension: str = ANY
    value: str = ""

    @property
    def text(self) -> str:
        """As scenarios write it: *, claude-opus-4-6, workspace_id=search, tag:team=search."""
        if self.dimension == ANY:
            return ANY
        return self.value if self.dimension == MODEL else f"{self.dimension}={self.value}"

    @property
    def rank(self) -> tuple[int, str]:
        """Most particular first: tags by name, key, user, workspace, source, model, everything."""
        if self.dimension.startswith(TAG_PREFIX):
            return (0, self.dimension)
        order = (*CLASS_DIMENSIONS, ANY)
        return (order.index(self.dimension) + 1, self.dimension)


EVERYTHING = Class()
Shares = tuple[tuple[Class, Decimal], ...]  # a number for each class; sorted, most particular first


def shares(numbers: dict[Class, Decimal]) -> Shares:
    """The numbers in the one order that makes equal scenarios equal values."""
    return tuple(sorted(numbers.items(), key=lambda item: (item[0].rank, item[0].value)))


def everything(number: Decimal) -> Shares:
    """The same number for all calls; nothing when it is 0."""
    return ((EVERYTHING, number),) if number else ()


class Swap(NamedTuple):
    """Calls of one model (or "*", any) that go to another instead.

    token_growth  tokens of the new model for one of the old, None = by what is known of the tokenizers
    """

    source: str
    target: str
    share: Decimal = ONE
    token_growth: Decimal | None = None
    of: Class = EVERYTHING


class Rates(NamedTuple):
    """A line of a contract draft: USD per million tokens; None = in the published ratio to `uncached_input`."""

    model: str
    uncached_input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write_5m: Decimal | None = None
    cache_write_1h: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """One set of knobs; as made by `Scenario()` it is the identity. None = as published, () = nothing.

    price_date            every day at the list prices of this day
    contract              negotiated prices by model instead of the list's
    discounts             what comes off all token prices, by model or "*", 0 to 1
    swaps                 models that are replaced, in this order
    policy                caching: "observed", "none", or a policy of the replay (see what_if.Replayed)
    token_hit_rate        share of input tokens that are read from the cache, 0 to 1, for every model that caches
    read_multiplier       cache-read price as a multiple of the uncached input price
    write_5m_multiplier   the same for 5-minute writes
    write_1h_multiplier   the same for 1-hour writes
    inference_geo         "observed", "us" or "global"
    routing               "observed", "regional" or "global": endpoints of Amazon and Google
    fast_share            share of standard-tier, standard-speed calls served in fast mode
    priority_share        share of the standard calls left that a priority commitment covers
    priority_rate         USD per million tokens as they burn a priority commitment down
    batch_share           share of the standard calls left that go through the batch API
    batch_discount        what batch takes off the token prices of all batch calls, 0 to 1
    batch_reads           share of the observed cache reads of calls moved to batch that still hit there
    growth                how many times the calls there are, by model or "*"
    """

    price_date: date | None = None
    contract: tuple[Rates, ...] = ()
    discounts: Shares = ()
    swaps: tuple[Swap, ...] = ()
    policy: str = OBSERVED
    token_hit_rate: Decimal | None = None
    read_multiplier: Decimal | None = None
    write_5m_multiplier: Decimal | None = None
    write_1h_multiplier: Decimal | None = None
    inference_geo: str = OBSERVED
    routing: str = OBSERVED
    fast_share: Shares = ()
    priority_share: Shares = ()
    priority_rate: Decimal | None = None
    batch_share: Shares = ()
    batch_discount: Decimal | None = None
    batch_reads: Decimal | None = None
    growth: Shares = field(default=())

    def __post_init__(self) -> None:
        for name, highest in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None:
                check(PATHS[name], value, highest)
        for name, highest in _SHARE_BOUNDS.items():
            given = getattr(self, name)
            check_many(PATHS[name], len(given))
            for of, number in given:
                check(PATHS[name], number, highest)
                if name in ("discounts", "growth") and of.dimension not in (ANY, MODEL):
                    raise ScenarioError(PATHS[name], f"{PATHS[name]} is given by model or for '*'")
        for name, choices in (("inference_geo", GEOS), ("routing", ROUTINGS)):
            if getattr(self, name) not in choices:
                raise ScenarioError(name, f"{name} must be one of {', '.join(choices)}")
        _check_swaps(self.swaps)
        _check_contract(self.contract)
        if self.token_hit_rate is not None and self.policy != OBSERVED:
            raise ScenarioError(
                "cache.token_hit_rate",
                "cache.token_hit_rate and cache.policy both say what is cached: set one of them",
            )

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return self == Scenario()

    @property
    def is_replayed(self) -> bool:
        """Whether its caching policy needs a replay."""
        return self.policy not in POLICIES

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The labels that its classes are told by: the quantities have to be kept apart by them."""
        classes = [of for name in _SHARE_BOUNDS for of, _ in getattr(self, name)]
        classes += [swap.of for swap in self.swaps]
        return tuple(sorted({of.dimension for of in classes} - {ANY, MODEL}))

    def only(self, *names: str) -> Scenario:
        """The scenario with only these knobs turned."""
        return replace(Scenario(), **{name: getattr(self, name) for name in names})


# Where each knob stands in the JSON form: error messages and documentation speak of it by this name.
PATHS = {
    "price_date": "prices.date",
    "contract": "prices.contract",
    "discounts": "prices.discount",
    "swaps": "swap",
    "policy": "cache.policy",
    "token_hit_rate": "cache.token_hit_rate",
    "read_multiplier": "cache.read_multiplier",
    "write_5m_multiplier": "cache.write_5m_multiplier",
    "write_1h_multiplier": "cache.write_1h_multiplier",
    "inference_geo": "inference_geo",
    "routing": "routing",
    "fast_share": "fast.share",
    "priority_share": "priority.share",
    "priority_rate": "priority.rate",
    "batch_share": "batch.share",
    "batch_discount": "batch.discount",
    "batch_reads": "batch.reads",
    "growth": "growth",
}
assert set(PATHS) == {knob.name for knob in fields(Scenario)}
_BOUNDS = {
    "token_hit_rate": ONE,
    "read_multiplier": MAX_FACTOR,
    "write_5m_multiplier": MAX_FACTOR,
    "write_1h_multiplier": MAX_FACTOR,
    "priority_rate": MAX_RATE,
    "batch_discount": ONE,
    "batch_reads": ONE,
}
_SHARE_BOUNDS = {
    "discounts": ONE,
    "fast_share": ONE,
    "priority_share": ONE,
    "batch_share": ONE,
    "growth": MAX_FACTOR,
}


def check(path: str, value: object, highest: Decimal, lowest: Decimal = ZERO) -> None:
    """Refuse what is no exact number between its bounds."""
    if not isinstance(value, Decimal):
        raise ScenarioError(path, f"{path} must be a Decimal")
    if not value.is_finite() or not lowest <= value <= highest:
        raise ScenarioError(path, f"{path} must be between {lowest} and {highest:f}")
    if -int(value.as_tuple().exponent) > MAX_PLACES:
        raise ScenarioError(path, f"{path} can have at most {MAX_PLACES} decimal places")


def check_many(path: str, count: int) -> None:
    if count > MAX_RULES:
        raise ScenarioError(path, f"{path} can have at most {MAX_RULES} entries, not {count}")


def _check_swaps(swaps: tuple[Swap, ...]) -> None:
    check_many("swap", len(swaps))
    sums: dict[tuple[str, Class], Decimal] = {}
    for number, swap in enumerate(swaps):
        path = f"swap.{number}"
        if not swap.source or not swap.target:
            raise ScenarioError(f"{path}.{'to' if swap.source else 'from'}", f"{path} needs a from and a to")
        if swap.source == swap.target:
            raise ScenarioError(f"{path}.to", f"{path}.to is the model that is to be replaced")
        check(f"{path}.share", swap.share, ONE)
        if swap.token_growth is not None:
            check(f"{path}.token_growth", swap.token_growth, MAX_FACTOR)
        key = (swap.source, swap.of)
        sums[key] = total((sums.get(key, ZERO), swap.share))
        if sums[key] > ONE:
            raise ScenarioError(
                f"{path}.share",
                f"{path}.share: the shares of {swap.source} add up to {sums[key]}, more than 1",
            )


def _check_contract(contract: tuple[Rates, ...]) -> None:
    check_many("prices.contract", len(contract))
    for rates in contract:
        path = f"prices.contract.{rates.model}"
        for name, value in zip(rates._fields[1:], rates[1:], strict=True):
            if value is not None:
                check(f"{path}.{name}", value, MAX_RATE)
    if len({rates.model for rates in contract}) < len(contract):
        raise ScenarioError("prices.contract", "prices.contract names a model twice")
