"""Adding, pausing, running and removing pulled sources: what the settings page does."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from django.db import IntegrityError, transaction

from ingest.models import PulledFile, PulledSource
from ingest.pulling import folder, vault

MAX_NAME = 200
EVERY_MINUTES = {5: "every 5 minutes", 60: "hourly", 360: "every 6 hours", 1440: "daily"}
Kind = PulledSource.Kind
_KEY = re.compile(r"[\x21-\x7e]{8,500}")  # one line of visible characters: what an HTTP header can carry


class BadSource(Exception):
    """A pulled source that cannot be made as asked: the field and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def add(
    kind: str, name: str, *, every_minutes: int, now: datetime, key: str = "", begin: str = "", path: str = ""
) -> PulledSource:
    """Make a pulled source that is due at once. Raises BadSource; its message never holds the key."""
    name = name.strip()
    if not name or len(name) > MAX_NAME or "\0" in name:
        raise BadSource("name", f"A source needs a name of 1 to {MAX_NAME} characters.")
    if every_minutes not in EVERY_MINUTES:
        raise BadSource("every_minutes", f"Choose one of: {', '.join(EVERY_MINUTES.values())}.")
    source = PulledSource(kind=kind, name=name, every_minutes=every_minutes, due_at=now)
    if kind == Kind.ANTHROPIC_ADMIN:
        source.secret = vault.seal(_checked_key(key))
        source.settings = {"begin": _checked_day(begin, now)}
    elif kind == Kind.FOLDER:
        try:
            source.settings = {"path": str(folder.allowed(path.strip()))}
        except folder.NotAllowed as error:
            raise BadSource("path", str(error)) from None
    else:
        raise BadSource("kind", f"The kind must be one of {', '.join(Kind.values)}.")
    try:
        with transaction.atomic():
            source.save(force_insert=True)
    except IntegrityError:
        raise BadSource("name", "There is a pulled source of this name already.") from None
    return source


def replace_key(pk: int, key: str, now: datetime) -> bool:
    """Another key for the same source, which is then due at once. False when there is no such source."""
    sealed = vault.seal(_checked_key(key))
    found = PulledSource.objects.filter(pk=pk, kind=Kind.ANTHROPIC_ADMIN)
    return bool(found.update(secret=sealed, due_at=now, last_error="", failures=0))


def pause(pk: int, paused: bool) -> bool:
    """Stop or go on. False when there is no such source."""
    return bool(PulledSource.objects.filter(pk=pk).update(paused=paused))


def run_now(pk: int, now: datetime) -> bool:
    """Make it due, and forget failures; the Admin API is still called at most once a minute."""
    return bool(PulledSource.objects.filter(pk=pk).update(due_at=now, failures=0))


def remove(pk: int) -> bool:
    """Forget the source and its key. What it brought in stays."""
    PulledFile.objects.filter(source_id=pk).delete()
    return bool(PulledSource.objects.filter(pk=pk).delete()[0])


def needs_key(source: PulledSource) -> bool:
    """Whether the key has to be entered again, because SECRET_KEY has changed."""
    if source.kind != Kind.ANTHROPIC_ADMIN:
        return False
    try:
        vault.unseal(source.secret)
    except vault.KeyUnreadable:
        return True
    return False


def _checked_key(key: str) -> str:
    key = key.strip()
    if not _KEY.fullmatch(key):
        raise BadSource(
            "key", "An admin key is one line of 8 to 500 visible characters, such as sk-ant-admin01-…."
        )
    return key


def _checked_day(text: str, now: datetime) -> str:
    text = text.strip()
    if not text:
        return ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise BadSource("begin", "The first day must look like 2026-03-02.") from None
    if not date(2023, 1, 1) <= day <= now.astimezone(UTC).date():
        raise BadSource("begin", "The first day must lie between 2023-01-01 and today.")
    return day.isoformat()
