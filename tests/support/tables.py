"""Whole tables as sorted tuples, so that a test can demand every expected row and no other."""

from __future__ import annotations

from typing import Any

from django.db import connection


def rows(query: str, *params: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, list(params))
        return list(cursor.fetchall())


def rollup(table: str) -> list[tuple[Any, ...]]:
    """Every row of a rollup, by text labels instead of ids."""
    return rows(
        f"SELECT bucket_start, lane.model, lane.prompt_step, workspace_id, requests, requests_with_read,"
        f" requests_with_write, uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens,"
        f" cache_write_1h_input_tokens, output_tokens, thinking_tokens, web_search_requests"
        f" FROM {table} JOIN lane ON lane.id = lane_id JOIN label_set ON label_set.id = label_set_id"
        f" ORDER BY 1, 2, 3, 4"
    )


def short_prefixes(table: str) -> list[tuple[Any, ...]]:
    """Every row of a rollup of short prefixes, by text labels instead of ids."""
    return rows(
        f"SELECT bucket_start, below, workspace_id, requests, cache_read_input_tokens, cache_write_5m_input_tokens,"
        f" cache_write_1h_input_tokens FROM {table} JOIN lane ON lane.id = lane_id"
        f" JOIN label_set ON label_set.id = label_set_id ORDER BY 1, 2, 3, lane.model"
    )


def ledger() -> tuple[int, int, int, int, int]:
    """received, stored, merged, duplicate, rejected over everything."""
    return rows(
        "SELECT coalesce(sum(received), 0)::int, coalesce(sum(stored), 0)::int, coalesce(sum(merged), 0)::int,"
        " coalesce(sum(duplicate), 0)::int, coalesce(sum(rejected), 0)::int FROM ledger_entry"
    )[0]


def event_count() -> int:
    return int(rows("SELECT coalesce(sum(requests), 0)::int FROM event")[0][0])
