"""How large the texts and lists of an event may be."""

from __future__ import annotations

MAX_ID = 256
MAX_TAGS, MAX_TAG_NAME, MAX_TAG_VALUE = 32, 64, 256
MAX_PREFIX, MAX_PREFIX_ID = 512, 128
