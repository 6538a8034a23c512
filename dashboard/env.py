"""Typed readers of environment variables: a bad value stops the start and names the variable."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo


class BadEnvironment(Exception):
    """An environment variable has a value that cannot be used."""


def text(name: str, default: str = "") -> str:
    """The variable's text; `NAME_FILE` names a file to read it from instead."""
    if path := os.environ.get(f"{name}_FILE"):
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadEnvironment(
                f"{name}_FILE names {path}, which cannot be read: {error.strerror}."
            ) from None
    return os.environ.get(name, "") or default


def words(name: str) -> list[str]:
    """A list separated by commas."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def integer(name: str, default: int, minimum: int | None = None) -> int:
    raw = os.environ.get(name, "")
    if not raw:
        return default
    try:
        value = int(raw)
    except ValueError:
        raise BadEnvironment(f"{name} must be a whole number, not {raw!r}.") from None
    if minimum is not None and value < minimum:
        raise BadEnvironment(f"{name} must be at least {minimum}, not {value}.")
    return value


def port(name: str, default: int) -> int:
    value = integer(name, default)
    if not 0 < value < 65536:
        raise BadEnvironment(f"{name} must be between 1 and 65535, not {value}.")
    return value


def boolean(name: str, default: bool) -> bool:
    raw = os.environ.get(name, "").strip().lower()
    if raw == "":
        return default
    if raw in {"1", "true", "yes", "on"}:
        return True
    if raw in {"0", "false", "no", "off"}:
        return False
    raise BadEnvironment(f"{name} must be true or false, not {raw!r}.")


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = text(name, default).upper()
    if value not in allowed:
        raise BadEnvironment(f"{name} must be one of {', '.join(allowed)}, not {value!r}.")
    return value


def url(name: str) -> str:
    """An http(s) address without a path, or nothing."""
    raw = text(name)
    parts = urlsplit(raw)
    if raw and (parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}):
        raise BadEnvironment(f"{name} must look like https://spend.example.com, not {raw!r}.")
    return raw


def folder(name: str) -> Path | None:
    """A folder that exists, without links in its path, or nothing."""
    raw = text(name)
    if not raw:
        return None
    path = Path(raw).expanduser()
    if not path.is_absolute() or not path.is_dir():
        raise BadEnvironment(f"{name} must be the absolute path of a folder that exists, not {raw!r}.")
    return path.resolve()


def time_zone(name: str, default: str) -> str:
    raw = text(name, default)
    try:
        ZoneInfo(raw)
    except (KeyError, ValueError, OSError):
        raise BadEnvironment(f"{name} must be a time zone name such as Europe/Berlin, not {raw!r}.") from None
    return raw


def database(raw: str) -> dict[str, Any]:
    """A PostgreSQL address as Django's settings; every other database is refused."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    example = "postgresql://user:password@host:5432/name"
    if not raw.startswith(("postgresql://", "postgres://")):
        scheme = raw.partition(":")[0]
        raise BadEnvironment(
            f"DATABASE_URL must start with postgresql://, as in {example}; {scheme!r} is not supported."
        )
    try:
        parts: dict[str, Any] = dict(conninfo_to_dict(raw))
    except ProgrammingError:  # its message would repeat the password
        raise BadEnvironment(f"DATABASE_URL cannot be read; it must look like {example}.") from None
    if not parts.get("dbname"):
        raise BadEnvironment(f"DATABASE_URL names no database; it must look like {example}.")
    found = {
        "NAME": parts.pop("dbname"),
        "USER": parts.pop("user", ""),
        "PASSWORD": parts.pop("password", ""),
        "HOST": parts.pop("host", ""),
        "PORT": str(parts.pop("port", "")),
    }
    return {**found, "OPTIONS": parts}


def broker(name: str) -> str:
    """A broker address whose transport we have tried; '' means the one in the data folder."""
    raw = text(name)
    known = ("redis://", "rediss://", "amqp://", "amqps://", "memory://", "filesystem://")
    if raw and not raw.startswith(known):
        raise BadEnvironment(f"{name} must start with redis:// or amqp://, not {raw.partition(':')[0]!r}.")
    return raw


def generated_secret(path: Path) -> str:
    """The secret kept in `path`, made on first use; two processes that start at once agree on one."""
    try:
        if found := path.read_text(encoding="ascii").strip():
            return found
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BadEnvironment(f"The secret in {path} cannot be read: {error.strerror}.") from None
    fresh = path.with_name(
        f"{path.name}.{secrets.token_hex(8)}"
    )  # of this call alone: threads share a process id
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(
            os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii"
        ) as file:
            file.write(secrets.token_urlsafe(50) + "\n")
        try:
            os.link(fresh, path)  # unlike rename, this never replaces the secret of a quicker process
        except FileExistsError:
            if not path.read_text(encoding="ascii").strip():
                fresh.replace(path)
        finally:
            fresh.unlink(missing_ok=True)
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise BadEnvironment(
            f"The data folder {path.parent} cannot be written ({error.strerror}). "
            "Set BREAKEVEN_HOME to a folder you own."
        ) from None
