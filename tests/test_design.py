"""The face held to its rules: tokens in both themes, no stray colours, every template used, readable contrast."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.template.loader import render_to_string
from django.test.signals import template_rendered

from dashboard.panels import REGISTRY
from dashboard.panels.run import forget_answers
from dashboard.reports import stored
from dashboard.templatetags.breakeven import ICONS
from ingest.gaps import fill_gaps_due
from tests.support.builders import at, make_event, settle
from tests.support.pages import RANGE, signed_in

ROOT = Path(__file__).resolve().parent.parent
CSS = ROOT / "static" / "css"
TOKENS = (CSS / "tokens.css").read_text(encoding="utf-8")
TEMPLATES = ROOT / "templates"
COLOUR = re.compile(r"#[0-9a-fA-F]{3,8}\b|\b(?:rgba?|hsla?|oklch|lab)\(")


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def colours() -> dict[str, tuple[str, str]]:
    """Token -> (light, dark)."""
    found = re.findall(r"(--[\w-]+):\s*light-dark\(([^,]+),\s*([^)]+)\)", without_comments(TOKENS))
    return {name: (light.strip(), dark.strip()) for name, light, dark in found}


def test_every_colour_is_given_for_light_and_for_dark() -> None:
    literals = len(COLOUR.findall(without_comments(TOKENS)))
    assert literals == 2 * len(colours()) > 0


def test_no_colour_is_written_outside_the_tokens() -> None:
    places = [*CSS.glob("*.css"), *(ROOT / "static" / "js").glob("*.js"), *TEMPLATES.rglob("*.html")]
    places += [*(ROOT / "dashboard" / "figures").glob("*.py"), *(ROOT / "dashboard" / "panels").glob("*.py")]
    allowed = {"rgba(0,0,0,0)", "#keyboard-help"}
    for path in places:
        if path.name == "tokens.css":
            continue
        text = without_comments(path.read_text(encoding="utf-8")).replace("rgba(0,0,0,0)", "")
        found = [hit for hit in COLOUR.findall(text) if hit not in allowed and not text.count(f'href="{hit}')]
        assert not [
            hit
            for hit in found
            if hit.startswith(("rgb", "hsl")) or re.fullmatch(r"#([0-9a-fA-F]{3}){1,2}", hit)
        ], path.name


def test_every_token_that_is_used_exists() -> None:
    defined = set(re.findall(r"(--[\w-]+):", without_comments(TOKENS)))
    for path in (*CSS.glob("*.css"), ROOT / "static" / "js" / "figures.js"):
        used = set(re.findall(r"(?:var\(|\")(--[\w-]+)[\")]", path.read_text(encoding="utf-8")))
        assert used <= defined, (path.name, used - defined)


def test_every_role_has_a_swatch_and_a_token() -> None:
    components = (CSS / "components.css").read_text(encoding="utf-8")
    from dashboard.figures import theme

    roles = [meter.role for meter in theme.METERS] + [
        f"series:{number}" for number in range(1, theme.SERIES + 1)
    ]
    for role in [*roles, theme.OTHER_ROLE]:
        assert f'.swatch[data-role="{role}"]' in components
        assert f"--{role.replace(':', '-')}:" in TOKENS


def luminance(colour: str) -> float:
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


TEXT_ON = [
    *(
        (text, ground)
        for text in ("--text", "--text-muted", "--text-faint")
        for ground in ("--bg", "--panel-bg", "--raised-bg")
    ),
    *((text, "--panel-bg") for text in ("--accent", "--positive", "--negative", "--warning", "--chart-text")),
    ("--accent", "--accent-soft"),
    ("--accent", "--bg"),
    ("--positive", "--positive-soft"),
    ("--negative", "--negative-soft"),
    ("--warning", "--warning-soft"),
    ("--warning", "--raised-bg"),
    ("--negative", "--raised-bg"),
    ("--positive", "--raised-bg"),
    ("--on-accent", "--accent"),
]


@pytest.mark.parametrize(("text", "ground"), TEXT_ON)
def test_text_can_be_read_in_both_themes(text: str, ground: str) -> None:
    for theme in (0, 1):
        assert contrast(colours()[text][theme], colours()[ground][theme]) >= 4.5, ("light", "dark")[theme]


@pytest.mark.parametrize(
    "name",
    ["--border-strong", *(f"--series-{number}" for number in range(1, 9)), "--meter-read", "--chart-line"],
)
def test_marks_can_be_told_from_the_panel(name: str) -> None:
    for theme in (0, 1):
        assert contrast(colours()[name][theme], colours()["--panel-bg"][theme]) >= 2.5, ("light", "dark")[
            theme
        ]


def test_there_is_no_inline_style_handler_or_script_in_a_template() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|\son\w+=|hx-on|<style|javascript:", text), path.name
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path.name


def test_nothing_is_fetched_from_elsewhere() -> None:
    for path in (*TEMPLATES.rglob("*.html"), *CSS.glob("*.css"), *(ROOT / "static" / "js").glob("*.js")):
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, path.name


def test_every_icon_that_a_template_asks_for_is_drawn() -> None:
    asked = {
        name
        for path in TEMPLATES.rglob("*.html")
        for name in re.findall(r'{% icon "(\w+)" %}', path.read_text(encoding="utf-8"))
    }
    assert asked <= set(ICONS)


@pytest.fixture
def rendered() -> Iterator[set[str]]:
    names: set[str] = set()

    def note(sender: object, template: object, **kwargs: object) -> None:
        names.add(str(getattr(template, "name", "")))

    template_rendered.connect(note)
    yield names
    template_rendered.disconnect(note)


@pytest.mark.django_db
def test_every_template_is_rendered(rendered: set[str], settings: Any, tmp_path: Path) -> None:
    settings.UPLOADS_DIR = tmp_path
    forget_answers()
    client = signed_in()
    client.get("/sign-in/", follow=True)
    client.get("/")
    client.post("/settings/", {"action": "create", "name": "x", "scope": "ingest"})
    settle(
        [
            make_event(workspace_id="search", cache_write_5m_input_tokens=5000),
            make_event("b", model="mystery-1"),
            *(  # written again after a lapse
                make_event(
                    name, session_id="s", occurred_at=at(minutes=minutes), cache_write_5m_input_tokens=5000
                )
                for name, minutes in (("c", 0), ("d", 20))
            ),
        ]
    )
    for path in ("/", "/spend/", "/cache/", "/what-if/", "/settings/"):
        client.get(f"{path}?{RANGE}")
        client.get(f"{path}?{RANGE}&inline=1")
    for slug in REGISTRY:
        client.get(f"/panels/{slug}/?{RANGE}")
    fill_gaps_due()
    stored.make_due(60)
    for path in ("/cache/", "/cache/chain/"):
        client.get(f"{path}?{RANGE}&session_id=")
        client.get(f"{path}?{RANGE}&inline=1")
    client.get("/upload/")
    table = SimpleUploadedFile(
        "u.csv", b"Date,Model,Input Tokens,Output Tokens\n2026-03-02T10:00:00Z,gpt-5.4,1,2\n"
    )
    client.post("/upload/", {"file": [table]}, follow=True)
    client.get("/?start=never")
    client.get("/panels/what-if/?page=what_if&batch_share=9")
    swap = "swap1_from=claude-sonnet-4-6&swap1_to=claude-opus-4-6"
    client.post("/what-if/save/", {"scenario_name": "x", "batch_share": "0.5"})
    scenario = {"name": "x", "scenario": '{"batch_share": "0.5"}', "predicted_monthly": "1"}
    client.post("/recommendations/from-scenario/", {**scenario, "question": RANGE})
    client.get(f"/recommendations/?{RANGE}&inline=1")
    for address in ("/what-if/?", "/panels/fits/?page=what_if&", "/panels/saved-scenarios/?page=what_if&"):
        client.get(f"{address}{RANGE}&batch_by=workspace_id&{swap}")
    client.get("/panels/cost-by-model/?start=2020-01-01&end=2020-01-02")
    client.logout()
    client.get("/sign-in/")
    from dashboard.views import samples

    render_to_string("dashboard/patterns.html", samples.every_component())
    for code in ("400", "403", "404", "500"):
        render_to_string(f"{code}.html")
    files = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html")}
    assert files - rendered == set()
