"""Anthropic's usage object: exclusive counts, a TTL split, and iterations that are billed at models of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.core.errors import Reason
from ingest.core.events import FLAG_TTL_UNKNOWN
from ingest.core.meter_fields import (
    MAX_MODEL,
    Metered,
    MeterError,
    Part,
    checked,
    count,
    kind_of,
    nested,
    remainder,
    split_writes,
    word,
)
from ingest.core.pricing import prompt_step

OWN_KEYS = ("cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation")
_KEYS = ("input_tokens", "output_tokens", *OWN_KEYS)
_VISIBLE = ("message", "fallback_message")  # iterations that the top level already counts


def is_anthropic(usage: Mapping[str, Any]) -> bool:
    """Whether any of Anthropic's names is there; OpenAI's Responses shape shares two of them."""
    return any(key in usage for key in _KEYS)


def _counts(holder: Mapping[str, Any], model: str, path: str) -> Part:
    """One set of Anthropic counts: the top level or one iteration."""
    split = nested(holder, "cache_creation", path)
    has_split = any(
        split.get(key) is not None for key in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    )
    in_5m, in_1h, flags = split_writes(
        count(holder, "cache_creation_input_tokens", path),
        count(split, "ephemeral_5m_input_tokens", f"{path}.cache_creation"),
        count(split, "ephemeral_1h_input_tokens", f"{path}.cache_creation"),
        has_split,
    )
    part = Part(
        model=model,
        uncached_input_tokens=count(holder, "input_tokens", path),
        cache_read_input_tokens=count(holder, "cache_read_input_tokens", path),
        cache_write_5m_input_tokens=in_5m,
        cache_write_1h_input_tokens=in_1h,
        output_tokens=count(holder, "output_tokens", path),
        flags=flags,
    )
    part.prompt_step_tokens = part.prompt_tokens
    return part


def read_anthropic(usage: Mapping[str, Any], model: str, path: str) -> Metered:
    """Anthropic's counts, with one part for every model and price step that was billed."""
    top = _counts(usage, model, path)
    if usage.get("total_tokens") is not None:
        _check_exclusive(usage, top, path)
    iterations = usage.get("iterations")
    if iterations is None:
        parts = [top]
    elif not isinstance(iterations, list):
        raise MeterError(
            Reason.INVALID_TYPE,
            f"{path}.iterations",
            f"{path}.iterations must be a list, not {kind_of(iterations)}",
        )
    else:
        parts = _with_iterations(top, iterations, path)
    server_tools = nested(usage, "server_tool_use", path)
    geo = word(usage, "inference_geo", path)
    metered = Metered(
        main=parts[0],
        extra=parts[1:],
        thinking_tokens=count(
            nested(usage, "output_tokens_details", path), "thinking_tokens", f"{path}.output_tokens_details"
        ),
        web_search_requests=count(server_tools, "web_search_requests", f"{path}.server_tool_use"),
        service_tier=word(usage, "service_tier", path) or "standard",
        speed=word(usage, "speed", path) or "standard",
        inference_geo="" if geo == "not_available" else geo,
    )
    return checked(metered, path)


def _check_exclusive(usage: Mapping[str, Any], top: Part, path: str) -> None:
    """A gateway added a total to Anthropic's counts: it tells whether `input_tokens` holds cached ones."""
    total = count(usage, "total_tokens", path)
    uncached, read, written, output = top.totals()
    if total == uncached + read + written + output:
        return
    if total != uncached + output:
        parts = uncached + read + written + output
        raise MeterError(
            Reason.CONTRADICTORY_COUNTS,
            f"{path}.total_tokens",
            f"{path}.total_tokens is {total} but its parts sum to {parts}",
        )
    top.uncached_input_tokens = remainder(uncached, read, written, path, "input_tokens")
    top.prompt_step_tokens = top.prompt_tokens


