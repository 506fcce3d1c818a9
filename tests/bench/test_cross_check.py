"""A power analyzer between supply and board confirms one steady plateau, or says that it cannot."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labd.bench.cross_check import check_cross_checks
from labd.bench.expand import CapturePlan
from labd.errors import FileError
from labd.records import CaptureState, MarkStyle, Mode, OperatingPoint, Role
from tests.bench.whole_run import Watch, Whole, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

TIME_S = 6


def plan_of(folder: Path, rates: str, time: str = f"{TIME_S} s") -> Path:
    return changed(
        folder,
        "plans",
        "demo",
        replaced(
            ('"0 /s", "0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', rates),
            ('"always_on", "event_sleep", "event_reload"', '"always_on"'),
            ('floor_time = "4 s"', f'floor_time = "500 ms"\ncross_check_time = "{time}"'),
        ),
    )


def run(folder: Path, rates: str) -> Whole:
    return whole_run(folder, changed(folder, "benches", "virtual-cross-check", str), plan_of(folder, rates))


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
    assert "analyzer:correction" in {line.name for line in closure.budget}


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


def test_a_plateau_too_short_for_the_readings_is_refused_before_the_board_is_powered(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "truth.jsonl")
    bench = changed(tmp_path, "benches", "virtual-cross-check", str)
    with pytest.raises(FileError) as refused:
        whole_run(tmp_path, bench, plan_of(tmp_path, '"0 /s", "20 /s"', "40 ms"), watch)
    told = "demo.toml: captures.cross_check_time: expected at least 800 ms, 8 readings of analyzer (yokogawa_wt310e), one each 100 ms; got"
    assert told in str(refused.value)
    assert watch.board["boots"] == 0


@dataclass
class Told:
    """A power analyzer as far as it is asked before a run."""

    voltage_ranges_v: tuple[float, ...] = (15.0,)
    current_ranges_a: tuple[float, ...] = (0.005, 0.01)
    crest_factor: float = 3.0

    def configure_mean(self, setup: object) -> None: ...

    def read_mean(self) -> None: ...

    def zero(self) -> None: ...


@pytest.mark.parametrize(
    ("peak_a", "driver", "why"),
    [
        (0.04, Told(), "no range holds 3 V and a peak of 0.04 A"),
        (0.03, Told(voltage_ranges_v=(1.5,)), "no range holds 3 V and a peak of 0.03 A"),
        (0.03, object(), "wt gives no steady means; it cannot cross-check"),
    ],
)
def test_what_cannot_confirm_a_plateau_is_refused_with_its_key(peak_a: float, driver: object, why: str) -> None:
    point = OperatingPoint(Mode.ALWAYS_ON, 20.0, 3.0, "dnn")
    plan = CapturePlan("k", point, Role.MEAN, 0, 0, 120, 6.0, MarkStyle.GATE, "analyzer", 1)
    tool = SimpleNamespace(spec=SimpleNamespace(name="analyzer", driver="wt"), driver=driver)
    meter = SimpleNamespace(spec=SimpleNamespace(name="smu"))
    station = SimpleNamespace(meter=meter, tools={"analyzer": tool}, limits=SimpleNamespace(where="bench.toml"))
    rig: Any = SimpleNamespace(station=station, board=SimpleNamespace(peak_a=peak_a))
    with pytest.raises(FileError) as refused:
        check_cross_checks(rig, [plan], plan_file="plan.toml")
    assert str(refused.value) == f"bench.toml: instruments.analyzer.driver: analyzer: {why}"
    check_cross_checks(rig, [replace(plan, instrument="smu")], plan_file="plan.toml")


def test_an_analyzer_that_fails_costs_its_own_capture_and_no_figure_of_the_meter(tmp_path: Path) -> None:
    """The board draws more than its file says: the analyzer leaves its range."""
    bench = changed(tmp_path, "benches", "virtual-cross-check", str)
    plan = plan_of(tmp_path, '"0 /s", "35 /s"')
    board = tmp_path / "boards" / "virtual-m4.toml"
    board.write_text(board.read_text(encoding="utf-8").replace('peak_current = "40 mA"', 'peak_current = "5 mA"'), encoding="utf-8")
    whole = whole_run(tmp_path, bench, plan)
    (failed,) = whole.outcome.failed
    assert "over-input" in failed
    assert [row.state for row in whole.captures()] == [*[CaptureState.FINISHED] * (len(whole.captures()) - 1), CaptureState.FAILED]
    assert whole.get("power.mean", "always_on/r=35/v=3/dnn").u is not None
