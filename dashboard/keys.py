"""The read side's way to ingest keys: the settings page makes and revokes them, the write side owns what they are."""

from __future__ import annotations

from ingest.auth import create_key, revoke_key

__all__ = ["create_key", "revoke_key"]
