"""An Admin API on this machine that behaves as the provider's: pages of days, cursors, rate limits, outages, keys."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

DEFAULT_DAYS, MOST_DAYS = 7, 31


@dataclass
class AdminApi:
    """What the stub serves and what it saw. `plan` holds (status, headers) of answers that come before any real one."""

    key: str = "sk-ant-admin01-right"
    usage: dict[date, int] = field(default_factory=dict)  # day -> uncached input tokens
    cents: dict[date, str] = field(default_factory=dict)  # day -> amount in cents
    days_per_page: int = MOST_DAYS
    plan: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    cut: bool = False  # the next answer breaks off in the middle
    asked: list[str] = field(default_factory=list)  # path and query of every call
    url: str = ""

    def page(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """One page, or why there is none."""
        if query.get("bucket_width") != ["1d"] or "starting_at" not in query:
            return 400, {"type": "error", "error": {"type": "invalid_request_error"}}
        start, end = _day(query["starting_at"][0]), _day(query["ending_at"][0])
        asked = int(query.get("limit", [str(DEFAULT_DAYS)])[0])
        if asked > MOST_DAYS:
            return 400, {"type": "error", "error": {"type": "invalid_request_error"}}
        limit = min(asked, self.days_per_page)
        at = start
        if "page" in query:
            cursor = query["page"][0].removeprefix("page_")
            if not cursor.isdigit():
                return 400, {"type": "error", "error": {"type": "invalid_request_error"}}
            at = date.fromordinal(int(cursor))
        days = [at + timedelta(days=n) for n in range(min(limit, (end - at).days))]
        after = at + timedelta(days=len(days))
        rows = self._usage if "usage_report" in path else self._cost
        return 200, {
            "data": [
                {
                    "starting_at": f"{day}T00:00:00Z",
                    "ending_at": f"{day + timedelta(days=1)}T00:00:00Z",
                    "results": rows(day),
                }
                for day in days
            ],
            "has_more": after < end,
            "next_page": f"page_{after.toordinal()}" if after < end else None,
        }

    def _usage(self, day: date) -> list[dict[str, Any]]:
        if day not in self.usage:
            return []
        return [
            {
                "uncached_input_tokens": self.usage[day],
                "output_tokens": 7,
                "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0},
                "cache_read_input_tokens": 11,
                "server_tool_use": {"web_search_requests": 0},
                "model": "claude-sonnet-4-6",
                "workspace_id": None,
                "api_key_id": None,
                "service_tier": "standard",
                "context_window": "0-200k",
                "inference_geo": "global",
            }
        ]

    def _cost(self, day: date) -> list[dict[str, Any]]:
        if day not in self.cents:
            return []
        return [
            {
                "amount": self.cents[day],
                "currency": "USD",
                "workspace_id": None,
                "description": "Claude Sonnet 4.6 Usage - Input Tokens",
                "cost_type": "tokens",
                "token_type": "uncached_input_tokens",
                "model": "claude-sonnet-4-6",
                "context_window": "0-200k",
                "service_tier": "standard",
                "inference_geo": "global",
            }
        ]


@contextmanager
def serving(api: AdminApi) -> Iterator[AdminApi]:
    """The stub at `api.url` for as long as the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            api.asked.append(self.path)
            status, headers = api.plan.pop(0) if api.plan else (200, {})
            body: dict[str, Any] = {"type": "error", "error": {"type": "planned"}}
            if status == 200:
                if self.headers.get("x-api-key") != api.key or not self.headers.get("anthropic-version"):
                    status = 401
                else:
                    parts = urlsplit(self.path)
                    status, body = api.page(parts.path, parse_qs(parts.query))
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw[: len(raw) // 2] if api.cut else raw)
            api.cut = False

        def log_message(self, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


def _day(text: str) -> date:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC).date()
