"""A power analyzer between supply and board confirms one steady plateau, or says that it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.records import CaptureState
from tests.bench.whole_run import Whole, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

TIME_S = 6


def run(folder: Path, rates: str) -> Whole:
    plan = changed(
        folder,
        "plans",
        "demo",
        replaced(
            ('"0 /s", "0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', rates),
            ('"always_on", "event_sleep", "event_reload"', '"always_on"'),
            ('floor_time = "4 s"', f'floor_time = "500 ms"\ncross_check_time = "{TIME_S} s"'),
        ),
    )
    return whole_run(folder, changed(folder, "benches", "virtual-cross-check", str), plan)


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return run(tmp_path_factory.mktemp("fast"), '"0 /s", "20 /s", "35 /s"')


def test_the_plateau_is_the_highest_rate_that_the_update_does_not_lock_to(fast: Whole) -> None:
    (row,) = [row for row in fast.captures() if "cross_check" in row.key]
    assert row.state is CaptureState.FINISHED
    assert row.key == "always_on/r=35/v=3/dnn/cross_check/0"
    assert row.order == len(fast.captures()) - 1


def test_one_reading_an_update_is_stored_with_how_it_was_taken(fast: Whole) -> None:
    taken = fast.capture("always_on/r=35/v=3/dnn/cross_check/0").acquisition
    assert len(taken["readings"]) == TIME_S * 10
    assert all(reading["power_w"] > 0 for reading in taken["readings"])
    assert taken["acquisition"]["settings"]["line_filter"] == "off"
    # its peak of 40 mA is held by the 20 mA range, crest factor 3
    assert (taken["acquisition"]["current_range_a"], taken["acquisition"]["voltage_range_v"]) == (0.02, 15.0)


def test_the_closure_holds_and_is_no_wider_than_it_may_be(fast: Whole) -> None:
    (closure,) = [record for record in fast.outcome.records if record.id == "closure.power_analyzer"]
    mean_w = fast.value("power.mean", "always_on/r=35/v=3/dnn")
    assert closure.at == "always_on/r=35/v=3/dnn"
    assert closure.low is not None
    assert closure.high is not None
    assert closure.low < 0 < closure.high
    assert closure.high - closure.low < 2 * 0.05 * mean_w
    assert "burden of the analyzer not declared" in closure.flags


def test_the_readings_hold_the_truth_of_the_plateau(fast: Whole) -> None:
    readings = [reading["power_w"] for reading in fast.capture("always_on/r=35/v=3/dnn/cross_check/0").acquisition["readings"]]
    events = fast.watch.records("event")[-TIME_S * 30 :]
    seconds = (events[-1]["from_ns"] - events[0]["from_ns"]) * 1e-9
    true = (events[-1]["cum_energy_j"] - events[0]["cum_energy_j"]) / seconds
    # 0.1 % of reading and 0.2 % of 15 V x 20 mA
    assert sum(readings) / len(readings) == pytest.approx(true, abs=1e-3 * true + 2e-3 * 0.3)


def test_an_analyzer_that_cannot_tell_says_not_informative(tmp_path: Path) -> None:
    slow = run(tmp_path, '"0 /s", "2 /s"')
    (closure,) = [record for record in slow.outcome.records if record.id == "closure.power_analyzer"]
    assert closure.value is None
    assert closure.flags[0] == "not informative"
