"""The WSGI entry point for granian or any other WSGI server."""

from __future__ import annotations

import gc
import os
import signal

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

from dashboard.lean import load_pandas

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
load_pandas()

if os.environ.get("BREAKEVEN_CHILD"):
    # Our parent is granian's main process: if somebody kills that with -9, nobody else would stop us.
    from dashboard.embedded_guard import die_with_parent

    die_with_parent(signal.SIGKILL)

application = get_wsgi_application()
get_resolver().url_patterns  # noqa: B018  (loads the views before the first visitor)

# A batch makes some ten thousand small objects that die with it, and hardly any of them can be part of a cycle: the
# collector's default of a look every 700 is too often. But Django's requests are cycles, and each holds its body: the
# older generations are looked at soon, or a flood of batches is kept in memory. What is loaded now stays for ever and
# need not be looked at.
gc.collect()
gc.freeze()
gc.set_threshold(2_000, 2, 2)
