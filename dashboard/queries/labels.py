"""The values and tag names that one can filter by."""

from __future__ import annotations

import pandas as pd
from psycopg import sql

from dashboard.filters import LANE_DIMENSIONS, TAG_PREFIX, FilterError
from dashboard.queries import database


def options(dimension: str, search: str = "", limit: int = 50) -> pd.DataFrame:
    """Values of a dimension that contain `search` (any case), those beginning with it first.

    Columns: value (text). Sessions and meters have no list: the one is too long, the other is fixed.
    """
    query = database.statement("label_options", values=_values(dimension))
    name = dimension.removeprefix(TAG_PREFIX) if dimension.startswith(TAG_PREFIX) else ""
    parameters = {
        "kind": "tag" if name else dimension,
        "name": name.replace("\x00", ""),
        "search": search.replace("\x00", ""),
        "limit": limit,
    }
    return database.frame(query, parameters)


def tag_names() -> list[str]:
    """Names of every tag that any event carries, in order."""
    return list(database.frame(database.statement("tag_names"))["name"])


def _values(dimension: str) -> sql.Composable:
    if dimension in LANE_DIMENSIONS:
        return sql.SQL("SELECT DISTINCT {} AS value FROM lane").format(sql.Identifier(dimension))
    if dimension == "source":
        return sql.SQL("SELECT name AS value FROM source")
    if dimension in ("workspace_id", "api_key_id", "user_id") or dimension.startswith(TAG_PREFIX):
        return sql.SQL("SELECT value FROM label_value WHERE kind = %(kind)s AND name = %(name)s")
    raise FilterError(dimension[:100], f"{dimension[:100]!r} has no list of values")
