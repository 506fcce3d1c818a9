"""The supply node: clamp, brown-out, floating output, driven lines, and energy that is neither made nor lost."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from labd_virtual.clock import BoardClock, Urgency
from labd_virtual.spec import BoardSpec
from labd_virtual.supply import Load, Supply
from labd_virtual.waveform import CHARGE_SQ, ENERGY, LOAD_ENERGY

MS = 1_000_000
PLAIN = BoardSpec(series_ohm=0.0, bleed_ohm=1e12)


class Rig:
    """A supply on a stepped clock that is moved by hand."""

    def __init__(self, spec: BoardSpec) -> None:
        self.clock = BoardClock(stepped=True)
        self.supply = Supply(self.clock, spec, horizon_s=100.0)

    def go(self, t_ns: int) -> None:
        reached: list[int] = []
        self.clock.call_at(t_ns, lambda: reached.append(t_ns), urgency=Urgency.ACTIVE)
        while not reached:
            assert self.clock._step()

    def drive(self, emf_v: float, *, ohm: float = 1.0, clamp_a: float = 10.0, connected: bool = True) -> None:
        self.supply.drive(emf_v=emf_v, resistance_ohm=ohm, clamp_a=clamp_a, connected=connected)

    def at(self, *t_ns: int) -> tuple[list[float], list[float]]:
        t = np.array(t_ns, dtype=np.int64)
        return self.supply.current(t).tolist(), self.supply.voltage(t).tolist()


def running(spec: BoardSpec = PLAIN, *, ohm: float = 1.0, clamp_a: float = 10.0, load_a: float = 6e-6) -> Rig:
    """At 3 V, settled at 10 ms."""
    rig = Rig(spec)
    rig.drive(3.0, ohm=ohm)
    rig.go(5 * MS)
    rig.drive(3.0, ohm=ohm, clamp_a=clamp_a)
    rig.supply.set_load(Load(load_a))
    rig.go(10 * MS)
    return rig


def test_the_source_current_follows_a_load_step_with_r_times_c() -> None:
    rig = running(ohm=10.0)
    rig.supply.set_load(Load(8e-3))
    rig.go(11 * MS)
    tau = 10.0 * PLAIN.capacitance_f
    for after_ns in (1000, 20_000, 100_000, 500_000):
        (current,), (voltage,) = rig.at(10 * MS + after_ns)
        expected = 8e-3 + (6e-6 - 8e-3) * math.exp(-after_ns * 1e-9 / tau)
        assert current == pytest.approx(expected, rel=1e-7)
        assert voltage == pytest.approx(3.0 - 10.0 * expected, rel=1e-7)


def test_the_charge_missing_at_the_rise_is_there_after_the_fall() -> None:
    rig = running(ohm=10.0)
    rig.supply.set_load(Load(8e-3))
    rig.go(20 * MS)
    rig.supply.set_load(Load(6e-6))
    rig.go(30 * MS)
    charge = float(rig.supply.steps([10 * MS, 30 * MS])[0][0])
    assert charge == pytest.approx(8e-3 * 0.01 + 6e-6 * 0.01, rel=1e-6)


@pytest.mark.parametrize("series_ohm", [0.0, 4.7])
def test_energy_is_conserved_through_ramp_clamp_load_and_rest(series_ohm: float) -> None:
    spec = replace(PLAIN, series_ohm=series_ohm, bleed_ohm=1e5)
    rig = Rig(spec)
    lost = 0.0
    rig.drive(3.0, ohm=0.5, clamp_a=0.05)
    rig.go(2 * MS)
    for t, load in ((3, 8e-3), (7, 2e-3), (9, 6e-6), (12, 6e-6)):
        rig.supply.set_load(Load(load))
        rig.go(t * MS)
    sums = rig.supply.steps([0, 12 * MS])[0]
    # The series resistance turns R*i^2 into heat; the books charge the load with R*(its own current)^2 of that.
    lost = series_ohm * float(sums[CHARGE_SQ])
    booked = _booked_series(rig, spec)
    assert sums[ENERGY] == pytest.approx(sums[LOAD_ENERGY] - booked + rig.supply.stored_j() + lost, rel=1e-10)


def _booked_series(rig: Rig, spec: BoardSpec) -> float:
    """Integral of R*(load current)^2 by quadrature over the whole run (the load is a + v/R_bleed; v by the voltage at the node)."""
    total = 0.0
    edges = [0, *range(10_000, 400_000, 10_000), *range(400_000, 12 * MS + 1, 40_000)]
    for low, high in itertools.pairwise(edges):
        nodes, weights = np.polynomial.legendre.leggauss(12)
        t = ((low + high) / 2 + nodes * (high - low) / 2).astype(np.int64)
        i, v = rig.supply.current(t), rig.supply.voltage(t)
        n = v - spec.series_ohm * i
        middle = (low + high) / 2
        load = next(a for end, a in ((2, 0.0), (3, 8e-3), (7, 2e-3), (12.1, 6e-6)) if middle < end * MS)
        leak = 1 / spec.bleed_ohm + (1 / spec.off_ohm) * (n < spec.power_on_v) * (middle < 2 * MS)
        total += float(np.sum(weights * (load + leak * n) ** 2)) * (high - low) / 2 * 1e-9 * spec.series_ohm
    return total


def test_a_load_beyond_the_clamp_pulls_the_node_down_in_a_straight_line() -> None:
    rig = running(clamp_a=1e-4)
    assert rig.supply.clamped_since() is None
    rig.supply.set_load(Load(0.8e-3))
    rig.go(12 * MS)
    slope = (0.8e-3 - 1e-4) / PLAIN.capacitance_f
    current, voltage = rig.at(11 * MS, 12 * MS)
    assert current == [1e-4, 1e-4]
    assert (voltage[0] - voltage[1]) / 1e-3 == pytest.approx(slope, rel=1e-6)
    since = rig.supply.clamped_since()
    assert since is not None
    assert 10 * MS < since < 10 * MS + 10_000


def test_the_clamp_lets_go_when_the_load_does() -> None:
    rig = running(clamp_a=1e-3)
    rig.supply.set_load(Load(3e-3))
    rig.go(11 * MS)
    rig.supply.set_load(Load(6e-6))
    rig.go(20 * MS)
    (current,), (voltage,) = rig.at(20 * MS)
    assert rig.supply.clamped_since() is None
    assert voltage == pytest.approx(3.0, abs=1e-4)
    assert current == pytest.approx(6e-6, rel=1e-3)


def test_below_supply_min_the_board_browns_out_at_that_instant() -> None:
    rig = running(clamp_a=1e-4)
    downs: list[tuple[int, bool]] = []
    rig.supply.on_power = lambda: downs.append((rig.clock.now_ns(), rig.supply.powered))
    rig.supply.set_load(Load(5e-3))
    rig.go(20 * MS)
    fall_s = PLAIN.capacitance_f * 0.8 / (5e-3 - 1e-4)
    assert downs[0][1] is False
    assert downs[0][0] == pytest.approx(10 * MS + fall_s * 1e9, rel=1e-4)


def test_a_load_gone_after_a_brown_out_lets_the_supply_come_back() -> None:
    rig = running(clamp_a=1e-4)
    changes: list[bool] = []
    rig.supply.on_power = lambda: changes.append(rig.supply.powered)
    rig.supply.set_load(Load(5e-3))
    rig.go(100 * MS)
    assert changes == [False, True]


def test_a_floating_output_discharges_through_the_load_then_the_bleed_and_never_below_zero() -> None:
    spec = replace(PLAIN, off_ohm=1e5)
    rig = running(spec)
    rig.drive(3.0, connected=False)
    rig.go(10 * MS + 1000 * MS)
    fall_s = spec.capacitance_f * 0.8 / 6e-6
    expected = 2.2 * math.exp(-(1.0 - fall_s) / (spec.capacitance_f * 1e5))
    (current,), (voltage,) = rig.at(1010 * MS)
    assert current == 0.0
    assert voltage == pytest.approx(expected, rel=1e-4)
    rig.go(60_000 * MS)
    assert 0 <= rig.supply.node_v() < 1e-6


def test_a_sinking_output_discharges_the_board_and_takes_the_charge_back() -> None:
    rig = running()
    rig.drive(0.0, ohm=1.0, clamp_a=0.1)
    rig.go(20 * MS)
    (current,), (voltage,) = rig.at(10 * MS + 1)
    assert current == -0.1
    assert voltage == pytest.approx(3.0, abs=1e-3)
    assert rig.supply.node_v() == pytest.approx(0.0, abs=1e-9)


def test_a_line_driven_above_a_dead_supply_feeds_it_through_the_diode() -> None:
    rig = Rig(PLAIN)
    rig.supply.set_lines(3.0)
    rig.go(2000 * MS)
    divided = 2.7 * PLAIN.off_ohm / (PLAIN.off_ohm + PLAIN.io_ohm)
    assert rig.supply.powered  # 2.67 V is enough to start it: the trap that power-up order avoids
    assert rig.supply.worst.io_over_supply_v == 3.0
    assert rig.supply.node_v() == pytest.approx(2.7, rel=1e-2)
    assert rig.supply.node_v() > divided


def test_the_current_through_a_driven_line_is_reported() -> None:
    rig = Rig(PLAIN)
    rig.supply.set_lines(3.0)
    assert rig.supply.backfeed_a() == pytest.approx(2.7e-3)
    rig.supply.set_lines(0.0)
    assert rig.supply.backfeed_a() == 0.0


def test_the_worst_voltage_at_the_supply_pin_is_remembered() -> None:
    rig = running()
    rig.drive(5.0)
    rig.go(11 * MS)
    rig.drive(3.0)
    rig.go(12 * MS)
    assert rig.supply.worst.supply_v == pytest.approx(5.0, rel=1e-3)


@pytest.mark.parametrize("bulk_f", [0.0, 2e-5])
def test_a_script_of_drives_and_loads_agrees_with_an_integrator(bulk_f: float) -> None:
    spec = replace(PLAIN, bulk_f=bulk_f, bulk_ohm=47.0, series_ohm=2.0)
    rig = running(spec, ohm=3.0, clamp_a=9e-3, load_a=1e-3)
    rig.go(60 * MS)
    t0 = 60 * MS
    rig.supply.set_load(Load(12e-3))  # beyond the clamp
    rig.go(t0 + MS)
    rig.supply.set_load(Load(1e-3))
    rig.go(t0 + 6 * MS)

    def slope(t: float, y: np.ndarray) -> list[float]:
        load = 12e-3 if t < 1e-3 else 1e-3
        i = min(max((3.0 - y[0]) / 5.0, -9e-3), 9e-3)
        branch = (y[0] - y[1]) / 47.0 if bulk_f else 0.0
        v = y[0] + 2.0 * i
        return [(i - load - branch) / spec.capacitance_f, branch / bulk_f if bulk_f else 0.0, i, i * i, v, v * i]

    start = 3.0 - 5.0 * 1e-3
    state = [start, start, 0.0, 0.0, 0.0, 0.0]
    for span in ((0, 1e-3), (1e-3 + 1e-15, 6e-3)):
        run = solve_ivp(slope, span, state, method="DOP853", rtol=1e-11, atol=1e-15, max_step=2e-5)
        state = run.y[:, -1].tolist()
    got = rig.supply.steps([t0, t0 + 6 * MS])[0]
    assert got[:4].tolist() == pytest.approx(state[2:], rel=2e-7)


def test_ripple_moves_the_node_and_keeps_its_mean() -> None:
    spec = replace(PLAIN, ripple_v=0.01, ripple_hz=1000.0)
    rig = running(spec, load_a=1e-3)
    rig.go(20 * MS)
    _, voltage = rig.at(20 * MS - 600_000, 20 * MS - 100_000)
    assert abs(voltage[0] - voltage[1]) == pytest.approx(0.02, rel=1e-3)
    mean = float(rig.supply.steps([15 * MS, 20 * MS])[0][2]) / 5e-3
    assert mean == pytest.approx(3.0 - 1e-3, rel=1e-4)


def test_memory_of_a_long_rest_stays_small() -> None:
    rig = running()
    before = rig.supply.segments()
    rig.go(3600 * 1000 * MS)
    assert rig.supply.segments() == before


def test_a_source_without_resistance_is_refused() -> None:
    with pytest.raises(ValueError, match="uohm"):
        Rig(PLAIN).drive(3.0, ohm=0.0)
