"""What the providers of the demo traffic would have reported for it: whole days by model, and a little more.

A little more, because a company's calls never all come through its own logs: some are made in a provider's console.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ingest.core.events import UsageEvent
from ingest.core.pricebook import PriceBook, prompt_step
from ingest.core.pricing import ZERO, Lane, PriceVector, cost
from ingest.core.reported import Reported, ReportedCost, ReportedUsage

KINDS = {
    "anthropic": ("anthropic_usage_report", "anthropic_cost_report"),
    "openai": ("openai_usage", "openai_costs"),
}
METERS = PriceVector._fields
ELSEWHERE = Decimal("0.008")  # of the usage that was counted: calls that were not
DAY = timedelta(days=1)


class Reports:
    """Sums of events as they pass. Providers report whole days: the last day is left out when it is not over."""

    def __init__(self, book: PriceBook) -> None:
        self._book = book
        self._sums: dict[tuple[date, Lane], list[int]] = defaultdict(lambda: [0] * (len(METERS) + 1))

    def watch(self, events: Iterable[UsageEvent]) -> Iterator[UsageEvent]:
        """The same events, counted."""
        for event in events:
            if event.provider in KINDS:
                lane = Lane(
                    provider=event.provider,
                    platform=event.platform,
                    model=event.model,
                    service_tier=event.service_tier,
                    inference_geo=event.inference_geo,
                    prompt_step=prompt_step(event.prompt_step_tokens),
                )
                sums = self._sums[event.occurred_at.date(), lane]
                for place, meter in enumerate(METERS):
                    sums[place] += getattr(event, meter)
                sums[-1] += event.requests
            yield event

    def rows(self, now: datetime) -> Iterator[Reported]:
        """Usage and cost of every whole day before `now`, by model."""
        usage: dict[tuple[date, str, str], list[int]] = {}
        amounts: dict[tuple[date, str, str], Decimal] = defaultdict(lambda: ZERO)
        for (day, lane), sums in sorted(self._sums.items()):
            if day >= now.astimezone(UTC).date():
                continue
            more = [count + int(count * ELSEWHERE) for count in sums]
            key = (day, lane.provider, lane.model)
            usage[key] = [a + b for a, b in zip(usage.get(key, [0] * len(more)), more, strict=True)]
            if (vector := self._book.vector(lane, day)) is not None:
                amounts[key] += cost(dict(zip(METERS, more, strict=False)), vector)
        for (day, provider, model), sums in usage.items():
            used, billed = KINDS[provider]
            start = datetime(day.year, day.month, day.day, tzinfo=UTC)
            *counts, requests = sums
            meters: dict[str, Any] = dict(zip(METERS, counts, strict=True))
            yield ReportedUsage(
                kind=used,
                provider=provider,
                platform=provider,
                start=start,
                end=start + DAY,
                grouping="model",
                model=model,
                requests=requests if provider == "openai" else None,  # Anthropic's report does not count them
                **meters,
            )
            yield ReportedCost(
                kind=billed,
                provider=provider,
                platform=provider,
                start=start,
                end=start + DAY,
                grouping="model",
                model=model,
                currency="USD",
                billed_cost=amounts[day, provider, model],
            )
