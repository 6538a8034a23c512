"""manage.py import_logs PATH...: import log files, each call counted once, and print the ledger."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseError
from tqdm import tqdm

from ingest import formats, mappings
from ingest.core.errors import Rejection
from ingest.finding import find_files
from ingest.formats._base import read_time
from ingest.gathering import Gathering
from ingest.importing import EMPTY, Advance, FileReport, Reading, Tally, sum_of

REJECTIONS_SHOWN = 5  # of one file
FILES_SHOWN = 20  # with rejections or problems
STDIN = Path("-")


class Command(BaseCommand):
    help = (
        "Import log files, folders of them, patterns or standard input. Importing again is harmless: a call counts "
        "once. Exit code 0 = done, 1 = done with rejected rows or unreadable files under --strict, 2 = cannot run."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "paths",
            nargs="+",
            type=Path,
            metavar="PATH",
            help="files, folders or quoted patterns such as 'logs/**/*.jsonl', gzipped or not; - is standard input",
        )
        parser.add_argument("--format", default="auto", choices=["auto", *formats.all_formats()])
        parser.add_argument("--source", default="import", help="the name these rows are filed under")
        parser.add_argument(
            "--at", default="", help="RFC 3339 time of the calls, for formats that carry no time"
        )
        parser.add_argument(
            "--mapping", type=Path, help="a JSON file that says what the columns of CSV or Parquet files mean"
        )
        parser.add_argument(
            "--strict", action="store_true", help="exit with 1 if anything was rejected or unreadable"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        reading = Reading(
            options["format"], options["source"], _time(options["at"]), _mapping(options["mapping"])
        )
        skipped: list[FileReport] = []

        def skip(path: Path, why: str) -> None:
            skipped.append(FileReport(path, problem=f"Passed over: {why}."))

        named = [path for path in options["paths"] if path != STDIN]
        try:
            files = find_files(named, skip)
        except FileNotFoundError as error:
            raise CommandError(
                f"There is no {error}. Name files, folders or patterns that exist.", returncode=2
            ) from None
        if len(named) < len(options["paths"]):
            files.append(STDIN)
        gathering = Gathering(reading)
        reports = self._import(files, gathering, skipped)
        self._print_ledger(reports, gathering.sums)
        self._print_problems([*skipped, *reports])
        if files and not reports:
            raise CommandError("None of the files could be read.", returncode=2)
        if options["strict"] and (skipped or any(r.tally.rejected for r in reports)):
            sys.exit(1)

    def _import(self, files: list[Path], gathering: Gathering, skipped: list[FileReport]) -> list[FileReport]:
        """A report of every file that could be opened; the others join the skipped ones."""
        reports = []
        # disable=None: a bar for people, silence in pipes.
        with tqdm(total=_size(files), unit="B", unit_scale=True, disable=None, file=sys.stderr) as bar:

            def advance(count: int) -> None:
                bar.update(count)

            path = STDIN
            try:
                for path in files:
                    bar.set_description("standard input" if path == STDIN else path.name[:30])
                    try:
                        reports.append(self._import_one(path, gathering, advance))
                    except OSError as error:
                        skipped.append(FileReport(path, problem=f"It cannot be read: {error.strerror}."))
                        bar.update(_size([path]) or 0)
                gathering.flush()
            except DatabaseError as error:
                raise CommandError(
                    f"The database failed at {path}: {error}. What was imported stays; run the same command again.",
                    returncode=2,
                ) from None
        return reports

    def _import_one(self, path: Path, gathering: Gathering, advance: Advance) -> FileReport:
        if path == STDIN:
            return gathering.add(_standard_input(), Path("standard input"), advance)
        with path.open("rb", buffering=0) as file:
            return gathering.add(file, path, advance)

    def _print_ledger(self, reports: list[FileReport], sums: Mapping[str, Tally]) -> None:
        files = Counter(report.format if report.problem != EMPTY else EMPTY for report in reports)
        if len(files) > 1:
            for name, count in sorted(files.items()):
                label = "empty" if name == EMPTY else name or "of no known format"
                self.stdout.write(f"  {label}: {_sum(count, sums.get(name, Tally()))}")
        sum_ = sum_of(sums.values())
        if sum_.reasons:
            reasons = ", ".join(f"{reason} {count}" for reason, count in sum_.reasons.most_common())
            self.stdout.write(f"  rejected: {reasons}")
        self.stdout.write(_sum(len(reports), sum_))

    def _print_problems(self, reports: list[FileReport]) -> None:
        odd = [report for report in reports if report.problem or report.tally.rejected]
        for report in odd[:FILES_SHOWN]:
            if report.problem:
                self.stderr.write(f"{report.path}: {report.problem}")
                continue
            for row in report.tally.first[:REJECTIONS_SHOWN]:
                self.stderr.write(f"{report.path}:{row.index + 1}: {_sentence(row)}")
            more = report.tally.rejected - REJECTIONS_SHOWN
            if more > 0:
                self.stderr.write(f"{report.path}: {more} more rejected rows")
        if len(odd) > FILES_SHOWN:
            self.stderr.write(f"{len(odd) - FILES_SHOWN} more files with rejected rows or problems")


def _sum(files: int, tally: Tally) -> str:
    return (
        f"{files} {'file' if files == 1 else 'files'}: received {tally.received} = stored {tally.stored} + merged"
        f" {tally.merged} + duplicate {tally.duplicate} + rejected {tally.rejected}"
    )


def _size(files: list[Path]) -> int | None:
    """Bytes of all files, as far as they say; None when one of them is endless or cannot tell."""
    if STDIN in files:
        return None
    size = 0
    for path in files:
        try:
            size += path.stat().st_size
        except OSError:
            continue  # it is said when its turn comes
    return size


def _standard_input() -> BinaryIO:
    stream: BinaryIO = sys.stdin.buffer
    return stream


def _sentence(row: Rejection) -> str:
    return f"{row.reason.value}{f' ({row.field})' if row.field else ''}: {row.detail}"


def _mapping(path: Path | None) -> mappings.Mapping | None:
    if path is None:
        return None
    try:
        return mappings.Mapping.from_json(path.read_bytes())
    except OSError as error:
        raise CommandError(f"--mapping {path} cannot be read: {error.strerror}.", returncode=2) from None
    except mappings.MappingError as error:
        raise CommandError(f"--mapping {path}: {error}", returncode=2) from None


def _time(text: str) -> datetime:
    if not text:
        return datetime.now(UTC)
    try:
        return read_time(text, "--at")
    except Exception as error:
        raise CommandError(str(error), returncode=2) from None
