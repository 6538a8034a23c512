"""Bearer keys of the public API: shown once, stored hashed, scoped, revocable at once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.db import connection
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from ninja.errors import HttpError
from ninja.security import HttpBearer

from ingest.models import ApiKey

KEY_PREFIX = "bk_"
TOUCH_EVERY = timedelta(minutes=1)  # how exact `last_used_at` is; a write a request would be wasteful


def create_key(name: str, scope: str = ApiKey.Scope.INGEST) -> tuple[ApiKey, str]:
    """A new key and its secret, which is not kept and cannot be shown again. ValueError for an unknown scope."""
    if scope not in ApiKey.Scope.values:
        raise ValueError(f"Unknown scope {scope!r}: use one of {', '.join(ApiKey.Scope.values)}.")
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(name=name, scope=scope, prefix=secret[:10], secret_hash=_hash(secret))
    return key, secret


def revoke_key(key_id: int) -> bool:
    """Refuse this key from now on; False if there is no such key in use."""
    return bool(ApiKey.objects.filter(pk=key_id, revoked_at=None).update(revoked_at=timezone.now()))


def find_key(secret: str) -> ApiKey | None:
    """The key in use that has this secret."""
    # Plain SQL: this is on the path of every request.
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, name, scope, last_used_at FROM api_key WHERE secret_hash = %s AND revoked_at IS NULL",
            [_hash(secret)],
        )
        row = cursor.fetchone()
    key = None if row is None else ApiKey(id=row[0], name=row[1], scope=row[2], last_used_at=row[3])
    if key is not None:
        now = timezone.now()
        if key.last_used_at is None or key.last_used_at < now - TOUCH_EVERY:
            stale = Q(last_used_at=None) | Q(last_used_at__lt=now - TOUCH_EVERY)
            ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)
    return key


class KeyAuth(HttpBearer):
    """Lets a call through with a key of one of these scopes; `admin` keys may do everything."""

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self.scopes = {*scopes, ApiKey.Scope.ADMIN.value}

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey | None:
        key = find_key(token)
        if key is not None and key.scope not in self.scopes:
            needed = " or ".join(sorted(self.scopes))
            raise HttpError(403, f"This key has the scope {key.scope}; this call needs {needed}.")
        return key


def _hash(secret: str) -> str:
    # A key is 256 random bits: a plain hash cannot be guessed back, a slow one would only slow every request.
    return hashlib.sha256(secret.encode()).hexdigest()
