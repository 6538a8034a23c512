"""Facts about this installation that the rollups depend on."""

from __future__ import annotations

from ingest.models import InstallState


def read(name: str) -> str | None:
    return InstallState.objects.filter(name=name).values_list("value", flat=True).first()


def write(name: str, value: str) -> None:
    InstallState.objects.update_or_create(name=name, defaults={"value": value})
