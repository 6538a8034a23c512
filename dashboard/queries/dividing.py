"""A question with more requests than are read at once, as questions that together are the same."""

from __future__ import annotations

from collections.abc import Sequence

from dashboard.filters import MAX_VALUES, Filters
from dashboard.queries import spend

PART = 150_000  # requests that are read at once: some hundred megabytes
LARGEST = 400_000  # of one cache, which cannot be divided
MOST = 1_000_000  # while somebody waits: some twenty seconds
MOST_UNATTENDED = 2_000_000  # for a report that is kept: about a minute of a worker
MOST_NAMES = 40  # workspaces or models in one part


def divided(filters: Filters, most: int, dims: Sequence[str]) -> list[Filters]:
    """Questions about some workspaces (and models, where `dims` has both) each.

    Caches are apart for each workspace and model, so a replay of the parts is a replay of the whole. The question
    itself, undivided, where it is small enough for one; where all of it is more than `most` or one cache is more than
    `LARGEST`, too: then it has to be answered from some of its sessions.
    """
    found = spend.by(filters, dims)
    caches = [
        (tuple(str(value or "") for value in values), int(requests))
        for *values, requests in found[[*dims, "requests"]].itertuples(index=False, name=None)
    ]
    whole = sum(requests for _, requests in caches)
    largest = max((requests for _, requests in caches), default=0)
    if whole <= PART or whole > most or largest > LARGEST:
        return [filters]
    names = min(MOST_NAMES, max(MAX_VALUES - sum(len(values) for _, values in filters.where), 1))
    parts: list[Filters] = []
    # A part has some workspaces with all models that are not apart, or some models of one workspace.
    outer = list(dict.fromkeys(cache[0] for cache, _ in caches))
    of_outer = {name: [each for each in caches if each[0][0] == name] for name in outer}
    small = []
    for name in outer:
        requests = sum(count for _, count in of_outer[name])
        if len(dims) > 1 and requests > PART:
            inside = filters.only(dims[0], name)
            members = [(cache[1], count) for cache, count in of_outer[name]]
            parts += [inside.only(dims[1], *group) for group in _packed(members, names)]
        else:
            small.append((name, requests))
    return [*parts, *(filters.only(dims[0], *group) for group in _packed(small, names))]


def _packed(sizes: Sequence[tuple[str, int]], most_names: int) -> list[list[str]]:
    """Names in groups of at most `PART` requests, larger ones alone; the same groups every time."""
    groups: list[tuple[list[str], int]] = []
    for name, size in sorted(sizes, key=lambda each: (-each[1], each[0])):
        for place, (members, filled) in enumerate(groups):
            if filled + size <= PART and len(members) < most_names:
                groups[place] = ([*members, name], filled + size)
                break
        else:
            groups.append(([name], size))
    return [members for members, _ in groups]
