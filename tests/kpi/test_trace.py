from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.kpi.inputs import Stretch
from labd.kpi.trace import build, moments


def made(n: int, seed: int, cuts: int = 1) -> list[Stretch]:
    rng = np.random.default_rng(seed)
    i = (10 ** rng.uniform(-6, -1.5, n)).astype(np.float32)
    v = rng.uniform(2.9, 3.1, n).astype(np.float32)
    parts = np.array_split(np.arange(n), cuts)
    return [Stretch(0.0, 1e-4, i[p], v[p], 3.0) for p in parts if len(p)]


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 700), st.integers(0, 2**31), st.integers(1, 4), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_sums_over_any_window_are_those_of_float64(n: int, seed: int, cuts: int, ends: list[float]) -> None:
    stretches = made(n, seed, cuts)
    scales = [1e-4, 1e-2, 0.1]
    trace = build(stretches, full_scales_a=scales, lead_ohm=0.0)
    a, b = sorted(e * n for e in ends)
    found = moments(trace.between(np.array([a]), np.array([b]))[0])
    i = np.concatenate([s.current for s in stretches]).astype(np.float64)
    v = np.concatenate([s.voltage for s in stretches if s.voltage is not None]).astype(np.float64)
    k = np.arange(n)
    weight = np.clip(b - k, 0, 1) - np.clip(a - k, 0, 1)
    band = np.searchsorted(np.array(scales), np.abs(i).astype(np.float32))
    for r in range(3):
        mask = weight * (band == r)
        assert found.vi[r] == pytest.approx(float(mask @ (v * i)), rel=2e-6, abs=1e-6 * 0.1)
        assert found.v[r] == pytest.approx(float(mask @ v), rel=2e-6, abs=1e-4)
        assert found.i[r] == pytest.approx(float(mask @ i), rel=2e-6, abs=1e-7)
        assert found.n[r] == pytest.approx(float(mask.sum()), abs=1e-6)
    assert found.i2 == pytest.approx(float(weight @ (i * i)), rel=2e-6, abs=1e-8)


def test_the_range_of_a_record_is_the_smallest_that_holds_it() -> None:
    current = np.array([1e-6, -9e-5, 2e-4, 0.05, 0.3], dtype=np.float32)
    trace = build([Stretch(0.0, 1e-3, current, None, 3.0)], full_scales_a=[1e-4, 1e-2, 0.1], lead_ohm=0.0)
    assert trace.band[0, :5].tolist() == [0, 0, 1, 2, 2]


def test_samples_that_are_missing_are_counted_and_add_nothing() -> None:
    current = np.full(200, 1e-2, dtype=np.float32)
    current[50] = np.nan
    trace = build([Stretch(0.0, 1e-3, current, None, 3.0)], full_scales_a=[0.1], lead_ohm=0.0)
    assert moments(trace.between(np.array([0.0]), np.array([200.0]))[0]).power(0.0) == pytest.approx(199 * 0.03, rel=1e-6)
    assert trace.lost(np.array([0.0, 60.0]), np.array([51.0, 100.0])).tolist() == [True, False]


def test_the_leads_take_their_share() -> None:
    trace = build([Stretch(0.0, 1e-3, np.full(100, 0.1, dtype=np.float32), None, 3.0)], full_scales_a=[0.1], lead_ohm=0.5)
    assert moments(trace.between(np.array([0.0]), np.array([100.0]))[0]).power(0.5) == pytest.approx(100 * (0.3 - 0.005), rel=1e-6)
    assert trace.power[0] == pytest.approx(0.295, rel=1e-6)


def test_positions_are_seconds_on_their_stretchs_own_axis() -> None:
    parts = [Stretch(-2e-3, 1e-3, np.zeros(10, dtype=np.float32), None, 3.0), Stretch(5.0, 1e-3, np.zeros(10, dtype=np.float32), None, 3.0)]
    trace = build(parts, full_scales_a=[0.1], lead_ohm=0.0)
    assert trace.seconds(np.array([0.0, 9.5, 10.0, 12.25])).tolist() == pytest.approx([-2e-3, 7.5e-3, 5.0, 5.00225])


def test_two_builds_of_the_same_samples_agree_bit_for_bit() -> None:
    x = np.random.default_rng(1).uniform(0, 5000, 300)
    sums = [build(made(5000, 3), full_scales_a=[1e-4, 1e-2, 0.1], lead_ohm=0.1).at(np.sort(x)) for _ in range(2)]
    assert np.array_equal(sums[0], sums[1])
