"""Scenarios as JSON, both ways: what the API takes, saved scenarios keep and links carry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from dashboard.analysis.scenario import (
    ANY,
    CLASS_DIMENSIONS,
    EVERYTHING,
    GEOS,
    MODEL,
    OBSERVED,
    ONE,
    PATHS,
    POLICIES,
    ROUTINGS,
    TAG_PREFIX,
    Class,
    Rates,
    Scenario,
    ScenarioError,
    Shares,
    Swap,
    check_many,
    shares,
)
from ingest.core.pricebook import PriceBook
from ingest.core.pricing import as_text

LONGEST_TEXT = 1000
_KNOWN = ("batch", "cache", "swap", "inference_geo", "routing", "fast", "priority", "prices", "growth")
_RATES = ("uncached_input", "output", "cache_read", "cache_write_5m", "cache_write_1h")


def from_json(data: object, book: PriceBook, is_policy: Callable[[str], bool] | None = None) -> Scenario:
    """The scenario that a JSON object says. ScenarioError names the field (`batch.discount`, `swap.0.to`).

    Models are told by the price book: one it does not know cannot be priced. `is_policy` says which names of caching
    policies may be asked for beside "observed" and "none"."""
    top = _object("scenario", data)
    _known("scenario", top, _KNOWN)
    batch = _part(top, "batch", ("discount", "share", "reads"))
    cache = _part(
        top,
        "cache",
        ("read_multiplier", "write_5m_multiplier", "write_1h_multiplier", "policy", "token_hit_rate"),
    )
    fast, priority = _part(top, "fast", ("share",)), _part(top, "priority", ("share", "rate"))
    prices = _part(top, "prices", ("date", "contract", "discount"))
    return Scenario(
        price_date=_date("prices.date", prices.get("date")),
        contract=_contract(prices.get("contract"), book),
        discounts=_shares("prices.discount", prices.get("discount"), book),
        swaps=_swaps(top.get("swap"), book),
        policy=_policy(cache.get("policy"), is_policy),
        token_hit_rate=_number("cache.token_hit_rate", cache.get("token_hit_rate")),
        read_multiplier=_number("cache.read_multiplier", cache.get("read_multiplier")),
        write_5m_multiplier=_number("cache.write_5m_multiplier", cache.get("write_5m_multiplier")),
        write_1h_multiplier=_number("cache.write_1h_multiplier", cache.get("write_1h_multiplier")),
        inference_geo=_choice("inference_geo", top.get("inference_geo"), GEOS),
        routing=_choice("routing", top.get("routing"), ROUTINGS),
        fast_share=_shares("fast.share", fast.get("share"), book),
        priority_share=_shares("priority.share", priority.get("share"), book),
        priority_rate=_number("priority.rate", priority.get("rate")),
        batch_share=_shares("batch.share", batch.get("share"), book),
        batch_discount=_number("batch.discount", batch.get("discount")),
        batch_reads=_number("batch.reads", batch.get("reads")),
        growth=_shares("growth", top.get("growth"), book),
    )


def to_json(scenario: Scenario) -> dict[str, Any]:
    """The scenario as JSON values; what is not turned is left out. `from_json` of it gives an equal scenario."""
    flat: dict[str, Any] = {}
    for name, path in PATHS.items():
        value = getattr(scenario, name)
        if value is None or value in ((), OBSERVED):
            continue
        flat[path] = _plain(name, value)
    nested: dict[str, Any] = {}
    for path, value in flat.items():
        head, _, tail = path.partition(".")
        if tail:
            nested.setdefault(head, {})[tail] = value
        else:
            nested[head] = value
    return dict(sorted(nested.items()))


def class_of(path: str, text: str, book: PriceBook) -> Class:
    """What "*", "claude-opus-4-6", "workspace_id=search" or "tag:team=search" stands for."""
    if text == ANY:
        return EVERYTHING
    dimension, found, value = text.partition("=")
    if found and (
        dimension in CLASS_DIMENSIONS or (dimension.startswith(TAG_PREFIX) and dimension != TAG_PREFIX)
    ):
        if dimension != MODEL:
            return Class(dimension, value)
        text = value
    return Class(MODEL, model_of(path, text, book))


def model_of(path: str, name: object, book: PriceBook) -> str:
    """The price book's id of a model, of whichever maker."""
    known = book.resolve(name) if isinstance(name, str) and 0 < len(name) <= LONGEST_TEXT else None
    if known is None or not known.known:
        shown = f" {name[:100]!r}" if isinstance(name, str) else ""
        raise ScenarioError(
            path, f"{path}: no prices are known for a model{shown}; use an id of the price list"
        )
    return known.model


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        return as_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    if name == "swaps":
        return [_swap_json(swap) for swap in value]
    if name == "contract":
        return {
            rates.model: {
                key: as_text(rate) for key, rate in rates._asdict().items() if isinstance(rate, Decimal)
            }
            for rates in value
        }
    return {of.text: as_text(number) for of, number in value}


