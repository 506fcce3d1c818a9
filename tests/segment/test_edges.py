from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd.records import MarkStyle
from labd.segment.bursts import find_bursts, holding, quiet_level
from labd.segment.edges import QUANTISED_U, level_edges
from labd.segment.errors import ExtraEvents, MarkOutside, MissingEvents, NoMarks, OddEdgeCount, check_count
from labd.segment.laps import fit_clock, place, place_laps, unwrap
from labd.segment.marks import marks_from_marker

HIGH = 3.0


def averaged(edges: NDArray[np.float64], n: int, high: float = HIGH) -> NDArray[np.float32]:
    """A line that toggles at `edges` (positions in records), low first, averaged over n records exactly."""
    grid = np.arange(n + 1, dtype=np.float64)
    index = np.searchsorted(edges, grid, side="right")
    on, off = edges[::2], edges[1::2]
    area = np.concatenate(([0.0], np.cumsum(off - on[: len(off)])))
    k = index // 2
    total = area[np.minimum(k, len(area) - 1)] + np.where(index % 2 == 1, grid - on[np.minimum(k, len(on) - 1)], 0.0)
    return (high * np.diff(total)).astype(np.float32)


gaps = st.lists(st.floats(3.0, 40.0), min_size=2, max_size=60).filter(lambda g: len(g) % 2 == 0)


@settings(max_examples=150, deadline=None)
@given(gaps, st.floats(0.5, 5.0))
def test_any_gate_pattern_is_recovered_to_a_fraction_of_a_record(widths: list[float], high: float) -> None:
    edges = np.cumsum(widths)
    found = level_edges(averaged(edges, int(edges[-1]) + 8, high), high_v=high)
    assert len(found.edges) == len(edges)
    assert np.all(found.rising[::2])
    assert not np.any(found.rising[1::2])
    tolerance = 1e-3 if found.averaged else 0.5 + 1e-9
    np.testing.assert_allclose(found.edges.x, edges, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(3, 30), min_size=2, max_size=40).filter(lambda g: len(g) % 2 == 0), st.floats(0.0, 0.999))
def test_a_line_sampled_at_instants_is_known_to_one_record(widths: list[int], phase: float) -> None:
    edges = np.cumsum(widths) + phase
    instants = np.arange(int(edges[-1]) + 8) + 0.5
    high = np.searchsorted(edges, instants, side="right") % 2 == 1
    found = level_edges(np.where(high, HIGH, 0.0).astype(np.float32), high_v=HIGH)
    assert not found.averaged
    assert np.all(np.abs(found.edges.x - edges) <= 0.5 + 1e-9)
    np.testing.assert_allclose(found.edges.u, QUANTISED_U)


def test_the_stated_uncertainty_of_an_edge_is_its_scatter() -> None:
    rng = np.random.default_rng(5)
    edges = np.cumsum(rng.uniform(8, 20, 2000))
    marker = averaged(edges, int(edges[-1]) + 8) + 0.03 * rng.standard_normal(int(edges[-1]) + 8)
    found = level_edges(marker.astype(np.float32), high_v=HIGH)
    error = found.edges.x - edges
    assert abs(error.mean()) < 5e-4
    assert error.std() == pytest.approx(found.edges.u[0], rel=0.1)


def test_phases_come_in_fours_and_gates_in_twos() -> None:
    edges = np.array([10.2, 20.4, 25.5, 60.1, 110.7, 121.0, 126.3, 161.8])
    marker = averaged(edges, 200)
    phases = marks_from_marker(marker, style=MarkStyle.PHASES, high_v=HIGH, four_edges=True)
    assert phases.awake is not None
    assert phases.ready is not None
    np.testing.assert_allclose(phases.awake.x, [10.2, 110.7], atol=1e-3)
    np.testing.assert_allclose(phases.ready.x, [20.4, 121.0], atol=1e-3)
    np.testing.assert_allclose(phases.start.x, [25.5, 126.3], atol=1e-3)
    np.testing.assert_allclose(phases.end.x, [60.1, 161.8], atol=1e-3)
    gates = marks_from_marker(marker, style=MarkStyle.GATE, high_v=HIGH, four_edges=False)
    assert len(gates) == 4


