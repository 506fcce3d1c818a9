"""Line protocol: what is encoded is read back by an independent reader, whatever stands in tags, texts and numbers."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.influx.lines import encode, line
from tests.influx.reader import Point, read

T0_NS = 1_795_444_200_000_000_000
WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=12)
FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)


def points(data: pa.Buffer) -> list[Point]:
    return read(bytes(data))


@given(st.lists(st.tuples(FLOATS, FLOATS, st.integers(-(2**63), 2**63 - 1)), min_size=1, max_size=20))
@settings(deadline=None)  # the first conversion loads what the others have
def test_numbers_come_back_to_the_bit_and_what_is_none_is_left_out(rows: list[tuple[float, float, int]]) -> None:
    one, other, count = (np.array(column) for column in zip(*rows, strict=True))
    found = points(encode("power", {}, T0_NS + np.arange(len(rows)), {"a": one, "b": other, "n": count.astype(np.int64)}))
    for k, (point, row) in enumerate(zip(found, rows, strict=True)):
        wanted = {name: value for name, value in zip(("a", "b"), row[:2], strict=True) if math.isfinite(value)}
        assert point.fields == {**wanted, "n": row[2]}
        assert point.t_ns == T0_NS + k


@given(st.lists(st.floats(width=32, allow_nan=True, allow_infinity=True), min_size=1, max_size=20))
def test_single_precision_comes_back_too_and_a_point_of_nothing_is_no_line(values: list[float]) -> None:
    column = np.array(values, np.float32)
    found = points(encode("power", {}, T0_NS + np.arange(len(values)), {"a": column}))
    assert [(point.t_ns - T0_NS, np.float32(point.fields["a"])) for point in found] == [
        (k, value) for k, value in enumerate(column) if np.isfinite(value)
    ]


@given(st.dictionaries(st.sampled_from(["bench", "run", "capture"]), WORDS), WORDS)
def test_tags_and_texts_may_hold_what_people_write(tags: dict[str, str], text: str) -> None:
    kept = {name: value.replace("\\", "/") for name, value in tags.items() if value}
    found = read(line("event", tags, T0_NS, {"text": text}))
    assert [(point.tags, point.fields) for point in found] == [(kept, {"text": text})]


def test_lines_that_would_break_a_line_do_not() -> None:
    data = line("event", {"run": "a\nb"}, T0_NS, {"text": 'first "one"\nsecond \\'})
    assert data.decode() == f'event,run=a\\ b text="first \\"one\\" second \\\\" {T0_NS}\n'


@given(FLOATS, st.integers(-(2**63), 2**63 - 1), st.dictionaries(st.sampled_from(["bench", "run"]), WORDS))
def test_a_line_alone_is_the_point_that_a_column_of_one_is(value: float, count: int, tags: dict[str, str]) -> None:
    alone = read(line("kpi", tags, T0_NS, {"a": value, "n": count, "none": None}))
    column = encode("kpi", tags, np.array([T0_NS]), {"a": np.array([value]), "n": np.array([count], np.int64)})
    assert alone == points(column)


def test_a_point_of_nothing_is_no_line() -> None:
    assert line("kpi", {"run": "r"}, T0_NS, {"value": math.nan, "u": None}) == b""


def test_tags_stand_in_the_order_of_their_keys_and_empty_ones_nowhere() -> None:
    data = encode("power", {"run": "r", "bench": "b", "mode": ""}, np.array([T0_NS]), {"n": np.array([3])})
    assert bytes(data).decode() == f"power,bench=b,run=r n=3i {T0_NS}\n"
