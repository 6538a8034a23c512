"""The capture module: its download, and the lines that a user adds to a program."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_safe

from dashboard.views.samples import KEY_PLACEHOLDER

FILE_NAME = "breakeven_capture.py"


@require_safe
def module(request: HttpRequest) -> HttpResponse:
    """The file itself, for everybody: it holds code and no data, and servers fetch it with curl."""
    source = (settings.BASE_DIR / "static" / "capture" / FILE_NAME).read_bytes()
    headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"', "Cache-Control": "no-cache"}
    return HttpResponse(source, content_type="text/x-python; charset=utf-8", headers=headers)


def lines(request: HttpRequest, secret: str = "") -> dict[str, str]:
    """What to type and what to add, with the address of this installation and, if one was just made, a key."""
    base = request.build_absolute_uri("/").rstrip("/")
    arguments = f'url="{base}", key="{secret or KEY_PLACEHOLDER}"'
    return {
        "address": reverse("capture_module"),
        "download": f"curl -fO {base}{reverse('capture_module')}",
        "anthropic": f"import breakeven_capture\nclient = breakeven_capture.watch(Anthropic(), {arguments})",
        "openai": f"import breakeven_capture\nclient = breakeven_capture.watch(OpenAI(), {arguments})",
        "labels": 'with breakeven_capture.about(session_id="...", user_id="...", tags={"team": "search"}):\n'
        "    client.messages.create(...)",
        "secret": secret,
    }
