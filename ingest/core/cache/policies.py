"""Cache policies and their names: none, 5m, 1h, 5m+3pings, 1h+1ping, and mixes of these by class of call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ingest.core.cache.log import TTL_1H_US, TTL_5M_US, CacheLog, Ints, Mask

TIERS = ("none", "5m", "1h")
TTL_US = np.array([0, TTL_5M_US, TTL_1H_US], dtype=np.int64)
MOST_PINGS = 1000
_NAME = re.compile(r"(?P<tier>5m|1h)\+(?P<pings>[1-9][0-9]{0,3})ping(?P<plural>s?)")


@dataclass(frozen=True)
class Terms:
    """What a policy means request by request: the TTL every token of its prefix is written at, and its pings.

    tier   position in TIERS
    pings  how many keep-alive pings may follow the request while its chain is idle
    """

    tier: Ints
    pings: Ints

    @property
    def ttl(self) -> Ints:
        """Microseconds an entry lives after a use; 0 = nothing is cached."""
        return TTL_US[self.tier]

    def sent(self, log: CacheLog) -> Ints:
        """Pings that really follow each request: none once the next has come, all after the last of a chain."""
        ttl, gap = np.maximum(self.ttl, 1), log.gap_after
        bridged = np.where(gap < 0, self.pings, np.maximum(gap - 1, 0) // ttl)
        return np.where(self.tier > 0, np.minimum(self.pings, bridged), 0)


class AnyPolicy(Protocol):
    """Whatever can be replayed: it has a name and says its terms for every request of a log."""

    @property
    def name(self) -> str: ...

    def terms(self, log: CacheLog) -> Terms: ...


@dataclass(frozen=True, order=True)
class Policy:
    """The same for every request. `tier` is one of TIERS."""

    tier: str
    pings: int = 0

    def __post_init__(self) -> None:
        if self.tier not in TIERS:
            raise ValueError(f"tier must be one of {', '.join(TIERS)}, not '{self.tier}'")
        if not 0 <= self.pings <= MOST_PINGS or (self.tier == "none" and self.pings):
            raise ValueError(f"pings must be from 0 to {MOST_PINGS}, and 0 without a cache")

    @property
    def name(self) -> str:
        if not self.pings:
            return self.tier
        return f"{self.tier}+{self.pings}ping{'s' if self.pings > 1 else ''}"

    def terms(self, log: CacheLog) -> Terms:
        return Terms(
            np.full(len(log), TIERS.index(self.tier), dtype=np.int64),
            np.full(len(log), self.pings, dtype=np.int64),
        )


@dataclass(frozen=True)
class Mix:
    """Another policy for some classes of call; `by_class` has names from the log's `class_names`."""

    otherwise: Policy
    by_class: Mapping[str, Policy] = field(default_factory=dict)

    @property
    def name(self) -> str:
        parts = [f"{name}={policy.name}" for name, policy in sorted(self.by_class.items())]
        return ", ".join([*parts, f"else {self.otherwise.name}"]) if parts else self.otherwise.name

    def terms(self, log: CacheLog) -> Terms:
        choices = [self.by_class.get(name, self.otherwise) for name in log.class_names]
        tier = np.array([TIERS.index(choice.tier) for choice in choices], dtype=np.int64)
        pings = np.array([choice.pings for choice in choices], dtype=np.int64)
        return Terms(tier[log.call_class], pings[log.call_class])


@dataclass(frozen=True)
class PerChain:
    """One fixed policy a chain: `choice[chain]` is a position in `policies`."""

    policies: tuple[Policy, ...]
    choice: Ints
    name: str = "best per chain"

    def terms(self, log: CacheLog) -> Terms:
        tier = np.array([TIERS.index(policy.tier) for policy in self.policies], dtype=np.int64)
        pings = np.array([policy.pings for policy in self.policies], dtype=np.int64)
        chosen = self.choice[log.chain]
        return Terms(tier[chosen], pings[chosen])


@dataclass(frozen=True)
class Instead:
    """One policy for the chosen requests of a log, another for the rest."""

    chosen: Mask
    policy: Policy
    rest: Policy

    @property
    def name(self) -> str:
        return f"{self.policy.name} for some, else {self.rest.name}"

    def terms(self, log: CacheLog) -> Terms:
        inside, outside = self.policy.terms(log), self.rest.terms(log)
        return Terms(
            np.where(self.chosen, inside.tier, outside.tier),
            np.where(self.chosen, inside.pings, outside.pings),
        )


NONE, FIVE_MINUTES, ONE_HOUR = Policy("none"), Policy("5m"), Policy("1h")
STANDARD = (
    NONE,
    FIVE_MINUTES,
    ONE_HOUR,
    Policy("5m", 1),
    Policy("5m", 3),
    Policy("5m", 11),
    Policy("1h", 1),
)


def parse_policy(name: str) -> Policy:
    """The policy of a name such as none, 5m or 1h+2pings; ValueError says how names look."""
    if name in TIERS:
        return Policy(name)
    found = _NAME.fullmatch(name)
    if found is None or (found["pings"] == "1") == bool(found["plural"]) or int(found["pings"]) > MOST_PINGS:
        raise ValueError(
            f"a policy is none, 5m, 1h, or 5m or 1h with keep-alive pings, such as 5m+1ping or 1h+2pings"
            f" (at most {MOST_PINGS}), not '{name[:40]}'"
        )
    return Policy(found["tier"], int(found["pings"]))
