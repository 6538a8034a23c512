"""Single requests for the cache engine: events that pass the filters as one columnar log, with their prefixes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt
from django.db import OperationalError, connection, transaction
from psycopg import Cursor, sql
from psycopg.errors import QueryCanceled

from dashboard import pricebook
from dashboard.filters import Filters
from dashboard.pricebook import Lane
from dashboard.queries import database, quantities
from ingest.core.binary_copy import POSTGRES_EPOCH_US, FixedWidth
from ingest.core.cache import stored
from ingest.core.cache.bill import observed
from ingest.core.cache.log import CacheLog, InputPrices, input_prices, make_log
from ingest.core.pricing import EXACT, ZERO
from ingest.core.timegrain import from_micros

Ints = npt.NDArray[np.int64]

DAY_US = 86_400_000_000
ROWS_PER_CHUNK = 200_000
SAMPLE_RANGE = 1 << 20  # sessions are drawn by the low bits of their number, scattered
_SCATTER = 2654435761
# One process reads: parallel ones would mix the entries of different prefixes.
_SESSION = (
    "SELECT set_config('statement_timeout', %s, true), set_config('work_mem', '64MB', true),"
    " set_config('max_parallel_workers_per_gather', '0', true)"
)
_PATIENT, _SOON = "60s", "8s"  # a report that is kept; a page that somebody waits for


@dataclass(frozen=True)
class RequestLog:
    """Requests of a question, in order of time.

    log           the priced ones, for the engine
    event_key, lane_id, label_set_id, session_key   of the same requests
    label_sets    by label_set_id: workspace_id, api_key_id, user_id (text), tags (dict)
    lanes         by lane_id: its Lane
    sampled       share of the sessions that were read; 1 = all of them
    unpriced      requests by (model, provider, reason) that have no price and are left out
    step_premium  USD that the input side cost more than at the prices of `log`, because prompts were long
    """

    log: CacheLog
    event_key: Ints
    lane_id: Ints
    label_set_id: Ints
    session_key: Ints
    label_sets: Mapping[int, Mapping[str, Any]]
    lanes: Mapping[int, Lane]
    sampled: Decimal
    unpriced: Mapping[tuple[str, str, str], int]
    step_premium: Decimal

    def labels(self, name: str) -> npt.NDArray[np.object_]:
        """One label of every request: workspace_id, api_key_id, user_id, model or tag:NAME; "" = none."""
        if name == "model":
            texts = {number: lane.model for number, lane in self.lanes.items()}
            return _looked_up(self.lane_id, texts)
        if name.startswith("tag:"):
            tag = name.removeprefix("tag:")
            return _looked_up(
                self.label_set_id, {n: row["tags"].get(tag, "") for n, row in self.label_sets.items()}
            )
        return _looked_up(self.label_set_id, {n: row[name] for n, row in self.label_sets.items()})


def requests_in(filters: Filters) -> int:
    """How many requests the question has, from the rollups."""
    lanes = quantities.lanes(filters)
    plan = quantities.Plan(filters, (), "total", database.reporting_zone(), lanes["lane_id"].tolist())
    answer = sql.SQL("SELECT coalesce(sum(requests), 0)::bigint AS requests FROM grouped")
    return int(database.row(plan.query(answer), plan.parameters)["requests"])


def load(filters: Filters, most_requests: int | None, prompt_steps: bool = True) -> RequestLog:
    """The requests of a question. When there are more than `most_requests` (None: never), those of some sessions, drawn
    by the scattered number of the session, the same ones every time; `sampled` says how many.

    Without `prompt_steps` every request has its model's price for short prompts: replays of a log can then be compared
    with replays elsewhere, and no policy changes the size of a prompt. What that leaves out is `step_premium`.
    """
    share = SAMPLE_RANGE
    if most_requests is not None and (asked := requests_in(filters)) > most_requests:
        share = max(1, SAMPLE_RANGE * most_requests // asked)
    lanes = quantities.lanes(filters)
    plan = quantities.Plan(filters, (), "total", database.reporting_zone(), lanes["lane_id"].tolist())
    conditions: list[sql.Composable] = [plan.event_conditions()]
    if share < SAMPLE_RANGE:
        # Calls without a session are drawn by whom they are attributed to, so that what belongs together stays so.
        number = sql.SQL("CASE facts.session_key WHEN 0 THEN -facts.label_set_id ELSE facts.session_key END")
        drawn = sql.SQL("(({} * {}::bigint) & {}) < {}").format(
            number, sql.Literal(_SCATTER), sql.Literal(SAMPLE_RANGE - 1), sql.Literal(share)
        )
        conditions.append(drawn)
    where = sql.SQL(" AND ").join(conditions)
    events, blocks = _read(where, plan.parameters, plan.start, plan.end)
    known = {
        int(row["lane_id"]): Lane(*(row[name] for name in Lane._fields)) for row in lanes.to_dict("records")
    }
    return _assembled(events, blocks, known, Decimal(share) / SAMPLE_RANGE, prompt_steps)


def first(filters: Filters, most_requests: int, block: int | None = None) -> RequestLog:
    """The first requests of a question in order of time, as billed; with a block, only those whose prefix holds it."""
    lanes = quantities.lanes(filters)
    plan = quantities.Plan(filters, (), "total", database.reporting_zone(), lanes["lane_id"].tolist())
    conditions: list[sql.Composable] = [plan.event_conditions()]
    if block is not None:
        carried = sql.SQL(
            "EXISTS (SELECT 1 FROM event_prefix AS carried WHERE carried.event_key = facts.event_key"
            " AND carried.occurred_at = facts.occurred_at AND {} = ANY(carried.block_hashes))"
        )
        conditions.append(carried.format(plan.parameter(block)))
    where = sql.SQL(" AND ").join(conditions)
    events, blocks = _read(where, plan.parameters, plan.start, plan.end, most_requests, _SOON)
    known = {
        int(row["lane_id"]): Lane(*(row[name] for name in Lane._fields)) for row in lanes.to_dict("records")
    }
    return _assembled(events, blocks, known, Decimal(1), prompt_steps=True)


def _read(
    where: sql.Composable,
    parameters: Mapping[str, Any],
    start: datetime | None,
    end: datetime | None,
    most: int | None = None,
    timeout: str = _PATIENT,
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Events in order of time, no more than the first `most`, and the entries of their prefixes in order of event."""
    names = sql.SQL(", ").join(
        sql.SQL("facts.{}").format(sql.Identifier(name)) for name in stored.EVENT_READ.columns
    )
    events = sql.SQL("SELECT {} FROM event AS facts WHERE {}").format(names, where)
    if most is not None:
        events = sql.SQL("{} ORDER BY facts.occurred_at LIMIT {}").format(events, sql.Literal(most))
    bounds = [
        sql.SQL("event_prefix.occurred_at {} {}").format(sql.SQL(sign), sql.Literal(moment))
        for sign, moment in ((">=", start), ("<", end))
        if moment is not None
    ]
    connection.ensure_connection()
    try:
        with transaction.atomic(), connection.connection.cursor() as cursor:
            cursor.execute(_SESSION, [timeout])
            found = _copied(cursor, events, parameters, stored.EVENT_READ)
            found = found[np.argsort(found["occurred_at"], kind="stable")]
            if most is not None and len(found):
                # Prefixes of requests beyond the last one are not wanted.
                last = from_micros(int(found["occurred_at"][-1]) + POSTGRES_EPOCH_US)
                bounds.append(sql.SQL("event_prefix.occurred_at <= {}").format(sql.Literal(last)))
            blocks = database.statement(
                "request_log_prefixes",
                conditions=where,
                prefix_conditions=sql.SQL(" AND ").join([sql.SQL("TRUE"), *bounds]),
            )
            return found, _copied(cursor, blocks, parameters, stored.BLOCK_READ)
    except QueryCanceled as error:
        raise database.TooSlow from error
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise database.TooSlow from error
        raise


