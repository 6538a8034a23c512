"""Signing in, by password or by a one-time link, and out."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from dashboard import sign_in as links


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The form, and where it leads."""
    if request.user.is_authenticated:
        return _onward(request)
    form = AuthenticationForm(request, data=request.POST or None)
    if request.method == "POST" and form.is_valid():
        login(request, form.get_user())
        return _onward(request)
    failed = request.method == "POST"
    return render(
        request,
        "dashboard/sign_in.html",
        {"next": _next(request), "failed": failed},
        status=401 if failed else 200,
    )


@never_cache
@require_GET
@sensitive_variables("token")
def sign_in_link(request: HttpRequest, token: str) -> HttpResponse:
    """A one-time link signs in at once: it is typed or clicked from the terminal that printed it."""
    user = links.redeem(token)
    if user is None:
        if request.user.is_authenticated:  # the link was used by this very browser: nothing is wrong
            return redirect("overview")
        return render(request, "dashboard/sign_in.html", {"next": "", "spent": True}, status=410)
    _log_in(request, user)
    return redirect("overview")


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("sign_in")


def _log_in(request: HttpRequest, user: User) -> None:
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")


def _next(request: HttpRequest) -> str:
    """Where to go afterwards, if that is an address of ours: another could be a copy of this form elsewhere."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    if url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure()):
        # A panel's address is a fragment, not a place to arrive at.
        return "" if wanted.startswith("/panels/") else wanted
    return ""


def _onward(request: HttpRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(_next(request) or reverse("overview"))
