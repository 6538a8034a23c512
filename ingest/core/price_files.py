"""Price files: TOML text -> checked rows. Every error names the file, the model, the key and the way out."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from ingest.core.price_rows import DatedAmount, Model, PriceFile, PriceRow, Surcharge, Tier
from ingest.core.pricing import PROMPT_STEPS

AMOUNT = re.compile(r"\d{1,9}(\.\d{1,9})?")


class PriceFileError(ValueError):
    """A price file that cannot be used as it stands."""


class _Table:
    """A TOML table that is read key by key: what is missing, mistyped or left over at the end is an error."""

    def __init__(self, file: str, where: str, values: object) -> None:
        self.file, self.where = file, where
        if not isinstance(values, Mapping):
            raise self.error("", "must be a table; write it as [name] or [[name]]")
        self.values: dict[str, Any] = dict(values)

    def error(self, key: str, problem: str) -> PriceFileError:
        at = ": ".join(part for part in (self.file, self.where, key and f"key '{key}'") if part)
        return PriceFileError(f"{at}: {problem}.")

    def done(self) -> None:
        for key in self.values:
            raise self.error(key, "is not a key price files have; remove it or correct its spelling")

    def take(self, key: str, kind: type, what: str, required: bool) -> Any:
        if key not in self.values:
            if required:
                raise self.error(key, f"is missing; add {key} = {what}")
            return None
        value = self.values.pop(key)
        wrong_subclass = (kind is date and isinstance(value, datetime)) or (
            kind is int and isinstance(value, bool)
        )
        if not isinstance(value, kind) or wrong_subclass:
            raise self.error(key, f"must be {what}, not {value!r}")
        return value

    def text(self, key: str, required: bool = False) -> str:
        value: str = self.take(key, str, 'a string in quotes, as "text"', required) or ""
        if required and not value:
            raise self.error(key, "is empty; give it a value")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        values = self.take(key, list, 'a list of strings, as ["a", "b"]', False) or []
        for value in values:
            if not isinstance(value, str):
                raise self.error(key, f'must be a list of strings, as ["a", "b"], but holds {value!r}')
        return tuple(values)

    def day(self, key: str, required: bool = False) -> date | None:
        value: date | None = self.take(key, date, "a date without quotes, as 2026-03-13", required)
        return value

    def flag(self, key: str) -> bool:
        return bool(self.take(key, bool, "true or false", False))

    def number(self, key: str, required: bool = False) -> int | None:
        value: int | None = self.take(key, int, "a whole number", required)
        if value is not None and value < 0:
            raise self.error(key, "must not be negative")
        return value

    def amount(self, key: str) -> Decimal:
        """A decimal in quotes: a bare 0.1 would reach us as a binary float that is not 0.1."""
        text: str = self.take(key, str, 'a decimal in quotes, as "3.75"', True)
        if not AMOUNT.fullmatch(text):
            raise self.error(key, f'must be a plain decimal in quotes, as "3.75", not "{text}"')
        return Decimal(text)

    def tables(self, key: str) -> list[object]:
        values: list[object] = self.take(key, list, f"a list of tables; write [[{key}]]", False) or []
        return values


def parse_price_file(name: str, text: str) -> PriceFile:
    """Read and check one file. PriceFileError says what to change."""
    try:
        root = _Table(name, "", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError(f"{name}: not valid TOML: {error}.") from None
    provider = root.text("provider", required=True)
    sources = {
        key: str(value) for key, value in (root.take("sources", dict, "a table [sources]", True)).items()
    }
    surcharges = tuple(_surcharge(_Table(name, "surcharge", t)) for t in root.tables("surcharge"))
    tiers = tuple(_tier(_Table(name, "tier", t)) for t in root.tables("tier"))
    meters = _Table(
        name, "meters", root.take("meters", dict, "a table [[meters.web_search_requests]]", False) or {}
    )
    fees = [
        _fee(_Table(name, "web_search_requests", t), sources) for t in meters.tables("web_search_requests")
    ]
    meters.done()
    flags = tuple(s.name for s in surcharges)
    models = tuple(_model(name, provider, sources, flags, m) for m in root.tables("model"))
    refusal = root.day("refusal_before_output_free_from")
    root.done()
    _reject_shared_ids(name, models)
    return PriceFile(
        name, provider, models, tiers, surcharges, _in_order(root, "web_search_requests", fees), refusal
    )


def _model(
    file: str, provider: str, sources: Mapping[str, str], flags: tuple[str, ...], values: object
) -> Model:
    model_id = values.get("id", "?") if isinstance(values, Mapping) else "?"
    table = _Table(file, f"model {model_id}", values)
    own = table.text("id", required=True)
    others = (*table.texts("aliases"), *table.texts("bedrock_ids"), *table.texts("vertex_ids"))
    prices = table.tables("price")
    if not prices:
        raise table.error("price", "is missing; add at least one [[model.price]]")
    rows = [
        _row(_Table(file, f"model {own}, price {n}", p), own, sources) for n, p in enumerate(prices, start=1)
    ]
    minimum = table.values.pop("min_cacheable_tokens", [])
    minimums = [
        _minimum(file, own, entry)
        for entry in (minimum if isinstance(minimum, list) else [{"tokens": minimum}])
    ]
    model = Model(
        id=own,
        name=table.text("name", required=True),
        provider=provider,
        ids=tuple(dict.fromkeys(name.lower() for name in (own, *others))),
        surcharges=tuple(flag for flag in flags if table.flag(flag)),
        context_window=table.number("context_window"),
        minimum_tokens=_in_order(table, "min_cacheable_tokens", minimums),
        launched_on=table.day("launched_on"),
        retired_on=table.day("retired_on"),
        note=table.text("note"),
        rows=_dated_rows(table, rows),
    )
    table.done()
    return model


def _row(table: _Table, model: str, sources: Mapping[str, str]) -> PriceRow:
    prompt_over = table.number("prompt_over") or 0
    if prompt_over and prompt_over not in PROMPT_STEPS:
        edges = ", ".join(map(str, PROMPT_STEPS))
        raise table.error(
            "prompt_over", f"must be one of {edges} (or add {prompt_over} to PROMPT_STEPS and rebuild)"
        )
    starts, ends = table.day("effective_from"), table.day("effective_to")
    if starts and ends and starts >= ends:
        raise table.error(
            "effective_to", f"must be after effective_from ({starts}); it is the first day not covered"
        )
    uncertain, note = table.flag("uncertain"), table.text("note")
    if uncertain and not note:
        raise table.error("note", "is missing; say what is uncertain about this price")
    source, checked_on = _provenance(table, sources)
    row = PriceRow(
        model=model,
        speed=table.text("speed") or "standard",
        prompt_over=prompt_over,
        effective_from=starts,
        effective_to=ends,
        uncached_input=table.amount("in"),
        output=table.amount("out"),
        cache_write_5m=table.amount("write_5m"),
        cache_write_1h=table.amount("write_1h"),
        cache_read=table.amount("read"),
        source=source,
        checked_on=checked_on,
        uncertain=uncertain,
        note=note,
    )
    table.done()
    return row


def _provenance(table: _Table, sources: Mapping[str, str]) -> tuple[str, date]:
    key = table.text("source", required=True)
    if key not in sources:
        raise table.error(
            "source", f"'{key}' is not in [sources]; add it there or use one of {', '.join(sources)}"
        )
    checked_on = table.day("checked_on", required=True)
    assert checked_on is not None
    return sources[key], checked_on


def _dated_rows(table: _Table, rows: list[PriceRow]) -> tuple[PriceRow, ...]:
    """Rows of each (speed, step) in time order; the standard ones first, gapless and open to the past."""
    groups: dict[tuple[str, int], list[PriceRow]] = {}
    for row in sorted(rows, key=lambda row: row.effective_from or date.min):
        groups.setdefault((row.speed, row.prompt_over), []).append(row)
    standard = groups.pop(("standard", 0), None)
    if standard is None:
        raise table.error(
            "price", "needs one standard price without prompt_over; the others are exceptions from it"
        )
    for earlier, later in pairwise(standard):
        if earlier.effective_to and later.effective_from and earlier.effective_to < later.effective_from:
            gap = f"{earlier.effective_to} to {later.effective_from}"
            raise table.error("effective_from", f"no price from {gap}; close the gap")
    for group in (standard, *groups.values()):
        _reject_overlaps(table, group)
    first = replace(standard[0], open_to_past=True)
    return (first, *standard[1:], *(row for kind in sorted(groups) for row in groups[kind]))


def _reject_overlaps(table: _Table, group: list[PriceRow]) -> None:
    for earlier, later in pairwise(group):
        if not (
            earlier.effective_to and later.effective_from and earlier.effective_to <= later.effective_from
        ):
            starts = f"the {later.speed} prices from {earlier.effective_from} and from {later.effective_from}"
            raise table.error("effective_to", f"{starts} overlap; end the earlier one with effective_to")


def _minimum(file: str, model: str, values: object) -> DatedAmount:
    table = _Table(file, f"model {model}, min_cacheable_tokens", values)
    tokens = table.number("tokens", required=True)
    assert tokens is not None
    entry = DatedAmount(
        Decimal(tokens), table.day("effective_from"), table.flag("uncertain"), table.text("note")
    )
    table.done()
    return entry


def _fee(table: _Table, sources: Mapping[str, str]) -> DatedAmount:
    source, checked_on = _provenance(table, sources)
    entry = DatedAmount(
        table.amount("usd"),
        table.day("effective_from"),
        table.flag("uncertain"),
        table.text("note"),
        source,
        checked_on,
    )
    table.done()
    return entry


def _tier(table: _Table) -> Tier:
    table.where = f"tier {table.values.get('name', '?')}"
    prepaid = table.flag("prepaid")
    tier = Tier(
        name=table.text("name", required=True),
        also=table.texts("also"),
        factor=Decimal(0) if prepaid else table.amount("factor"),
        prepaid=prepaid,
        note=table.text("note"),
        not_on=table.texts("not_on"),
        not_with_speed=table.texts("not_with_speed"),
    )
    table.done()
    return tier


def _surcharge(table: _Table) -> Surcharge:
    table.where = f"surcharge {table.values.get('name', '?')}"
    surcharge = Surcharge(
        name=table.text("name", required=True),
        factor=table.amount("factor"),
        platforms=table.texts("platforms"),
        inference_geo=table.text("inference_geo"),
        routing=table.text("routing"),
    )
    if not surcharge.platforms or not (surcharge.inference_geo or surcharge.routing):
        raise table.error(
            "platforms", "needs platforms, and an inference_geo or a routing that it applies to"
        )
    table.done()
    return surcharge


def _in_order(table: _Table, key: str, amounts: list[DatedAmount]) -> tuple[DatedAmount, ...]:
    amounts = sorted(amounts, key=lambda entry: entry.effective_from or date.min)
    if len({entry.effective_from for entry in amounts}) < len(amounts):
        raise table.error(key, "has two entries from the same day; keep one")
    return tuple(amounts)


def _reject_shared_ids(file: str, models: tuple[Model, ...]) -> None:
    owner: dict[str, str] = {}
    for model in models:
        if model.id.lower() in owner and owner[model.id.lower()] == model.id:
            raise PriceFileError(f"{file}: model {model.id}: is there twice; merge the two.")
        for name in model.ids:
            if name in owner:
                raise PriceFileError(
                    f"{file}: model {model.id}: id '{name}' also belongs to {owner[name]}; remove one."
                )
            owner[name] = model.id
