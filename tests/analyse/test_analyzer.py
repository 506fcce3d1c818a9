"""A power analyzer's readings as the closure test takes them: what its own inputs may take of the mean."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from labd.analyse.analyzer import NOT_DECLARED, analyzer_readings
from labd.analyse.setup import AnalysisSetup
from labd.kpi.inputs import AnalyzerReadings
from labd.records import Mode, OperatingPoint, Role
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import PlannedCapture
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.contract import Acquisition, Reading
from tests.analyse.stored_run import instrument, new_run

VOLT, PEAK_A, DUTY = 3.0, 40e-3, 0.1  # of a board that draws its peak a tenth of the time, and else nothing
SETUP = AnalysisSetup(50.0, 3.0, 0.0, 0.0, 0.028, peak_a=PEAK_A)
POINT = OperatingPoint(Mode.ALWAYS_ON, 35.0, VOLT, "dnn")
TAKEN = Acquisition(100_000_000, ("current", "voltage", "power"), 0.1, 0.02, 15.0)
READING = Reading(DUTY * PEAK_A, VOLT, VOLT * DUTY * PEAK_A)
TABLE = AccuracyTable((AccuracyRow("power", 0.3, 1e-3, 6e-4, 0.0, "certificate"),))


def readings(folder: Path, setup: AnalysisSetup) -> AnalyzerReadings:
    """Of a stored capture of an analyzer that shows the same mean each time."""
    made = new_run()
    analyzer = instrument() | {"name": "wt", "driver": "yokogawa_wt310e", "roles": ["cross_check"], "accuracy": to_json(TABLE)}
    planned = PlannedCapture("cross_check/0", Role.MEAN, POINT, 0, 0, {"instrument": "wt"})
    taken = {"acquisition": to_json(TAKEN), "readings": [to_json(READING)] * 4}
    with Catalogue.open(folder) as catalogue:
        run = catalogue.runs.create(replace(made, instruments={**made.instruments, "wt": analyzer}), [planned])
        row = catalogue.captures.begin(run.id, planned.key, taken)
        return analyzer_readings(run, row, setup)


def limit_w(found: AnalyzerReadings) -> float:
    assert found.u_correction_w is not None
    return float(found.u_correction_w * np.sqrt(3))


def test_the_limit_of_a_shunt_holds_what_a_current_that_moves_within_a_reading_takes(tmp_path: Path) -> None:
    found = readings(tmp_path, replace(SETUP, analyzer_shunt_ohm=0.5))
    assert limit_w(found) >= 0.5 * DUTY * PEAK_A**2 * (1 - 1e-9)


def test_the_limits_of_both_inputs_are_added(tmp_path: Path) -> None:
    both = readings(tmp_path / "both", replace(SETUP, analyzer_shunt_ohm=0.5, analyzer_voltmeter_ohm=2e6))
    shunt = readings(tmp_path / "shunt", replace(SETUP, analyzer_shunt_ohm=0.5))
    assert limit_w(both) - limit_w(shunt) == pytest.approx(VOLT**2 / 2e6)


def test_inputs_that_nobody_declared_are_unknown_and_not_0(tmp_path: Path) -> None:
    found = readings(tmp_path, SETUP)
    assert found.u_correction_w is None
    assert NOT_DECLARED in found.flags


def test_a_shunt_without_a_known_peak_is_unknown(tmp_path: Path) -> None:
    """Of a run that did not store the board's peak current."""
    found = readings(tmp_path, replace(SETUP, analyzer_shunt_ohm=0.5, peak_a=None))
    assert found.u_correction_w is None
    assert NOT_DECLARED not in found.flags
