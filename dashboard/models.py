"""The read side's own tables: only sign-in links. Everything else it shows belongs to ingest."""

from __future__ import annotations

from django.db import models


class SignInToken(models.Model):
    """A link that signs one person in, once. Only a hash is kept: reading this table signs nobody in."""

    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "sign_in_token"

    def __str__(self) -> str:
        return f"sign-in link of {self.created_at:%Y-%m-%d %H:%M}"
