"""What a finding says to people: title, evidence, risk, and the change to make, from its facts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from dashboard import numbers
from dashboard.analysis.recommendations import finding as kinds
from dashboard.analysis.recommendations.breakpoints import EARLIER
from dashboard.analysis.recommendations.finding import Finding
from dashboard.analysis.recommendations.traffic import ANTHROPIC

SCENARIO = "scenario"
TITLES = {
    kinds.CACHE_ON: "Turn caching on",
    kinds.CACHE_OFF: "Do not cache this",
    kinds.TTL_5M: "Write for 5 minutes",
    kinds.TTL_1H: "Write for 1 hour",
    kinds.KEEP_ALIVE: "Keep the cache alive with pings",
    kinds.STABLE_PREFIX: "Keep the beginning of the prompt stable",
    kinds.MOVE_BREAKPOINT: "Move the breakpoint",
    kinds.STAGGER: "Stagger the fan-out",
    kinds.BATCH: "Send it as batches",
    SCENARIO: "Scenario",
}

_WRITE = """client.messages.create(
    model=model,
    max_tokens=max_tokens,
    tools=tools,
    system=[
        {{"type": "text", "text": SYSTEM, "cache_control": {control}}},
    ],
    messages=messages,  # and the same on the newest block:
)  # messages[-1]["content"][-1]["cache_control"] = {control}"""
_FIVE, _HOUR = '{"type": "ephemeral"}', '{"type": "ephemeral", "ttl": "1h"}'


@dataclass(frozen=True)
class Words:
    title: str
    evidence: tuple[str, ...]
    risk: str
    change: str
    snippet: str


def words(finding: Finding, providers: tuple[str, ...]) -> Words:
    """`providers`: who made the models that the finding is about."""
    facts = dict(finding.facts)
    ours = ANTHROPIC in providers
    evidence, risk, change, snippet = _WORDS[finding.action](finding, facts, ours)
    return Words(_title(finding, facts), evidence, risk, change, snippet)


def _title(finding: Finding, facts: dict[str, Any]) -> str:
    if finding.action == kinds.KEEP_ALIVE:
        tier, _, pings = finding.policy.partition("+")
        return f"Keep the cache alive: {_ttl(tier)}, {_spaced(pings)}"
    if finding.action == kinds.CACHE_ON and finding.policy.startswith("1h"):
        return "Turn caching on, for 1 hour"
    if finding.action == kinds.MOVE_BREAKPOINT:
        return f"Move the breakpoint {facts['where']} in the prompt"
    return TITLES[finding.action]


def _ttl(tier: str) -> str:
    return "1 hour" if tier == "1h" else "5 minutes"


Told = tuple[tuple[str, ...], str, str, str]


def _policy(finding: Finding, facts: dict[str, Any], ours: bool) -> Told:
    evidence = [
        f"Input {_bill(facts)} with {_policy_words(finding.policy)}.",
    ]
    if facts["rate_before"] != facts["rate_after"]:
        rates = [numbers.percent(facts[name]) for name in ("rate_before", "rate_after")]
        evidence.append(f"Token hit rate {rates[0]} → {rates[1]}.")
    if facts["written"]:
        evidence.append(
            f"{numbers.tokens(facts['written'])} tokens were written and {numbers.tokens(facts['read'])} read:"
            f" {numbers.ratio(facts['read'] / facts['written'])} reads per write."
        )
    evidence.append(_followed(facts))
    if finding.action == kinds.CACHE_OFF:
        return (
            tuple(evidence),
            "Pays only as long as prompts repeat so rarely; calls that do come back wait for the whole prompt again.",
            "Leave cache_control out of these calls.",
            "client.messages.create(\n    model=model,\n    max_tokens=max_tokens,\n"
            '    system=[{"type": "text", "text": SYSTEM}],  # no cache_control\n    messages=messages,\n)',
        )
    if not ours:
        return (
            tuple(evidence),
            "The provider caches by itself and promises no hit; what is read depends on its load.",
            "Begin every prompt with what repeats, byte for byte, and let calls that share it carry one key.",
            "client.responses.create(\n    model=model,\n    instructions=INSTRUCTIONS,  # the same for all, first\n"
            '    input=messages,\n    prompt_cache_key="one-key-for-calls-that-share-a-beginning",\n)',
        )
    tier, _, pings = finding.policy.partition("+")
    control = _HOUR if tier == "1h" else _FIVE
    if pings:
        return (
            tuple(evidence),
            "A ping is a call: it counts towards request limits, and is lost when the session never comes back. It"
            " cannot be streamed, think, force a tool, give structured output or go into a batch.",
            f"Write for {_ttl(tier)}; while a session is idle repeat its last call with max_tokens=0 shortly before its"
            f" cache lapses, at most {_times(pings)}.",
            "client.messages.create(\n    **last_call,  # unchanged: the same tools, system and messages\n"
            "    max_tokens=0,  # reads the prefix, keeps it alive, generates nothing\n)",
        )
    risk = (
        "A write for an hour costs 2× the input price, for 5 minutes 1.25×: if calls come back sooner or not at all,"
        " it is the dearer one."
        if tier == "1h"
        else "Sessions that pause for more than 5 minutes write their prompt again."
    )
    return tuple(evidence), risk, f"Set cache_control for {_ttl(tier)}.", _WRITE.format(control=control)


