"""Running the SQL files of this package: composed with psycopg, values only ever sent as parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg import sql
from psycopg.errors import QueryCanceled

from dashboard.filters import FilterError

# For the length of one statement: room to group by hashing instead of sorting on disk (twice as fast over a
# year of day rollups), no compiling of short queries, and an end to those that a client has given up on.
_SESSION = (
    "SELECT set_config('work_mem', '64MB', true), set_config('enable_sort', 'off', true),"
    " set_config('jit', 'off', true), set_config('statement_timeout', '30s', true)"
)
_FOLDER = Path(__file__).with_name("sql")


class TooSlow(FilterError):
    """The answer would take longer than anybody waits."""

    def __init__(self) -> None:
        super().__init__(
            "start", "the answer takes too long: use a shorter range, a filter, or fewer group_by"
        )


def reporting_zone() -> ZoneInfo:
    """The zone whose days and months the pages speak of."""
    return ZoneInfo(settings.REPORTING_TIME_ZONE)


@cache
def _text(name: str) -> str:
    return (_FOLDER / f"{name}.sql").read_text(encoding="utf-8")


def statement(name: str, **parts: sql.Composable) -> sql.Composed:
    """The SQL file of this name with its {parts} filled in."""
    # Our own files, not input: what they are filled with is Composable, so it is quoted or is SQL of this
    # package.
    return sql.SQL(_text(name)).format(**parts)


def columns(
    query: sql.Composable, parameters: Mapping[str, Any] | None = None, *, small: bool = False
) -> dict[str, Sequence[Any]]:
    """The answer of a query column by column, values as PostgreSQL's Python types. `small`: of so few rows that it
    needs no settings of its own."""
    connection.ensure_connection()
    try:
        # Within a panel's transaction no savepoint: what fails here, fails the panel.
        with transaction.atomic(savepoint=False), connection.cursor() as cursor:
            if not small:
                cursor.execute(_SESSION)
            cursor.execute(query.as_string(connection.connection), dict(parameters or {}))
            names = [column.name for column in cursor.description]
            rows = cursor.fetchall()
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TooSlow from error
        raise
    return dict(zip(names, zip(*rows, strict=True) if rows else [()] * len(names), strict=True))


def frame(query: sql.Composable, parameters: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """The same as a frame of object columns."""
    return pd.DataFrame(columns(query, parameters), dtype=object)


def row(
    query: sql.Composable, parameters: Mapping[str, Any] | None = None, *, small: bool = False
) -> dict[str, Any]:
    """The only row of an answer."""
    found = columns(query, parameters, small=small)
    count = len(next(iter(found.values())))
    if count != 1:
        raise ValueError(f"expected one row, got {count}")
    return {name: values[0] for name, values in found.items()}
