"""The GenAI semantic conventions, old names and new, and what frameworks add to them.

Of each list the first attribute that is present counts, so the names of today come first.
"""

from __future__ import annotations

from collections.abc import Mapping

from ingest.core.errors import Reason
from ingest.core.meter_fields import MeterError
from ingest.formats import _openllmetry, _vercel_ai
from ingest.formats._by_total import Counts
from ingest.formats._otlp import Attributes
from ingest.formats._span_attributes import count_of, first

INPUT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    *_openllmetry.INPUT,
    *_vercel_ai.INPUT,
)
OUTPUT = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    *_openllmetry.OUTPUT,
    *_vercel_ai.OUTPUT,
)
TOTAL = ("gen_ai.usage.total_tokens", *_openllmetry.TOTAL, *_vercel_ai.TOTAL)
READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
    "gen_ai.usage.details.cache_read_input_tokens",
    "gen_ai.usage.details.cached_tokens",
    *_vercel_ai.READ,
)
WRITTEN = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
    "gen_ai.usage.details.cache_creation_input_tokens",
    *_vercel_ai.WRITTEN,
)
THINKING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    *_vercel_ai.THINKING,
)
WEB_SEARCHES = ("gen_ai.usage.web_search_requests", "gen_ai.usage.details.web_search_requests")
MODEL = ("gen_ai.response.model", "gen_ai.request.model", *_vercel_ai.MODEL)
REQUEST_MODEL = "gen_ai.request.model"
RESPONSE_ID = ("gen_ai.response.id", *_vercel_ai.RESPONSE_ID)
REQUEST_ID = ("aws.request_id",)  # Bedrock's own, which its invocation log has too
PROVIDER = ("gen_ai.provider.name", "gen_ai.system", *_vercel_ai.PROVIDER)
FINISH = ("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason", "gen_ai.response.stop_reason")
TIER = (
    "openai.response.service_tier",
    "gen_ai.openai.response.service_tier",
    "gen_ai.response.service_tier",
)
# attribute -> its unit in milliseconds
FIRST_TOKEN = {
    "gen_ai.response.time_to_first_chunk": 1000,
    "gen_ai.server.time_to_first_token": 1000,
    "gen_ai.server.ttft": 1000,
    **_vercel_ai.FIRST_TOKEN,
}
SESSION = (
    "gen_ai.conversation.id",
    "session.id",
    *_openllmetry.SESSION,
    *_vercel_ai.SESSION,
    "langfuse.session.id",
)
USER = ("user.id", "enduser.id", *_openllmetry.USER, *_vercel_ai.USER, "langfuse.user.id")
TAGS = {"gen_ai.agent.name": "agent", **_openllmetry.TAGS, **_vercel_ai.TAGS}
TAG_PREFIXES = (*_openllmetry.TAG_PREFIXES, *_vercel_ai.TAG_PREFIXES)

CALLS = {"chat", "generate_content", "text_completion", "embeddings", *_openllmetry.CALLS}
# Operations that repeat the sums of the calls below them, or that are no call of a model.
PARENTS = {"invoke_agent", "create_agent", "invoke_workflow", "execute_tool", "plan", "retrieval", "handoff"}


def marks(attributes: Attributes) -> bool:
    """Whether these are attributes of the GenAI conventions at all."""
    return any(name.startswith(("gen_ai.", "llm.usage.", "ai.usage.")) for name in attributes)


def counts_of(attributes: Attributes, surely_a_call: bool = False) -> Counts | None:
    """The counts of one model call; None for a span that is none, or that has no usage. Raises MeterError."""
    given, answered = first(attributes, INPUT), first(attributes, OUTPUT)
    total = first(attributes, TOTAL)
    if not (given or answered or total) or not (surely_a_call or _is_call(attributes)):
        return None
    if not (given or answered):
        detail = f"{total} alone cannot be priced: input and output have prices of their own"
        raise MeterError(Reason.MISSING_FIELD, INPUT[0], detail)
    return Counts(
        given_input=count_of(attributes, given),
        output=count_of(attributes, answered),
        read=count_of(attributes, first(attributes, READ)),
        written=count_of(attributes, first(attributes, WRITTEN)),
        thinking=count_of(attributes, first(attributes, THINKING)),
        total=count_of(attributes, total) if total else None,
        input_field=given or INPUT[0],
        output_field=answered or OUTPUT[0],
        total_field=total,
    )


def _is_call(attributes: Attributes) -> bool:
    """Whether this is one call of a model. Raises MeterError when a span with usage does not say."""
    for says in (_vercel_ai.is_call, _openllmetry.is_call):
        said = says(attributes)
        if said is not None:
            return said
    operation = attributes.get("gen_ai.operation.name")
    if isinstance(operation, str):
        if operation.lower() in CALLS:
            return True
        if operation.lower() in PARENTS:
            return False
    if first(attributes, RESPONSE_ID):
        return True
    detail = (
        "usage without a known gen_ai.operation.name and without gen_ai.response.id: "
        "it may be the sum of other spans, so it is not counted"
    )
    raise MeterError(Reason.UNATTRIBUTABLE, "gen_ai.operation.name", detail)


def finish_reason(attributes: Attributes) -> str:
    """The first of the finish reasons, as the provider wrote it."""
    value = attributes.get(first(attributes, FINISH))
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str) and value.startswith("["):
        value = value.strip('[]"').split('"')[0]  # the list as JSON text
    return value if isinstance(value, str) else ""


def named_tags(
    attributes: Attributes, names: Mapping[str, str], prefixes: tuple[str, ...]
) -> dict[str, object]:
    """Attributes that are tags: some by name, and everything below a prefix that users fill."""
    found: dict[str, object] = {tag: attributes[name] for name, tag in names.items() if name in attributes}
    for name, value in attributes.items():
        for prefix in prefixes:
            if name.startswith(prefix):
                found.setdefault(name.removeprefix(prefix), value)
    return found
