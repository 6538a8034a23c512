"""The readers of environment variables: good values, and what a bad one is told."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dashboard import env
from dashboard.env import BadEnvironment


def test_a_database_address_is_taken_apart() -> None:
    assert env.database("postgresql://ann:p%40ss@db.example.com:6432/spend?sslmode=require") == {
        "NAME": "spend",
        "USER": "ann",
        "PASSWORD": "p@ss",
        "HOST": "db.example.com",
        "PORT": "6432",
        "OPTIONS": {"sslmode": "require"},
    }


def test_a_database_behind_a_socket_is_named_by_its_folder() -> None:
    found = env.database("postgresql:///spend?host=/var/run/postgresql")
    assert (found["HOST"], found["NAME"], found["PORT"]) == ("/var/run/postgresql", "spend", "")


@pytest.mark.parametrize(
    "address",
    ["sqlite:///x.db", "mysql://a@b/c", "postgresql://host/", "postgresql://u:secret@[broken/db", "nonsense"],
)
def test_any_other_database_is_refused_without_repeating_the_password(address: str) -> None:
    with pytest.raises(BadEnvironment, match="DATABASE_URL") as refused:
        env.database(address)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (lambda: env.integer("X", 1), "many"),
        (lambda: env.integer("X", 1, minimum=1), "0"),
        (lambda: env.port("X", 1), "70000"),
        (lambda: env.boolean("X", False), "maybe"),
        (lambda: env.url("X"), "spend.example.com"),
        (lambda: env.url("X"), "https://spend.example.com/below"),
        (lambda: env.time_zone("X", "UTC"), "Mars/Olympus"),
        (lambda: env.time_zone("X", "UTC"), "../../etc/passwd"),
        (lambda: env.broker("X"), "sqs://"),
        (lambda: env.choice("X", "A", ("A", "B")), "C"),
    ],
)
def test_a_bad_value_names_its_variable(reader: object, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", value)
    with pytest.raises(BadEnvironment, match=r"^X must"):
        reader()  # type: ignore[operator]


def test_an_empty_variable_means_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X", "")
    assert env.text("X", "a") == "a"
    assert env.integer("X", 3) == 3
    assert env.boolean("X", True) is True
    assert env.time_zone("X", "Europe/Berlin") == "Europe/Berlin"
    assert env.words("X") == []


def test_a_secret_can_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("X_FILE", str(tmp_path / "key"))
    assert env.text("X") == "from a file"
    monkeypatch.setenv("X_FILE", str(tmp_path / "none"))
    with pytest.raises(BadEnvironment, match=r"X_FILE names .*none"):
        env.text("X")


def test_the_generated_secret_is_private_stable_and_made_once_by_many_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "home" / "secret_key"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: env.generated_secret(path), range(8)))
    assert found == {env.generated_secret(path)}
    assert len(found.pop()) >= 50
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_an_empty_secret_file_is_filled_again(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    path.touch()
    assert len(env.generated_secret(path)) >= 50


def test_a_folder_is_absolute_and_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert env.folder("X") is None
    monkeypatch.setenv("X", str(tmp_path))
    assert env.folder("X") == tmp_path.resolve()
    for wrong in ("relative", str(tmp_path / "absent"), "/dev/null"):
        monkeypatch.setenv("X", wrong)
        with pytest.raises(BadEnvironment, match="X must be the absolute path of a folder that exists"):
            env.folder("X")
