"""From what people type to files: names, folders, globs, links; what cannot be read is told and passed over."""

from __future__ import annotations

import glob
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

Problem = Callable[[Path, str], None]  # told of a path that is passed over, and why


def find_files(paths: Iterable[Path], on_problem: Problem = lambda path, why: None) -> list[Path]:
    """The files named, those a pattern fits, and those below the folders named, but no hidden ones; each once.

    Links are followed, and a folder that has been visited is not entered again, so loops end. Raises FileNotFoundError
    for a name or pattern that nothing fits.
    """
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()
    for path in paths:
        for named in _named(path.expanduser()):
            if named.is_dir():
                found += _below(named, visited, on_problem)
            else:
                found.append(named)
    return list(dict.fromkeys(found))


def _named(path: Path) -> list[Path]:
    try:
        if path.exists():
            return [path]
    except OSError:  # a loop of links, or a name too long
        raise FileNotFoundError(path) from None
    # The shell leaves a pattern alone when it is quoted, or when it fits more names than a command line holds.
    fitting = sorted(glob.glob(str(path), recursive=True)) if glob.has_magic(str(path)) else []  # noqa: PTH207
    if not fitting:
        raise FileNotFoundError(path)
    return [Path(name) for name in fitting]


def _below(folder: Path, visited: set[tuple[int, int]], on_problem: Problem) -> Iterator[Path]:
    """Depth first, in order of name."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in visited:
            return
        visited.add((status.st_dev, status.st_ino))
        paths = sorted(folder.iterdir())
    except OSError as error:
        on_problem(folder, f"the folder cannot be read: {error.strerror}")
        return
    for path in paths:
        if path.name.startswith("."):
            continue
        try:
            mode = path.stat().st_mode
        except OSError as error:
            why = "a link that leads nowhere" if path.is_symlink() else f"it cannot be read: {error.strerror}"
            on_problem(path, why)
            continue
        if stat.S_ISDIR(mode):
            yield from _below(path, visited, on_problem)
        elif stat.S_ISREG(mode):  # pipes and devices would never end
            yield path
