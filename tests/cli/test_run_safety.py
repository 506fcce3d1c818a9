"""What labd refuses to power, as a user meets it: the exit code, the line, and what the board's pins saw."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.bench_apart import bench_apart, labd, write_plan

pytestmark = pytest.mark.compiler

LIMIT_V = 3.6  # limits.voltage of the demo bench


@pytest.mark.parametrize(("fault", "most_v"), [("open", 1.0), ("swapped", 2.5)])  # swapped: its protection at the terminals is 1.5 V above
def test_wrong_sense_leads_stop_a_run_before_the_board_sees_its_supply(tmp_path: Path, fault: str, most_v: float) -> None:
    with bench_apart(tmp_path, instruments={"smu": {"sense_fault": fault}}) as bench:
        ended = labd("run", bench.file, write_plan(tmp_path / "plan.toml"), "--store", tmp_path / "store", "--quiet")
        assert ended.code == 5, ended.err
        assert len(ended.lines) == 1
        assert "remote-sense test failed" in ended.err
        assert "sense leads" in ended.err
        board = bench.board()
        assert 0.0 < board["worst_supply_v"] <= most_v + 0.05  # it was tried, at the protection level of the test
        assert board["worst_pin_v"] <= LIMIT_V
        assert board["boots"] == 0
        assert not bench.output_on()


def test_check_names_an_open_sense_lead_and_tests_nothing_further(tmp_path: Path) -> None:
    with bench_apart(tmp_path, instruments={"smu": {"sense_fault": "open"}}) as bench:
        ended = labd("check", bench.file, "--store", tmp_path / "store")
        assert ended.code == 5, ended.out + ended.err
        failed = [line for line in ended.out.splitlines() if line.startswith("FAIL")]
        assert len(failed) == 1
        assert "remote-sense test failed" in failed[0]
        assert "back-feed asleep" not in ended.out
        assert bench.board()["worst_supply_v"] <= 1.05
        assert not bench.output_on()
