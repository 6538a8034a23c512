"""Every address of the product."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from dashboard.api import api
from dashboard.views import api as read_api
from dashboard.views import auth, health, pages, panels
from dashboard.views import settings as settings_page
from ingest import api as ingest_api
from ingest.auth import KeyAuth

api.add_router("", ingest_api.router)
api.add_router("", read_api.router, auth=KeyAuth("read"))

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.overview, name="overview"),
    path("spend/", pages.spend, name="spend"),
    path("cache/", pages.cache, name="cache"),
    path("what-if/", pages.what_if, name="what_if"),
    path("settings/", settings_page.settings, name="settings"),
    path("panels/<slug:slug>/", panels.panel, name="panel"),
    path("sign-in/", auth.sign_in, name="sign_in"),
    path("sign-in/<str:token>/", auth.sign_in_link, name="sign_in_link"),
    path("sign-out/", auth.sign_out, name="sign_out"),
    path("api/v1/", api.urls),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
if settings.DEBUG:
    urlpatterns.append(path("patterns/", pages.patterns, name="patterns"))

handler400 = "dashboard.views.failures.bad_request"
handler403 = "dashboard.views.failures.forbidden"
handler404 = "dashboard.views.failures.not_found"
handler500 = "dashboard.views.failures.server_error"
