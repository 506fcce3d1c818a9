"""Steady readings: what leads and burden take of a current that moves within a reading, held against currents worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.inputs import CaptureInput, MeterTerms, RangeTerm, Stretch
from labd.kpi.terms import parts, unknown_terms
from labd.records import MarkStyle, Mode, OperatingPoint, Role

VOLT, PEAK_A, REST_A = 3.0, 40e-3, 9e-6
ROUNDED_W = 1e-7 * VOLT * PEAK_A  # of readings kept as float32
EXACT = MeterTerms("dmm", (RangeTerm(0.1, 0.0, 0.0),), 0.0, 0.0, 0.0, voltage_from="set")


def read(meter: MeterTerms, duty: float, *, peak_a: float | None = PEAK_A, rate: float = 20.0, power: bool = False) -> CaptureResult:
    """A board that draws its peak for a share of the time and rests for the rest of it, as readings that all show the same mean."""
    mean_a = duty * PEAK_A + (1 - duty) * REST_A
    current = np.full(40, mean_a, np.float32)
    capture = CaptureInput(
        key="c",
        point=OperatingPoint(Mode.EVENT_SLEEP, rate, VOLT, "dnn"),
        role=Role.MEAN if rate else Role.FLOOR,
        stretches=(Stretch(0.0, 0.02, current, None, VOLT),),
        mark_style=MarkStyle.GATE,
        marker_high_v=3.0,
        expected_events=0,
        laps=(),
        meter=meter,
        mains_hz=50.0,
        seed=1,
        read=True,
        peak_a=peak_a,
        power_w=VOLT * current.astype(np.float64) if power else None,
    )
    return analyse_capture(capture)


def off_by(found: CaptureResult, kpi: str, true_w: float) -> tuple[float, float]:
    """Its error, and the sum of its limits."""
    value = found.estimates[kpi].value
    return abs(value.nominal_value - true_w), sum(abs(c) for _, c in parts(value))


def truth_w(duty: float, ohm: float) -> float:
    """What the board gets of the source's voltage, less what a resistance in series takes: mean of i squared, not square of the mean."""
    return VOLT * (duty * PEAK_A + (1 - duty) * REST_A) - ohm * (duty * PEAK_A**2 + (1 - duty) * REST_A**2)


@pytest.mark.parametrize("duty", [1e-4, 0.02, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("ohm", [0.0, 1.0, 2.0])
def test_the_limits_of_a_burden_hold_whatever_moves_within_a_reading(duty: float, ohm: float) -> None:
    """0 to 2 ohm in series, at a duty cycle that readings do not show."""
    found = read(replace(EXACT, burden_ohm=1.0, burden_half_ohm=1.0), duty)
    error, limit = off_by(found, "power.mean", truth_w(duty, ohm))
    assert error <= limit + ROUNDED_W


@pytest.mark.parametrize("power", [False, True])
@pytest.mark.parametrize("duty", [0.02, 0.1, 0.5])
def test_the_limits_of_leads_hold_too_also_where_power_is_read(duty: float, power: bool) -> None:
    meter = replace(EXACT, lead_ohm=1.0, u_lead_ohm=0.2 / np.sqrt(3), power_gain=0.0, power_offset_w=0.0)
    for ohm in (0.8, 1.2):
        error, limit = off_by(read(meter, duty, power=power), "power.mean", truth_w(duty, ohm))
        assert error <= limit + ROUNDED_W


def test_an_analyzers_own_shunt_takes_of_the_mean_square_too() -> None:
    meter = replace(EXACT, burden_half_ohm=0.5, power_gain=0.0, power_offset_w=0.0)
    error, limit = off_by(read(meter, 0.1, power=True), "power.mean", truth_w(0.1, 0.5))
    assert error <= limit + ROUNDED_W


def test_a_steady_current_within_the_limits_is_no_more_uncertain_than_its_peak_allows() -> None:
    meter = replace(EXACT, lead_ohm=1.0)
    found = read(meter, 1e-9, rate=0.0)
    terms = {v.tag.name: abs(c) for v, c in parts(found.estimates["power.floor"].value) if v.tag.kind == "B"}
    # i squared lies between the square of 9 uA and 9 uA times 40 mA
    assert terms.pop("dmm:within_reading.event_sleep.rest") == pytest.approx(1.0 * (PEAK_A * REST_A - REST_A**2) / 2, rel=1e-3)
    assert terms == {}


def test_rest_and_work_of_each_mode_hide_something_else() -> None:
    found = read(replace(EXACT, lead_ohm=1.0), 0.1)
    assert [v.tag.name for v, _ in parts(found.estimates["power.mean"].value) if v.tag.kind == "B"] == [
        "dmm:within_reading.event_sleep.work"
    ]


@pytest.mark.parametrize("peak_a", [None, 1e-3])
def test_without_a_peak_that_holds_the_mean_square_is_unknown(peak_a: float | None) -> None:
    """No peak is known, or one that the mean itself exceeds."""
    value = read(replace(EXACT, lead_ohm=1.0), 0.1, peak_a=peak_a).estimates["power.mean"].value
    assert unknown_terms(value) == ("dmm:within_reading.event_sleep.work (unknown)",)


def test_nothing_in_series_needs_no_peak() -> None:
    assert unknown_terms(read(EXACT, 0.1, peak_a=None).estimates["power.mean"].value) == ()
