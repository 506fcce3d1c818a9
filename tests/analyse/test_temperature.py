"""Limits of error outside 18 to 28 Cel: wider by the row's coefficient, flagged where a row has none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labd.analyse.capture import meter_terms
from labd.analyse.report import notices
from labd.analyse.setup import AnalysisSetup
from labd.analyse.temperature import NO_COEFFICIENT, outside_k
from labd.store.catalogue import Catalogue
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.contract import Acquisition
from tests.analyse.stored_run import copy_of_a_run

SETUP = AnalysisSetup(mains_hz=50.0, marker_high_v=3.0, time_constant_s=1e-5, u_time_constant_s=0.0, burst_bound_s=0.03)
TAKEN = Acquisition(200_000, ("current", "voltage"), 2e-4, 0.1, 20.0)
TABLE = AccuracyTable(
    (
        AccuracyRow("current", 0.1, 2e-4, 1e-5, 0.0, "page 1", tempco_per_k=0.15),
        AccuracyRow("voltage", 20.0, 1e-4, 2e-3, 0.0, "page 2", tempco_per_k=0.1),
    )
)


def at(ambient_c: float | None, half_width_k: float = 1.0) -> AnalysisSetup:
    return replace(SETUP, ambient_c=ambient_c, ambient_half_width_k=half_width_k)


@pytest.mark.parametrize(("ambient", "kelvin"), [(23.0, 0.0), (27.0, 0.0), (27.5, 0.5), (31.0, 4.0), (19.0, 0.0), (15.0, 4.0), (None, 0.0)])
def test_what_may_lie_outside_the_band_counts(ambient: float | None, kelvin: float) -> None:
    assert outside_k(at(ambient)) == pytest.approx(kelvin)


@pytest.mark.parametrize("ambient", [31.0, 15.0])
def test_gain_and_offset_are_wider_by_the_coefficient_for_each_kelvin_outside(ambient: float) -> None:
    found = meter_terms("smu", TAKEN, TABLE, at(ambient))
    assert found.current[0].gain == pytest.approx(2e-4 * 1.6)
    assert found.current[0].offset_a == pytest.approx(1e-5 * 1.6)
    assert found.voltage_gain == pytest.approx(1e-4 * 1.4)
    assert found.voltage_offset_v == pytest.approx(2e-3 * 1.4)
    assert found.flags == ()


def test_inside_the_band_the_rows_hold_as_they_are() -> None:
    found = meter_terms("smu", TAKEN, TABLE, at(23.0))
    assert (found.current[0].gain, found.voltage_gain) == (2e-4, 1e-4)


@pytest.mark.parametrize("bare", ["current", "voltage"])
def test_a_row_without_coefficient_is_flagged_outside_the_band_only(bare: str) -> None:
    rows = tuple(replace(row, tempco_per_k=None) if row.quantity == bare else row for row in TABLE.rows)
    table = AccuracyTable(rows)
    found = meter_terms("smu", TAKEN, table, at(31.0))
    assert found.flags == (NO_COEFFICIENT,)
    assert (found.current[0].gain == 2e-4) == (bare == "current")
    assert meter_terms("smu", TAKEN, table, at(23.0)).flags == ()


def test_a_row_of_another_range_flags_nothing() -> None:
    table = AccuracyTable((*TABLE.rows, AccuracyRow("current", 1e-3, 2e-4, 1e-7, 0.0, "page 1")))
    assert meter_terms("smu", TAKEN, table, at(31.0)).flags == ()


def test_the_report_notes_a_room_outside_the_band(tmp_path: Path) -> None:
    run_id = copy_of_a_run(tmp_path)
    with Catalogue.open_read_only(tmp_path) as catalogue:
        run = catalogue.runs.get(run_id)
    for ambient, told in ((31.0, True), (23.0, False)):
        texts = [n.text for n in notices(run, [], None, at(ambient)) if n.where == "ambient"]
        assert texts == (["up to 4 K outside 18 to 28 °C; limits of error with a coefficient are widened"] if told else [])
