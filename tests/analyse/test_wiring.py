"""A meter beside its source: which voltage, which burden and which leads are in its figures. Worked by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from labd.analyse.capture import meter_terms
from labd.analyse.setup import AnalysisSetup, SourceSetup
from labd.analyse.wiring import NOT_DECLARED, with_supply
from labd.kpi.inputs import MeterTerms
from labd.kpi.terms import Terms, charge_like, parts, power_like, unknown_terms
from labd.kpi.trace import moments
from labd.records import SupplyReading
from labd_instruments.accuracy import AccuracyRow, AccuracyTable, BurdenRow
from labd_instruments.contract import Acquisition

SOURCE = AccuracyTable((AccuracyRow("voltage", 20.0, 1e-4, 2e-3, 0.0, "test"),))
DMM = AccuracyTable((AccuracyRow("current", 0.1, 5e-4, 1e-5, 0.0, "test"),), timebase=5e-5, burden=(BurdenRow(0.1, 0.2, "test"),))
CURRENT = Acquisition(10_000, ("current",), 1e-5, 0.1, None, remote_sense=False)
POWER = replace(CURRENT, columns=("current", "voltage", "power"), voltage_range_v=15.0)
VECTOR = np.array([3.0 * 0.016, 3.0, 0.016, 1.0, 0.016**2])
READ = SupplyReading("supply", 3.001, 1e-4, 20.0, 0.02)
SETUP = AnalysisSetup(50.0, 3.0, 0.0, 0.0, 0.028, source=SourceSetup())


def terms(
    setup: AnalysisSetup = SETUP, table: AccuracyTable = DMM, taken: Acquisition = CURRENT, read: SupplyReading | None = READ
) -> MeterTerms:
    return with_supply(meter_terms("dmm", taken, table, setup), taken, read, table=SOURCE, set_v=3.0, setup=setup)


def half_widths(meter: MeterTerms) -> dict[str, float]:
    """Of 16 mA at 3 V for a second: the power's limits of error by name."""
    return {v.tag.name: abs(c) for v, c in parts(power_like(Terms(), meter, moments=moments(VECTOR), timed=False))}


def unknown(meter: MeterTerms) -> tuple[str, ...]:
    return unknown_terms(power_like(Terms(), meter, moments=moments(VECTOR), timed=False))


def wired(**changes: object) -> AnalysisSetup:
    return replace(SETUP, source=replace(SourceSetup(), **changes))  # type: ignore[arg-type]


def test_voltage_and_burden_are_in_the_budget_by_name() -> None:
    meter = terms()
    assert "constant voltage: 3.001 V, read by supply" in meter.flags
    found = half_widths(meter)
    assert found["supply:source_voltage.gain"] == pytest.approx(0.048 * 1e-4)
    assert found["supply:source_voltage.offset"] == pytest.approx(0.016 * 2e-3)
    assert found["supply:source_voltage.spread"] == pytest.approx(0.016 * 1e-4)
    # 0.2 V on 100 mA is 2 ohm at most: 1 ohm taken off, 1 ohm more or less
    assert meter.burden_ohm == 1.0
    assert found["dmm:burden_voltage"] == pytest.approx(0.016**2 * 1.0)


def test_a_voltage_that_the_source_only_sets_is_not_called_read_and_keeps_its_limits() -> None:
    meter = terms(read=replace(READ, as_set=True))
    assert "constant voltage: 3.001 V, not read, as set on supply" in meter.flags
    assert half_widths(meter)["supply:source_voltage.offset"] == pytest.approx(0.016 * 2e-3)


def test_an_ammeter_inside_the_sense_loop_has_no_burden() -> None:
    meter = terms(wired(ammeter_in_loop=True))
    assert meter.burden_ohm == 0.0
    assert "dmm:burden_voltage" not in half_widths(meter)


