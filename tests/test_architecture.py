"""The law of imports, as data, held against the syntax trees of every module."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LONGEST_MODULE = 450


@dataclass(frozen=True)
class Law:
    """What modules under `package` may import. `only`: nothing else but the standard library; `never`: not these."""

    package: str
    only: tuple[str, ...] | None = None
    never: tuple[str, ...] = ()


# The most specific law for a module holds for it. A prefix stands for everything below it.
LAWS = (
    Law("ingest.core", only=("ingest.core", "numpy", "pandas")),
    Law("ingest.prices", only=("ingest.core", "ingest.prices", "genai_prices")),
    Law(
        "ingest.formats",
        only=(
            "ingest.core",
            "ingest.formats",
            "msgspec",
            "numpy",
            "google.protobuf",
            "opentelemetry.proto",
            "pyarrow",
        ),
    ),
    Law("ingest", never=("dashboard", "plotly")),
    Law(
        "dashboard.figures",
        only=("dashboard.figures", "dashboard.numbers", "plotly", "numpy", "pandas", "ingest.core"),
    ),
    Law("dashboard.tables", only=("dashboard.numbers", "pandas", "numpy", "ingest.core")),
    Law("dashboard.numbers", only=("ingest.core", "numpy", "pandas")),
    Law("dashboard.analysis", only=("dashboard.analysis", "numpy", "pandas", "ingest.core")),
    Law(
        "dashboard.queries",
        never=("plotly", "dashboard.figures", "dashboard.tables", "dashboard.views", "dashboard.panels"),
    ),
    Law("dashboard.reports", never=("plotly", "dashboard.figures", "dashboard.views", "dashboard.panels")),
    Law("dashboard.panels", never=("dashboard.views",)),
    Law("dashboard.views", never=("plotly",)),
    Law("dashboard.embedded_guard", only=()),
    Law("dashboard.embedded_host", only=()),
    Law("dashboard.embedded", only=("dashboard.embedded_host", "psycopg")),
    Law("dashboard.supervisor", only=("dashboard.embedded_guard", "dashboard.embedded_host")),
)
# Of the write side, the read side may see only these; urls and api put the two together.
READ_SIDE_MAY_SEE = ("ingest.core", "ingest.models", "ingest.prices")
READ_SIDE = (
    "dashboard.queries",
    "dashboard.reports",
    "dashboard.panels",
    "dashboard.views",
    "dashboard.filters",
    "dashboard.templatetags",
)


def modules() -> dict[str, Path]:
    found = {}
    for package in ("ingest", "dashboard"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" in path.parts:
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """Everything a module imports, at the top or inside a function, except under TYPE_CHECKING."""
    tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: relative import"
            module = node.module or ""
            for alias in node.names:
                whole = f"{module}.{alias.name}"
                yield whole if whole in MODULES else module


def under(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def law_of(name: str) -> Law | None:
    fitting = [law for law in LAWS if under(name, (law.package,))]
    return max(fitting, key=lambda law: len(law.package), default=None)


def offences(name: str) -> list[str]:
    law = law_of(name) or Law(name)
    return [
        f"{name} imports {imported}, which {law.package} may not"
        for imported in imports(name)
        if outside(law, imported) or under(imported, law.never) or too_far(name, imported)
    ]


def outside(law: Law, imported: str) -> bool:
    """Neither allowed, nor of the standard library, nor a package above (`from ingest import core`)."""
    if law.only is None or imported.partition(".")[0] in sys.stdlib_module_names:
        return False
    return not under(imported, law.only) and not under(law.package, (imported,))


def too_far(name: str, imported: str) -> bool:
    """The read side reaching into the write side."""
    of_ingest = under(imported, ("ingest",)) and imported != "ingest"
    return under(name, READ_SIDE) and of_ingest and not under(imported, READ_SIDE_MAY_SEE)


def test_every_law_is_about_a_package_that_exists() -> None:
    assert [law.package for law in LAWS if law.package not in MODULES] == []


def test_the_law_of_imports_is_kept() -> None:
    assert [offence for name in MODULES for offence in offences(name)] == []


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("ingest.core.pricing", "import django"),
        ("ingest.formats.events", "from ingest import models"),
        ("ingest.accept", "from dashboard.filters import Filters"),
        ("dashboard.analysis.what_if", "from django.conf import settings"),
        ("dashboard.queries.spend", "import plotly.graph_objects"),
        ("dashboard.views.pages", "from ingest.accept import accept"),
    ],
)
def test_the_law_would_notice(name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "module.py"
    copy.write_text(MODULES[name].read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    before = offences(name)
    monkeypatch.setitem(MODULES, name, copy)
    assert len(offences(name)) == len(before) + 1


def test_dashboard_init_imports_nothing() -> None:
    assert list(imports("dashboard")) == []


def test_no_module_is_too_long_to_read() -> None:
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST_MODULE} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name
        for name, path in MODULES.items()
        if (text := path.read_text(encoding="utf-8")).strip() and not ast.get_docstring(ast.parse(text))
    ]
    assert silent == []


def test_no_two_answers_of_the_api_share_a_name() -> None:
    """Its description knows schemas by the name of their class: of two, one would be forgotten."""
    names = [
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Schema" for base in node.bases)
    ]
    assert sorted(names) == sorted(set(names))
    assert len(names) > 10
