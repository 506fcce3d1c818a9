"""How fast a board can go: from bursts that are one event each, with an interval, and never slower than it was seen to go."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.estimate import NOT_RESOLVED
from labd.kpi.events import TOO_LONG
from labd.kpi.inputs import CaptureInput, Detector
from labd.kpi.mode_fit import BELOW_MEASURED, NO_ACTIVE_TIME
from labd.kpi.power import ABOVE_ONE
from labd.kpi.rate_model import TWO_RATES, fit_line
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.kpi.terms import Terms
from labd.records import KpiRecord, Mode
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

BOARD = Dut(mode=Mode.EVENT_SLEEP, rest_a=60e-6)
RATE_HZ = 4.0


def capture(rate_hz: float = RATE_HZ, *, kept_awake_s: float = 0.0, event: int = 2, bound_s: float = 2 * BOARD.on_s) -> CaptureInput:
    """kept_awake_s: for so long its host keeps the board awake from the start of an event on, past the end of the program if need be."""
    made = synth.periodic(BOARD, Bench(), np.random.default_rng(1), rate=rate_hz, events=8, key=f"r{rate_hz:g}", burst_bound_s=bound_s)
    (stretch,) = made.stretches
    assert stretch.voltage is not None
    assert stretch.marker is not None
    begin, lasts = (round(t / stretch.dt_s) for t in ((1 + event) / rate_hz, kept_awake_s))
    more = max(0, begin + lasts + 100 - len(stretch.current))
    current = np.pad(stretch.current, (0, more), mode="edge")
    current[begin : begin + lasts] = np.maximum(current[begin : begin + lasts], np.float32(0.9 * current.max()))
    longer = dataclasses.replace(
        stretch, current=current, voltage=np.pad(stretch.voltage, (0, more), mode="edge"), marker=np.pad(stretch.marker, (0, more))
    )
    return dataclasses.replace(made, stretches=(longer,))


def swept(*captures: CaptureResult) -> SweepResult:
    floor = analyse_capture(synth.floor(BOARD, Bench(), np.random.default_rng(9), key="floor"))
    return analyse_sweep([floor, *captures], detector=Detector(), battery=None, seed=1)


def get(records: Sequence[KpiRecord], kpi: str) -> KpiRecord:
    return next(r for r in records if r.id == kpi)


def test_the_largest_rate_has_an_interval_that_holds_the_truth() -> None:
    found = get(swept(*(analyse_capture(capture(r)) for r in (4.0, 8.0))).records, "largest_rate")
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 1 / BOARD.on_s <= found.high
    assert found.high - found.low < 0.1 / BOARD.on_s


def test_a_board_that_its_host_kept_awake_has_no_duty_cycle_and_tells_no_largest_rate() -> None:
    awake, well = analyse_capture(capture(kept_awake_s=0.2)), analyse_capture(capture(8.0))
    assert get(awake.records, "duty_cycle").value is None
    assert get(awake.records, "duty_cycle").flags[0] == TOO_LONG
    assert get(swept(awake).records, "largest_rate").flags[0] == TOO_LONG
    assert get(swept(awake, well).records, "largest_rate").value == pytest.approx(1 / BOARD.on_s, rel=0.05)


def test_without_a_bound_a_duty_cycle_whose_interval_holds_everything_is_not_resolved() -> None:
    awake = analyse_capture(capture(kept_awake_s=0.2, bound_s=0.0))
    found = get(awake.records, "duty_cycle")
    assert (found.value, found.flags[0]) == (None, NOT_RESOLVED)
    assert get(swept(awake).records, "largest_rate").flags[0] == NO_ACTIVE_TIME


def test_a_duty_cycle_above_1_is_withheld() -> None:
    awake = analyse_capture(capture(kept_awake_s=3.0, event=7, bound_s=0.0))
    found = get(awake.records, "duty_cycle")
    assert (found.value, found.flags[0]) == (None, ABOVE_ONE)
    assert get(swept(awake).records, "largest_rate").value is None


def test_a_largest_rate_below_a_measured_one_is_withheld_by_name() -> None:
    result = analyse_capture(capture())
    faster = dataclasses.replace(result.estimates["inference_rate"], value=2 / BOARD.on_s)
    seen = dataclasses.replace(result, estimates={**result.estimates, "inference_rate": faster})
    found = get(swept(seen).records, "largest_rate")
    assert (found.value, found.flags[0]) == (None, BELOW_MEASURED)


def test_a_line_through_two_rates_says_that_it_tests_nothing() -> None:
    def power(k: int) -> object:
        return 1e-4 + Terms().random(f"A:{k}", 1e-7, dof=9)

    assert TWO_RATES in fit_line([0.0, 4.0], [power(0), power(1)]).flags
    assert TWO_RATES in fit_line([0.0, 4.0, 4.0], [power(0), power(1), power(2)]).flags
    assert TWO_RATES not in fit_line([0.0, 4.0, 8.0], [power(0), power(1), power(2)]).flags
    assert TWO_RATES in get(swept(analyse_capture(capture())).records, "fit.incremental_energy").flags
