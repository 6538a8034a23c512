"""Keys of pulled sources at rest: encrypted under a key derived from SECRET_KEY, and never shown again."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

SALT = b"breakeven pulled sources"
INFO = b"admin key v1"


class KeyUnreadable(Exception):
    """The key was encrypted under another SECRET_KEY: it has to be entered again."""

    def __init__(self) -> None:
        super().__init__(
            "The key cannot be read any more, because SECRET_KEY has changed. Enter the key again."
        )


def seal(secret: str) -> bytes:
    """The secret as it may be stored."""
    return _box().encrypt(secret.encode())


def unseal(sealed: bytes | memoryview | None) -> str:
    """The secret as it was given. Raises KeyUnreadable."""
    try:
        return _box().decrypt(bytes(sealed or b"")).decode()
    except (InvalidToken, UnicodeDecodeError):
        raise KeyUnreadable from None


def _box() -> Fernet:
    derived = HKDF(algorithm=SHA256(), length=32, salt=SALT, info=INFO).derive(settings.SECRET_KEY.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