def _followed(facts: dict[str, Any]) -> str:
    if not facts["followed"]:
        return "No call is followed by another of its session."
    return (
        f"{numbers.percent(facts['followed'])} of the calls are followed by another of their session;"
        f" {numbers.percent(facts['within_5m'])} of these come within 5 minutes,"
        f" {numbers.percent(facts['within_1h'])} within an hour."
    )


def _breakpoint(finding: Finding, facts: dict[str, Any], ours: bool) -> Told:
    tokens = f"{numbers.tokens(facts['uncached'])} of {numbers.tokens(facts['total'])} input tokens"
    if facts["where"] == EARLIER:
        return (
            (
                f"{numbers.tokens(facts['written'])} tokens were written, only {numbers.tokens(facts['read'])} read.",
                f"Input {_bill(facts)} when only what several sessions have in common is written.",
            ),
            "What is no longer written is input at the full price when it does come back.",
            "Put the last cache_control at the end of what all calls share, before what is new in each.",
            'system=[\n    {"type": "text", "text": SHARED, "cache_control": {"type": "ephemeral"}},\n'
            '    {"type": "text", "text": NEW_IN_EACH_CALL},  # after the breakpoint\n]',
        )
    return (
        (
            f"{tokens} lie behind the breakpoint and are paid in full every time.",
            f"Input {_bill(facts)} when they are cached too.",
        ),
        "Only what comes again in the same place is read; a tail that is new in each call would be written in vain.",
        "Put one more cache_control on the last block that comes again, usually the newest message.",
        'messages[-1]["content"][-1]["cache_control"] = {"type": "ephemeral"}',
    )


def _stable(finding: Finding, facts: dict[str, Any], ours: bool) -> Told:
    return (
        _rewritten(facts, "because something before them had changed"),
        "Counts on everything that was written again staying as it is; some of it may have changed on purpose.",
        "Keep tools and system byte for byte the same from call to call: no time, no random order, no ids; what changes"
        " goes behind the last breakpoint.",
        'tools = sorted(tools, key=lambda tool: tool["name"])  # one order, always\n'
        'system = [{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}]\n'
        'messages[-1]["content"].append({"type": "text", "text": f"Now: {now}"})  # not in the system prompt',
    )


def _stagger(finding: Finding, facts: dict[str, Any], ours: bool) -> Told:
    return (
        _rewritten(facts, "by calls that began before the answer of the first had begun"),
        "The calls after the first wait for its first token: a second or two more until all are done.",
        "Send one call, wait until its answer begins, then send the others.",
        "async with client.messages.stream(**calls[0]) as first:\n"
        "    await anext(aiter(first))  # from now on others can read what it wrote\n"
        "    rest = [asyncio.create_task(client.messages.create(**call)) for call in calls[1:]]\n"
        "    answers = [await first.get_final_message(), *await asyncio.gather(*rest)]",
    )


def _batch(finding: Finding, facts: dict[str, Any], ours: bool) -> Told:
    evidence = (
        f"Nobody seems to wait: {facts['because']}.",
        f"List cost {_bill(facts)} at the batch price, output included.",
    )
    reads = facts["cached"]
    risk = "An answer takes up to 24 hours."
    if reads > 0:
        risk += (
            f" {numbers.percent(reads)} of the input is read from the cache today; batches read only by luck,"
            " and the sum above counts on as many."
        )
    snippet = (
        "client.messages.batches.create(\n    requests=[\n"
        '        {"custom_id": call_id, "params": params} for call_id, params in calls.items()\n    ]\n)'
        if ours
        else "client.batches.create(\n    input_file_id=uploaded.id,\n"
        '    endpoint="/v1/responses",\n    completion_window="24h",\n)'
    )
    return evidence, risk, "Collect the calls and send them through the batch API.", snippet


_WORDS = {
    **dict.fromkeys((kinds.CACHE_ON, kinds.CACHE_OFF, kinds.TTL_5M, kinds.TTL_1H, kinds.KEEP_ALIVE), _policy),
    kinds.MOVE_BREAKPOINT: _breakpoint,
    kinds.STABLE_PREFIX: _stable,
    kinds.STAGGER: _stagger,
    kinds.BATCH: _batch,
}


def _rewritten(facts: dict[str, Any], why: str) -> tuple[str, ...]:
    share = facts["tokens"] / facts["written"] if facts["written"] else 0.0
    return (
        f"{numbers.count(facts['rewrites'])} calls wrote {numbers.tokens(facts['tokens'])} tokens again {why}:"
        f" {numbers.percent(share)} of all that was written.",
        f"Writing them cost {numbers.money(facts['write_cost'])}; reading them would have cost"
        f" {numbers.money(facts['read_cost'])}.",
    )


def _bill(facts: dict[str, Any]) -> str:
    before, after = Decimal(facts["before"]), Decimal(facts["after"])
    return f"{numbers.money(before)} → {numbers.money(after)} ({numbers.change(after, before)})"


def _policy_words(name: str) -> str:
    tier, _, pings = name.partition("+")
    if tier == "none":
        return "no cache"
    return f"writes for {_ttl(tier)}" + (f" and up to {_spaced(pings)}" if pings else "")


def _spaced(pings: str) -> str:
    """3pings -> 3 pings"""
    return pings.replace("ping", " ping")


def _times(pings: str) -> str:
    count = pings.removesuffix("s").removesuffix("ping")
    return "once" if count == "1" else f"{count} times"
