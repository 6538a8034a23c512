"""One-time sign-in links: how the first person gets in before there is any password."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

if TYPE_CHECKING:
    from django.contrib.auth.models import User

VALID_FOR = timedelta(hours=24)
ADMIN = "admin"


def create_link(base_url: str) -> str:
    """A fresh link. Whoever can run this can read the whole database anyway, so it signs in as the administrator."""
    from dashboard.models import SignInToken

    now = timezone.now()
    SignInToken.objects.filter(expires_at__lt=now).delete()
    token = secrets.token_urlsafe(24)
    SignInToken.objects.create(token_hash=_hash(token), expires_at=now + VALID_FOR)
    return f"{base_url.rstrip('/')}/sign-in/{token}/"  # not reverse(): that would load every view to print one line


def redeem(token: str) -> User | None:
    """The administrator, if the link is known, fresh and unused; it is used up by the very statement that checks it."""
    from django.contrib.auth.models import User

    from dashboard.models import SignInToken

    now = timezone.now()
    fresh = SignInToken.objects.filter(token_hash=_hash(token), used_at=None, expires_at__gt=now)
    if fresh.update(used_at=now) != 1:
        return None
    user, made = User.objects.get_or_create(username=ADMIN, defaults={"is_superuser": True, "is_staff": True})
    if made:
        user.set_unusable_password()
        user.save(update_fields=["password"])
    return user if user.is_active else None


def _hash(token: str) -> str:
    """Plain SHA-256 is enough: the token has 192 random bits, so there is nothing to guess."""
    return hashlib.sha256(token.encode()).hexdigest()
