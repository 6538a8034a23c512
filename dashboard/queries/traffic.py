"""The requests of a question as advice wants them: labels, whole prices, batch prices, and who can wait."""

from __future__ import annotations

from datetime import UTC
from decimal import Decimal

import numpy as np
import numpy.typing as npt
from django.utils import timezone

from dashboard import pricebook
from dashboard.analysis.recommendations.traffic import Labels, Rates, Traffic
from dashboard.filters import METER, TAG_PREFIX, FilterError, Filters
from dashboard.queries import classes, database, request_log
from dashboard.queries.request_log import DAY_US, RequestLog
from ingest.core.cache.log import number_pairs
from ingest.core.pricing import PriceVector
from ingest.core.timegrain import from_micros

Ints = npt.NDArray[np.int64]

MOST_TAGS = 6
MOST_TAG_VALUES = 200  # a tag with more is an id, not a class of calls
_DAY = Decimal(86_400_000_000)


def load(filters: Filters, most: int, *, waiting: bool = True) -> tuple[Traffic, RequestLog]:
    """The traffic of a question, from at most about so many requests. Without `waiting`, nobody is asked who waits."""
    if filters.values(METER):
        raise FilterError(METER, "advice is about whole requests: it cannot be limited to single meters")
    requests = request_log.load(filters, most)
    log = requests.log
    rate, rates, batch_rates = _rates(requests)
    labels = _labels(requests)
    day = log.start // DAY_US
    without = requests.session_key == 0
    traffic = Traffic(
        log=log,
        labels=labels,
        provider=_looked_up(requests, "provider"),
        unit=number_pairs(log.session, np.where(without, day, -1)),
        rate=rate,
        rates=rates,
        batch_rates=batch_rates,
        can_wait=_can_wait(filters, labels) if waiting and len(log) else {},
        days=_days(filters, log.start),
        sampled=requests.sampled,
    )
    return traffic, requests


def _days(filters: Filters, start: Ints) -> Decimal:
    """From the first request, or where the range begins if that is later, up to now or where the range ends; an open
    range ends with its last request. At least a day."""
    if not len(start):
        return Decimal(1)
    _, end = filters.instants(database.reporting_zone())
    last = int(start.max())
    if end is not None:
        micros = int(min(end, max(timezone.now(), from_micros(last))).timestamp()) * 1_000_000
        last = max(last, micros)
    return max(Decimal(last - int(start.min())) / _DAY, Decimal(1))


def _rates(requests: RequestLog) -> tuple[Ints, tuple[Rates, ...], tuple[Rates | None, ...]]:
    """By request the position of its prices, and those prices as they are and in a batch."""
    book = pricebook.current()
    numbers: dict[tuple[Rates, Rates | None], int] = {}
    days = requests.log.start // DAY_US
    pairs, at = np.unique(np.stack([requests.lane_id, days]), axis=1, return_inverse=True)
    place = np.zeros(pairs.shape[1], dtype=np.int64)
    for number, (lane_id, day_number) in enumerate(pairs.T.tolist()):
        lane, day = requests.lanes[lane_id], from_micros(day_number * DAY_US).astimezone(UTC).date()
        vector = book.vector(lane, day)
        assert vector is not None  # the log holds what has a price
        in_batch = (
            None if lane.service_tier == "batch" else book.vector(lane._replace(service_tier="batch"), day)
        )
        key = (_token_rates(vector), _token_rates(in_batch) if in_batch is not None else None)
        if key[0] == key[1]:
            key = (key[0], None)  # no batch price: the book answers with the usual one
        place[number] = numbers.setdefault(key, len(numbers))
    return place[at.reshape(-1)], tuple(key[0] for key in numbers), tuple(key[1] for key in numbers)


def _token_rates(vector: PriceVector) -> Rates:
    return Rates(*vector[:5])


def _labels(requests: RequestLog) -> dict[str, Labels]:
    names = ["workspace_id", "model", "api_key_id"]
    found = {name: requests.labels(name) for name in names}
    tags = sorted({str(tag) for row in requests.label_sets.values() for tag in row["tags"]})
    for tag in tags:
        values = {row["tags"].get(tag, "") for row in requests.label_sets.values()}
        if len(values) <= MOST_TAG_VALUES and len(found) < len(names) + MOST_TAGS:
            found[f"{TAG_PREFIX}{tag}"] = requests.labels(f"{TAG_PREFIX}{tag}")
    return found


def _looked_up(requests: RequestLog, field: str) -> Labels:
    ids, at = np.unique(requests.lane_id, return_inverse=True)
    texts = np.array([getattr(requests.lanes[int(each)], field) for each in ids], dtype=object)
    return texts[at.reshape(-1)] if len(ids) else np.zeros(0, dtype=object)


def _can_wait(filters: Filters, labels: dict[str, Labels]) -> dict[tuple[str, str], str]:
    found = {}
    for dimension in labels:
        for kind in classes.kinds(filters, dimension):
            if kind.can_wait:
                because = "marked as such on the what-if page" if kind.overridden else kind.evidence.because
                found[dimension, kind.evidence.value] = because
    return found