def _copied(
    cursor: Cursor[Any], query: sql.Composable, parameters: Mapping[str, Any], layout: FixedWidth
) -> npt.NDArray[Any]:
    statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query).as_string(cursor.connection)
    with cursor.copy(statement, dict(parameters)) as copy:
        chunks = list(layout.decode(_messages(copy), ROWS_PER_CHUNK))
    return np.concatenate(chunks) if chunks else np.zeros(0, dtype=layout.dtype)


def _messages(copy: Any) -> Iterator[bytes]:
    while message := copy.read():
        yield message


def _assembled(
    events: npt.NDArray[Any],
    blocks: npt.NDArray[Any],
    lanes: Mapping[int, Lane],
    sampled: Decimal,
    prompt_steps: bool,
) -> RequestLog:
    times = events["occurred_at"].astype(np.int64) + POSTGRES_EPOCH_US
    lane_id = events["lane_id"].astype(np.int64)
    prices, price, minimum, reasons = _prices(lane_id, times, lanes)
    full = (prices, price)
    if not prompt_steps:
        short = {number: lane._replace(prompt_step=0) for number, lane in lanes.items()}
        prices, price, minimum, reasons = _prices(lane_id, times, short)
    priced = price >= 0
    unpriced: dict[tuple[str, str, str], int] = {}
    for reason, count in zip(*np.unique(reasons[~priced], return_counts=True), strict=True):
        key = _reason_of(str(reason))
        unpriced[key] = unpriced.get(key, 0) + int(count)
    events, times, price, minimum = events[priced], times[priced], price[priced], minimum[priced]
    label_sets = _label_sets(np.unique(events["label_set_id"]).tolist())
    column = {name: events[name].astype(np.int64) for name in stored.EVENT_READ.columns}
    workspaces = {number: str(row["workspace_id"]) for number, row in label_sets.items()}
    log = make_log(
        start=times,
        domain=stored.domains(column["lane_id"], column["label_set_id"], lanes, workspaces),
        session=stored.sessions(column["session_key"], column["label_set_id"]),
        prices=prices,
        price=price,
        uncached=column["uncached_input_tokens"],
        read=column["cache_read_input_tokens"],
        write_5m=column["cache_write_5m_input_tokens"],
        write_1h=column["cache_write_1h_input_tokens"],
        output=column["output_tokens"],
        ttft_ms=column["ttft_ms"],
        latency_ms=column["latency_ms"],
        min_tokens=minimum,
        prefixes=stored.prefixes(column["event_key"], blocks),
    )
    premium = ZERO
    if not prompt_steps:
        at_step = full[1][priced]
        known = at_step >= 0
        stepped = replace(log.where(known), prices=full[0], price=at_step[known])
        short_cost = observed(log.where(known)).input_list_cost
        premium = EXACT.subtract(observed(stepped).input_list_cost, short_cost)
    return RequestLog(
        log,
        column["event_key"],
        column["lane_id"],
        column["label_set_id"],
        column["session_key"],
        label_sets,
        lanes,
        sampled,
        unpriced,
        premium,
    )


