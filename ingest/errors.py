"""Errors of the HTTP edge, in the one shape that every call answers with."""

from __future__ import annotations


class RequestError(Exception):
    """A call that is refused: `{"error": {"code", "message", "field"}}` with this status."""

    def __init__(self, status: int, code: str, message: str, field: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field
