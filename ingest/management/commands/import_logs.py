"""manage.py import_logs PATH...: import log files, each call counted once, and print the ledger."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from tqdm import tqdm

from ingest import formats
from ingest.core.errors import Rejection
from ingest.formats._base import read_time
from ingest.importing import FileReport, find_files, import_file, total

REJECTIONS_SHOWN = 5


class Command(BaseCommand):
    help = (
        "Import log files or folders of them. Importing again is harmless: a call counts once. "
        "Exit code 0 = done, 1 = done with rejected rows under --strict, 2 = cannot run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths", nargs="+", type=Path, metavar="PATH", help="files or folders; .gz is read as well"
        )
        parser.add_argument("--format", default="auto", choices=["auto", *formats.all_formats()])
        parser.add_argument("--source", default="import", help="the name these rows are filed under")
        parser.add_argument(
            "--at", default="", help="RFC 3339 time of the calls, for formats that carry no time"
        )
        parser.add_argument("--strict", action="store_true", help="exit with 1 if any row was rejected")

    def handle(self, *args: Any, **options: Any) -> None:
        default_time = _time(options["at"])
        try:
            files = find_files(options["paths"])
        except FileNotFoundError as error:
            raise CommandError(
                f"There is no {error}. Name files or folders that exist.", returncode=2
            ) from None
        reports = self._import(files, options, default_time)
        receipt = total(reports)
        for report in reports:
            self._print_rejections(report)
        self.stdout.write(
            f"{len(files)} files: received {receipt.received} = stored {receipt.stored} + merged {receipt.merged}"
            f" + duplicate {receipt.duplicate} + rejected {len(receipt.rejected)}"
        )
        if options["strict"] and receipt.rejected:
            sys.exit(1)

    def _import(self, files: list[Path], options: dict[str, Any], default_time: datetime) -> list[FileReport]:
        reports = []
        size = sum(path.stat().st_size for path in files)
        # disable=None: a bar for people, silence in pipes.
        with tqdm(total=size, unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:

            def advance(count: int) -> None:
                bar.update(count)

            for path in files:
                bar.set_description(path.name[:30])
                try:
                    reports.append(
                        import_file(
                            path,
                            options["format"],
                            options["source"],
                            default_time,
                            advance,
                        )
                    )
                except OSError as error:
                    raise CommandError(f"{path} cannot be read: {error.strerror}.", returncode=2) from None
                except DatabaseError as error:
                    raise CommandError(
                        f"The database failed at {path}: {error}. What was imported stays; run the same command again.",
                        returncode=2,
                    ) from None
        return reports

    def _print_rejections(self, report: FileReport) -> None:
        for row in report.receipt.rejected[:REJECTIONS_SHOWN]:
            self.stderr.write(f"{report.path}:{row.index + 1}: {_sentence(row)}")
        more = len(report.receipt.rejected) - REJECTIONS_SHOWN
        if more > 0:
            self.stderr.write(f"{report.path}: {more} more rejected rows")


def _sentence(row: Rejection) -> str:
    return f"{row.reason.value}{f' ({row.field})' if row.field else ''}: {row.detail}"


def _time(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        return read_time(text, "--at")
    except Exception as error:
        raise CommandError(str(error), returncode=2) from None
