"""FOCUS cost and usage exports (CSV, versions 1.0 to 1.4): each charge becomes one line of reported cost.

Every charge of the file is taken, those of other services too: the file says what a line is for, not whether it is
worth looking at. Missing values are empty or the bare word NULL; spreadsheets leave currency signs and short dates.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import BinaryIO

from ingest.core.errors import Reason, Rejection
from ingest.core.meter_fields import MeterError, clean_text
from ingest.core.reported import MAX_AMOUNT, MAX_QUANTITY, ReportedCost
from ingest.formats._base import Format, Item, ParseContext, read_time, rejection
from ingest.formats._reports import MAX_LINE_ITEM, amount_of, currency_of

NAME = "focus_cost"
_NEEDED = ("BilledCost", "BillingCurrency", "ChargePeriodStart", "ChargePeriodEnd")
# Columns that tell charges apart -> the names under which they are kept. Own columns (x_...) and tags do so as well.
_DIMENSIONS = {
    "BillingAccountId": "billing_account_id",
    "ChargeClass": "charge_class",
    "CommitmentDiscountId": "commitment_discount_id",
    "InvoiceId": "invoice_id",
    "PricingCategory": "pricing_category",
    "RegionId": "region_id",
    "ResourceId": "resource_id",
    "ServiceCategory": "service_category",
    "SkuId": "sku_id",
    "SkuMeter": "sku_meter",
    "SkuPriceId": "sku_price_id",
}
_ALSO_APART = ("AvailabilityZone", "CommitmentDiscountStatus", "ChargeFrequency", "SkuPriceDetails", "Tags")
_KEPT = (
    "ServiceProviderName",
    "ProviderName",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "BillingCurrency",
    "SubAccountId",
    "ServiceName",
    "ChargeDescription",
    "ChargeCategory",
    "ConsumedUnit",
    "PricingUnit",
)
_DATABASE_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d:\d\d(?:\.\d{1,6})?))?")
_MAX_CELL = 1024 * 1024

Charge = Mapping[str, str]


def _read(charge: Charge) -> ReportedCost:
    start, end = _time(charge, "ChargePeriodStart"), _time(charge, "ChargePeriodEnd")
    if end <= start:
        detail = "ChargePeriodEnd must be later than ChargePeriodStart"
        raise MeterError(Reason.INVALID_TIME, "ChargePeriodEnd", detail)
    if not charge["BilledCost"]:
        raise MeterError(Reason.MISSING_FIELD, "BilledCost", "BilledCost is required")
    measure = "Consumed" if charge.get("ConsumedQuantity") else "Pricing"
    kept = ((ours, _text(charge, theirs, 256)) for theirs, ours in _DIMENSIONS.items())
    return ReportedCost(
        kind=NAME,
        provider=_text(charge, "ServiceProviderName", 64) or _text(charge, "ProviderName", 64),
        start=start,
        end=end,
        currency=currency_of(charge["BillingCurrency"], "BillingCurrency"),
        billed_cost=_amount(charge, "BilledCost"),
        list_cost=_amount(charge, "ListCost"),
        contracted_cost=_amount(charge, "ContractedCost"),
        model=_text(charge, "x_Model", 200),
        workspace_id=_text(charge, "SubAccountId", 256),
        service_tier=_text(charge, "x_ServiceTier", 64),
        product=_text(charge, "ServiceName", 256),
        line_item=_text(charge, "ChargeDescription", MAX_LINE_ITEM),
        cost_type=_text(charge, "ChargeCategory", 64),
        token_type=_text(charge, "x_TokenType", 64),
        quantity=_amount(charge, f"{measure}Quantity", MAX_QUANTITY),
        unit=_text(charge, f"{measure}Unit", 64),
        dimensions=tuple(sorted((name, value) for name, value in kept if value)),
    )


def _text(charge: Charge, name: str, limit: int) -> str:
    return clean_text(charge.get(name, ""), name, limit)


def _amount(charge: Charge, name: str, most: Decimal = MAX_AMOUNT) -> Decimal | None:
    text = charge.get(name, "").replace("$", "").replace(",", "")
    return amount_of(text, name, most) if text else None


def _time(charge: Charge, name: str) -> datetime:
    text = charge[name]
    if not text:
        raise MeterError(Reason.MISSING_FIELD, name, f"{name} is required")
    if match := _DATABASE_TIME.fullmatch(text):
        return read_time(f"{match[1]}T{match[2] or '00:00:00'}Z", name)
    if "/" in text:
        try:
            return datetime.strptime(text, "%m/%d/%y").replace(tzinfo=UTC)
        except ValueError:
            pass
    return read_time(text, name)


class _Lines:
    """Tells charges apart that agree in all that is kept of them: by their other columns, then by their order.

    So a file imported again gives the same lines, and one with corrected amounts replaces them.
    """

    def __init__(self) -> None:
        self._seen: set[bytes] = set()
        self._again: dict[bytes, int] = {}

    def mark(self, charge: Charge) -> str:
        apart = [
            value
            for name, value in sorted(charge.items())
            if name in _DIMENSIONS or name in _ALSO_APART or name in _KEPT or name.startswith("x_")
        ]
        digest = hashlib.blake2b("\x1f".join(apart).encode("utf-8", "replace"), digest_size=8).digest()
        if digest not in self._seen:
            self._seen.add(digest)
            return digest.hex()
        self._again[digest] = self._again.get(digest, 1) + 1
        return f"{digest.hex()}-{self._again[digest]}"


def _parse(stream: BinaryIO, context: ParseContext) -> Iterator[Item]:
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.reader(text)
    header: list[str] = []
    lines = _Lines()
    index = -1
    csv.field_size_limit(_MAX_CELL)
    try:
        for cells in rows:
            if not cells:
                continue
            if not header:
                header = [cell.strip() for cell in cells]
                missing = [name for name in _NEEDED if name not in header]
                if missing:
                    detail = f"not a FOCUS export: there is no column {', '.join(missing)}"
                    yield Rejection(0, Reason.UNKNOWN_FORMAT, missing[0], detail)
                    return
                continue
            index += 1
            try:
                yield _charge(cells, header, lines)
            except MeterError as error:
                yield rejection(index, error)
    except csv.Error:
        detail = "the line is no CSV: a quote is missing, or a cell is far too long"
        yield Rejection(index + 1, Reason.INVALID_VALUE, "", detail)
    finally:
        text.detach()  # the stream is the caller's to close


def _charge(cells: list[str], header: list[str], lines: _Lines) -> ReportedCost:
    if len(cells) != len(header):
        detail = f"the line has {len(cells)} cells, the header {len(header)}"
        raise MeterError(Reason.TRUNCATED, "", detail)
    stripped = (cell.strip() for cell in cells)
    charge = {name: "" if cell == "NULL" else cell for name, cell in zip(header, stripped, strict=True)}
    row = _read(charge)
    kept = (*row.dimensions, ("line", lines.mark(charge)))
    return replace(row, dimensions=tuple(sorted(kept)))


def _sniff(head: bytes) -> int:
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip().split(b"\n", 1)[0]
    names = {name.strip().strip(b'"') for name in first.split(b",")}
    return 95 if {name.encode() for name in _NEEDED} <= names else 0


FORMAT = Format(NAME, "FOCUS cost and usage export (CSV)", True, _sniff, _parse)
