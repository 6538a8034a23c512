"""Keeping the installation's own rate limits."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from dashboard.analysis import limits
from dashboard.models import RateLimits
from dashboard.views.what_if import own_path

LARGEST = 10**12
MOST_CLASSES = 40


@login_required
@require_POST
def save(request: HttpRequest) -> HttpResponseBase:
    """Keep the tier, and where the form's numbers differ from its published ones, those. For staff."""
    if not getattr(request.user, "is_staff", False):
        raise PermissionDenied("Only staff may change the limits.")
    back = own_path(request.POST.get("back", ""))
    tier = limits.tier(request.POST.get("tier", ""))
    before = RateLimits.objects.first()
    moved = limits.tier(before.tier if before else limits.DEFAULT_TIER).name != tier.name
    try:
        # The numbers in the form are those of the tier before: another tier begins with its own.
        own = {} if moved or "reset" in request.POST else _own(request, tier)
    except ValueError as error:
        messages.error(request, str(error))
    else:
        RateLimits.objects.all().delete()
        RateLimits.objects.create(tier=tier.name, own=own)
        messages.success(
            request, f"The limits are those of {tier.name}{', with your own numbers' if own else ''}."
        )
    if request.headers.get("HX-Request"):
        return HttpResponse(status=204, headers={"HX-Redirect": back})
    return redirect(back)


def _own(request: HttpRequest, tier: limits.Tier) -> dict[str, Any]:
    """What the form says that the tier does not. ValueError says which number is none."""
    names = request.POST.getlist("class")[:MOST_CLASSES]
    columns = {key: request.POST.getlist(key) for key in limits.Limits._fields}
    own: dict[str, Any] = {}
    for at, name in enumerate(names):
        published = tier.of(name)
        for key, values in columns.items():
            text = values[at].strip().replace(",", "") if at < len(values) else ""
            if not text:
                continue
            if not (text.isascii() and text.isdigit() and int(text) <= LARGEST):
                raise ValueError(f"{name[:100]}: {key} a minute must be a whole number up to {LARGEST:,}.")
            if int(text) != getattr(published, key):
                own.setdefault(name[:200], {})[key] = int(text)
    cap = request.POST.get("cap", "").strip().replace(",", "")
    if cap:
        try:
            usd = Decimal(cap)
        except InvalidOperation:
            usd = Decimal(-1)
        if not usd.is_finite() or not 0 <= usd <= LARGEST:
            raise ValueError("The monthly cap must be an amount of USD, such as 5000.")
        if usd != tier.cap:
            own["cap"] = f"{usd:f}"
    return own
