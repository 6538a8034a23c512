"""Run by `filling.measure_memory` in a process of its own: fill what is due, print peak memory and seconds."""

from __future__ import annotations

import time

import django

if __name__ == "__main__":
    django.setup()
    from celery import current_app

    from ingest.fill import fill_due
    from tests.bench.world import peak_memory

    current_app.loader.import_default_modules()  # what a worker has loaded as well
    started = time.perf_counter()
    fill_due()
    print(peak_memory(), time.perf_counter() - started)
