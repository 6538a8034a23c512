"""What a panel is: a question (fetch), a presenter (present) and a body template; it loads and fails alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from dashboard.filters import Filters
from dashboard.tables import Table

PATHS = {
    "overview": "/",
    "spend": "/spend/",
    "cache": "/cache/",
    "chain": "/cache/chain/",
    "recommendations": "/recommendations/",
    "what_if": "/what-if/",
    "upload": "/upload/",
    "settings": "/settings/",
}


@dataclass(frozen=True)
class Ask:
    """One question as it reaches a panel: filters, the page it stands on, and that page's own knobs."""

    filters: Filters
    now: datetime
    zone: ZoneInfo
    page: str = "overview"
    knobs: tuple[tuple[str, str], ...] = ()  # what the page adds to the address beside the filters
    inline: bool = False  # the whole page in one answer, tables instead of charts: no JavaScript
    staff: bool = False

    @property
    def today(self) -> date:
        return self.now.astimezone(self.zone).date()

    def knob(self, name: str, default: str = "") -> str:
        return dict(self.knobs).get(name, default)

    def query(self, filters: Filters | None = None, **knobs: str | None) -> str:
        """The query string of this question with other filters or knobs; a knob of None is left out."""
        kept = {**dict(self.knobs), **knobs}
        pairs = (filters or self.filters).pairs()
        pairs += [(name, value) for name, value in kept.items() if value is not None]
        if self.inline:
            pairs.append(("inline", "1"))
        return urlencode(pairs)

    @property
    def all_time(self) -> str:
        """The same question without bounds; "" when it has none."""
        filters = self.filters
        return self.link(filters.with_range("all", self.today)) if (filters.start or filters.end) else ""

    @property
    def search_query(self) -> str:
        """The question without what is being searched for: the search field adds that itself."""
        return self.query(None, q=None)

    def link(self, filters: Filters | None = None, page: str = "", **knobs: str | None) -> str:
        """The address of a page that asks this. Knobs stay behind when the page changes, but for compare."""
        target = page or self.page
        kept = tuple(knob for knob in self.knobs if knob[0] == "compare")
        source = self if target == self.page else replace(self, knobs=kept)
        return f"{PATHS[target]}?{source.query(filters, **knobs)}"

    def without_knobs(self) -> str:
        """The same page and filters with every knob where it started."""
        return replace(self, knobs=tuple(knob for knob in self.knobs if knob[0] == "compare")).link()

    def panel_url(self, slug: str, **knobs: str | None) -> str:
        return f"/panels/{slug}/?{self.query(None, **knobs)}&page={self.page}"


@dataclass(frozen=True)
class KeyItem:
    """One entry of a chart's key line."""

    label: str
    role: str
    shape: str = ""  # "", "line" or "dotted"
    href: str = ""


@dataclass(frozen=True)
class Content:
    """What a presenter hands to the body template. Everything is optional; a panel uses what it needs."""

    sub: str = ""  # beside the title: unit, grain, hint
    figure: Mapping[str, Any] | None = None
    figure_label: str = ""  # what the chart shows, for people who do not see it
    key: tuple[KeyItem, ...] = ()
    table: Table | None = None
    note: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Empty:
    """The three answers of an empty panel: what would be here, why it is not, what to do."""

    what: str
    why: str
    fix: str


NO_EVENTS = Empty(
    what="Nothing to show in this range.",
    why="No event that passes the filters lies in it.",
    fix="Choose a longer range or remove a filter.",
)


@dataclass(frozen=True)
class Panel:
    slug: str
    title: str
    help: tuple[str, ...]  # how it is computed, a paragraph each
    fetch: Callable[[Ask], Any]
    present: Callable[[Any, Ask], Content | None]  # None = there is nothing to show
    body: str = "_figure"  # which body template
    size: str = "medium"
    live: bool = True  # fetched again when new data has been filled
    plain: bool = False  # without the box: stats and strips draw their own
    empty: Empty = NO_EVENTS

    @property
    def figure_id(self) -> str:
        return f"figure-{self.slug}"

    @property
    def template(self) -> str:
        return f"dashboard/panels/{self.body}.html"
