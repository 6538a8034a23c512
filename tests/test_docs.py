"""README, .env.example, CHANGELOG and code agree."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
OURS = sorted(name for name, app in get_commands().items() if app in ("ingest", "dashboard"))


def variables_read() -> set[str]:
    """First arguments of the readers of `env` in the settings."""
    tree = ast.parse((ROOT / "dashboard" / "settings.py").read_text(encoding="utf-8"))
    return {
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    }


def test_every_variable_is_in_the_example_and_the_readme() -> None:
    read = variables_read()
    assert {
        "PORT",
        "DATABASE_URL",
        "CELERY_BROKER_URL",
        "SECRET_KEY",
        "BREAKEVEN_HOME",
        "REPORTING_TIME_ZONE",
    } <= read
    assert set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)) == read
    assert {name for name in read if f"`{name}`" not in README} == set()


def test_no_module_but_the_readers_looks_at_the_environment() -> None:
    """So that the list above is the whole list. The supervisor and the database pass the environment on."""
    allowed = {"env.py", "embedded.py", "supervisor.py", "settings.py", "wsgi.py", "celery.py", "up.py"}
    looking = {
        path.name
        for package in ("ingest", "dashboard")
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8"))
    }
    assert looking <= allowed


def test_the_defaults_of_the_example_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    from dashboard import env

    for line in EXAMPLE.splitlines():
        if re.match(r"[A-Z_]+=", line):
            monkeypatch.setenv(*line.split("=", 1))
    assert env.port("PORT", 8000) == 8000
    assert env.integer("INGEST_MAX_BODY_BYTES", 16 * 1024 * 1024) == 16 * 1024 * 1024
    assert env.integer("EVENT_RETENTION_MONTHS", 0) == 0
    assert (env.integer("WEB_WORKERS", 2), env.integer("WEB_THREADS", 4)) == (2, 4)
    assert env.text("BREAKEVEN_BIND", "127.0.0.1") == "127.0.0.1"
    assert env.time_zone("REPORTING_TIME_ZONE", "UTC") == "UTC"


def test_every_make_target_in_the_readme_exists_and_the_other_way_round() -> None:
    targets = set(re.findall(r"^([a-z]+):.*##", MAKEFILE, re.MULTILINE))
    assert set(re.findall(r"(?m)(?:^|`)make ([a-z]+)", README)) == targets


def test_every_command_in_the_readme_exists_and_every_command_is_in_the_readme() -> None:
    named = set(
        re.findall(
            r"manage\.py ([a-z_]+)", README + EXAMPLE + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
        )
    )
    assert named <= set(get_commands())
    assert {name for name in OURS if f"manage.py {name}" not in README} == set()


@pytest.mark.parametrize("name", OURS)
def test_every_command_says_what_it_does(name: str) -> None:
    command = load_command_class(get_commands()[name], name)
    assert len(command.help) > 20
    options = [
        action for action in command.create_parser("manage.py", name)._actions if action.option_strings
    ]
    assert options


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:dashboard|ingest|tests|templates|static)/[\w./*]*)`", README)))
)
def test_every_path_in_the_readme_exists(path: str) -> None:
    assert list(ROOT.glob(path.rstrip("/"))), path


def test_every_link_in_the_readme_leads_somewhere() -> None:
    local = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith(("http", "#"))]
    assert [link for link in local if not (ROOT / link.partition("#")[0]).exists()] == []


def test_requirements_are_pinned_and_explained() -> None:
    for name in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            if line and not line.startswith(("#", "-r")):
                assert re.fullmatch(r"[\w\[\]-]+==[\w.]+ +# .+", line), f"{name}: {line}"