def test_an_odd_number_of_edges_is_named() -> None:
    with pytest.raises(OddEdgeCount, match="3 edges"):
        marks_from_marker(averaged(np.array([5.0, 20.0, 30.0, 99.0]), 50), style=MarkStyle.GATE, high_v=HIGH, four_edges=False)


def test_a_record_that_begins_inside_an_event_is_named() -> None:
    marker = averaged(np.array([5.0, 20.0, 30.0, 42.0]), 50)[8:]
    with pytest.raises(MarkOutside, match="begins while"):
        marks_from_marker(marker, style=MarkStyle.GATE, high_v=HIGH, four_edges=False)


def test_text_marks_are_not_looked_for_on_the_marker() -> None:
    with pytest.raises(NoMarks):
        marks_from_marker(np.zeros(10, dtype=np.float32), style=MarkStyle.TEXT, high_v=HIGH, four_edges=False)


def test_missing_and_extra_events_are_counted() -> None:
    with pytest.raises(MissingEvents, match="23 of 24"):
        check_count(23, 24)
    with pytest.raises(ExtraEvents, match="25 found, 24 expected"):
        check_count(25, 24)
    check_count(24, 24)
    check_count(3, 0)


def test_a_pulse_pair_starts_its_window_where_the_hold_ends() -> None:
    edges = np.array([100.3, 105.6, 180.2, 185.5])
    marker = (HIGH - averaged(edges, 300)).astype(np.float32)
    marks = marks_from_marker(marker, style=MarkStyle.PULSES, high_v=HIGH, four_edges=False)
    np.testing.assert_allclose(marks.start.x, [105.6], atol=1e-3)
    np.testing.assert_allclose(marks.end.x, [180.2], atol=1e-3)


def test_a_pulse_inside_one_record_is_known_to_what_is_left_of_it() -> None:
    edges = np.array([100.3, 100.5, 180.2, 180.4])
    marker = (HIGH - averaged(edges, 300)).astype(np.float32)
    marks = marks_from_marker(marker, style=MarkStyle.PULSES, high_v=HIGH, four_edges=False)
    assert abs(marks.start.x[0] - 100.5) <= 0.4
    assert marks.start.u[0] == pytest.approx(0.8 / np.sqrt(12), rel=1e-3)


def test_the_boot_pulse_is_ignored_and_an_unpaired_one_is_not() -> None:
    edges = np.array([20.0, 24.0, 100.3, 105.6, 180.2, 185.5])
    marker = (HIGH - averaged(edges, 300)).astype(np.float32)
    marks = marks_from_marker(marker, style=MarkStyle.PULSES, high_v=HIGH, four_edges=False, expected=1)
    assert (len(marks), marks.ignored) == (1, 1)
    with pytest.raises(OddEdgeCount, match="3 falling edges"):
        marks_from_marker(marker, style=MarkStyle.PULSES, high_v=HIGH, four_edges=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(20, 60), st.integers(8, 40)), min_size=1, max_size=20), st.integers(0, 2**32 - 1))
