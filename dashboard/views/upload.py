"""Uploading logs in the browser: the form, the progress of reading, the ledger at the end."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_http_methods

from dashboard import numbers, uploads
from dashboard.panels.base import Ask
from dashboard.uploads import Spool
from dashboard.views import column_form
from dashboard.views.asking import asks
from dashboard.views.pages import page_context
from ingest.models import ImportJob

RECENT = 10
MAX_SOURCE = 200
UNCLAIMED = timedelta(seconds=6)  # by then a worker that shares the data folder would have taken it
COUNTS = ("received", "stored", "merged", "duplicate", "rejected")
State = ImportJob.State


@csrf_exempt  # checked in `_store`: the check reads the form, and before that it has to be said where the files go
@never_cache
@require_http_methods(["GET", "POST"])
@asks("upload")
def upload(request: HttpRequest, ask: Ask) -> HttpResponse:
    """Everyone signed in may look; only staff may upload, as only staff may make keys."""
    if request.method != "POST":
        return _form(request, ask)
    if not ask.staff:
        raise PermissionDenied("Only staff may upload.")
    spool = Spool(request, settings.UPLOAD_MAX_BYTES)
    request.upload_handlers = [spool]
    taken = False
    try:
        answer = _store(request, ask, spool)
        taken = answer.status_code in (201, 302)
        return answer
    finally:
        if not taken:
            spool.discard()


@csrf_protect
def _store(request: HttpRequest, ask: Ask, spool: Spool) -> HttpResponse:
    form = {name: request.POST.get(name, "").strip() for name in ("source", "format", "at")}
    if spool.problem:
        return _refuse(request, ask, form, spool.status, spool.problem)
    if not spool.files:
        return _refuse(request, ask, form, 422, "Choose one or more files.")
    known = {name for name, _ in uploads.known_formats()}
    if form["format"] not in ("", "auto", *known):
        return _refuse(
            request, ask, form, 422, f"There is no such format. Known are: {', '.join(sorted(known))}."
        )
    source = form["source"].replace("\0", "") or "upload"
    if len(source) > MAX_SOURCE:
        return _refuse(request, ask, form, 422, f"A source's name has at most {MAX_SOURCE} characters.")
    at = _time(form["at"], ask)
    if at is None:
        return _refuse(request, ask, form, 422, "The time must look like 2026-03-02T10:15.")
    job = uploads.create(
        spool.job_id,
        _with_folders(spool, request.POST.getlist("path")),
        by=request.user.get_username(),
        source=source,
        format_name=form["format"] or "auto",
        at=at,
        now=ask.now,
    )
    address = reverse("upload_job", args=[job.pk])
    return JsonResponse({"job": address}, status=201) if _by_script(request) else redirect(address)


def _with_folders(spool: Spool, paths: list[str]) -> list[uploads.Spooled]:
    """The files with the folders they came from, which some formats name a session by; browsers send names alone."""
    if len(paths) != len(spool.files):
        return spool.files
    return [
        uploads.Spooled(
            path if path.rpartition("/")[2] == file.name and "\0" not in path else file.name, file.size
        )
        for path, file in zip(paths, spool.files, strict=True)
    ]


def _time(text: str, ask: Ask) -> datetime | None:
    """When calls were made that do not say so: as typed, in the reporting zone; now when left empty."""
    if not text:
        return ask.now
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if not 2000 <= moment.year <= 2100:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=ask.zone)


def _by_script(request: HttpRequest) -> bool:
    return request.headers.get("X-Requested-With") == "XMLHttpRequest"


def _refuse(request: HttpRequest, ask: Ask, form: dict[str, str], status: int, problem: str) -> HttpResponse:
    if _by_script(request):
        return JsonResponse({"error": {"code": "refused", "message": problem, "field": None}}, status=status)
    return _form(request, ask, status=status, problem=problem, form=form)


def _form(request: HttpRequest, ask: Ask, status: int = 200, **extra: Any) -> HttpResponse:
    context = page_context(
        ask,
        may_upload=ask.staff,
        formats=uploads.known_formats(),
        limit=settings.UPLOAD_MAX_BYTES,
        limit_text=uploads.size_text(settings.UPLOAD_MAX_BYTES),
        most_files=settings.DATA_UPLOAD_MAX_NUMBER_FILES,
        zone=str(ask.zone),
        recent=[
            {"job": job, "when": numbers.ago(ask.now - job.created_at), "sums": _sums(job)}
            for job in ImportJob.objects.order_by("-created_at")[:RECENT]
        ],
        **{"form": {}, **extra},
    )
    return render(request, "dashboard/upload.html", context, status=status)


# One upload ----------------------------------------------------------------------------------------------------------


@never_cache
@require_http_methods(["GET", "POST"])
@asks("upload")
def job(request: HttpRequest, ask: Ask, job_id: uuid.UUID) -> HttpResponse:
    """How far it is, what became of its rows; a POST says what the columns of a table mean."""
    found = _job(job_id)
    if request.method == "POST":
        if not ask.staff:
            raise PermissionDenied("Only staff may upload.")
        return _confirm(request, ask, found)
    return _job_page(request, ask, found)


@never_cache
@require_GET
@asks("upload")
def status(request: HttpRequest, ask: Ask, job_id: uuid.UUID) -> HttpResponse:
    """The part of the page that changes; the whole page is asked for anew once the job has ended."""
    found = _job(job_id)
    answer = render(request, "dashboard/_upload_status.html", {"ask": ask, **_progress(ask, found)})
    if found.state not in (State.WAITING, State.RUNNING):
        answer["HX-Refresh"] = "true"
    return answer


def _job(job_id: uuid.UUID) -> ImportJob:
    found = ImportJob.objects.filter(pk=job_id).first()
    if found is None:
        raise Http404
    return found


def _confirm(request: HttpRequest, ask: Ask, found: ImportJob) -> HttpResponse:
    number = request.POST.get("file", "")
    if not (number.isascii() and number.isdigit() and int(number[:9]) < len(found.files)):
        return _job_page(request, ask, found, status=422, problem="There is no such file in this upload.")
    preview = uploads.asks_for_mapping(found, int(number)) if found.state == State.ASKING else None
    if preview is not None:
        try:
            mapping = column_form.read(request.POST, preview)
            uploads.confirm(found, int(number), preview.columns, mapping)
        except uploads.MappingError as error:
            return _job_page(request, ask, found, status=422, errors=error.errors, posted=request.POST)
    return redirect("upload_job", job_id=found.pk)


def _job_page(
    request: HttpRequest, ask: Ask, found: ImportJob, status: int = 200, **extra: Any
) -> HttpResponse:
    context = page_context(ask, may_upload=ask.staff, **_progress(ask, found), **extra)
    if found.state == State.ASKING:
        for number, file in enumerate(found.files):
            preview = uploads.asks_for_mapping(found, number)
            if preview is not None:
                shown = column_form.fields(preview, extra.get("posted"), extra.get("errors", {}))
                context |= {"columns": shown, "column_file": file, "column_number": number}
                break
    return render(request, "dashboard/upload_job.html", context, status=status)


def _progress(ask: Ask, found: ImportJob) -> dict[str, Any]:
    waited = ask.now - found.created_at
    if (found.state == State.WAITING and waited > UNCLAIMED) or (
        found.state == State.RUNNING and found.lease_until is not None and found.lease_until < ask.now
    ):
        uploads.start_here(found.pk)
        found.refresh_from_db()
    share = found.read_bytes / found.total_bytes if found.total_bytes else 0.0
    return {
        "job": found,
        "percent": min(100, int(share * 100)),
        "read": uploads.size_text(found.read_bytes),
        "total": uploads.size_text(found.total_bytes),
        "going": found.state in (State.WAITING, State.RUNNING),
        "sums": _sums(found),
        "files": [_shown(file) for file in found.files],
        "received": numbers.count(found.received),
        "when": numbers.ago(waited),
        "stuck": found.state == State.WAITING and waited > 5 * UNCLAIMED,
    }


def _sums(found: ImportJob) -> dict[str, Any]:
    """The ledger of the whole upload, as texts."""
    sums: dict[str, Any] = {name: numbers.count(sum(file[name] for file in found.files)) for name in COUNTS}
    reasons: Counter[str] = Counter()
    for file in found.files:
        reasons.update(file["reasons"])
    pairs = [(reason, numbers.count(count)) for reason, count in reasons.most_common()]
    return {**sums, "reasons": pairs, "files": numbers.count(len(found.files))}


def _shown(file: dict[str, Any]) -> dict[str, Any]:
    """One file's entry with its counts as texts."""
    return {
        **file,
        **{name: numbers.count(file[name]) for name in COUNTS},
        "more": file["rejected"] > len(file["first"]),
    }
