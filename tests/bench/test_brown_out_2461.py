"""A floor on a range that clamps the supply of a board that is awake: the run says so, goes on, and nothing is harmed."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.cli.main import run_command
from labd.records import CaptureState, Role
from tests.bench.whole_run import Whole, changed, replaced, whole_run

pytestmark = pytest.mark.compiler

FORCED = replaced(("[floor]", '[floor]\nrange = "100 uA"'))
SHORT = replaced(
    ('"0.5 /s", "2 /s", "5 /s", "10 /s", "20 /s", "35 /s"', '"2 /s"'),
    ('"always_on", "event_sleep", "event_reload"', '"always_on", "event_sleep"'),
    ('floor_time = "4 s"', 'floor_time = "500 ms"'),
    ("event_captures = 30", "event_captures = 4"),
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    folder = tmp_path_factory.mktemp("brown-out")
    return whole_run(folder, changed(folder, "benches", "virtual-2461", FORCED), changed(folder, "plans", "demo", SHORT))


def test_the_capture_fails_as_a_brown_out_that_names_range_and_clamp(whole: Whole) -> None:
    failed = [row for row in whole.captures() if row.state is CaptureState.FAILED]
    assert {row.key for row in failed} == {"always_on/r=0/v=3/dnn/floor/0", "always_on/r=0/v=3/dnn/floor/1"}
    for row in failed:
        assert row.error.startswith("brown-out: ")
        assert "100 uA range of smu" in row.error
        assert "105 uA" in row.error
    assert [line.split(": ", 1)[1] for line in whole.outcome.failed] == [row.error for row in sorted(failed, key=lambda row: row.order)]


def test_the_other_captures_are_made_on_a_board_that_started_anew(whole: Whole) -> None:
    done = {row.key: row.state for row in whole.captures() if not (row.role is Role.FLOOR and row.point.mode == "always_on")}
    assert set(done.values()) == {CaptureState.FINISHED}
    assert len(done) == 4


def test_the_board_says_the_same_and_was_never_above_its_limit(whole: Whole) -> None:
    falls = [record for record in whole.watch.records("power") if not record["on"]]
    assert whole.watch.board["resets"] >= 2
    assert whole.watch.board["boots"] >= 3
    assert len(falls) >= 2
    assert 2.9 < whole.watch.board["worst_pin_v"] <= 3.6
    assert whole.watch.board["crashed"] in (None, "", False)


def test_the_run_warned_before_it_measured(whole: Whole) -> None:
    assert any("100 uA range of smu limits the output to 105 uA" in text for text in whole.notices())


def test_the_command_line_ends_with_the_exit_code_of_a_failed_board(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bench, plan = changed(tmp_path, "benches", "virtual-2461", FORCED), changed(tmp_path, "plans", "demo", SHORT)
    assert run_command(["run", str(bench), str(plan), "--store", str(tmp_path / "store"), "--quiet"]) == 4
    assert "labd: failed: always_on/r=0/v=3/dnn/floor/0: brown-out: " in capsys.readouterr().err
