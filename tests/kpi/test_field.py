"""What feeds the board in the field: harvester, buffer, battery by charge, and a battery under a pulse."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.harvester import MAYBE_NOT_ASLEEP, NOT_ASLEEP
from labd.kpi.inputs import Battery, Detector, Harvester
from labd.kpi.sweep import SweepResult, analyse_sweep
from labd.records import KpiRecord, Mode
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

DUT = Dut(Mode.EVENT_SLEEP, rest_a=60e-6)
FLOOR_W = DUT.volt * DUT.rest_a
EVENT_J = DUT.burst_j - FLOOR_W * DUT.on_s
CELL = Battery(0.225, 3.0, 0.85, 0.05, 0.01, (1.0,), 0.01, 0.1, 0.005, 15.0, 5.0)


@pytest.fixture(scope="module")
def results() -> list[CaptureResult]:
    rng = np.random.default_rng(7)
    bench = Bench(errors={"gain": 0.8, "offset": -0.5, "v_gain": 0.6})
    made = [synth.floor(DUT, bench, rng, key=f"floor-{k}") for k in range(2)]
    made += [synth.periodic(DUT, bench, rng, rate=rate, events=12, key=f"mean-{rate:g}") for rate in (2.0, 8.0)]
    made.append(synth.triggered(DUT, dataclasses.replace(bench, dt_s=20e-6), rng, events=16, key="event"))
    return [analyse_capture(one) for one in made]


def sweep(
    results: list[CaptureResult],
    *,
    harvester: Harvester | None = None,
    battery: Battery | None = None,
    detector: Detector | None = None,
    least_v: float | None = None,
) -> SweepResult:
    given = detector or Detector()
    return analyse_sweep(results, detector=given, battery=battery, harvester=harvester, seed=6, supply_min_v=least_v)


def get(found: SweepResult, kpi: str) -> KpiRecord:
    (record,) = (r for r in found.records if r.id == kpi)
    return record


def interval(record: KpiRecord) -> tuple[float, float]:
    assert record.low is not None
    assert record.high is not None
    return record.low, record.high


def test_a_harvester_sustains_what_it_gives_above_the_floor_over_what_an_event_takes(results: list[CaptureResult]) -> None:
    record = get(sweep(results, harvester=Harvester(2e-3, 0.7)), "harvester.neutral_rate")
    low, high = interval(record)
    assert low <= (0.7 * 2e-3 - FLOOR_W) / EVENT_J <= high
    assert record.method == "Fieller"


def test_limits_of_the_harvester_widen_the_rate(results: list[CaptureResult]) -> None:
    """10 % of 1.4 mW over 0.4 mJ an event, from a rectangular distribution: 95 % of the half width."""
    low, high = interval(get(sweep(results, harvester=Harvester(2e-3, 0.7, power_half_width_w=0.2e-3)), "harvester.neutral_rate"))
    assert (high - low) / 2 == pytest.approx(0.95 * 0.7 * 0.2e-3 / EVENT_J, rel=0.08)  # the instrument's errors beside it
    names = {line.name for line in get(sweep(results, harvester=Harvester(2e-3, 0.7, 1e-4, 0.05)), "harvester.neutral_rate").budget}
    assert {"harvester:power", "harvester:efficiency"} <= names


def test_what_does_not_pay_for_sleep_sustains_no_rate(results: list[CaptureResult]) -> None:
    record = get(sweep(results, harvester=Harvester(100e-6, 0.7)), "harvester.neutral_rate")
    assert (record.value, record.flags[0]) == (None, NOT_ASLEEP)


def test_what_may_not_pay_for_sleep_says_so(results: list[CaptureResult]) -> None:
    record = get(sweep(results, harvester=Harvester(300e-6, 0.7, power_half_width_w=100e-6)), "harvester.neutral_rate")
    assert record.value is not None
    assert interval(record)[0] < 0
    assert MAYBE_NOT_ASLEEP in record.flags


def test_the_detector_is_fed_as_well(results: list[CaptureResult]) -> None:
    plain, fed = (
        get(sweep(results, harvester=Harvester(2e-3, 0.7), detector=one), "harvester.neutral_rate").value
        for one in (None, Detector("declared", power_w=0.4e-3))
    )
    assert plain is not None
    assert fed is not None
    assert plain - fed == pytest.approx(0.4e-3 / EVENT_J, rel=0.02)


def test_a_buffer_pays_one_event(results: list[CaptureResult]) -> None:
    record = get(sweep(results, harvester=Harvester(2e-3, 0.7, high_v=4.2, low_v=2.2)), "harvester.buffer")
    low, high = interval(record)
    assert low <= 2 * DUT.burst_j / 0.7 / (4.2**2 - 2.2**2) <= high
    assert record.unit == "F"


def test_without_voltages_there_is_no_buffer(results: list[CaptureResult]) -> None:
    assert "harvester.buffer" not in {r.id for r in sweep(results, harvester=Harvester(2e-3, 0.7)).records}


def test_by_charge_a_battery_lasts_as_long_as_its_current_flows_whatever_its_voltage(results: list[CaptureResult]) -> None:
    found = {volt: sweep(results, battery=dataclasses.replace(CELL, voltage_v=volt)) for volt in (3.0, 3.6)}
    charge, energy = ({volt: get(one, kpi) for volt, one in found.items()} for kpi in ("battery_life.charge", "battery_life"))
    held_c = 0.85 * 0.225 * 3600
    low, high = interval(charge[3.0])
    assert low <= held_c / (DUT.mean_w(1.0) / DUT.volt + held_c * 0.01 / (365.25 * 86400)) <= high
    assert charge[3.6].value == charge[3.0].value
    assert charge[3.0].value is not None
    assert energy[3.0].value == pytest.approx(charge[3.0].value, rel=1e-3)  # a cell at the supply's own voltage
    assert energy[3.6].value == pytest.approx(1.2 * charge[3.0].value, rel=0.02)
    assert "battery:voltage" in {line.name for line in energy[3.0].budget} - {line.name for line in charge[3.0].budget}


def test_a_pulse_pulls_a_battery_down_by_its_resistance(results: list[CaptureResult]) -> None:
    record = get(sweep(results, battery=CELL), "battery_pulse_voltage")
    low, high = interval(record)
    assert low <= 3.0 - DUT.infer_a * 15.0 <= high
    assert record.note == "at power.peak[1ms]"
    assert {"battery:voltage", "battery:internal_resistance"} <= {line.name for line in record.budget}


@pytest.mark.parametrize(
    ("least_v", "flags"),
    [(2.5, ()), (2.8, ("may be below the 2.8 V that the board needs",)), (2.99, ("is below the 2.99 V that the board needs",))],
)
def test_a_battery_that_falls_below_what_the_board_needs_is_told(
    results: list[CaptureResult], least_v: float, flags: tuple[str, ...]
) -> None:
    assert get(sweep(results, battery=CELL, least_v=least_v), "battery_pulse_voltage").flags == flags


def test_without_its_resistance_nothing_is_said_of_a_pulse(results: list[CaptureResult]) -> None:
    found = sweep(results, battery=dataclasses.replace(CELL, internal_ohm=None))
    assert "battery_pulse_voltage" not in {r.id for r in found.records}
