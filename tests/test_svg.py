"""Charts: well-formed, inside their frame, the same every time."""

import re
from typing import Final

import pytest
from defusedxml import ElementTree
from hypothesis import given
from hypothesis import strategies as st

from devnet.svg import HEIGHT, WIDTH, Chart, Line, axis, draw

NAMESPACE: Final = "{http://www.w3.org/2000/svg}"
values = st.floats(0.0, 1e9, allow_nan=False)
positive = st.floats(1e-3, 1e9, allow_nan=False)
words = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=20)


def lines(of: st.SearchStrategy[float]) -> st.SearchStrategy[tuple[Line, ...]]:
    points = st.lists(st.tuples(of, of), min_size=1, max_size=8).map(tuple)
    return st.lists(st.builds(Line, words, points), min_size=1, max_size=7).map(tuple)


def require_good(text: str) -> None:
    """Fail unless it is XML whose points all lie in the picture."""
    root = ElementTree.fromstring(text)
    assert root.tag == f"{NAMESPACE}svg"
    for dot in root.iter(f"{NAMESPACE}circle"):
        assert 0 <= float(dot.get("cx", "nan")) <= WIDTH
        assert 0 <= float(dot.get("cy", "nan")) <= HEIGHT


@given(words, words, lines(values))
def test_a_chart_is_well_formed_and_inside_its_frame(title: str, name: str, drawn: tuple[Line, ...]) -> None:
    require_good(draw(Chart(title, name, name, drawn)))


@given(lines(positive))
def test_so_is_one_with_logarithmic_axes(drawn: tuple[Line, ...]) -> None:
    require_good(draw(Chart("title", "x", "y", drawn, x_log=True, y_log=True)))


def test_the_same_data_gives_the_same_bytes_and_other_data_others() -> None:
    one = Chart("t", "x", "y", (Line("a", ((1.0, 2.0), (3.0, 4.0))),))
    other = Chart("t", "x", "y", (Line("a", ((1.0, 2.0), (3.0, 3.0))),))
    assert draw(one) == draw(one)
    assert draw(one) != draw(other)


def test_a_higher_value_is_drawn_higher_and_a_later_one_further_right() -> None:
    text = draw(Chart("t", "x", "y", (Line("a", ((1.0, 10.0), (2.0, 20.0))),)))
    (x1, y1), (x2, y2) = ((float(x), float(y)) for x, y in re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', text))
    assert x1 < x2
    assert y1 > y2


def test_words_are_text_and_no_markup() -> None:
    root = ElementTree.fromstring(draw(Chart("<b>&", "x", "y", (Line('"<', ((1.0, 1.0),)),))))
    assert root.findtext(f"{NAMESPACE}title") == "<b>&"


@given(st.lists(values, min_size=1))
def test_an_axis_begins_at_0_and_has_room_for_all(of: list[float]) -> None:
    made = axis(of, log=False)
    assert made.low == 0
    assert made.high >= max(of)
    assert len(made.ticks) <= 14


def test_a_chart_without_points_or_with_a_0_on_a_logarithmic_axis_is_refused() -> None:
    with pytest.raises(ValueError, match="without points"):
        draw(Chart("t", "x", "y", ()))
    with pytest.raises(ValueError, match="no place for 0"):
        axis([0.0, 1.0], log=True)
