"""Lines of several runs cross where they cross, with the errors that their instruments share and no others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from labd.kpi.across import StoredLine, cheapest, covariance, covariance_of, crossing, fitted
from labd.kpi.inputs import Detector
from labd.kpi.terms import Terms
from labd.records import BudgetLine, KpiRecord, Mode, Provenance

SMU = {"smu": "Keysight N6705C MY1"}
GAIN = 0.01  # limit of error of the meter, as a fraction


def record(kpi: str, value: float, *, scatter: float, dof: float = 20.0) -> KpiRecord:
    """With the gain of its meter and a scatter of its own, as a run publishes it."""
    gain = value * GAIN / 3**0.5
    budget = (BudgetLine("smu:current[0.1 A].gain", gain, "B", "rectangular"), BudgetLine(f"A:{kpi}", scatter, "A", "t", dof))
    u = (gain**2 + scatter**2) ** 0.5
    return KpiRecord(kpi, "m", value, "W", u, value - 2 * u, value + 2 * u, 20, Provenance.MEASURED, "fit", budget=budget)


def line(run: str, mode: Mode, floor: float, slope: float, *, scatter: float = 1e-4, specimens: dict[str, str] | None = None) -> StoredLine:
    records = record("fit.floor_power", floor, scatter=floor * scatter), record("fit.incremental_energy", slope, scatter=slope * scatter)
    return StoredLine(run, mode, *records, 60.0, 35.0, SMU if specimens is None else specimens, Detector())


ALWAYS = line("a", Mode.ALWAYS_ON, 4e-3, 0.25e-3)
SLEEP = line("b", Mode.EVENT_SLEEP, 20e-6, 0.45e-3)
RATE = (4e-3 - 20e-6) / 0.2e-3


def test_two_runs_cross_where_their_lines_do() -> None:
    found = crossing(ALWAYS, SLEEP, seed=1)
    assert found.value == pytest.approx(RATE)
    assert found.low is not None
    assert found.high is not None
    assert found.low < RATE < found.high


def test_the_gain_of_one_instrument_cancels_and_that_of_two_does_not() -> None:
    same = crossing(ALWAYS, SLEEP, seed=1)
    other = crossing(ALWAYS, replace(SLEEP, specimens={"smu": "Keysight N6705C MY2"}), seed=1)
    assert same.u is not None
    assert other.u is not None
    assert same.u / RATE < 10 * 1e-4  # the scatter alone, some of it magnified by the small difference
    # relative error of n / d by the gains of both meters: n moves with the floors, d with the slopes
    by_first, by_second = 4e-3 / 3.98e-3 + 0.25 / 0.2, -20e-6 / 3.98e-3 - 0.45 / 0.2
    expected = GAIN / 3**0.5 * (by_first**2 + by_second**2) ** 0.5
    assert other.u / RATE == pytest.approx(expected, rel=0.02)


def test_an_offset_of_one_instrument_is_not_shared_by_two_runs() -> None:
    def offset(line: StoredLine, run: str) -> StoredLine:
        budget = tuple(replace(one, name=one.name.replace(".gain", ".offset")) for one in line.floor.budget)
        return replace(line, run=run, floor=replace(line.floor, budget=budget))

    terms = Terms()
    floors = [fitted(offset(one, run), terms).floor for one, run in ((ALWAYS, "a"), (SLEEP, "b"))]
    assert covariance(*floors) == 0


def test_scatter_of_one_name_in_two_runs_is_not_shared() -> None:
    again = crossing(replace(ALWAYS, run="b2"), SLEEP, seed=1)
    within = crossing(replace(ALWAYS, run="b"), SLEEP, seed=1)
    assert again.u is not None
    assert within.u is not None
    assert within.u < again.u  # in one run both floors have the same error, of which the difference keeps little


def test_a_budget_tells_how_two_figures_of_a_run_go_together() -> None:
    floor, slope = ALWAYS.floor, ALWAYS.slope
    assert covariance_of(floor, slope) == pytest.approx(GAIN**2 / 3 * 4e-3 * 0.25e-3)
    assert covariance_of(replace(floor, u=None), slope) == 0.0


def test_a_detector_lifts_the_floor_of_an_event_mode_alone() -> None:
    told = Detector("declared", power_w=1e-3, power_half_width_w=1e-4, false_wake_hz=0.5)
    lifted, still = (fitted(replace(one, detector=told), Terms()) for one in (SLEEP, ALWAYS))
    assert lifted.floor.nominal_value == pytest.approx(20e-6 + 1e-3 + 0.5 * 0.45e-3)
    assert still.floor.nominal_value == 4e-3
    assert crossing(ALWAYS, replace(SLEEP, detector=told), seed=1).value == pytest.approx((4e-3 - 1.245e-3) / 0.2e-3)


def test_a_figure_without_an_interval_is_refused() -> None:
    bare = replace(SLEEP, floor=replace(SLEEP.floor, u=None, low=None, high=None))
    with pytest.raises(ValueError, match=r"fit\.floor_power at m has no interval"):
        crossing(ALWAYS, bare, seed=1)


def test_who_needs_least_changes_at_crossings_and_where_one_can_serve_no_more() -> None:
    lines = {"sleep": (1.0, 1.0, 8.0), "on": (5.0, 0.1, None), "reload": (0.5, 2.0, None)}
    assert cheapest(lines, [0.1, 0.4, 0.6, 2.0, 4.0, 5.0, 9.0]) == [(0.1, "reload"), (0.6, "sleep"), (5.0, "on")]
    assert cheapest({"sleep": (1.0, 1.0, 3.0)}, [2.0, 4.0]) == [(2.0, "sleep")]
