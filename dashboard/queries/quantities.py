"""The question every figure starts from: quantities by lane and price period, bucket and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from psycopg import sql

from dashboard import pricebook
from dashboard.filters import LANE_DIMENSIONS, SESSION, TAG_PREFIX, FilterError, Filters, is_dimension
from dashboard.queries import database
from ingest.core.short_prefixes import LADDER
from ingest.core.timegrain import HOUR, floor_hour, local_day_start

LANE_COLUMNS = (
    "provider",
    "platform",
    "model",
    "service_tier",
    "speed",
    "inference_geo",
    "routing",
    "prompt_step",
    "outcome",
)
QUANTITIES = (
    "requests",
    "requests_with_read",
    "requests_with_write",
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_write_5m_input_tokens",
    "cache_write_1h_input_tokens",
    "output_tokens",
    "thinking_tokens",
    "web_search_requests",
)
_LABEL_JOIN = sql.SQL("JOIN label_groups ON label_groups.id = facts.label_set_id")
# Rows that are read into memory for one answer.
MAX_GROUPS = 400_000


class TooManyRows(FilterError):
    """The answer would not fit: never cut silently."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            "group_by",
            f"the answer has more than {limit:,} rows: use a shorter range, a coarser grain, a filter,"
            " or fewer group_by",
        )


def lanes(filters: Filters) -> pd.DataFrame:
    """Lanes that pass the filters on lane dimensions. Columns: lane_id (int), LANE_COLUMNS."""
    parameters: dict[str, Any] = {}
    conditions: list[sql.Composable] = [sql.SQL("TRUE")]
    for name, values in filters.where:
        if name in LANE_DIMENSIONS:
            parameters[name] = _with_aliases(values) if name == "model" else list(values)
            conditions.append(
                sql.SQL("{} = ANY({}::text[])").format(sql.Identifier(name), sql.Placeholder(name))
            )
    return database.frame(
        database.statement("lanes", conditions=sql.SQL(" AND ").join(conditions)), parameters
    )


class _Facts(NamedTuple):
    """Where one kind of fact is kept: its rollups, and the statements that read them and events."""

    hour: str
    day: str
    lane_day: str
    of_rollups: str
    of_events: str


_QUANTITIES = _Facts("rollup_hour", "rollup_day", "rollup_lane_day", "facts_rollup", "facts_event")
_SHORT_PREFIXES = _Facts(
    "rollup_short_prefix_hour",
    "rollup_short_prefix",
    "rollup_lane_short_prefix",
    "short_rollup",
    "short_event",
)


