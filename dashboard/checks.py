"""System checks: a misconfiguration that the environment readers cannot see has an id and a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

LOOPBACK = {"127.0.0.1", "::1", "localhost"}


@register("breakeven")
def public_address(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Listening on the network without knowing one's name: every request from there would be refused."""
    names = set(settings.ALLOWED_HOSTS) - {"localhost", "127.0.0.1", "[::1]", "testserver"}
    if settings.BREAKEVEN_BIND not in LOOPBACK and not names:
        hint = "Set PUBLIC_URL to the address people type, for example https://spend.example.com."
        return [
            Warning(
                f"BREAKEVEN_BIND is {settings.BREAKEVEN_BIND}, but only local names are answered.",
                hint,
                id="breakeven.W001",
            )
        ]
    return []


@register("breakeven")
def wildcard_host(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        hint = "Name the hosts: PUBLIC_URL, and ALLOWED_HOSTS for more, separated by commas."
        return [
            Error(
                "ALLOWED_HOSTS must not be *: forged Host headers would end up in links.",
                hint,
                id="breakeven.E001",
            )
        ]
    return []


@register("breakeven")
def debug_on_the_network(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.DEBUG and settings.BREAKEVEN_BIND not in LOOPBACK:
        hint = "Unset DEBUG: its error pages show settings and source to everybody who can connect."
        return [
            Error(f"DEBUG is on while listening on {settings.BREAKEVEN_BIND}.", hint, id="breakeven.E002")
        ]
    return []


@register("breakeven")
def embedded_parts_with_outside_ones(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Workers on other machines cannot see messages in a folder of this one; beat's nudge is per machine then."""
    if settings.EMBEDDED_DATABASE and not settings.EMBEDDED_BROKER:
        hint = "Set DATABASE_URL too, if workers run on other machines."
        return [
            Warning(
                "CELERY_BROKER_URL is set, but the database is embedded: only this machine can use it.",
                hint,
                id="breakeven.W002",
            )
        ]
    return []


@register("breakeven")
def short_secret(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if len(settings.SECRET_KEY) < 32:
        hint = "Unset SECRET_KEY to have one made in the data folder, or set at least 32 random characters."
        return [Error("SECRET_KEY is shorter than 32 characters.", hint, id="breakeven.E003")]
    return []
