"""The excerpt of a trace: one period, at most 2000 points, phases without gaps, over-range records left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd.analyse.excerpt import POINTS, current_range, excerpt, note, representative, spans
from labd.kpi.capture import CaptureResult
from labd.records import Mode, OperatingPoint, Phase, Role, Window
from labd.store.trace import Stretch, StretchFacts, Trace
from labd_instruments.contract import Acquisition

DT_NS = 10_000
Column = NDArray[np.float32]


def _result(rate_hz: float, role: Role, windows: tuple[Window, ...], mode: Mode = Mode.EVENT_SLEEP) -> CaptureResult:
    point = OperatingPoint(mode, rate_hz, 3.0, "dnn")
    return CaptureResult(f"{point.key}/{role}", point, role, "smu", (0.1,), (), {}, windows, {}, ())


def _trace(current: Column, voltage: Column | None = None, marker: Column | None = None, *, t0_ns: int = 0) -> Trace:
    stretch = Stretch(StretchFacts(0, t0_ns, 0, len(current)), DT_NS, current, voltage, marker, None)
    return Trace(Path("t"), DT_NS, (stretch,), complete=True)


def _window(start: float, end: float, phase: Phase = Phase.INFER, event: int = 0) -> Window:
    return Window(phase, start, end, 0.0, 0.0, 0, event)


def test_a_long_period_is_shown_by_buckets_that_keep_its_peak() -> None:
    current = np.full(100_000, 1e-3, np.float32)
    current[51_234] = 0.5
    found = excerpt(_result(1.0, Role.MEAN, (_window(0.5, 0.51),)), _trace(current), marker_high_v=3.0)
    assert found is not None
    assert len(found.t_s) <= POINTS
    assert max(found.high_w) == pytest.approx(1.5)
    assert max(found.mean_w) < 0.1
    assert min(found.low_w) == pytest.approx(3e-3)


def test_a_short_period_is_shown_record_by_record() -> None:
    current = np.linspace(0, 1e-3, 1000, dtype=np.float32)
    found = excerpt(_result(200.0, Role.MEAN, (_window(5e-3, 6e-3),)), _trace(current), marker_high_v=3.0)
    assert found is not None
    assert len(found.t_s) == 500
    assert found.low_w == found.mean_w == found.high_w


def test_over_range_records_are_left_out_and_a_trace_of_nothing_else_gives_none() -> None:
    current = np.full(1000, np.nan, np.float32)
    result = _result(200.0, Role.MEAN, (_window(5e-3, 6e-3),))
    assert excerpt(result, _trace(current), marker_high_v=3.0) is None
    current[::2] = 1e-3
    found = excerpt(result, _trace(current), marker_high_v=3.0)
    assert found is not None
    assert len(found.t_s) == 250
    assert set(found.mean_w) == {found.mean_w[0]}


def test_a_triggered_event_is_shown_whole_and_starts_at_zero() -> None:
    current = np.full(1000, 1e-3, np.float32)
    marker = np.where((np.arange(1000) >= 300) & (np.arange(1000) < 500), np.float32(3.0), np.float32(0.0)).astype(np.float32)
    window = _window(1e-3, 3e-3)  # records 300 to 500 of a stretch that begins 2 ms before its trigger
    found = excerpt(_result(0.0, Role.EVENT, (window,)), _trace(current, None, marker, t0_ns=-2_000_000), marker_high_v=3.0)
    assert found is not None
    assert found.t_s[0] == pytest.approx(5e-6)
    assert [(s.phase, round(s.start_s, 6), round(s.end_s, 6)) for s in found.spans] == [
        (Phase.SLEEP, 0.0, 0.003),
        (Phase.INFER, 0.003, 0.005),
        (Phase.SLEEP, 0.005, 0.01),
    ]
    assert [(round(t, 9), level) for t, level in found.marker] == [(0.0, 0), (3e-3, 1), (5e-3, 0)]


def test_a_capture_of_whole_periods_near_ten_a_second_is_preferred() -> None:
    window = (_window(0.0, 1.0),)
    made = [_result(r, Role.MEAN, window) for r in (0.5, 8.0, 35.0)] + [_result(0.0, Role.EVENT, window), _result(10.0, Role.MEAN, ())]
    assert representative(made)[Mode.EVENT_SLEEP].point.rate_hz == 8.0
    assert representative(made[3:])[Mode.EVENT_SLEEP].role is Role.EVENT
    assert representative(made[4:]) == {}


@given(st.lists(st.tuples(st.floats(-2, 12), st.floats(0, 3)), max_size=8))
def test_spans_cover_the_excerpt_without_gap_or_overlap(cuts: list[tuple[float, float]]) -> None:
    windows = [_window(start, start + length) for start, length in cuts]
    found = spans(windows, 0.0, 10.0, rest=Phase.SLEEP)
    assert found[0].start_s == 0.0
    assert found[-1].end_s == pytest.approx(10.0)
    assert [s.start_s for s in found[1:]] == [s.end_s for s in found[:-1]]
    assert all(s.end_s > s.start_s for s in found)


@pytest.mark.parametrize(
    ("mode", "phase", "told"),
    [(Mode.EVENT_RELOAD, Phase.WAKE, True), (Mode.EVENT_RELOAD, Phase.LOAD, False), (Mode.EVENT_SLEEP, Phase.WAKE, False)],
)
def test_a_load_that_hides_in_the_wake_is_told(mode: Mode, phase: Phase, told: bool) -> None:
    windows = (_window(4e-3, 5e-3, phase), _window(5e-3, 6e-3))
    found = excerpt(_result(200.0, Role.MEAN, windows, mode), _trace(np.full(1000, 1e-3, np.float32)), marker_high_v=3.0)
    assert found is not None
    assert ("part of what is drawn as wake" in found.note) == told


def test_the_note_tells_range_and_interval() -> None:
    seamless = Acquisition(20_480, ("current",), 20.48e-6, None, 20.0, seamless=True, ranges_a=(10e-6, 1e-3, 3.0))
    assert note(20.48e-6, seamless) == "record interval 20.48 µs, range seamless 10 µA to 3 A"
    assert note(20.48e-6, None) == "record interval 20.48 µs"
    assert current_range(Acquisition(1, (), 1e-6, 1e-4, None)) == "100 µA"
