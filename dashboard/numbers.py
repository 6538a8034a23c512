"""The only place where amounts become text. Money stays Decimal up to here; nothing is rounded before."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache

NONE = "–"  # no value: unlike 0, it says that there is nothing to show
MINUS = "−"
MILLION = Decimal(1_000_000)
WIDE = Context(prec=100)  # the default context refuses to write amounts of more than 28 digits

Number = int | float | Decimal
_PLAIN = (int, str)  # a union written out would be made anew at every call, and there are thousands a page


def is_missing(value: object) -> bool:
    """None, NaN, NaT and pandas' NA all mean "no value"; a text is one, whatever it says."""
    if isinstance(value, Decimal):
        return value.is_nan()
    if value is None or isinstance(value, _PLAIN):
        return value is None
    if isinstance(value, float):
        return math.isnan(value)
    return str(value) in {"NaN", "NaT", "<NA>"}


def _signed(text: str, negative: bool) -> str:
    return f"{MINUS}{text}" if negative else text


def money(amount: Decimal | int | None) -> str:
    """$18,412.07; below a dollar as many digits as it takes to say something: $0.0544, $0.00000125."""
    if is_missing(amount):
        return NONE
    value = Decimal(amount)  # type: ignore[arg-type]
    size = abs(value)
    if size == 0:
        return "$0.00"
    if size >= 1:
        text = f"{size.quantize(Decimal('0.01'), ROUND_HALF_EVEN, WIDE):,f}"
    else:
        # Three significant digits and never fewer than cents: a dollar figure that rounds to 0 would be a lie.
        places = max(2, 2 - size.adjusted())
        text = f"{size.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, WIDE):f}"
        whole, _, cents = text.partition(".")
        text = f"{whole}.{cents.rstrip('0').ljust(2, '0')}"
    return _signed(f"${text}", value < 0)


def money_round(amount: Decimal | int | None) -> str:
    """Whole dollars for cards and labels where cents are noise: $61,930; below $100 the exact form."""
    if is_missing(amount):
        return NONE
    value = Decimal(amount)  # type: ignore[arg-type]
    if abs(value) < 100:
        return money(value)
    return _signed(f"${abs(value).quantize(Decimal(1), ROUND_HALF_EVEN, WIDE):,f}", value < 0)


def money_signed(amount: Decimal | int | None) -> str:
    """+$12.00, −$12.00, $0.00: a difference."""
    if is_missing(amount):
        return NONE
    text = money(amount)
    return f"+{text}" if Decimal(amount) > 0 else text  # type: ignore[arg-type]


def money_tick(amount: Number) -> str:
    """An axis label: $0, $500, $1.5k, $2M, $0.002."""
    value = Decimal(repr(amount)) if isinstance(amount, float) else Decimal(amount)
    size = abs(value)
    for step, unit in ((Decimal(10) ** 9, "B"), (Decimal(10) ** 6, "M"), (Decimal(10) ** 3, "k")):
        if size >= step:
            return _signed(f"${_trimmed(size / step)}{unit}", value < 0)
    return _signed(f"${_trimmed(size)}", value < 0)


def unit_price(amount: Decimal | None) -> str:
    """USD per token as price lists write it: $3.00 / M."""
    return NONE if is_missing(amount) else f"{money(amount * MILLION)} / M"  # type: ignore[operator]


def count(number: Number | None) -> str:
    """1,204,881"""
    return NONE if is_missing(number) else _signed(f"{abs(int(number)):,}", int(number) < 0)  # type: ignore[arg-type]


def tokens(number: Number | None) -> str:
    """1.31 B, 83.4 M, 12.3 k, 980: three digits are what one can read; the exact count is in the title."""
    if is_missing(number):
        return NONE
    value = Decimal(int(number))  # type: ignore[arg-type]
    size = abs(value)
    for step, unit in (
        (Decimal(10) ** 12, "T"),
        (Decimal(10) ** 9, "B"),
        (Decimal(10) ** 6, "M"),
        (Decimal(10) ** 3, "k"),
    ):
        # 999,950 must not read "1,000 k": compare after rounding to three digits.
        if size >= step * Decimal("0.9995"):
            return _signed(f"{_three_digits(size / step)} {unit}", value < 0)
    return _signed(f"{size:f}", value < 0)


def tokens_tick(number: Number) -> str:
    """An axis label for tokens: 0, 250k, 1.5M, 2B."""
    value = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    for step, unit in (
        (Decimal(10) ** 12, "T"),
        (Decimal(10) ** 9, "B"),
        (Decimal(10) ** 6, "M"),
        (Decimal(10) ** 3, "k"),
    ):
        if abs(value) >= step:
            return f"{_trimmed(value / step)}{unit}"
    return _trimmed(value)


def _edge(digits: int) -> Decimal:
    return Decimal(1).scaleb(-digits)


