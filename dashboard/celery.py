"""The Celery application. Messages are nudges: the database knows what is due, so losing one costs only time."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import worker_init, worker_ready
from django.conf import settings
from kombu.transport import TRANSPORT_ALIASES

from dashboard.lean import load_pandas

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")

FILL_EVERY_S = 2.0
IMPORT_EVERY_S = 2.0
PULL_EVERY_S = 10.0
GAPS_EVERY_S = 5.0
REPORTS_EVERY_S = 2.0
MAINTAIN_EVERY_S = 3600.0

TRANSPORT_ALIASES["filesystem"] = "dashboard.broker:Transport"


def transport_options() -> dict[str, object]:
    """Short patience everywhere: a broker that is away must not hold up a request."""
    if settings.CELERY_BROKER_URL.startswith("filesystem:"):
        folder = str(settings.BROKER_DIR)
        return {
            "data_folder_in": folder,
            "data_folder_out": folder,
            "control_folder": folder,
            "polling_interval": 0.2,
        }
    if settings.CELERY_BROKER_URL.startswith(("redis:", "rediss:")):
        return {"socket_connect_timeout": 2, "socket_timeout": 10, "max_retries": 1, "interval_start": 0}
    return {"max_retries": 1, "interval_start": 0, "interval_step": 0}


app = Celery("breakeven", set_as_current=True)
worker_init.connect(lambda **_: load_pandas(), weak=False)  # beat needs none
app.conf.update(
    broker_url=settings.CELERY_BROKER_URL,
    broker_transport_options=transport_options(),
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,  # a worker waits for its broker for ever
    task_publish_retry=False,  # a lost nudge is repaired by the next beat
    task_ignore_result=True,
    result_backend=None,
    task_default_queue="breakeven",
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    timezone="UTC",
    enable_utc=True,
    beat_schedule={
        # Expiry: nudges that waited behind a long fill are thrown away, not worked off one by one.
        "fill": {"task": "ingest.fill_due", "schedule": FILL_EVERY_S, "options": {"expires": 10}},
        "gaps": {"task": "ingest.fill_gaps", "schedule": GAPS_EVERY_S, "options": {"expires": 10}},
        "imports": {"task": "ingest.run_imports", "schedule": IMPORT_EVERY_S, "options": {"expires": 10}},
        "pulls": {"task": "ingest.pull_due", "schedule": PULL_EVERY_S, "options": {"expires": 30}},
        "reports": {
            "task": "dashboard.make_reports",
            "schedule": REPORTS_EVERY_S,
            "options": {"expires": 10},
        },
        "maintain": {"task": "ingest.maintain", "schedule": MAINTAIN_EVERY_S, "options": {"expires": 600}},
        "tidy": {"task": "dashboard.maintain", "schedule": MAINTAIN_EVERY_S, "options": {"expires": 600}},
    },
    beat_schedule_filename=str(settings.BREAKEVEN_HOME / "celerybeat-schedule"),
    beat_max_loop_interval=2,
)
app.autodiscover_tasks()


def stay_awake(sender: Any, **_: object) -> None:
    """A look at the stop signal every second. Python's poll goes on waiting through a signal (PEP 475), and on
    RabbitMQ nothing else wakes an idle worker for a minute: it would have to be killed."""
    if sender.hub is not None:
        sender.hub.call_repeatedly(1.0, lambda: None)


worker_ready.connect(stay_awake)