def _reason_of(text: str) -> tuple[str, str, str]:
    model, provider, reason = text.split("\x00", 2)
    return model, provider, reason


def _prices(
    lane_id: Ints, times: Ints, lanes: Mapping[int, Lane]
) -> tuple[tuple[InputPrices, ...], Ints, Ints, npt.NDArray[np.object_]]:
    """The distinct input prices; by request, which of them holds (-1: none), the shortest prefix that its model
    caches, and why there is no price.
    """
    book = pricebook.current()
    days = times // DAY_US
    pairs, at = np.unique(np.stack([lane_id, days]), axis=1, return_inverse=True)
    numbers: dict[InputPrices, int] = {}
    price = np.full(pairs.shape[1], -1, dtype=np.int64)
    minimum = np.zeros(pairs.shape[1], dtype=np.int64)
    reasons = np.full(pairs.shape[1], "", dtype=object)
    for place, (number, day_number) in enumerate(pairs.T.tolist()):
        lane, day = lanes[number], from_micros(day_number * DAY_US).astimezone(UTC).date()
        vector = book.vector(lane, day)
        if vector is None:
            reasons[place] = f"{lane.model}\x00{lane.provider}\x00{book.why_unpriced(lane, day)}"
            continue
        price[place] = numbers.setdefault(input_prices(vector), len(numbers))
        model = book.model(lane.model)
        minimum[place] = (model and model.min_cacheable_tokens(day)) or 0
    at = at.reshape(-1)
    return tuple(numbers), price[at], minimum[at], reasons[at]


def _label_sets(ids: list[int]) -> dict[int, dict[str, Any]]:
    query = sql.SQL(
        "SELECT id, workspace_id, api_key_id, user_id, tags FROM label_set WHERE id = ANY(%(ids)s)"
    )
    found = database.frame(query, {"ids": ids}).to_dict("records")
    # jsonb comes as text; the keys of a record are names.
    return {
        int(row["id"]): {**{str(name): value for name, value in row.items()}, "tags": json.loads(row["tags"])}
        for row in found
    }


def _looked_up(column: Ints, texts: Mapping[int, str]) -> npt.NDArray[np.object_]:
    ids, at = np.unique(column, return_inverse=True)
    found = np.array([texts.get(int(each), "") for each in ids], dtype=object)
    return found[at.reshape(-1)] if len(ids) else np.zeros(0, dtype=object)
