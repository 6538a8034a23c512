"""One line of what `manage.py doctor` finds."""

from __future__ import annotations

from typing import NamedTuple


class Finding(NamedTuple):
    """One line of the report. `advice` says what to do, and is empty when all is well."""

    text: str
    advice: str = ""
