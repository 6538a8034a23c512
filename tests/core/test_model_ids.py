"""Model names as logs write them: what they resolve to, and what they must never fall back to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.core.pricebook import ModelIdentity, PriceBook
from ingest.prices import load_pricebook

BOOK = load_pricebook()
OWN = PriceBook(BOOK._files.values(), "own")  # without the models that no price file here knows
ARN = "arn:aws:bedrock:us-east-1:123456789012:"

# raw name -> model, platform, routing
KNOWN = {
    # as published
    "claude-sonnet-4-6": ("claude-sonnet-4-6", "anthropic", ""),
    "claude-opus-4-5": ("claude-opus-4-5-20251101", "anthropic", ""),
    "claude-opus-4-5-20251101": ("claude-opus-4-5-20251101", "anthropic", ""),
    "claude-3-5-haiku-latest": ("claude-3-5-haiku-20241022", "anthropic", ""),
    "claude-opus-4-0": ("claude-opus-4-20250514", "anthropic", ""),
    "claude-2.1": ("claude-2.1", "anthropic", ""),
    # longest first: none of these is its parent
    "claude-opus-5-5": ("claude-opus-5-5", "anthropic", ""),
    "claude-opus-5": ("claude-opus-5", "anthropic", ""),
    "claude-fable-5-1": ("claude-fable-5-1", "anthropic", ""),
    "claude-fable-5-2": ("claude-fable-5-2", "anthropic", ""),
    "claude-fable-5": ("claude-fable-5", "anthropic", ""),
    # spelling
    "  Claude-Sonnet-4-6 ": ("claude-sonnet-4-6", "anthropic", ""),
    "claude-opus-4-6[1m]": ("claude-opus-4-6", "anthropic", ""),
    "claude-sonnet-4-5-20250929[1M]": ("claude-sonnet-4-5-20250929", "anthropic", ""),
    "claude-sonnet-4-6-20260301": ("claude-sonnet-4-6", "anthropic", ""),
    "claude-opus-4-5-20991231": ("claude-opus-4-5-20251101", "anthropic", ""),
    # Bedrock
    "anthropic.claude-opus-4-6-v1": ("claude-opus-4-6", "bedrock", "regional"),
    "anthropic.claude-haiku-4-5": ("claude-haiku-4-5-20251001", "bedrock", "regional"),
    "anthropic.claude-haiku-4-5-20251001-v1:0": ("claude-haiku-4-5-20251001", "bedrock", "regional"),
    "global.anthropic.claude-sonnet-4-6": ("claude-sonnet-4-6", "bedrock", "global"),
    "us.anthropic.claude-opus-4-6-v1": ("claude-opus-4-6", "bedrock", "regional"),
    "eu.anthropic.claude-opus-5-5": ("claude-opus-5-5", "bedrock", "regional"),
    "jp.anthropic.claude-sonnet-4-5-20250929-v1:0": ("claude-sonnet-4-5-20250929", "bedrock", "regional"),
    "au.anthropic.claude-opus-4-7": ("claude-opus-4-7", "bedrock", "regional"),
    "ca.anthropic.claude-opus-4-7": ("claude-opus-4-7", "bedrock", "regional"),
    "apac.anthropic.claude-sonnet-4-20250514-v1:0": ("claude-sonnet-4-20250514", "bedrock", "regional"),
    "us-gov.anthropic.claude-3-haiku-20240307-v1:0": ("claude-3-haiku-20240307", "bedrock", "regional"),
    "US.Anthropic.Claude-Opus-4-6-V1": ("claude-opus-4-6", "bedrock", "regional"),
    "anthropic.claude-3-5-sonnet-20241022-v2:0": ("claude-3-5-sonnet-20241022", "bedrock", "regional"),
    "anthropic.claude-3-haiku-20240307-v1:0:48k": ("claude-3-haiku-20240307", "bedrock", "regional"),
    "anthropic.claude-v2": ("claude-2.0", "bedrock", "regional"),
    "anthropic.claude-v2:1": ("claude-2.1", "bedrock", "regional"),
    f"{ARN}inference-profile/global.anthropic.claude-opus-5-5": ("claude-opus-5-5", "bedrock", "global"),
    f"{ARN}inference-profile/us.anthropic.claude-opus-4-6-v1": ("claude-opus-4-6", "bedrock", "regional"),
    "arn:aws:bedrock:eu-west-1::foundation-model/anthropic.claude-opus-4-7": (
        "claude-opus-4-7",
        "bedrock",
        "regional",
    ),
    "arn:aws-us-gov:bedrock:us-gov-west-1:1:inference-profile/us-gov.anthropic.claude-opus-4-7": (
        "claude-opus-4-7",
        "bedrock",
        "regional",
    ),
    # Vertex
    "claude-sonnet-4-5@20250929": ("claude-sonnet-4-5-20250929", "vertex", ""),
    "claude-3-5-sonnet-v2@20241022": ("claude-3-5-sonnet-20241022", "vertex", ""),
    "claude-opus-4-6@default": ("claude-opus-4-6", "vertex", ""),
    "claude-haiku-4-5@default": ("claude-haiku-4-5-20251001", "vertex", ""),
    "publishers/anthropic/models/claude-opus-5": ("claude-opus-5", "vertex", ""),
    "projects/p/locations/global/publishers/anthropic/models/claude-opus-5": (
        "claude-opus-5",
        "vertex",
        "global",
    ),
    "projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-5:streamRawPredict": (
        "claude-opus-5",
        "vertex",
        "regional",
    ),
    # gateways
    "anthropic/claude-sonnet-4-6": ("claude-sonnet-4-6", "anthropic", ""),
    "bedrock/us.anthropic.claude-opus-4-6-v1": ("claude-opus-4-6", "bedrock", "regional"),
    "bedrock/us-east-1/anthropic.claude-opus-4-6-v1": ("claude-opus-4-6", "bedrock", "regional"),
    f"bedrock/converse/{ARN}inference-profile/eu.anthropic.claude-opus-4-7": (
        "claude-opus-4-7",
        "bedrock",
        "regional",
    ),
    "bedrock/claude-opus-4-6": ("claude-opus-4-6", "bedrock", ""),
    "vertex_ai/claude-haiku-4-5@20251001": ("claude-haiku-4-5-20251001", "vertex", ""),
    "azure_ai/claude-opus-4-6": ("claude-opus-4-6", "foundry", ""),
    "openrouter/anthropic/claude-sonnet-4.5": ("claude-sonnet-4-5-20250929", "openrouter", ""),
    "anthropic/claude-4.6-sonnet-20260217": ("claude-sonnet-4-6", "anthropic", ""),
    "anthropic/claude-3.7-sonnet:thinking": ("claude-3-7-sonnet-20250219", "anthropic", ""),
    "anthropic/claude-sonnet-4": ("claude-sonnet-4-20250514", "anthropic", ""),
}


@pytest.mark.parametrize("raw", KNOWN)
def test_known_names_resolve_whatever_wraps_them(raw: str) -> None:
    model, platform, routing = KNOWN[raw]
    assert BOOK.resolve(raw) == ModelIdentity(model, "anthropic", platform, routing, True)


# raw name -> shown name, provider
UNKNOWN = {
    "claude-opus-5-6": ("claude-opus-5-6", "anthropic"),
    "claude-opus-5-5-mini": ("claude-opus-5-5-mini", "anthropic"),
    "claude-opus-5-6-20270101": ("claude-opus-5-6-20270101", "anthropic"),
    "us.anthropic.claude-opus-5-6-v1:0": ("claude-opus-5-6", "anthropic"),
    "Claude-Opus-6": ("claude-opus-6", "anthropic"),
    "claude-sonnet-4-60": ("claude-sonnet-4-60", "anthropic"),
    "claude-sonnet-4-6-2026": ("claude-sonnet-4-6-2026", "anthropic"),
    "claude": ("claude", "anthropic"),
    "my-team-sonnet-deployment": ("my-team-sonnet-deployment", ""),
    "sonnet": ("sonnet", ""),
    "<synthetic>": ("<synthetic>", ""),
    "gpt-99-2024-08-06": ("gpt-99-2024-08-06", "openai"),
    "openai/gpt-99-mini": ("gpt-99-mini", "openai"),
    "gemini-99-pro": ("gemini-99-pro", "google"),
    "apac.amazon.nebula-v1:0": ("amazon.nebula-v1:0", "amazon"),
    "Qwen/Qwen2.5-VL-72B-Instruct": ("Qwen/Qwen2.5-VL-72B-Instruct", ""),
    f"{ARN}application-inference-profile/abc123": ("application-inference-profile/abc123", ""),
    "": ("", ""),
}


# (name, platform, provider) as a log gives them -> model, provider, platform, routing; all in the package's lists
OF_OTHERS = {
    # as published, dated, and in spellings of the same name
    ("gpt-5.4", "", ""): ("gpt-5.4", "openai", "openai", ""),
    ("gpt-5.4-2026-03-05", "", ""): ("gpt-5.4", "openai", "openai", ""),
    ("GPT-5-4", "", ""): ("gpt-5.4", "openai", "openai", ""),
    ("gpt-5.2-20251211", "", ""): ("gpt-5.2", "openai", "openai", ""),
    ("gpt-4.1-nano-2025-04-14", "", "openai"): ("gpt-4.1-nano", "openai", "openai", ""),
    ("o3-mini", "", ""): ("o3-mini", "openai", "openai", ""),
    # a dated release at a price of its own keeps its date; another model at the same price keeps its name
    ("gpt-4o-2024-08-06", "", ""): ("gpt-4o", "openai", "openai", ""),
    ("gpt-4o-2024-05-13", "", ""): ("gpt-4o-2024-05-13", "openai", "openai", ""),
    ("gpt-5-codex", "", ""): ("gpt-5-codex", "openai", "openai", ""),
    # Azure and Foundry
    ("azure/gpt-4o", "", ""): ("gpt-4o", "openai", "azure", ""),
    ("azure/eu/gpt-4o", "", ""): ("gpt-4o", "openai", "azure", ""),
    ("gpt-4o-mini", "azure.ai.openai", ""): ("gpt-4o-mini", "openai", "azure", ""),
    ("gpt-4o-mini", "foundry", ""): ("gpt-4o-mini", "openai", "foundry", ""),
    # Google
    ("models/gemini-2.5-flash", "", ""): ("gemini-2.5-flash", "google", "google", ""),
    ("gemini/gemini-2.5-pro", "", ""): ("gemini-2.5-pro", "google", "gemini", ""),
    ("vertex_ai/gemini-2.5-pro", "", ""): ("gemini-2.5-pro", "google", "vertex", ""),
    ("publishers/google/models/gemini-2.5-pro", "", ""): ("gemini-2.5-pro", "google", "vertex", ""),
    ("gemini-2.5-flash", "", "gcp.gemini"): ("gemini-2.5-flash", "google", "gemini", ""),
    # Bedrock
    ("apac.amazon.nova-micro-v1:0", "", ""): ("amazon.nova-micro-v1:0", "amazon", "bedrock", "regional"),
    ("global.openai.gpt-5.6-luna", "", ""): ("gpt-5.6-luna", "openai", "bedrock", "global"),
    # gateways
    ("openai/gpt-5-mini", "", ""): ("gpt-5-mini", "openai", "openai", ""),
    ("openrouter/openai/gpt-5-mini", "", ""): ("gpt-5-mini", "openai", "openrouter", ""),
    ("x-ai/grok-4.5", "openrouter", ""): ("grok-4.5", "x-ai", "openrouter", ""),
    ("mistralai/mistral-nemo", "openrouter", ""): ("mistral-nemo", "mistral", "openrouter", ""),
    ("groq/llama-3.3-70b-versatile", "", ""): ("llama-3.3-70b-versatile", "", "groq", ""),
    ("grok-4.5", "", "xai"): ("grok-4.5", "x-ai", "x-ai", ""),
}


@pytest.mark.parametrize("given_names", OF_OTHERS)
def test_models_of_other_makers_resolve_to_one_name(given_names: tuple[str, str, str]) -> None:
    model, provider, platform, routing = OF_OTHERS[given_names]
    found = BOOK.resolve(*given_names)
    assert found == ModelIdentity(model, provider, platform, routing, True)
    again = BOOK.resolve(found.model, found.platform, found.provider)
    assert (again.model, again.platform, again.known) == (model, platform, True)


@pytest.mark.parametrize("raw", UNKNOWN)
def test_unknown_names_stay_unknown_and_readable(raw: str) -> None:
    found = BOOK.resolve(raw)
    assert (found.model, found.provider, found.known) == (*UNKNOWN[raw], False)


# (name, platform, provider) as a log gives them -> platform, provider
GIVEN = {
    ("claude-opus-4-6", "bedrock", ""): ("bedrock", "anthropic"),
    ("claude-opus-4-6", "aws.bedrock", ""): ("bedrock", "anthropic"),
    ("claude-opus-4-6", "vertex_ai", "anthropic"): ("vertex", "anthropic"),
    ("claude-opus-4-6", "foundry", ""): ("foundry", "anthropic"),
    ("claude-opus-4-6", "", "bedrock"): ("bedrock", "anthropic"),
    ("claude-opus-4-6", "", "gcp.vertex_ai"): ("vertex", "anthropic"),
    ("claude-opus-4-6", "Our-Gateway", ""): ("our-gateway", "anthropic"),
    ("us.anthropic.claude-opus-4-6-v1", "anthropic", ""): ("anthropic", "anthropic"),
    ("my-deployment", "foundry", "anthropic"): ("foundry", "anthropic"),
    ("gpt-4o", "azure", "openai"): ("azure", "openai"),
    ("llama-3.3-70b", "", "groq"): ("groq", "groq"),
}


@pytest.mark.parametrize("given_names", GIVEN)
def test_given_platform_and_provider_win_over_inferred_ones(given_names: tuple[str, str, str]) -> None:
    found = BOOK.resolve(*given_names)
    assert (found.platform, found.provider) == GIVEN[given_names]


def test_every_published_id_resolves_to_its_own_model() -> None:
    for model in BOOK.models:
        for name in model.ids:
            assert BOOK.resolve(name).model == model.id, name


@given(st.sampled_from([model.id for model in BOOK.models]), st.integers(0, 99))
def test_a_point_release_nobody_has_seen_is_never_its_parent(parent: str, number: int) -> None:
    release = f"{parent}-{number}"
    if all(release not in model.ids for model in BOOK.models):
        assert not BOOK.resolve(release).known


@given(st.text(max_size=600))
def test_any_text_resolves_without_growing(raw: str) -> None:
    found = BOOK.resolve(raw)
    assert len(found.model) <= 512
    own = found.model in {model.id for model in BOOK.models}
    assert own <= found.known
    assert OWN.resolve(raw).known == (OWN.resolve(raw).model in {model.id for model in OWN.models})


@given(st.sampled_from(sorted(KNOWN)))
def test_resolving_twice_changes_nothing(raw: str) -> None:
    once = BOOK.resolve(raw)
    again = BOOK.resolve(once.model, once.platform, once.provider)
    assert (again.model, again.platform, again.provider) == (once.model, once.platform, once.provider)
