"""Every address of the product."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from dashboard.api import api
from dashboard.views import api as read_api
from dashboard.views import (
    auth,
    cache_api,
    capture,
    health,
    limits,
    pages,
    panels,
    pulled_sources,
    recommendations,
    recommendations_api,
    upload,
    what_if,
    what_if_api,
)
from dashboard.views import reported as reported_api
from dashboard.views import settings as settings_page
from ingest import api as ingest_api
from ingest import otlp_api
from ingest.auth import KeyAuth

api.add_router("", ingest_api.router)
api.add_router("", read_api.router, auth=KeyAuth("read"))
api.add_router("", reported_api.router, auth=KeyAuth("read"))
api.add_router("", cache_api.router, auth=KeyAuth("read"))
api.add_router("", recommendations_api.router, auth=KeyAuth("read"))
api.add_router("", what_if_api.router, auth=KeyAuth("read"))

urlpatterns: list[URLPattern | URLResolver] = [
    path("", pages.overview, name="overview"),
    path("spend/", pages.spend, name="spend"),
    path("cache/", pages.cache, name="cache"),
    path("cache/chain/", pages.chain, name="chain"),
    path("recommendations/", recommendations.page, name="recommendations"),
    path("recommendations/decide/", recommendations.decide, name="recommendations_decide"),
    path(
        "recommendations/from-scenario/", recommendations.from_scenario, name="recommendations_from_scenario"
    ),
    path("what-if/", what_if.page, name="what_if"),
    path("what-if/save/", what_if.save, name="what_if_save"),
    path("what-if/delete/", what_if.delete, name="what_if_delete"),
    path("what-if/classes/", what_if.remember_classes, name="what_if_classes"),
    path("what-if/limits/", limits.save, name="what_if_limits"),
    path("upload/", upload.upload, name="upload"),
    path("upload/<uuid:job_id>/", upload.job, name="upload_job"),
    path("upload/<uuid:job_id>/status/", upload.status, name="upload_status"),
    path("settings/pulled/", pulled_sources.change, name="pulled_sources"),
    path("settings/", settings_page.settings, name="settings"),
    path("capture/breakeven_capture.py", capture.module, name="capture_module"),
    path("panels/<slug:slug>/", panels.panel, name="panel"),
    path("sign-in/", auth.sign_in, name="sign_in"),
    path("sign-in/<str:token>/", auth.sign_in_link, name="sign_in_link"),
    path("sign-out/", auth.sign_out, name="sign_out"),
    path("api/v1/", api.urls),
    *otlp_api.urlpatterns,
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
if settings.DEBUG:
    urlpatterns.append(path("patterns/", pages.patterns, name="patterns"))

handler400 = "dashboard.views.failures.bad_request"
handler403 = "dashboard.views.failures.forbidden"
handler404 = "dashboard.views.failures.not_found"
handler500 = "dashboard.views.failures.server_error"
