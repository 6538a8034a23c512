"""What a replay says about a caching policy, in the only form a what-if needs: where input tokens would have gone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

INPUTS = 4  # uncached, read, 5m write, 1h write: the first four of METERS


@dataclass(frozen=True, slots=True)
class Replayed:
    """A policy as shares of each model's input tokens; the shares of a model sum to 1.

    policy  the replay's name of it
    shares  model -> (uncached, read, 5m write, 1h write), Decimals of at most 18 places
    extra   model -> cache reads on top, as a share of its input tokens: keep-alive pings
    error   half width of the cost's error as a share of it, or None when the replay gives none
    basis   how the replay knows, one sentence
    """

    policy: str
    shares: Mapping[str, tuple[Decimal, Decimal, Decimal, Decimal]]
    extra: Mapping[str, Decimal]
    error: Decimal | None
    basis: str
