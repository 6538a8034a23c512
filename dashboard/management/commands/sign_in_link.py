"""Print a new one-time sign-in link."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from dashboard import sign_in


class Command(BaseCommand):
    help = "Print a new one-time sign-in link for the administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(sign_in.create_link(settings.PUBLIC_URL or running_address()))


def running_address() -> str:
    """Where `make up` on this data folder listens (or last listened): this command's PORT may be another."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        return str(json.loads((settings.BREAKEVEN_HOME / "up.json").read_text(encoding="utf-8"))["address"])
    return f"http://127.0.0.1:{settings.PORT}"
