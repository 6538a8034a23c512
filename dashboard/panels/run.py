"""Running one panel: its own time limit, its own failure, and the last good answer when there is no new one."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.template.loader import render_to_string
from psycopg import errors as pg

from dashboard import numbers
from dashboard.analysis.what_if import ScenarioError
from dashboard.errors import database_away
from dashboard.filters import FilterError
from dashboard.panels.base import Ask, Content, Panel

logger = logging.getLogger("breakeven.panels")

TIMEOUT_MS = 10_000
KEPT_ANSWERS = 64  # in each web worker: enough for the pages people have open, little enough to forget about
MOST_OLD = timedelta(hours=1)

_kept: OrderedDict[str, tuple[Content, datetime]] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True)
class Outcome:
    """How a panel ended. state: data, empty, stale, error or timed_out; the status says the same to machines."""

    state: str
    status: int
    content: Content | None = None
    message: str = ""
    as_of: str = ""


def run(panel: Panel, ask: Ask) -> Outcome:
    """The panel's answer. Never raises for what one panel can do wrong."""
    key = f"{ask.panel_url(panel.slug)} {ask.today}"
    try:
        data = _fetch(panel, ask)
        content = panel.present(data, ask)
    except (FilterError, ScenarioError) as error:
        return Outcome("error", 422, message=_sentence(error.message))
    except DatabaseError as error:
        if isinstance(error.__cause__, pg.QueryCanceled):
            return _failed(panel, ask, key, "timed_out", 504, "The database took too long for this range.")
        if database_away(error):
            return _failed(panel, ask, key, "error", 503, "The database is not available right now.")
        logger.exception("panel %s failed", panel.slug)
        return _failed(
            panel, ask, key, "error", 500, "Something went wrong here; the server's log says what."
        )
    except Exception:
        # A panel is the unit of failure: whatever broke in it must not take the page along.
        logger.exception("panel %s failed", panel.slug)
        return _failed(
            panel, ask, key, "error", 500, "Something went wrong here; the server's log says what."
        )
    if content is None:
        return Outcome("empty", 200)
    _keep(key, content, ask.now)
    return Outcome("data", 200, content)


def _keep(key: str, content: Content, now: datetime) -> None:
    with _lock:
        _kept[key] = (content, now)
        _kept.move_to_end(key)
        while len(_kept) > KEPT_ANSWERS:
            _kept.popitem(last=False)


def forget_answers() -> None:
    """For tests: the next failure has nothing to fall back on."""
    with _lock:
        _kept.clear()


def _sentence(message: str) -> str:
    """Messages for programs begin with the name of a parameter; that keeps its spelling."""
    first = message.split(" ", 1)[0]
    return f"{message if '_' in first else message[:1].upper() + message[1:]}."


def _fetch(panel: Panel, ask: Ask) -> object:
    limit = getattr(settings, "PANEL_TIMEOUT_MS", TIMEOUT_MS)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(int(limit))])
        return panel.fetch(ask)


def _failed(panel: Panel, ask: Ask, key: str, state: str, status: int, message: str) -> Outcome:
    """The last good content, said to be old; else the failure alone. The status stays that of the failure."""
    with _lock:
        kept = _kept.get(key)
    if kept is not None and ask.now - kept[1] < MOST_OLD:
        content, at = kept
        return Outcome("stale", status, content, message, numbers.ago(ask.now - at))
    return Outcome(state, status, message=message)


def render(panel: Panel, ask: Ask, outcome: Outcome | None = None) -> str:
    """The panel as HTML. Without an outcome: the frame that loads it."""
    content = outcome.content if outcome else None
    context = {
        "panel": panel,
        "title": (content.extra.get("title") if content else "") or panel.title,
        "state": outcome.state if outcome else "loading",
        "outcome": outcome,
        "content": content,
        "url": ask.panel_url(panel.slug),
        "ask": ask,
        "body_template": panel.template,
    }
    return render_to_string("dashboard/panels/_panel.html", context)