def _swap_json(swap: Swap) -> dict[str, str]:
    plain = {"from": swap.source, "to": swap.target, "share": as_text(swap.share)}
    if swap.token_growth is not None:
        plain["token_growth"] = as_text(swap.token_growth)
    if swap.of != EVERYTHING:
        plain["class"] = swap.of.text
    return plain


def _swaps(data: object, book: PriceBook) -> tuple[Swap, ...]:
    if data is None:
        return ()
    if not isinstance(data, list):
        raise ScenarioError("swap", "swap must be a list of objects with from, to and share")
    check_many("swap", len(data))
    found = []
    for number, each in enumerate(data):
        path = f"swap.{number}"
        entry = _object(path, each)
        _known(path, entry, ("from", "to", "share", "token_growth", "class"))
        share = _number(f"{path}.share", entry.get("share"))
        source = entry.get("from")
        found.append(
            Swap(
                ANY if source == ANY else model_of(f"{path}.from", source, book),
                model_of(f"{path}.to", entry.get("to"), book),
                ONE if share is None else share,
                _number(f"{path}.token_growth", entry.get("token_growth")),
                class_of(f"{path}.class", _text(f"{path}.class", entry.get("class", ANY)), book),
            )
        )
    return tuple(found)


def _contract(data: object, book: PriceBook) -> tuple[Rates, ...]:
    if data is None:
        return ()
    path = "prices.contract"
    given = _object(path, data)
    check_many(path, len(given))
    lines = []
    for name, each in given.items():
        model = model_of(f"{path}.{name[:100]}", name, book)
        entry = _object(f"{path}.{model}", each)
        _known(f"{path}.{model}", entry, _RATES)
        values = {key: _number(f"{path}.{model}.{key}", entry.get(key)) for key in _RATES}
        for key in ("uncached_input", "output"):
            if values[key] is None:
                raise ScenarioError(
                    f"{path}.{model}.{key}", f"{path}.{model} needs {key}, USD per million tokens"
                )
        lines.append(Rates(model, **values))  # type: ignore[arg-type]
    return tuple(sorted(lines))


def _shares(path: str, data: object, book: PriceBook) -> Shares:
    if data is None:
        return ()
    if isinstance(data, (str, int, float, Decimal)) and not isinstance(data, bool):
        data = {ANY: data}  # one number for everything
    given = _object(path, data)
    check_many(path, len(given))
    numbers: dict[Class, Decimal] = {}
    for text, each in given.items():
        if len(text) > LONGEST_TEXT:
            raise ScenarioError(path, f"{path}: the name of a class is too long")
        number = _number(path, each)
        of = class_of(path, text, book)
        if of in numbers:
            raise ScenarioError(path, f"{path} names {of.text[:100]!r} twice")
        if number is not None:
            numbers[of] = number
    return shares(numbers)


def _number(path: str, value: object) -> Decimal | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)) or len(str(value)) > 60:
        raise ScenarioError(path, f'{path} must be a number, best as text: "0.5"')
    try:
        return Decimal(str(value).strip())
    except InvalidOperation:
        raise ScenarioError(path, f"{path} must be a number such as 0.5") from None


def _date(path: str, value: object) -> date | None:
    if value is None:
        return None
    try:
        return date.fromisoformat(_text(path, value))
    except ValueError:
        raise ScenarioError(path, f"{path} must be a date such as 2026-03-02") from None


def _choice(path: str, value: object, choices: Iterable[str]) -> str:
    if value is None:
        return OBSERVED
    known = tuple(choices)
    if value not in known:
        raise ScenarioError(path, f"{path} must be one of {', '.join(known)}")
    return str(value)


def _policy(value: object, is_policy: Callable[[str], bool] | None) -> str:
    if isinstance(value, str) and is_policy is not None and len(value) <= 60 and is_policy(value):
        return value
    if value is not None and value not in POLICIES and is_policy is not None:
        raise ScenarioError(
            "cache.policy", "cache.policy must be observed, none, 5m, 1h or such as 5m+3pings"
        )
    return _choice("cache.policy", value, POLICIES)


def _text(path: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise ScenarioError(path, f"{path} must be a text")
    return value


def _object(path: str, data: object) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ScenarioError(path, f"{path} must be an object")
    return data


def _part(top: Mapping[str, Any], name: str, keys: Iterable[str]) -> Mapping[str, Any]:
    part = _object(name, {} if top.get(name) is None else top[name])
    _known(name, part, tuple(keys))
    return part


def _known(path: str, data: Mapping[str, Any], keys: Iterable[str]) -> None:
    """A misspelt knob would be a wrong answer."""
    for name in data:
        if name not in tuple(keys):
            where = name if path == "scenario" else f"{path}.{name}"
            raise ScenarioError(where[:150], f"{path} has no {name[:100]!r}: it takes {', '.join(keys)}")
