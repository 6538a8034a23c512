"""What all figures share: roles, axes, JSON."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dashboard.figures import theme

names = st.lists(st.text(min_size=1, max_size=5), unique=True, max_size=12)


@given(names, names)
def test_no_two_of_eight_groups_share_a_colour(shown: list[str], stable: list[str]) -> None:
    roles = theme.assign(shown, stable)
    assert set(roles) == set(shown)
    coloured = [role for role in roles.values() if role != theme.OTHER_ROLE]
    assert (
        len(coloured)
        == len(set(coloured))
        == min(len([name for name in shown if name != theme.OTHER]), theme.SERIES)
    )


def test_a_model_keeps_its_colour_when_others_are_filtered_away() -> None:
    stable = ["haiku", "sonnet", "opus"]
    everything = theme.assign(["opus", "sonnet", "haiku"], stable)
    assert theme.assign(["opus"], stable) == {"opus": everything["opus"]} == {"opus": "series:3"}


def test_a_model_keeps_its_colour_when_a_new_one_appears() -> None:
    before = theme.assign(["a", "b"], ["a", "b"])
    after = theme.assign(["c", "a", "b"], ["a", "b", "c"])
    assert {name: after[name] for name in before} == before


def test_other_is_always_grey() -> None:
    assert theme.assign(["a", "other"])["other"] == theme.OTHER_ROLE


@given(st.floats(min_value=0, max_value=1e12), st.floats(min_value=0, max_value=1e12))
def test_ticks_are_few_start_at_or_below_and_end_at_or_above(below: float, above: float) -> None:
    at = theme.ticks(-below, above)
    assert 2 <= len(at) <= 8 and at == sorted(at)
    step = at[1] - at[0]
    assert at[0] <= -below + 1e-15 + step * 1e-6 and at[-1] >= above - step * 1e-6
    assert 0 in at


def test_the_last_bucket_is_named_on_the_axis_and_labels_stay_few() -> None:
    labels = [f"day {number}" for number in range(90)]
    axis = theme.bucket_axis(labels)
    assert axis["ticktext"][-1] == "day 89"
    assert len(axis["ticktext"]) <= 9


def test_an_empty_axis_is_still_an_axis() -> None:
    assert theme.bucket_axis([])["tickvals"] == []
    assert theme.value_axis(0, 0, str)["range"] == [0.0, 1.0]


def test_a_point_without_neighbours_gets_a_marker() -> None:
    assert theme.line_mode([0.1, 0.2, 0.3, None, 0.1, 0.2]) == "lines"
    assert theme.line_mode([None, 0.2, None, 0.1, 0.2]) == "lines+markers"
    assert theme.line_mode([0.1, 0.2]) == theme.line_mode([0.1]) == "lines+markers"


def test_names_cannot_smuggle_markup_into_a_figure() -> None:
    assert theme.safe("<a href='x'>y</a>") == "&lt;a href='x'&gt;y&lt;/a&gt;"
