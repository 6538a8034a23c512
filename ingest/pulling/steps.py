"""What every kind of pulled source shares: one step at a time, each ending in when the next is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Step:
    """How one step ended. What it fetched is stored already; `state` is where the next one goes on.

    `problem` is one sentence for people. `failed` makes the next steps wait longer and longer instead of `due_at`;
    `round_done` says that the source is up to date as of this step.
    """

    state: dict[str, object]
    due_at: datetime
    problem: str = ""
    failed: bool = False
    round_done: bool = False
