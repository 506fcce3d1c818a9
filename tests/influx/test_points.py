"""Figures as points: whose they are, and which of them replaces which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from labd.influx.points import board_of, kpis
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance
from labd.store.catalogue import Catalogue
from labd.store.rows import NewRun, RunRow
from tests.influx.lab import BOARD, EFFECTIVE
from tests.influx.reader import Point, read

POINTS = [OperatingPoint(Mode.EVENT_SLEEP, rate, 3.3, "dnn") for rate in (0.0, 5.0)]
FIRST, SECOND = (KpiRecord("power.mean", p.key, 1e-3, "W", 1e-5, 9.8e-4, 1.02e-3, 3, Provenance.MEASURED, "mean") for p in POINTS)
OF_ALL = KpiRecord("fit.floor_power", "event_sleep", 2e-3, "W", None, None, None, 2, Provenance.COMPUTED, "fit")


@pytest.fixture
def run(tmp_path: Path) -> RunRow:
    with Catalogue.open(tmp_path) as catalogue:
        return catalogue.runs.create(NewRun("lab", "", "sweep", "", EFFECTIVE), [])


def of(run: RunRow, *records: KpiRecord, final: bool = False) -> list[Point]:
    return read(kpis("lab", run, records, {point.key: point for point in POINTS}, final=final))


def series(point: Point) -> tuple[object, ...]:
    return (point.measurement, *sorted(point.tags.items()), point.t_ns)


def test_a_figure_says_whose_it_is(run: RunRow) -> None:
    assert of(run, SECOND)[0].tags == {
        "bench": "lab", "board": BOARD, "run": run.id, "plan": "sweep", "id": "power.mean", "at": SECOND.at, "unit": "W",
        "mode": "event_sleep", "rate": "5", "supply": "3.3", "model": "dnn",
    }  # fmt: skip


def test_a_run_that_does_not_say_its_board_has_none(run: RunRow) -> None:
    bare = replace(run, bench_effective={})
    assert board_of(bare) == ""
    assert "board" not in of(bare, FIRST)[0].tags


def test_a_later_figure_replaces_the_earlier_one_whatever_has_come_before_it(run: RunRow) -> None:
    """A run's own figures stand behind those of its captures, which come one after the other."""
    early, late = of(run, FIRST, OF_ALL), of(run, FIRST, SECOND, OF_ALL, final=True)
    assert {series(point) for point in early} < {series(point) for point in late}


def test_figures_of_a_repeated_capture_stand_side_by_side(run: RunRow) -> None:
    found = of(run, FIRST, replace(FIRST, value=2e-3), SECOND)
    assert [(point.tags["at"], point.fields["value"], point.t_ns - run.created_ns) for point in found] == [
        (FIRST.at, 1e-3, 0),
        (FIRST.at, 2e-3, 1),
        (SECOND.at, 1e-3, 0),
    ]
