"""Model names as logs write them -> candidate ids, platform and routing. Knows spellings, not models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# Spellings of platforms in logs, gateways and OpenTelemetry -> the one word used here.
PLATFORMS = {
    "anthropic": "anthropic",
    "api": "anthropic",
    "first_party": "anthropic",
    "firstparty": "anthropic",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "amazon_bedrock": "bedrock",
    "aws_bedrock": "bedrock",
    "aws.bedrock": "bedrock",
    "vertex": "vertex",
    "vertex_ai": "vertex",
    "vertexai": "vertex",
    "google_vertex": "vertex",
    "gcp.vertex_ai": "vertex",
    "vertex_ai_anthropic_models": "vertex",
    "foundry": "foundry",
    "azure_foundry": "foundry",
    "microsoft_foundry": "foundry",
    "claude_platform_on_aws": "claude-platform-on-aws",
    "anthropic_aws": "claude-platform-on-aws",
    "openrouter": "openrouter",
    "azure": "azure",
    "azure_ai": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "openai": "openai",
    "gemini": "gemini",
    "gcp.gemini": "gemini",
    "google": "google",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "fireworks_ai": "fireworks",
    "groq": "groq",
    "mistral": "mistral",
    "mistral_ai": "mistral",
    "perplexity": "perplexity",
    "together": "together",
    "together_ai": "together",
}
# Makers as gateways (before a model's name) and OpenTelemetry spell them -> the one word used here.
MAKER_NAMES = {
    "anthropic": "anthropic",
    "openai": "openai",
    "google": "google",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "minimax": "minimax",
    "mistral": "mistral",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshotai": "moonshotai",
    "perplexity": "perplexity",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "z_ai": "zai",
}
MAKERS = frozenset(MAKER_NAMES.values())
# Platforms that make no model of their own but are called the provider of those they run.
HOSTS = frozenset({"cerebras", "fireworks", "groq", "together"})
# Vendors that Bedrock puts before a name which is the same elsewhere.
PLAIN_ON_BEDROCK = frozenset({"anthropic", "openai", "google"})
# Path segments gateways put before a name that are neither a platform nor a maker.
NOISE = {"converse", "invoke", "models", "publishers", "litellm_proxy"}

ANY_CASE = re.IGNORECASE
ARN = re.compile(r"arn:aws[a-z-]*:bedrock:[a-z0-9-]*:\d*:(?P<kind>[a-z-]+)/(?P<name>.+)", ANY_CASE)
VERTEX_PATH = re.compile(
    r"(?:.*projects/[^/]+/locations/(?P<location>[^/]+)/)?"
    r"publishers/(?P<maker>[^/]+)/models/(?P<name>[^/:]+)(?::\w+)?",
    ANY_CASE,
)
# Where gateways write the place between a platform and the name.
REGIONAL = {
    "bedrock": re.compile(r"[a-z]{2}(-[a-z]+)+-\d", ANY_CASE),
    "azure": re.compile(r"eu|us|global|global-standard", ANY_CASE),
}
BEDROCK = re.compile(
    r"(?:(?P<geo>[a-z]{2,6}(?:-[a-z]{2,4})?)\.)?"
    r"(?P<vendor>anthropic|amazon|meta|mistral|cohere|ai21|deepseek|qwen|openai|nvidia)\.(?P<name>.+)",
    ANY_CASE,
)
VERTEX_VERSION = re.compile(r"@(\d+|default|latest)(\[\d+[km]\])?$", ANY_CASE)
CONTEXT_SUFFIX = re.compile(r"\[\d+[km]\]$", ANY_CASE)
VERSION_SUFFIX = re.compile(r"-v\d+(:\d+)?(:\d+k)?$")
DATE_SUFFIX = re.compile(r"-20\d{6}$")
ROUTER_VARIANT = re.compile(r":(thinking|beta|extended)$")
DOTTED = re.compile(r"(?<=\d)\.(?=\d)")
NUMBER_FIRST = re.compile(r"claude-(\d+(?:-\d)?)-(opus|sonnet|haiku|fable|mythos)(?=$|-)")
GUESSES = (
    ("anthropic", re.compile(r"claude(?![a-z])")),
    (
        "openai",
        re.compile(
            r"(ft:)?(gpt|chatgpt|codex|o[1-9]|text-embedding|davinci|babbage|omni-moderation|whisper|tts)(?![a-z])"
        ),
    ),
    ("google", re.compile(r"(gemini|gemma|text-bison|palm)(?![a-z])")),
    ("x-ai", re.compile(r"grok(?![a-z])")),
    ("mistral", re.compile(r"(mistral|ministral|magistral|codestral|devstral|pixtral|voxtral)-")),
    ("deepseek", re.compile(r"deepseek-")),
    ("cohere", re.compile(r"(command|embed-(english|multilingual))-")),
)


class ParsedName(NamedTuple):
    """A raw model name taken apart: the name proper, and what its wrapping says about where it ran."""

    name: str
    platform: str  # '' = the name does not say
    maker: str  # '' = the name does not say
    routing: str  # "global", "regional" or ''


def maker_name(raw: str) -> str:
    """The one word for who makes models; a word we do not know stays as it is."""
    word = raw.strip().lower()
    return MAKER_NAMES.get(word.replace("-", "_").replace(" ", "_"), word)


def platform_name(raw: str) -> str:
    """The one word for a platform; a word we do not know stays as it is."""
    word = raw.strip().lower()
    return PLATFORMS.get(word.replace("-", "_").replace(" ", "_"), word)


def take_apart(raw: str) -> ParsedName:
    """Strip ARNs, resource paths, gateway prefixes and Bedrock geographies, keeping what they say."""
    name, platform, maker, routing = raw.strip(), "", "", ""
    if match := VERTEX_PATH.fullmatch(name):
        location = (match["location"] or "").lower()
        routing = "" if not location else "global" if location == "global" else "regional"
        return ParsedName(match["name"], "vertex", match["maker"].lower(), routing)
    name, platform, maker = _without_path(name)
    if match := ARN.fullmatch(name):
        platform, name = "bedrock", match["name"]
        if match["kind"].lower() not in {"foundation-model", "inference-profile"}:
            # The name behind this ARN is the customer's; keep its kind, drop the account number.
            return ParsedName(f"{match['kind'].lower()}/{name}", platform, "", "")
    if match := BEDROCK.fullmatch(name):
        geo, vendor = (match["geo"] or "").lower(), match["vendor"].lower()
        routing = "global" if geo == "global" else "regional"
        plain = match["name"] if vendor in PLAIN_ON_BEDROCK else f"{vendor}.{match['name']}"
        return ParsedName(plain, platform or "bedrock", vendor, routing)
    if VERTEX_VERSION.search(name) and not platform:
        platform = "vertex"
    return ParsedName(name, platform, maker, routing)


def candidates(name: str) -> Iterator[str]:
    """Ids to look up, most literal first. Nothing here cuts a name down to that of a shorter-named model."""
    plain = CONTEXT_SUFFIX.sub("", name.strip().lower())
    yield plain
    plain = ROUTER_VARIANT.sub("", plain)
    plain = plain.removesuffix("@default").removesuffix("@latest").replace("@", "-")
    yield plain
    without_version = VERSION_SUFFIX.sub("", plain)
    yield without_version
    undotted = DOTTED.sub("-", without_version)
    for spelling in (without_version, undotted, NUMBER_FIRST.sub(r"claude-\2-\1", undotted)):
        yield spelling
        # Since the 4.6 generation ids carry no date, yet logs add one; the name before it must be known.
        yield DATE_SUFFIX.sub("", spelling)


def clean(name: str) -> str:
    """How an unknown name is shown: Claude names in one spelling for all platforms, others as they came."""
    plain = CONTEXT_SUFFIX.sub("", name.strip())
    if not plain.lower().startswith("claude"):
        return plain
    plain = plain.lower().removesuffix("@default").replace("@", "-")
    return VERSION_SUFFIX.sub("", plain)


def guess_maker(name: str) -> str:
    """Who makes a model that no price file knows, by its name; '' when the name does not tell."""
    lowered = name.lower()
    return next((maker for maker, pattern in GUESSES if pattern.match(lowered)), "")


def _without_path(name: str) -> tuple[str, str, str]:
    """'bedrock/us-east-1/anthropic.claude-...' -> its last part, and the platform and maker before it."""
    platform, maker = "", ""
    while "/" in name and not name.lower().startswith("arn:"):
        head, rest = name.split("/", 1)
        word = head.lower().replace("-", "_")
        if word in MAKER_NAMES:
            maker = MAKER_NAMES[word]
        elif word in PLATFORMS:
            platform = platform or PLATFORMS[word]
        elif word not in NOISE and not (platform in REGIONAL and REGIONAL[platform].fullmatch(head)):
            break
        name = rest
    return name, platform, maker
