"""Mappings kept by source and header, and used by the API and the command; one call in several sources counts once."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from ingest import formats, mappings
from ingest.accept import accept
from ingest.auth import create_key
from ingest.formats import ParseContext
from ingest.mappings import Mapping, MappingError
from ingest.models import ColumnMapping

WIRE = Path(__file__).parent.parent / "wire"
COLUMNS = ("when", "engine", "a", "b")
BODY = b"when,engine,a,b\n2026-04-09 14:00,gpt-4.1,7,8\n"
OWN = Mapping(
    {"occurred_at": "when", "model": "engine", "input_tokens": "a", "output_tokens": "b"},
    zone="Europe/Berlin",
)

pytestmark = pytest.mark.django_db


def test_a_saved_mapping_is_found_by_its_source_and_header() -> None:
    mappings.save("export", COLUMNS, OWN)
    assert mappings.load("export", COLUMNS) == OWN
    assert mappings.load("other", COLUMNS) is None
    assert mappings.load("export", COLUMNS[::-1]) is None
    mappings.save("export", COLUMNS, Mapping(OWN.columns, zone="UTC"))
    found = mappings.finder("export")(COLUMNS)
    assert found is not None and found.zone == "UTC" and ColumnMapping.objects.count() == 1


def test_a_mapping_that_does_not_fit_is_neither_saved_nor_loaded() -> None:
    with pytest.raises(MappingError):
        mappings.save("export", ("when", "engine"), OWN)
    mappings.save("export", COLUMNS, OWN)
    ColumnMapping.objects.update(mapping={"columns": {"colour": "red"}})
    assert mappings.load("export", COLUMNS) is None


def test_a_header_is_known_by_its_columns_in_their_order() -> None:
    prints = {
        mappings.fingerprint(columns)
        for columns in ((), ("a",), ("a", "b"), ("b", "a"), ("ab",), ("\udce9",))
    }
    assert len(prints) == 6


def test_the_api_reads_a_table_by_the_mapping_saved_for_its_source() -> None:
    headers = {"Authorization": f"Bearer {create_key('prod', 'ingest')[1]}"}

    def send() -> tuple[int, dict[str, Any]]:
        answer = Client().post(
            "/api/v1/logs/csv_rows?source=export", BODY, content_type="text/csv", headers=headers
        )
        return answer.status_code, answer.json()

    status, refused = send()
    assert (status, refused["error"]["field"]) == (422, "mapping")
    mappings.save("export", COLUMNS, OWN)
    assert [send()[1][name] for name in ("stored", "duplicate")] == [1, 1]


def test_the_command_reads_a_table_by_a_given_mapping(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "calls.csv.gz").write_bytes(gzip.compress(BODY))
    (tmp_path / "own.json").write_text(OWN.to_json())
    call_command("import_logs", str(tmp_path / "calls.csv.gz"), "--mapping", str(tmp_path / "own.json"))
    assert "stored 1" in capsys.readouterr().out
    (tmp_path / "own.json").write_text('{"columns": {}}')
    with pytest.raises(CommandError) as caught:
        call_command("import_logs", str(tmp_path / "calls.csv.gz"), "--mapping", str(tmp_path / "own.json"))
    assert "columns.occurred_at" in str(caught.value) and caught.value.returncode == 2


def read(name: str, body: bytes) -> list[formats.Item]:
    return list(formats.get(name).parse(BytesIO(body), ParseContext(datetime(2026, 3, 2, tzinfo=UTC))))


MESSAGE: dict[str, Any] = {
    "id": "msg_01LiteLlmWireFixture",
    "type": "message",
    "role": "assistant",
    "model": "claude-haiku-4-5-20251001",
    "created_at": "2026-04-02T08:00:00Z",
    "stop_reason": "end_turn",
    "usage": {
        "input_tokens": 40,
        "output_tokens": 60,
        "cache_read_input_tokens": 4000,
        "cache_creation_input_tokens": 1000,
    },
}
SAME_CALL = [
    ("litellm", (WIRE / "litellm" / "one_payload.json").read_bytes()),
    ("anthropic_messages", json.dumps(MESSAGE).encode()),
]


@pytest.mark.parametrize("order", [SAME_CALL, SAME_CALL[::-1]], ids=["gateway first", "provider first"])
def test_a_call_seen_in_the_gateway_and_at_the_provider_counts_once(order: list[tuple[str, bytes]]) -> None:
    receipts = [accept(read(name, body), name) for name, body in order]
    assert [receipt.stored for receipt in receipts] == [1, 0]


@pytest.mark.parametrize(
    "names", [("session.jsonl", "forked_session.jsonl"), ("forked_session.jsonl", "session.jsonl")]
)
def test_a_forked_codex_session_adds_only_its_own_calls_in_any_order(names: tuple[str, str]) -> None:
    receipts = [accept(read("codex", (WIRE / "codex" / name).read_bytes()), "codex") for name in names]
    assert sum(receipt.stored for receipt in receipts) == 5


@pytest.mark.parametrize("order", [1, -1])
def test_a_call_in_litellm_and_in_its_langfuse_trace_counts_once(order: int) -> None:
    row = {
        "request_id": "chatcmpl-10000000-0000-4000-8000-000000000001",
        "call_type": "acompletion",
        "spend": 1.0,
        "startTime": "2026-04-03 09:00:00",
        "model": "claude-sonnet-4-6",
        "prompt_tokens": 738,
        "completion_tokens": 9,
    }
    trace = (WIRE / "langfuse" / "ingestion_batch.json").read_bytes()
    both = [("litellm", json.dumps(row).encode()), ("langfuse", trace)][::order]
    assert sum(accept(read(name, body), name).stored for name, body in both) == 1
