"""Pulled sources on the settings page: add, pause, run now, enter the key again, remove. Keys are never shown."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from dashboard import numbers, pulling
from dashboard.panels.base import Ask
from dashboard.views.asking import asks
from ingest.models import PulledSource


def section(ask: Ask) -> dict[str, Any]:
    """What the settings page shows of pulled sources."""
    return {
        "rows": [_row(source, ask) for source in PulledSource.objects.all()],
        "schedules": pulling.EVERY_MINUTES.items(),
        "watch": str(settings.BREAKEVEN_WATCH or ""),
    }


def _row(source: PulledSource, ask: Ask) -> dict[str, Any]:
    needs_key = pulling.needs_key(source)
    state = "ok"
    if source.paused:
        state = "paused"
    elif needs_key:
        state = "enter the key again"
    elif source.lease_until is not None and source.lease_until > ask.now:
        state = "running"
    elif source.last_error:
        state = "trouble"
    elif source.last_success_at is None:
        state = "first round"
    waits = source.due_at - ask.now
    return {
        "source": source,
        "kind": "Anthropic Admin API" if source.kind == PulledSource.Kind.ANTHROPIC_ADMIN else "folder",
        "what": source.settings.get("path") or f"since {source.settings.get('begin') or '90 days before'}",
        "schedule": pulling.EVERY_MINUTES.get(source.every_minutes, f"every {source.every_minutes} minutes"),
        "state": state,
        "tone": {"ok": "positive", "trouble": "negative", "enter the key again": "negative"}.get(state, ""),
        "has_key": source.kind == PulledSource.Kind.ANTHROPIC_ADMIN,
        "succeeded": numbers.ago(ask.now - source.last_success_at) if source.last_success_at else "never",
        "ran": numbers.ago(ask.now - source.last_run_at) if source.last_run_at else "never",
        "next": ""
        if source.paused
        else "now"
        if waits.total_seconds() <= 0
        else f"in {numbers.duration(waits)}",
    }


@sensitive_post_parameters("key")
@never_cache
@require_POST
@asks("settings")
@sensitive_variables("form")
def change(request: HttpRequest, ask: Ask) -> HttpResponse:
    """One change, then back to the page. Only staff may."""
    if not ask.staff:
        raise PermissionDenied("Only staff may change pulled sources.")
    form = request.POST
    try:
        if form.get("action") == "add":
            source = pulling.add(
                form.get("kind", ""),
                form.get("name", ""),
                every_minutes=_number(form.get("every_minutes", "")),
                now=ask.now,
                key=form.get("key", ""),
                begin=form.get("begin", ""),
                path=form.get("path", ""),
            )
            messages.success(request, f"“{source.name}” is pulled from now on.")
        elif _on_one(form.get("action", ""), _number(form.get("source", "")), form.get("key", ""), ask):
            messages.success(request, "Done.")
        else:
            messages.error(request, "There is no such pulled source.")
    except pulling.BadSource as error:
        messages.error(request, str(error))
    return redirect(f"{reverse('settings')}#pulled")


@sensitive_variables("key")
def _on_one(action: str, pk: int, key: str, ask: Ask) -> bool:
    if action == "key":
        return pulling.replace_key(pk, key, ask.now)
    if action == "run":
        return pulling.run_now(pk, ask.now)
    if action == "remove":
        return pulling.remove(pk)
    if action in ("pause", "go_on"):
        return pulling.pause(pk, action == "pause")
    return False


def _number(text: str) -> int:
    """A number of the form, -1 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1