def percent(share: Number | None, digits: int = 1) -> str:
    """A share of 1 as 83.4 %. What is not all never reads 100 %, what is not nothing never reads 0 %."""
    if is_missing(share):
        return NONE
    value = _decimal(share) * 100
    text = f"{value:.{digits}f}"
    if value < 100 and text.startswith("100"):
        text = f"{100 - _edge(digits):f}"
    elif value and not text.strip("-0."):
        edge = _edge(digits)
        return f"< {edge:f} %" if value > 0 else f"> {MINUS}{edge:f} %"
    return f"{text.replace('-', MINUS)} %"


def points(difference: Number | None) -> str:
    """The difference of two shares in percentage points: +4.8 pt."""
    if is_missing(difference):
        return NONE
    text = f"{_decimal(difference) * 100:+.1f}"
    return "0.0 pt" if Decimal(text) == 0 else f"{text.replace('-', MINUS)} pt"


def change(now: Number | None, before: Number | None) -> str:
    """Relative change: +6.1 %. From nothing there is no percentage: "new"."""
    if is_missing(now) or is_missing(before):
        return NONE
    then, current = _decimal(before), _decimal(now)
    if then == 0:
        return "new" if current != 0 else NONE
    ratio = (current - then) / abs(then) * 100
    if abs(ratio) >= 1000:
        return f"{_signed('', ratio < 0)}{'+' if ratio > 0 else ''}{abs(ratio) / 100:,.0f}×"
    text = f"{ratio:+.1f}"
    return "0.0 %" if Decimal(text) == 0 else f"{text.replace('-', MINUS)} %"


def ratio(value: Number | None, digits: int = 1) -> str:
    """12.4×; large ones without decimals: 29×."""
    if is_missing(value):
        return NONE
    number = _decimal(value)
    return f"{number:,.0f}×" if abs(number) >= 100 else f"{number:.{digits}f}×"


def multiplier(value: Number) -> str:
    """A price multiplier: 0.10×, 1.25×, 0.075×."""
    number = _decimal(value)
    return (
        f"{number:.2f}×"
        if number == number.quantize(Decimal("0.01"), context=WIDE)
        else f"{number.normalize():f}×"
    )


def duration(span: timedelta | None) -> str:
    """4 s, 3 min, 2 h, 5 days."""
    if span is None:
        return NONE
    seconds = max(0, int(span.total_seconds()))
    for size, unit in ((86_400, "day"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            whole = seconds // size
            return f"{whole} {unit}{'s' if unit == 'day' and whole != 1 else ''}"
    return f"{seconds} s"


@lru_cache(maxsize=512)  # the same TTLs, on every TTL curve that is drawn
def seconds(count: Number) -> str:
    """A gap or a TTL, to a tenth of its unit: 45 s, 1.5 min, 5 min, 1 h, 1 day."""
    value = _decimal(count)
    for size, unit in ((86_400, "day"), (3_600, "h"), (60, "min"), (1, "s")):
        if value >= size or size == 1:
            tenths = (value / size).quantize(Decimal("0.1"), context=WIDE)
            return f"{_trimmed(tenths)} {unit}{'s' if unit == 'day' and tenths != 1 else ''}"
    raise AssertionError("seconds are the smallest unit")


def ago(span: timedelta | None) -> str:
    """4 s ago; "never" when there is no time at all."""
    if span is None:
        return "never"
    return "just now" if span < timedelta(seconds=2) else f"{duration(span)} ago"


def day(value: date) -> str:
    """2 Nov"""
    return f"{value.day} {value:%b}"


def days(first: date, last: date) -> str:
    """An inclusive range of days, as short as it can be: 1–22 Nov 2026, 28 Oct – 3 Nov 2026."""
    if first == last:
        return f"{first.day} {first:%b %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}–{last.day} {last:%b %Y}"
    if first.year == last.year:
        return f"{day(first)} – {day(last)} {last.year}"
    return f"{day(first)} {first.year} – {day(last)} {last.year}"


def bucket(at: date | datetime, grain: str) -> str:
    """The name of a bucket: 14:00 on 2 Nov, 2 Nov, Nov 2026."""
    if grain == "month":
        return f"{at:%b %Y}"
    if grain == "hour":
        return f"{day(at)} {at:%H:%M}"
    return day(at)


def _decimal(value: Number | None) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))


def _trimmed(value: Decimal) -> str:
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", MINUS) or "0"


def _three_digits(value: Decimal) -> str:
    places = max(0, 2 - max(0, value.adjusted()))
    rounded = value.quantize(Decimal(1).scaleb(-places), ROUND_HALF_EVEN, WIDE)
    # Rounding can add a digit (9.995 -> 10.00); then one place fewer is enough.
    if rounded.adjusted() > max(0, value.adjusted()) and places > 0:
        rounded = rounded.quantize(Decimal(1).scaleb(-(places - 1)), context=WIDE)
    return f"{rounded:f}"