@dataclass
class Plan:
    """How one question is put to the database: which facts, which joins, which parameters.

    price_days has one UTC day of each price period, by the period's number: its prices hold for the whole
    period. `models` are those of the lanes (see `models_of`), whose prices alone make periods; None = every model.
    On `more_days` periods begin as well."""

    filters: Filters
    dims: tuple[str, ...]
    grain: str
    zone: ZoneInfo
    lane_ids: list[int]
    models: Sequence[tuple[str, str, str]] | None = None
    more_days: Sequence[date] = ()
    parameters: dict[str, Any] = field(default_factory=lambda: {"row_limit": MAX_GROUPS + 1})
    price_days: list[date] = field(init=False)

    def __post_init__(self) -> None:
        for name in self.dims:
            if not is_dimension(name):
                raise FilterError("group_by", f"cannot group by {name[:100]!r}")
        self.start, self.end = self.filters.instants(self.zone)
        label_dims = [name for name in self.dims if _is_label(name)]
        self.label_names = {f"label_{number}": name for number, name in enumerate(label_dims)}
        self.uses_labels = any(_is_label(name) for name in (*self.dims, *self.filters.dimensions()))
        self.uses_sessions = SESSION in self.dims or bool(self.filters.values(SESSION))
        self.price_days = _price_days(self.start, self.end, self.models, self.more_days)

    def parameter(self, value: Any) -> sql.Placeholder:
        """A placeholder that stands for this value."""
        name = f"value_{len(self.parameters)}"
        self.parameters[name] = value
        return sql.Placeholder(name)

    def query(self, answer: sql.Composable) -> sql.Composed:
        """The whole statement: the quantities, and what `answer` (a SELECT from `grouped`) makes of them."""
        nothing = sql.SQL("")
        return database.statement(
            "quantities",
            label_groups=self._label_groups() if self.uses_labels else nothing,
            bucket=self._bucket(),
            price_period=self.price_period(sql.SQL("facts.moment")),
            label_group=sql.SQL("label_groups.label_group" if self.label_names else "0"),
            session_key=sql.SQL("facts.session_key" if SESSION in self.dims else "0"),
            facts=sql.SQL("\nUNION ALL\n").join(self._facts()),
            label_join=_LABEL_JOIN if self.uses_labels else nothing,
            conditions=sql.SQL(" AND ").join([sql.SQL("TRUE"), *self._conditions()]),
            answer=answer,
        )

    def event_conditions(self) -> sql.Composed:
        """What an event, under the name `facts`, must fulfil to pass the range and the filters."""
        conditions: list[sql.Composable] = [self.row_conditions()]
        for moment, sign in ((self.start, ">="), (self.end, "<")):
            if moment is not None:
                bound = sql.SQL("facts.occurred_at {} {}").format(sql.SQL(sign), self.parameter(moment))
                conditions.append(bound)
        return sql.SQL(" AND ").join(conditions)

    def row_conditions(self) -> sql.Composed:
        """The same without the range: what any row with a lane and a label set must fulfil."""
        conditions = self._conditions()
        labels = self._label_conditions()
        if labels:
            sets = sql.SQL(
                "SELECT label_set.id FROM label_set JOIN source ON source.id = label_set.source_id"
            )
            wanted = sql.SQL(" AND ").join(labels)
            conditions.append(sql.SQL("facts.label_set_id IN ({} WHERE {})").format(sets, wanted))
        return sql.SQL(" AND ").join([sql.SQL("TRUE"), *conditions])

    def short_prefixes(self) -> sql.Composed:
        """The same facts about requests with a short cached prefix alone: a common table expression, `short_prefixes`,
        that stands beside `grouped`."""
        return database.statement(
            "short_prefixes",
            price_period=self.price_period(sql.SQL("facts.moment")),
            label_group=sql.SQL("label_groups.label_group" if self.label_names else "0"),
            session_key=sql.SQL("facts.session_key" if SESSION in self.dims else "0"),
            facts=sql.SQL("\nUNION ALL\n").join(self._facts(_SHORT_PREFIXES)),
            label_join=_LABEL_JOIN if self.uses_labels else sql.SQL(""),
            conditions=sql.SQL(" AND ").join([sql.SQL("TRUE"), *self._conditions()]),
        )

    def names(self) -> tuple[sql.Composable, sql.Composable]:
        """Columns and joins that turn the group numbers of `priced` back into texts."""
        columns: list[sql.Composable] = []
        joins: list[sql.Composable] = []
        if self.label_names:
            aliases = sql.SQL(", ").join(sql.Identifier(alias) for alias in self.label_names)
            columns += [sql.SQL(", names.{}").format(sql.Identifier(alias)) for alias in self.label_names]
            groups = sql.SQL("(SELECT DISTINCT label_group, {} FROM label_groups) AS names").format(aliases)
            joins.append(sql.SQL("JOIN {} USING (label_group)").format(groups))
        if SESSION in self.dims:
            columns.append(sql.SQL(", coalesce(session.session_id, '') AS session_id"))
            joins.append(sql.SQL("LEFT JOIN session ON session.id = priced.session_key"))
        return sql.SQL("").join(columns), sql.SQL(" ").join(joins)

    # --- what is read ---------------------------------------------------------------------------------------

    def _facts(self, kind: _Facts = _QUANTITIES) -> list[sql.Composable]:
        """The coarsest tables that answer exactly: whole days, else whole hours, else events at the ragged
        ends.
        """
        start, end = self.start, self.end
        if self.uses_sessions:
            return [self._part(kind, "event", start, end)]
        whole_days = all(at is None or self._begins_day(at) for at in (start, end))
        if whole_days and self.grain != "hour":
            return [self._part(kind, kind.day if self.uses_labels else kind.lane_day, start, end)]
        inner_start = start if start is None or self._begins_bucket(start) else floor_hour(start) + HOUR
        inner_end = end if end is None or self._begins_bucket(end) else floor_hour(end)
        if inner_start is not None and inner_end is not None and inner_start >= inner_end:
            return [self._part(kind, "event", start, end)]
        parts: list[sql.Composable] = [self._part(kind, kind.hour, inner_start, inner_end)]
        if inner_start != start:
            parts.append(self._part(kind, "event", start, inner_start))
        if inner_end != end:
            parts.append(self._part(kind, "event", inner_end, end))
        return parts

    def _part(self, kind: _Facts, table: str, start: datetime | None, end: datetime | None) -> sql.Composed:
        moment = sql.Identifier("occurred_at" if table == "event" else "bucket_start")
        always = sql.SQL("TRUE")
        return database.statement(
            kind.of_events if table == "event" else kind.of_rollups,
            table=sql.Identifier(table),
            steps=sql.Literal(list(LADDER)),
            longest=sql.Literal(LADDER[-1]),
            start_condition=always
            if start is None
            else sql.SQL("{} >= {}").format(moment, self.parameter(start)),
            end_condition=always if end is None else sql.SQL("{} < {}").format(moment, self.parameter(end)),
        )

    def _begins_day(self, at: datetime) -> bool:
        return local_day_start(at.astimezone(self.zone).date(), self.zone) == at

    def _begins_bucket(self, at: datetime) -> bool:
        return floor_hour(at) == at or self._begins_day(at)

    # --- how it is grouped ----------------------------------------------------------------------------------

    def _bucket(self) -> sql.Composable:
        if self.grain == "total":
            return sql.SQL("NULL::date")
        if self.grain == "hour":
            return sql.SQL("date_trunc('hour', facts.moment, 'UTC')")
        zone = self.parameter(self.zone.key)
        if self.grain == "day":
            return sql.SQL("(facts.moment AT TIME ZONE {}::text)::date").format(zone)
        if self.grain == "month":
            return sql.SQL("date_trunc('month', facts.moment AT TIME ZONE {}::text)::date").format(zone)
        raise FilterError("grain", f"there is no grain {self.grain[:100]!r}")

    def price_period(self, moment: sql.Composable) -> sql.Composable:
        """Which run of days with unchanged prices a moment lies in: a position in `price_days`."""
        edges = self.price_days[1:]
        if not edges:
            return sql.SQL("0")
        moments = self.parameter([datetime.combine(day, time(), UTC) for day in edges])
        return sql.SQL("width_bucket({}, {}::timestamptz[])").format(moment, moments)

    def _label_groups(self) -> sql.Composed:
        columns = [
            sql.SQL(", {} AS {}").format(self._label_column(name), sql.Identifier(alias))
            for alias, name in self.label_names.items()
        ]
        order = sql.SQL(", ").join(sql.Identifier(alias) for alias in self.label_names)
        return database.statement(
            "label_groups",
            numbering=sql.SQL("dense_rank() OVER (ORDER BY {})").format(order) if columns else sql.SQL("0"),
            label_columns=sql.SQL("").join(columns),
            label_conditions=sql.SQL(" AND ").join([sql.SQL("TRUE"), *self._label_conditions()]),
        )

    def _label_conditions(self) -> list[sql.Composable]:
        return [
            sql.SQL("{} = ANY({}::text[])").format(self._label_column(name), self.parameter(list(values)))
            for name, values in self.filters.where
            if _is_label(name)
        ]

    def _label_column(self, name: str) -> sql.Composable:
        if name == "source":
            return sql.SQL("source.name")
        if name.startswith(TAG_PREFIX):
            tag = self.parameter(name.removeprefix(TAG_PREFIX))
            return sql.SQL("coalesce(label_set.tags ->> {}::text, '')").format(tag)
        return sql.SQL("label_set.{}").format(sql.Identifier(name))

    # --- what is let through --------------------------------------------------------------------------------

    def _conditions(self) -> list[sql.Composable]:
        conditions: list[sql.Composable] = []
        if any(name in LANE_DIMENSIONS for name, _ in self.filters.where):
            conditions.append(sql.SQL("facts.lane_id = ANY({}::int[])").format(self.parameter(self.lane_ids)))
        if sessions := self.filters.values(SESSION):
            wanted = self.parameter(list(sessions))
            known = sql.SQL("SELECT id FROM session WHERE session_id = ANY({}::text[])").format(wanted)
            none = sql.SQL(" UNION ALL SELECT 0") if "" in sessions else sql.SQL("")
            conditions.append(sql.SQL("facts.session_key IN ({}{})").format(known, none))
        return conditions


