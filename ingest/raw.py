"""psycopg's own cursor inside Django's connection and transaction: COPY is not something Django's wrappers pass on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection
from psycopg import Cursor


@contextmanager
def cursor() -> Iterator[Cursor[Any]]:
    """A raw cursor. Errors come as psycopg's; a failed statement ends the transaction as everywhere else."""
    connection.ensure_connection()
    with connection.connection.cursor() as raw:
        yield raw
