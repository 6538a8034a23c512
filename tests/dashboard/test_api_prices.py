"""The published costs, to the last digit, the whole way: sent by the API, filled, asked of the API."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from ingest.auth import create_key
from ingest.fill import fill_due
from tests.support.price_vectors import REFUSED, VECTORS

pytestmark = pytest.mark.django_db


def as_sent(case: str) -> dict[str, Any]:
    """The call as a client would report it."""
    model, day, lane, usage, _ = VECTORS[case]
    return {
        "id": case,
        "occurred_at": f"{day}T12:00:00Z",
        "model": model,
        "provider": "anthropic",
        "platform": "anthropic",
        "stop_reason": "refusal" if lane.get("outcome") == REFUSED else "end_turn",
        "tags": {"case": case},
        "usage": {
            "input_tokens": usage.get("U", 0),
            "output_tokens": usage.get("O", 0),
            "cache_read_input_tokens": usage.get("R", 0),
            "cache_creation_input_tokens": usage.get("W5", 0) + usage.get("W1", 0),
            "cache_creation": {
                "ephemeral_5m_input_tokens": usage.get("W5", 0),
                "ephemeral_1h_input_tokens": usage.get("W1", 0),
            },
            "server_tool_use": {"web_search_requests": usage.get("S", 0)},
            "service_tier": lane.get("service_tier", "standard"),
            "inference_geo": lane.get("inference_geo", "global"),
            "speed": lane.get("speed", "standard"),
        },
    }


def costs(client: Client, events: list[dict[str, Any]]) -> dict[str, Decimal]:
    headers = {"Authorization": f"Bearer {create_key('both', 'admin')[1]}"}
    sent = client.post("/api/v1/events", json.dumps(events), content_type="application/json", headers=headers)
    assert sent.json()["rejected"] == []
    fill_due()
    answer = client.get("/api/v1/costs?group_by=tag:case", headers=headers).json()
    return {row["tag:case"]: Decimal(row["list_cost"]) for row in answer["rows"]}


def test_every_published_cost_is_met_to_the_last_digit(client: Client) -> None:
    assert costs(client, [as_sent(case) for case in VECTORS]) == {
        case: Decimal(usd) for case, (*_, usd) in VECTORS.items()
    }


def test_a_declined_hop_costs_nothing_and_the_serving_model_is_billed(client: Client) -> None:
    declined = {"type": "message", "model": "claude-fable-5", "input_tokens": 535, "output_tokens": 0}
    served = {
        "type": "fallback_message",
        "model": "claude-opus-4-8",
        "input_tokens": 412,
        "output_tokens": 264,
    }
    event = as_sent("V18 served hop")
    event["usage"]["iterations"] = [
        {**hop, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0} for hop in (declined, served)
    ]
    assert costs(client, [event]) == {"V18 served hop": Decimal("0.00866")}


def test_an_advisor_is_billed_at_its_own_price_beside_the_model_it_advised(client: Client) -> None:
    event = as_sent("V01 plain")
    zero = {"cache_read_input_tokens": 0, "cache_creation_input_tokens": 0}
    event["usage"]["iterations"] = [
        {"type": "message", "input_tokens": 1000, "output_tokens": 500, **zero},
        {
            "type": "advisor_message",
            "model": "claude-opus-4-6",
            "input_tokens": 200,
            "output_tokens": 40,
            **zero,
        },
    ]
    assert costs(client, [event]) == {"V01 plain": Decimal("0.0105") + Decimal("0.002")}


# model, usage as its provider reports it, USD
OF_OTHERS: dict[str, tuple[str, dict[str, Any], str]] = {
    "GPT-5.4 at 2.50/15": ("gpt-5.4", {"prompt_tokens": 1_000, "completion_tokens": 1_000}, "0.0175"),
    "GPT-4.1 at 2/8": ("gpt-4.1-2025-04-14", {"prompt_tokens": 1_000, "completion_tokens": 1_000}, "0.01"),
    "GPT-4.1 Nano at 0.10/0.40": (
        "gpt-4.1-nano",
        {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        "0.0000019",
    ),
    "cached": (
        "gpt-5.4",
        {"prompt_tokens": 1_000, "completion_tokens": 0, "prompt_tokens_details": {"cached_tokens": 600}},
        "0.00115",
    ),
    "batch": (
        "gpt-4.1-nano",
        {"prompt_tokens": 10, "completion_tokens": 10, "service_tier": "batch"},
        "0.0000025",
    ),
    "a long prompt": ("gpt-5.4", {"prompt_tokens": 300_000, "completion_tokens": 0}, "1.5"),
    "Gemini": ("gemini-2.5-flash", {"promptTokenCount": 10, "thoughtsTokenCount": 10}, "0.000028"),
}


def test_models_of_other_providers_cost_what_their_lists_say(client: Client) -> None:
    events = [
        {
            "id": case,
            "occurred_at": "2026-11-02T12:00:00Z",
            "model": model,
            "usage": usage,
            "tags": {"case": case},
        }
        for case, (model, usage, _) in OF_OTHERS.items()
    ]
    assert costs(client, events) == {case: Decimal(usd) for case, (*_, usd) in OF_OTHERS.items()}


def test_a_price_change_between_two_days_is_met_on_both(client: Client) -> None:
    events = [
        {
            "id": day,
            "occurred_at": f"{day}T12:00:00Z",
            "model": "gpt-5.6-sol",
            "usage": {
                "prompt_tokens": 1_000_000,
                "completion_tokens": 0,
                "prompt_tokens_details": {"cached_tokens": 900_000},
            },
            "tags": {"case": day},
        }
        for day in ("2026-08-20", "2026-08-21")
    ]
    # The whole prompt is beyond the edge: 100,000 at 10 and 900,000 at 1, then at 8 and 0.8.
    assert costs(client, events) == {"2026-08-20": Decimal("1.9"), "2026-08-21": Decimal("1.52")}
