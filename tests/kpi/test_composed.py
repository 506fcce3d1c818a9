"""A mode whose rates were not captured: floor and single events, from the same instrument on two ranges."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.composed import COMPOSED_OF_EVENTS
from labd.kpi.inputs import AnalyzerReadings, Battery, Detector, RangeTerm
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

BOARDS = {
    Mode.ALWAYS_ON: Dut(mode=Mode.ALWAYS_ON, rest_a=0.4e-3),
    Mode.EVENT_SLEEP: Dut(mode=Mode.EVENT_SLEEP, rest_a=60e-6),
}
RATES = (0.0, 2.0, 20.0)


def captures(bench: Bench, *, events: bool = True, floors: bool = True) -> list[CaptureResult]:
    rng = np.random.default_rng(8)
    fine = dataclasses.replace(bench, dt_s=20e-6)
    out = []
    for mode, dut in BOARDS.items():
        if floors:
            out += [analyse_capture(synth.floor(dut, bench, rng, key=f"{mode}-floor-{k}")) for k in range(2)]
        if events:
            out.append(analyse_capture(synth.triggered(dut, fine, rng, events=12, key=f"{mode}-event")))
    return out


def sweep(results: list[CaptureResult]) -> SweepResult:
    return analyse_sweep(results, detector=Detector(), battery=Battery(0.2, 3.0, rates_hz=(1.0,)), seed=2, rates_hz=RATES)


def get(found: SweepResult, kpi: str, at: str) -> KpiRecord:
    (record,) = (r for r in found.records if (r.id, r.at) == (kpi, at))
    return record


@pytest.fixture(scope="module")
def composed() -> SweepResult:
    return sweep(captures(Bench(errors={"gain": 0.9, "v_gain": 0.7})))


@pytest.mark.parametrize("mode", BOARDS)
def test_power_at_a_rate_is_floor_and_events_and_its_interval_holds_the_truth(composed: SweepResult, mode: Mode) -> None:
    for rate in RATES[1:]:
        record = get(composed, "power.mean", f"{mode}/r={rate:g}/v=3/dnn")
        assert record.low is not None
        assert record.high is not None
        assert record.low <= BOARDS[mode].mean_w(rate) <= record.high
        assert record.high - record.low < 0.08 * BOARDS[mode].mean_w(rate)  # 10 uA of offset at 3 V
        assert (record.provenance, COMPOSED_OF_EVENTS in record.flags) == (Provenance.COMPUTED, True)


@pytest.mark.parametrize("mode", BOARDS)
def test_line_break_even_and_battery_life_say_what_they_rest_on(composed: SweepResult, mode: Mode) -> None:
    slope = get(composed, "fit.incremental_energy", mode)
    assert slope.flags == (COMPOSED_OF_EVENTS,)
    assert set(slope.captures) == {f"{mode}-floor-0", f"{mode}-floor-1", f"{mode}-event"}
    assert COMPOSED_OF_EVENTS in get(composed, "break_even_rate", "always_on|event_sleep").flags
    assert COMPOSED_OF_EVENTS in get(composed, "battery_life", f"{mode}/r=1").flags


@pytest.mark.parametrize("mode", BOARDS)
def test_a_slope_is_not_closed_against_itself(composed: SweepResult, mode: Mode) -> None:
    record = get(composed, "closure.slope_vs_window", mode)
    assert (record.value, record.flags) == (None, ("the slope is the window energy",))


def test_the_points_of_the_fit_are_the_floors_and_the_plans_rates(composed: SweepResult) -> None:
    assert [fit.rates_hz for fit in composed.fits] == [(0.0, 0.0, 2.0, 20.0)] * 2
    assert all(fit.composed for fit in composed.fits)


@pytest.mark.parametrize(("missing", "reason"), [("events", "needs two rates or more, or event captures"), ("floors", "needs rate 0")])
def test_what_is_missing_is_said(missing: str, reason: str) -> None:
    found = sweep(captures(Bench(), **{missing: False}))
    assert get(found, "fit.incremental_energy", "always_on").flags[0] == reason
    assert found.fits == ()


def test_floors_that_drifted_apart_widen_a_composed_floor_as_they_widen_a_fitted_one() -> None:
    rng, board, step = np.random.default_rng(9), BOARDS[Mode.EVENT_SLEEP], 4e-6
    bench = Bench(noise_a=1e-7, terms=dataclasses.replace(Bench().terms, current=(RangeTerm(0.1, 250e-6, 1e-8),)))
    rest = [dataclasses.replace(board, rest_a=board.rest_a + move) for move in (-step, step)]
    floors = [analyse_capture(synth.floor(one, bench, rng, key=f"floor-{k}")) for k, one in enumerate(rest)]
    event = analyse_capture(synth.triggered(board, dataclasses.replace(bench, dt_s=20e-6), rng, events=12, key="event"))
    mean = analyse_capture(synth.periodic(board, bench, rng, rate=10, events=12, key="mean"))
    for others, at in (([event], "event_sleep"), ([mean, event], "event_sleep")):
        record = get(sweep([*floors, *others]), "fit.floor_power", at)
        assert record.low is not None
        assert record.high is not None
        for one in rest:
            assert record.low <= board.volt * (board.rest_a + 0.9 * (one.rest_a - board.rest_a)) <= record.high
        assert any("floor drift" in line.name for line in record.budget)


@pytest.mark.parametrize("mode", BOARDS)
@pytest.mark.parametrize("share", [1.0, 1.2])
def test_a_power_analyzer_is_held_against_the_composed_power(mode: Mode, share: float) -> None:
    point = OperatingPoint(mode, 20.0, 3.0, "dnn")
    power_w = share * BOARDS[mode].mean_w(20.0) + 1e-5 * np.random.default_rng(1).standard_normal(600)
    readings = AnalyzerReadings("check", "wt", point, power_w, 1e-3, 1e-5)
    found = analyse_sweep(captures(Bench()), detector=Detector(), battery=None, seed=2, rates_hz=RATES, analyzer=[readings])
    closure = get(found, "closure.power_analyzer", point.key)
    assert closure.value == pytest.approx((share - 1) * BOARDS[mode].mean_w(20.0), abs=2e-4)
    assert ("disagree" in closure.flags) == (share > 1)
    assert COMPOSED_OF_EVENTS in closure.flags
    assert closure.captures == ("check", *get(found, "fit.incremental_energy", mode).captures)
