"""Coroutines in tests, whatever else runs in the process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor


def run(main: Coroutine[object, object, None]) -> None:
    """In a thread of its own: the browser tests leave an event loop running in the main one."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, main).result()
