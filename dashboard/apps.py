"""The dashboard application: binds Celery and registers the system checks."""

from __future__ import annotations

from django.apps import AppConfig


class DashboardConfig(AppConfig):
    name = "dashboard"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from dashboard import celery, checks  # noqa: F401  (importing binds the app and registers the checks)
