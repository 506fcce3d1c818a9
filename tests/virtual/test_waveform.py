"""Closed-form motion and integrals against independent numerical ones."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp
from scipy.linalg import expm

from labd_virtual.motion import Circuit, crossing_s, solve
from labd_virtual.waveform import CHARGE, CHARGE_SQ, ENERGY, FLUX, LOAD_ENERGY, History, HistoryGoneError, Segment


def circuit(bulk_f: float, to_emf_s: float = 0.2) -> Circuit:
    return Circuit(3.0, to_emf_s, 1e-7, -8e-3, 4.7e-6, bulk_f, 100.0)


@pytest.mark.parametrize("bulk_f", [0.0, 2e-6, 1e-4])
@pytest.mark.parametrize("to_emf_s", [0.0, 0.2, 500.0])
@pytest.mark.parametrize("t", [1e-9, 1e-6, 3e-5, 1e-3, 0.1])
def test_the_solution_is_that_of_the_matrix_exponential(bulk_f: float, to_emf_s: float, t: float) -> None:
    c = circuit(bulk_f, to_emf_s)
    node, bulk = 0.3, 0.1
    across = 1 / c.bulk_ohm if bulk_f else 0.0
    system = np.zeros((3, 3))
    system[0] = [-(to_emf_s + c.to_ground_s + across), across, c.to_ground_s * c.emf_v - c.inflow_a]
    system[0] /= c.capacitance_f
    if bulk_f:
        system[1] = np.array([across, -across, 0.0]) / bulk_f
    expected = expm(system * t) @ [node, bulk, 1.0]
    got = solve(c, node, bulk).drops_at(t)
    assert got[0] == pytest.approx(expected[0], rel=1e-9)
    if bulk_f:
        assert got[1] == pytest.approx(expected[1], rel=1e-9)


@settings(max_examples=60)
@given(
    start=st.floats(-1, 1),
    parts=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    threshold=st.floats(-1.5, 1.5),
    rising=st.booleans(),
)
def test_a_crossing_is_the_first_instant_past_the_threshold(
    start: float, parts: tuple[float, float], threshold: float, rising: bool
) -> None:
    rates = (50.0, 3.0)
    found = crossing_s((start, *parts), rates, threshold, rising=rising)
    t = np.linspace(0, 6, 20001)
    x = start - parts[0] * np.expm1(-rates[0] * t) - parts[1] * np.expm1(-rates[1] * t)
    past = (x - threshold if rising else threshold - x) > 1e-6
    if past.any():
        assert found <= t[np.argmax(past)]
    if math.isfinite(found) and 0 < found < 6:
        before = t < found - 1e-9
        assert not past[before].any()
        at = start - parts[0] * math.expm1(-rates[0] * found) - parts[1] * math.expm1(-rates[1] * found)
        assert at == pytest.approx(threshold, abs=1e-9)


def segment(t0_ns: int, rng: np.random.Generator) -> Segment:
    def triple() -> tuple[float, float, float]:
        a, b, c = rng.uniform(-1, 1, 3).tolist()
        return a, b, c

    rate = (float(10 ** rng.uniform(-2, 7)), float(10 ** rng.uniform(-2, 4)))
    return Segment(t0_ns, rate, triple(), triple(), triple(), *rng.uniform(0, 1, 3).tolist())


def test_integrals_are_those_of_fine_quadrature() -> None:
    rng = np.random.default_rng(3)
    history = History(10**12)
    starts = [0, 1_000, 50_000, 2_000_000, 2_500_000]
    segments = [segment(t, rng) for t in starts]
    for s in segments:
        history.append(s)
    end = 3_000_000
    nodes, weights = np.polynomial.legendre.leggauss(60)
    expected = np.zeros(5)
    for s, stop in zip(segments, [*starts[1:], end], strict=True):
        for low, high in _panels(s.t0_ns, stop, max(s.rates)):
            t = (low + high) / 2 + nodes * (high - low) / 2
            w = weights * (high - low) / 2
            i, v, n = (x[0] - x[1] * np.expm1(-s.rates[0] * t) - x[2] * np.expm1(-s.rates[1] * t) for x in (s.i, s.v, s.n))
            j = s.load_a + s.load_s * n
            parts = (i, i * i, v, v * i, j * (n + j * s.series_ohm))
            expected += [float(np.sum(w * p)) for p in parts]
    got = history.integrals(np.array([end], dtype=np.int64))[0]
    for column in (CHARGE, CHARGE_SQ, FLUX, ENERGY, LOAD_ENERGY):
        assert got[column] == pytest.approx(expected[column], rel=1e-11)


def _panels(start_ns: int, stop_ns: int, rate: float) -> list[tuple[float, float]]:
    """Seconds since the segment's start, geometrically finer towards it."""
    length = (stop_ns - start_ns) * 1e-9
    edges = [0.0, *np.geomspace(min(length, 1 / rate) / 10, length, 30).tolist()]
    return list(itertools.pairwise(edges))


def test_tiny_sleep_energy_survives_hours_of_milliwatts() -> None:
    history = History(10**15)
    i, v = 6e-6, 3.0
    for k in range(2000):
        current = 12e-3 if k % 2 == 0 else i
        history.append(Segment(k * 10**9, (1e5, 1.0), (current, 0, 0), (v, 0, 0), (v, 0, 0), current, 0.0, 0.0))
    start, end = 1999 * 10**9 + 10**8, 1999 * 10**9 + 10**8 + 50_000
    step = history.steps(np.array([start, end], dtype=np.int64))[0]
    assert step[ENERGY] == pytest.approx(i * v * 50e-6, rel=1e-9)
    long = history.steps(np.array([1001 * 10**9, 1002 * 10**9], dtype=np.int64))[0]
    assert long[ENERGY] == pytest.approx(i * v, rel=1e-12)
    assert long[CHARGE_SQ] == pytest.approx(i * i, rel=1e-12)
    total = history.integrals(np.array([2000 * 10**9], dtype=np.int64))[0]
    assert total[ENERGY] == pytest.approx(1000 * v * (12e-3 + i), rel=1e-14)


def test_old_segments_are_dropped_once_there_are_many_and_asking_for_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd_virtual.waveform._KEEP_SEGMENTS", 500)
    history = History(10**6)
    for k in range(20_000):
        history.append(Segment(k * 10_000, (1e5, 1.0), (1e-3, 0, 0), (3.0, 0, 0), (3.0, 0, 0), 1e-3, 0.0, 0.0))
    assert len(history) < 2000
    total = history.integrals(np.array([20_000 * 10_000], dtype=np.int64))[0]
    assert total[CHARGE] == pytest.approx(1e-3 * 0.2, rel=1e-12)
    with pytest.raises(HistoryGoneError):
        history.integrals(np.array([0], dtype=np.int64))


def test_the_motion_agrees_with_an_integrator_that_knows_nothing_of_it() -> None:
    c = circuit(3e-5)

    def slope(_t: float, d: np.ndarray) -> list[float]:
        v = c.emf_v - d[0]
        into = c.to_emf_s * d[0] + c.inflow_a - c.to_ground_s * v + (d[0] - d[1]) / c.bulk_ohm
        return [-(into) / c.capacitance_f, (d[0] - d[1]) / c.bulk_ohm / c.bulk_f]

    run = solve_ivp(slope, (0, 5e-3), [0.05, 0.0], method="DOP853", rtol=1e-12, atol=1e-14)
    assert solve(c, 0.05, 0.0).drops_at(5e-3) == pytest.approx(run.y[:, -1].tolist(), rel=1e-8)
