"""Markup that cannot be broken by what stands in it, and scales that put data where it belongs."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from labd.report import axes, svg

HOSTILE = st.text(st.characters(exclude_categories=()), max_size=40)


@given(HOSTILE, HOSTILE)
def test_text_and_attributes_come_back_as_they_went_in(content: str, value: str) -> None:
    element = ElementTree.fromstring(svg.tag("g", content, data_x=value))
    wanted = svg._FORBIDDEN.sub("\ufffd", content)
    assert (element.text or "") == wanted.replace("\r\n", "\n").replace("\r", "\n")
    assert list(element) == []
    assert set(element.attrib) == {"data-x"}


def test_markup_is_not_escaped_twice_and_text_is_escaped_once() -> None:
    assert svg.tag("b", svg.tag("i", "a<b")) == "<b><i>a&lt;b</i></b>"


@given(st.lists(st.floats(0, 500), max_size=8), st.floats(1, 40))
def test_spread_labels_stay_inside_and_keep_their_order(wanted: list[float], gap: float) -> None:
    placed = svg.spread(wanted, gap, 0.0, 500.0)
    assert all(-1e-6 <= v <= 500 + 1e-6 for v in placed)
    room = min(gap, 500 / max(len(wanted) - 1, 1))
    ordered = sorted(zip(wanted, placed, strict=True))
    assert all(b - a >= room - 1e-6 for (_, a), (_, b) in zip(ordered, sorted(ordered, key=lambda p: p[1])[1:], strict=False))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 10))
@example(879609.9999999999, 1e-06, 6)
def test_linear_ticks_are_few_and_inside(low: float, width: float, about: int) -> None:
    scale = axes.Linear(low, low + width, 0, 100)
    ticks = scale.ticks(about)
    assert len(ticks) <= about + 1
    assert all(-1e-3 <= scale.at(v) <= 100 + 1e-3 for v in ticks)


@given(st.floats(1e-9, 1e3), st.floats(1.2, 1e9))
def test_log_ticks_lie_inside_and_rise(low: float, ratio: float) -> None:
    scale = axes.log([low, low * ratio], 0, 100)
    ticks = scale.ticks()
    assert ticks == sorted(ticks)
    assert all(-1e-6 <= scale.at(v) <= 100 + 1e-6 for v in ticks)
    assert 0 <= scale.at(low) < scale.at(low * ratio) <= 100


def test_scales_survive_empty_and_constant_data() -> None:
    assert axes.linear([], 0, 100).ticks()
    assert axes.linear([5.0], 0, 100).at(5.0) == pytest.approx(50)
    assert axes.log([math.nan, -1.0], 0, 100).ticks()


@given(st.text("ab iW", max_size=60), st.floats(30, 300))
def test_wrapped_lines_fit_their_width(text: str, width: float) -> None:
    assert all(svg.text_width(line) <= width + 12 for line in svg.wrap(text, width))
