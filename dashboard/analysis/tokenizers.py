"""How many tokens one model makes of a text for one token of another: what is published, else the same."""

from __future__ import annotations

import re
from decimal import Decimal

SAME = Decimal(1)
NEWER = Decimal("1.3")  # the 4.7 generation and later make about 30 % more tokens of the same text
OLDER = Decimal("0.77")  # 1 / 1.3, the way back
_FIRST_NEWER = (4, 7)
_NAME_FIRST = re.compile(r"claude-[a-z]+-(\d{1,2})(?:-(\d{1,2}))?(?:-|$)")
_NUMBER_FIRST = re.compile(r"claude-(?:instant-)?(\d{1,2})(?:[-.](\d{1,2}))?(?:-|$)")
_ALSO_NEWER = frozenset({"claude-mythos-preview"})


def growth(source: str, target: str) -> Decimal:
    """Tokens of `target` for one token of `source`, by model id; 1 where nothing is published."""
    before, after = _is_newer(source), _is_newer(target)
    if before is None or after is None or before == after:
        return SAME
    return NEWER if after else OLDER


def _is_newer(model: str) -> bool | None:
    """Whether the model counts with the tokenizer of the 4.7 generation; None for other makers' models."""
    if model in _ALSO_NEWER:
        return True
    found = _NAME_FIRST.match(model) or _NUMBER_FIRST.match(model)
    return None if found is None else (int(found[1]), int(found[2] or 0)) >= _FIRST_NEWER