def test_a_declared_shunt_stands_for_the_document() -> None:
    meter = terms(wired(shunt_ohm=1.5, shunt_half_ohm=0.1))
    assert (meter.burden_ohm, meter.burden_half_ohm) == (1.5, 0.1)


def test_without_document_and_shunt_the_burden_is_unknown() -> None:
    assert unknown(terms(table=replace(DMM, burden=()))) == ("dmm:burden_voltage (unknown)",)


def test_a_voltage_that_nobody_read_is_the_set_one_and_unknown() -> None:
    meter = terms(read=None)
    assert "constant voltage: 3 V as set, not read" in meter.flags
    assert (meter.voltage_from, meter.voltage_gain) == ("set", None)


def test_leads_are_those_of_whoever_knows_the_voltage() -> None:
    setup = wired(lead_ohm=0.06, u_lead_ohm=0.003, meter_lead_ohm=0.02, u_meter_lead_ohm=0.004)
    meter = terms(setup, taken=POWER, read=None)
    assert (meter.lead_ohm, meter.u_lead_ohm) == (0.02, 0.004)
    # an ammeter sees no voltage: from the source's terminals, or the end of its sense leads, all the way to the board
    meter = terms(setup)
    assert [meter.lead_ohm, meter.u_lead_ohm] == pytest.approx([0.08, 0.005])


def test_sense_leads_that_end_beyond_an_ammeter_leave_no_lead() -> None:
    meter = terms(wired(ammeter_in_loop=True, meter_lead_ohm=0.02, u_meter_lead_ohm=None))
    assert (meter.lead_ohm, meter.u_lead_ohm) == (0.0, 0.0)


@pytest.mark.parametrize("undeclared", ["u_lead_ohm", "u_meter_lead_ohm"])
def test_leads_that_nobody_declared_are_unknown_and_not_0(undeclared: str) -> None:
    assert unknown(terms(wired(**{undeclared: None}))) == ("dmm:lead (unknown)",)


def test_leads_of_a_source_that_did_not_sense_at_the_board_are_unknown_where_undeclared() -> None:
    """Whatever the bench file says of its sense."""
    setup = replace(SETUP, source=None, u_lead_ohm=None)
    assert unknown(terms(setup)) == ("dmm:lead (unknown)",)
    assert unknown(terms(setup, taken=replace(CURRENT, remote_sense=True))) == ()


def test_the_burden_of_an_analyzer_that_nobody_declared_is_unknown_and_not_0() -> None:
    meter = terms(taken=POWER, read=None)
    assert NOT_DECLARED in meter.flags
    assert "dmm:burden_voltage (unknown)" in unknown(meter)


def test_the_limit_of_an_analyzers_shunt_holds_its_half_width() -> None:
    meter = terms(wired(shunt_ohm=0.5, shunt_half_ohm=0.1), taken=POWER, read=None)
    assert (meter.burden_ohm, meter.burden_half_ohm) == (0.0, 0.6)
    assert NOT_DECLARED not in meter.flags


def test_what_an_analyzers_voltage_input_draws_is_in_the_budget() -> None:
    meter = terms(wired(voltmeter_ohm=2e6), taken=POWER, read=None)
    assert half_widths(meter)["dmm:voltmeter"] == pytest.approx(3.0**2 / 2e6)
    charge = {v.tag.name: abs(c) for v, c in parts(charge_like(Terms(), meter, moments=moments(VECTOR), timed=False))}
    assert charge["dmm:voltmeter"] == pytest.approx(3.0 / 2e6)
    assert (meter.burden_half_ohm, NOT_DECLARED in meter.flags) == (0.0, False)


def test_an_instrument_that_feeds_and_measures_has_one_voltmeter() -> None:
    setup = replace(SETUP, source=None)
    meter = terms(setup, read=replace(READ, instrument="dmm"))
    assert {"dmm:voltage.gain", "dmm:voltage.offset"} <= half_widths(meter).keys()
    assert meter.burden_ohm == 0.0
