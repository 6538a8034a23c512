"""POST /api/v1/events and /api/v1/logs/{format}, as a client sees them."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from ingest.auth import create_key, revoke_key
from ingest.models import ApiKey, Source
from tests.support.builders import wire_event
from tests.support.tables import event_count, ledger, rows

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> str:
    return create_key("prod", "ingest")[1]


def post(
    client: Client, key: str, body: Any, path: str = "/api/v1/events", **headers: str
) -> tuple[int, dict[str, Any]]:
    content_type = headers.pop("content_type", "application/json")
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = client.post(
        path, data, content_type=content_type, headers={"Authorization": f"Bearer {key}", **headers}
    )
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (wire_event("m1"), "application/json"),
        ([wire_event("m1")], "application/json"),
        (json.dumps(wire_event("m1")).encode() + b"\n", "application/x-ndjson"),
    ],
    ids=["object", "array", "ndjson"],
)
def test_an_event_is_stored_in_each_shape(client: Client, key: str, body: Any, content_type: str) -> None:
    status, receipt = post(client, key, body, content_type=content_type)
    assert (status, receipt) == (
        200,
        {"received": 1, "stored": 1, "merged": 0, "duplicate": 0, "rejected": []},
    )
    assert Source.objects.get().name == "prod", "without a source, the key's name is the source"


def test_a_gzipped_batch_is_stored(client: Client, key: str) -> None:
    body = gzip.compress("\n".join(json.dumps(wire_event(f"m{i}")) for i in range(20)).encode())
    status, receipt = post(
        client, key, body, content_type="application/x-ndjson", **{"Content-Encoding": "gzip"}
    )
    assert (status, receipt["stored"]) == (200, 20)


def test_good_rows_are_kept_when_others_are_bad(client: Client, key: str) -> None:
    bad_count = wire_event("m2", usage={"input_tokens": -5, "output_tokens": 1})
    status, receipt = post(client, key, [wire_event("m1"), bad_count, {"nonsense": 1}])
    assert (status, receipt["stored"]) == (200, 1)
    assert [(row["index"], row["reason"], row["field"]) for row in receipt["rejected"]] == [
        (1, "negative_count", "usage.input_tokens"),
        (2, "missing_field", receipt["rejected"][1]["field"]),
    ]
    assert ledger() == (3, 1, 0, 0, 2)


def test_a_batch_of_only_bad_rows_gets_422_and_is_counted(client: Client, key: str) -> None:
    status, receipt = post(client, key, [{"nonsense": 1}])
    assert (status, receipt["received"], len(receipt["rejected"])) == (422, 1, 1)
    assert ledger() == (1, 0, 0, 0, 1)


def test_a_batch_that_was_already_there_gets_200(client: Client, key: str) -> None:
    post(client, key, wire_event("m1"))
    status, receipt = post(client, key, wire_event("m1"))
    assert (status, receipt["duplicate"]) == (200, 1)


@pytest.mark.parametrize("body", [b'[{"id":', b"\xff\xfe", b""])
def test_broken_json_is_refused_with_the_error_shape(client: Client, key: str, body: bytes) -> None:
    status, answer = post(client, key, body)
    assert status in (400, 422)
    assert set(answer["error"]) == {"code", "message", "field"}
    assert event_count() == 0


def test_no_key_or_a_wrong_or_revoked_one_gets_401(client: Client, key: str) -> None:
    assert client.post("/api/v1/events", b"{}", content_type="application/json").status_code == 401
    assert post(client, "nope", {})[0] == 401
    assert revoke_key(ApiKey.objects.get().pk)
    status, answer = post(client, key, wire_event())
    assert (status, answer["error"]["code"]) == (401, "unauthorized")


def test_a_key_of_another_scope_gets_403(client: Client) -> None:
    _, secret = create_key("reader", "read")
    status, answer = post(client, secret, wire_event())
    assert (status, answer["error"]["code"]) == (403, "forbidden")


def test_an_admin_key_may_send(client: Client) -> None:
    assert post(client, create_key("boss", "admin")[1], wire_event())[0] == 200


def test_a_key_is_stored_hashed_and_its_use_is_dated(client: Client, key: str) -> None:
    assert not ApiKey.objects.filter(secret_hash__contains=key[3:20]).exists()
    assert ApiKey.objects.get().last_used_at is None
    post(client, key, wire_event())
    assert ApiKey.objects.get().last_used_at is not None


def test_a_body_over_the_limit_gets_413(client: Client, key: str, settings: Any) -> None:
    settings.INGEST_MAX_BODY_BYTES = 2_000
    bomb = gzip.compress(b" " * 1_000_000)
    status, answer = post(client, key, bomb, **{"Content-Encoding": "gzip"})
    assert (status, answer["error"]["code"]) == (413, "body_too_large")
    assert post(client, key, b" " * 3_000)[0] == 413


def test_a_broken_encoding_gets_400(client: Client, key: str) -> None:
    assert post(client, key, b"plain", **{"Content-Encoding": "gzip"})[0] == 400


def test_an_outage_gets_503_with_retry_after_and_stores_nothing(
    client: Client, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr("ingest.api.accept_columns", away)
    answer = client.post(
        "/api/v1/events",
        json.dumps(wire_event()),
        content_type="application/json",
        headers={"Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    assert answer.json()["error"]["code"] == "unavailable"
    assert event_count() == 0


def test_the_source_parameter_names_the_source(client: Client, key: str) -> None:
    post(client, key, wire_event(), path="/api/v1/events?source=nightly")
    assert Source.objects.get().name == "nightly"


def test_a_raw_response_is_taken_by_name_and_by_auto(client: Client, key: str) -> None:
    message = {
        "id": "msg_raw",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-6",
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "a secret"}],
        "usage": {"input_tokens": 12, "output_tokens": 7},
    }
    status, first = post(client, key, message, path="/api/v1/logs/anthropic_messages?at=2026-03-02T10:00:00Z")
    assert (status, first["stored"]) == (200, 1)
    status, again = post(client, key, message, path="/api/v1/logs/auto?at=2026-03-02T10:00:00Z")
    assert (status, again["duplicate"]) == (200, 1)
    assert rows("SELECT occurred_at::date::text, uncached_input_tokens FROM event") == [("2026-03-02", 12)]


def test_no_text_of_a_payload_is_ever_stored(client: Client, key: str) -> None:
    marker = "XYZZY-PROMPT-TEXT"
    payload = [
        wire_event("m1", prompt=marker, messages=[{"content": marker}]),
        wire_event("m2", usage={"input_tokens": marker, "output_tokens": 1}),
        wire_event("m3", occurred_at=marker),
    ]
    post(client, key, payload)
    names = [name for (name,) in rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    for name in names:
        assert rows(f'SELECT count(*) FROM "{name}" AS t WHERE t::text LIKE %s', f"%{marker}%") == [(0,)], (
            name
        )


def test_an_unknown_format_is_named(client: Client, key: str) -> None:
    status, answer = post(client, key, {}, path="/api/v1/logs/no_such_format")
    assert (status, answer["error"]["field"]) == (404, "format")
    status, answer = post(client, key, b"what is this", path="/api/v1/logs/auto")
    assert (status, answer["error"]["code"]) == (422, "unknown_format")
    assert ledger() == (1, 0, 0, 0, 1)