def test_every_burst_above_the_noise_is_found(shape: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    parts, starts, at = [], [], 0
    for quiet, busy in shape:
        starts.append(at + quiet)
        parts += [np.full(quiet, 1e-4), np.full(busy, 2e-2)]
        at += quiet + busy
    power = np.concatenate([*parts, np.full(60, 1e-4)])
    noisy = (power + 2e-5 * rng.standard_normal(len(power))).astype(np.float32)
    found = find_bursts(noisy, tau_records=0.05)
    assert found.first.tolist() == starts
    assert found.stop.tolist() == [s + busy for s, (_, busy) in zip(starts, shape, strict=True)]
    assert holding(found, np.array(starts) + 2.5).tolist() == list(range(len(starts)))
    assert holding(found, np.array([2.0])).tolist() == [-1]


def test_no_burst_crosses_from_one_stretch_to_the_next() -> None:
    power = np.full(100, 1e-4, dtype=np.float32)
    power[40:60] = 2e-2
    found = find_bursts(power, tau_records=0.1, breaks=np.array([50]))
    assert found.first.tolist() == [40, 50]
    assert found.stop.tolist() == [50, 60]


def test_a_counter_that_wraps_is_unwrapped() -> None:
    counter = np.array([2.0**32 - 10, 2.0**32 - 5, 3.0, 20.0])
    assert np.diff(unwrap(counter)).tolist() == [5.0, 8.0, 17.0]


@settings(max_examples=50, deadline=None)
@given(st.floats(-0.02, 0.02), st.floats(0, 1e6))
def test_the_clock_of_the_device_is_found(error: float, first: float) -> None:
    x = np.linspace(10, 20000, 24)
    fit = fit_clock(x, first + x * 204.8 * (1 + error), u_x=0.3)
    assert fit.rate == pytest.approx(1 / (204.8 * (1 + error)), rel=1e-9)
    np.testing.assert_allclose(place(fit, first + x * 204.8 * (1 + error)).x, x, atol=1e-5)


def test_laps_and_bursts_that_differ_in_number_are_named() -> None:
    power = np.full(400, 1e-4, dtype=np.float32)
    power[100:140] = power[300:340] = 2e-2
    bursts = find_bursts(power, tau_records=0.1)
    laps = np.array([[100.0, 101, 102, 105, 138]])
    with pytest.raises(MissingEvents, match="2 bursts for 1 laps"):
        place_laps(bursts, laps, always_on=False)


def test_laps_are_placed_inside_their_bursts() -> None:
    power = np.full(600, 1e-4, dtype=np.float32)
    laps = []
    for begin in (100, 300, 500):
        power[begin : begin + 40] = 2e-2
        laps.append([begin * 200.0 + d for d in (0.0, 1000.0, 2000.0, 2400.0, 6400.0)])
    marks, fit = place_laps(find_bursts(power, tau_records=0.0), np.array(laps), always_on=False)
    np.testing.assert_allclose(marks.start.x, [112, 312, 512], atol=0.05)
    np.testing.assert_allclose(marks.end.x, [132, 332, 532], atol=0.05)
    assert fit.u_at(np.array([fit.x0])) >= QUANTISED_U


@pytest.mark.parametrize("quiet_share", [0.15, 0.5, 0.9])
def test_the_quiet_level_does_not_rise_as_fewer_records_are_quiet(quiet_share: float) -> None:
    rng = np.random.default_rng(4)
    n, noise = 200_000, 1e-6
    power = np.where(np.arange(n) % 1000 < 1000 * quiet_share, 1e-4, 2e-2) + noise * rng.standard_normal(n)
    level, seen = quiet_level(power.astype(np.float32))
    assert seen == pytest.approx(noise, rel=0.05)
    assert abs(level - 1e-4) < 0.05 * noise


def test_the_quiet_level_of_records_without_noise_is_theirs() -> None:
    assert quiet_level(np.array([1.0] * 5 + [2.0] * 15, dtype=np.float32)) == (1.0, 0.0)


def test_laps_in_bursts_are_known_no_better_than_the_supply_path() -> None:
    power = np.full(600, 1e-4, dtype=np.float32)
    laps = np.array([[begin * 200.0 + d for d in (0.0, 1000.0, 2000.0, 2400.0, 6400.0)] for begin in (100, 300, 500)])
    for begin in (100, 300, 500):
        power[begin : begin + 40] = 2e-2
    marks, _ = place_laps(find_bursts(power, tau_records=0.0), laps, always_on=False, u_tau_records=2.0)
    assert float(marks.start.u.min()) > 2.0
