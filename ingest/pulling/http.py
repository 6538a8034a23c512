"""One GET over HTTP: limited in time and size, without redirects, and without a trace of its headers in any message."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

TIMEOUT_S = 30.0
MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said; `retry_after` is its header of that name, '' without one."""

    status: int
    body: bytes
    retry_after: str = ""


class Outage(Exception):
    """No whole answer came. The text is safe to show: it holds neither address nor headers."""


Fetch = Callable[[str, Mapping[str, str]], Answer]


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Following one would hand the key to another address."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


def get(url: str, headers: Mapping[str, str]) -> Answer:
    """Fetch one address. Raises Outage when there is no whole answer; any status is an answer."""
    opener = urllib.request.build_opener(_NoRedirects)
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        try:
            with opener.open(request, timeout=TIMEOUT_S) as response:
                return _answer(response)
        except urllib.error.HTTPError as error:
            with error:
                return _answer(error)
    except urllib.error.URLError as error:
        raise Outage(f"The server cannot be reached: {_kind(error.reason)}.") from None
    except (OSError, http.client.HTTPException) as error:
        raise Outage(f"The connection broke: {_kind(error)}.") from None


def _answer(response: Any) -> Answer:
    body = response.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise Outage(f"The answer is larger than {MOST_BYTES} bytes.")
    if response.status == 200 and getattr(response, "length", None):
        raise Outage("The connection broke before the whole answer was there.")
    return Answer(int(response.status), body, response.headers.get("Retry-After", ""))


def _kind(error: object) -> str:
    """The kind of trouble, not its text, which may quote what was sent."""
    if isinstance(error, OSError) and error.strerror and not isinstance(error, urllib.error.URLError):
        return error.strerror
    return type(error).__name__ if isinstance(error, BaseException) else "unknown reason"


def seconds_to_wait(retry_after: str, now: float) -> float | None:
    """A Retry-After header, seconds or a date, as seconds from `now` (a Unix time); None when it says nothing."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (TypeError, ValueError, OverflowError):
        return None