def models_of(lanes: pd.DataFrame) -> list[tuple[str, str, str]]:
    """The (model, provider, platform) of these lanes, each once."""
    return [*dict.fromkeys(zip(lanes["model"], lanes["provider"], lanes["platform"], strict=True))]


def _price_days(
    start: datetime | None,
    end: datetime | None,
    models: Sequence[tuple[str, str, str]] | None,
    more_days: Sequence[date],
) -> list[date]:
    """A day of the first price period of a range, then the first day of each later one.

    A day on which only other models change makes none: it would split every figure for nothing."""
    book = pricebook.current()
    edges = book.boundaries if models is None else book.boundaries_of(models)
    inside = [
        day
        for day in sorted({*edges, *more_days})
        if (start is None or datetime.combine(day, time(), UTC) > start)
        and (end is None or datetime.combine(day, time(), UTC) < end)
    ]
    if start is not None:
        return [start.date(), *inside]
    return [inside[0] - timedelta(days=1), *inside] if inside else [date(2000, 1, 1)]


def _is_label(name: str) -> bool:
    return name in ("workspace_id", "api_key_id", "user_id", "source") or name.startswith(TAG_PREFIX)


def _with_aliases(models: Sequence[str]) -> list[str]:
    """The names asked for and the price book's names for them, so that an alias finds the model it stands
    for.
    """
    book = pricebook.current()
    return sorted({*models, *(book.resolve(model).model for model in models if model)})