def _with_iterations(top: Part, entries: list[Any], path: str) -> list[Part]:
    """The billed parts of a call that ran in several steps; the first part is the call itself."""
    steps = [_iteration(entry, f"{path}.iterations[{n}]") for n, entry in enumerate(entries)]
    top.model = _serving(steps, top.model)
    if len(steps) < 2:
        # One entry repeats the top level. Only a lone compaction is not in it; the top level is then empty.
        if steps and steps[0][0] == "compaction" and not any(top.totals()):
            part = steps[0][1]
            part.model = part.model or top.model
            return [part]
        return [top]
    billed = _billed(steps, top.model)
    own = [part for kind, part in billed if kind in _VISIBLE and part.model == top.model]
    _inherit_ttl(own, top)
    classes = {
        prompt_step(part.prompt_step_tokens)
        for kind, part in billed
        if part.model == top.model and kind != "advisor_message"
    }
    seen = Part(model=top.model)
    for part in own:
        seen.add(part)
    if own and seen.totals() == top.totals() and len(classes) == 1:
        # The top level is the same sum with a better TTL split; keep it and only add what it leaves out.
        top.prompt_step_tokens = seen.prompt_step_tokens
        billed = [("message", top)] + [
            (kind, part) for kind, part in billed if not any(part is o for o in own)
        ]
    elif not own:
        billed.insert(0, ("message", top))
    return _grouped(billed, top.model)


def _iteration(entry: Any, path: str) -> tuple[str, Part]:
    if not isinstance(entry, Mapping):
        raise MeterError(Reason.INVALID_TYPE, path, f"{path} must be an object, not {kind_of(entry)}")
    kind = word(entry, "type", path)
    return kind or "message", _counts(entry, word(entry, "model", path, MAX_MODEL), path)


def _serving(steps: list[tuple[str, Part]], model: str) -> str:
    """The model that answered: a fallback's, else the response's own, else what its steps call it.

    A response can name an alias and its steps the dated model; that is one call, not an answer and a declined
    hop.
    """
    fallback = [part.model for kind, part in steps if kind == "fallback_message" and part.model]
    if fallback:
        return fallback[-1]
    visible = [part.model for kind, part in steps if kind in _VISIBLE]
    return visible[-1] if visible and all(visible) and model not in visible else model


def _billed(steps: list[tuple[str, Part]], serving: str) -> list[tuple[str, Part]]:
    """Name each step's model and drop the hops that declined before producing anything: those are free."""
    last_fallback = max((n for n, (kind, _) in enumerate(steps) if kind == "fallback_message"), default=-1)
    billed = []
    for n, (kind, part) in enumerate(steps):
        elsewhere = bool(part.model) and part.model != serving
        nameless_hop = not part.model and n < last_fallback
        if (
            kind in _VISIBLE
            and n != last_fallback
            and part.output_tokens == 0
            and (elsewhere or nameless_hop)
        ):
            continue
        part.model = part.model or serving
        billed.append((kind, part))
    return billed


def _inherit_ttl(parts: list[Part], top: Part) -> None:
    """Steps without a split take the top level's when that knows only one time to live."""
    if top.flags or not top.cache_write_1h_input_tokens or top.cache_write_5m_input_tokens:
        return
    for part in parts:
        if part.flags == FLAG_TTL_UNKNOWN and not part.cache_write_1h_input_tokens:
            part.cache_write_1h_input_tokens, part.cache_write_5m_input_tokens = (
                part.cache_write_5m_input_tokens,
                0,
            )
            part.flags = 0


def _grouped(billed: list[tuple[str, Part]], serving: str) -> list[Part]:
    """One part per kind, model and price step; the serving model at its last step's price is the main part.

    A second price step of the same kind and model is told apart by `@step` in its id, in order of appearance,
    so the same call read again gets the same ids.
    """
    own = [n for n, (kind, part) in enumerate(billed) if kind in _VISIBLE and part.model == serving]
    main_step = prompt_step(billed[own[-1]][1].prompt_step_tokens)
    main = Part(model=serving)
    groups: dict[tuple[str, str, int], Part] = {}
    for kind, part in billed:
        step = prompt_step(part.prompt_step_tokens)
        if part.model == serving and step == main_step and kind != "advisor_message":
            main.add(part)
            continue
        found = groups.get((kind, part.model, step))
        if found is None:
            again = any(k == kind and m == part.model for k, m, _ in groups) or (
                kind in _VISIBLE and part.model == serving
            )
            part.suffix = f"#{kind}:{part.model}" + (f"@{step}" if again else "")
            groups[kind, part.model, step] = part
        else:
            found.add(part)
    return [main, *groups.values()]
