"""The error model: what is exact, what is drawn, and that it stays inside its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.front_end import Converter, MeterRange, NoiseCurve, RandomWalk, instants, node_means, peak_current, reflected, row_for
from labd_virtual.persona import ErrorRow, PersonaSetup
from tests.virtual.persona_fakes import Bench, rows

QUIET = NoiseCurve((1e-6, 1.0), (1e-12, 1e-12))
RANGES = (MeterRange(1e-3, QUIET), MeterRange(0.1, QUIET))
TABLE = rows({"current": ((1e-3, 1e-3, 1e-6), (0.1, 1e-3, 1e-4))})


def converter(setup: PersonaSetup, *, hum: float = 0.0, leakage: float = 0.0, seed: int = 1) -> Converter:
    built = Converter(setup, "current", RANGES, hum=hum, leakage=leakage)
    built.redraw(np.random.default_rng(seed))
    return built


def edges(count: int, dt_ns: int) -> tuple[np.ndarray, np.ndarray]:
    grid = instants(0, 0, count, dt_ns=dt_ns, timebase=0.0)
    return grid[:-1], grid[1:]


@given(st.integers(1, 50), st.integers(1, 10_000_000), st.floats(-1e-4, 1e-4))
def test_the_edges_of_an_axis_do_not_depend_on_how_it_is_cut(count: int, dt_ns: int, timebase: float) -> None:
    whole = instants(7, 0, 2 * count, dt_ns=dt_ns, timebase=timebase)
    parts = [instants(7, first, count, dt_ns=dt_ns, timebase=timebase) for first in (0, count)]
    assert np.array_equal(np.concatenate([parts[0][:-1], parts[1]]), whole)


def test_means_are_exact_whether_samples_touch_or_not() -> None:
    bench = Bench(((0, 1e-3), (1_500, 3e-3)))
    bench.clock.pass_s(1)
    starts = np.array([0, 1000, 2000])
    assert node_means(bench.setup(), starts, starts + 1000).current == pytest.approx([1e-3, 2e-3, 3e-3])
    assert node_means(bench.setup(), starts, starts + 500).current == pytest.approx([1e-3, 1e-3, 3e-3])


def test_a_short_aperture_without_an_anti_alias_filter_misses_what_falls_between_samples() -> None:
    load = tuple((k * 1000 + shift, amps) for k in range(100) for shift, amps in ((0, 1e-3), (500, 5e-3)))
    bench = Bench(load)
    bench.clock.pass_s(1)
    starts = np.arange(100, dtype=np.int64) * 1000
    assert node_means(bench.setup(), starts, starts + 500).current.mean() == pytest.approx(1e-3)


@pytest.mark.parametrize("seed", range(20))
def test_errors_stay_inside_the_row_and_differ_between_specimens(seed: int) -> None:
    setup = Bench().setup(accuracy=TABLE)
    starts, ends = edges(4, 1_000_000)
    true = np.full(4, 50e-3)
    reading = converter(setup, seed=seed).read(true, starts, ends, 1)
    other = converter(setup, seed=seed + 100).read(true, starts, ends, 1)
    assert np.all(np.abs(reading - true) <= 1e-3 * 50e-3 + 1e-4 + 1e-9)
    assert abs(reading[0] - other[0]) > 1e-8


def test_gain_and_offset_are_common_to_all_samples_of_a_range() -> None:
    setup = Bench().setup(accuracy=TABLE)
    starts, ends = edges(3, 1_000_000)
    meter = converter(setup)
    errors = meter.read(np.array([0.0, 10e-3, 20e-3]), starts, ends, 1) - np.array([0.0, 10e-3, 20e-3])
    assert errors[2] - errors[1] == pytest.approx(errors[1] - errors[0], abs=1e-10)


def test_hum_vanishes_over_whole_mains_periods_only() -> None:
    meter = converter(Bench().setup(), hum=0.2e-6)
    zero = np.zeros(1)
    assert meter.read(zero, np.array([0]), np.array([20_000_000]), 0)[0] == pytest.approx(0, abs=1e-11)
    parts = [meter.read(zero, np.array([k * 5_000_000]), np.array([(k + 1) * 5_000_000]), 0)[0] for k in range(4)]
    assert max(map(abs, parts)) > 5e-8
    assert sum(parts) == pytest.approx(0, abs=1e-11)


def test_leakage_is_measured_like_any_current() -> None:
    starts, ends = edges(1, 1_000_000)
    assert converter(Bench().setup(), leakage=30e-9).read(np.zeros(1), starts, ends, 0)[0] == pytest.approx(30e-9, abs=1e-11)


def test_noise_falls_as_its_table_says() -> None:
    curve = NoiseCurve((1e-6, 100e-6), (10.0, 1.0))
    assert [curve.at(a) for a in (1e-6, 10e-6, 100e-6, 10e-3)] == pytest.approx([10.0, math.sqrt(10.0), 1.0, 0.1])
    noisy = Converter(Bench().setup(unkind={}), "current", (MeterRange(1.0, curve),))
    noisy.redraw(np.random.default_rng(3))
    starts, ends = edges(4000, 100_000)
    assert noisy.read(np.zeros(4000), starts, ends, 0).std() == pytest.approx(1.0, rel=0.05)


def test_drift_grows_with_time_and_a_zero_removes_it() -> None:
    walks = [RandomWalk(np.random.default_rng(k)) for k in range(200)]
    at = np.array([100_000_000_000])
    assert np.std([w.at(at)[0] for w in walks]) == pytest.approx(10.0, rel=0.2)
    walks[0].zero(int(at[0]))
    assert walks[0].at(at)[0] == 0.0


def test_drift_is_small_against_the_offset() -> None:
    meter = converter(Bench().setup(accuracy=TABLE, unkind={}))
    early = meter.read(np.zeros(1), np.array([0]), np.array([1000]), 0)[0]
    late = meter.read(np.zeros(1), np.array([100_000_000_000]), np.array([100_000_001_000]), 0)[0]
    assert 0 < abs(late - early) < 0.1 * 1e-6


def test_seamless_ranging_takes_the_lowest_range_that_holds_each_sample() -> None:
    assert converter(Bench().setup()).seamless(np.array([1e-6, 1.04e-3, 1.1e-3, 5.0])).tolist() == [0, 0, 1, 1]


def test_a_range_change_leaves_a_transient() -> None:
    starts, ends = edges(4, 100_000)
    index = np.array([0, 0, 1, 1])
    jump = converter(Bench().setup(unkind={"noise": 0.0, "drift": 0.0})).read(np.zeros(4), starts, ends, index)
    assert jump == pytest.approx([0, 0, 0.1 * 5e-4 * 0.1, 0], abs=1e-11)


def test_over_range_is_decided_by_the_peak_and_not_by_the_mean_of_a_sample() -> None:
    bench = Bench(((0, 0.2e-3), (900_000, 5e-3)))
    bench.clock.pass_s(1)
    starts, ends = np.array([0]), np.array([1_000_000])
    means = node_means(bench.setup(), starts, ends)
    assert means.current[0] < 1e-3
    assert peak_current(bench.setup(), starts, ends, means, full_scale=1e-3)[0] > 1.05e-3


def test_a_range_without_a_row_takes_the_nearest_in_proportion() -> None:
    row = row_for(TABLE, "current", 1.0)
    assert (row.gain, row.offset) == (1e-3, 1e-3)
    assert row_for((), "current", 1.0) == ErrorRow("current", 1.0, 0.0, 0.0)


def test_an_unkind_value_that_is_no_number_is_refused() -> None:
    with pytest.raises(TypeError, match="hum_a"):
        Bench().setup(unkind={"hum_a": "loud"}).factor("hum_a")


@pytest.mark.parametrize(("value", "turned"), [(0.3, 0.3), (-0.9, -0.9), (1.2, 0.8), (-1.5, -0.5), (3.1, -0.9), (5.0, 1.0)])
def test_a_walk_turns_round_at_its_limit(value: float, turned: float) -> None:
    assert reflected(np.array([value]), np.array([1.0]))[0] == pytest.approx(turned)
