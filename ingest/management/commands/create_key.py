"""manage.py create_key NAME: make a bearer key and print it, once."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from ingest.auth import create_key
from ingest.models import ApiKey


class Command(BaseCommand):
    help = "Create a key for the API and print it (only it). It is stored hashed and cannot be shown again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what people will recognise the key by; also the name of its source")
        parser.add_argument("--scope", choices=ApiKey.Scope.values, default=ApiKey.Scope.INGEST.value)

    def handle(self, *args: Any, **options: Any) -> None:
        _, secret = create_key(options["name"], options["scope"])
        self.stdout.write(secret)
