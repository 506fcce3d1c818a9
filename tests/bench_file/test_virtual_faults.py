"""Mistakes in what only a virtual bench reads: told by file and key before anything is measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labd import bench_file
from labd.daemon.opened import load_bench, open_bench
from labd.errors import FileError
from tests.bench.whole_run import FIXTURES, changed, replaced


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("run_static = 3e-3", "virtual.run_static: no such key; did you mean run_static_a?"),
        ("run_static_a = 3e9", "virtual.run_static_a: 3e+09 is not from 0 to 10"),
        ('firmware_target = "rp2041"', "virtual.firmware_target: 'rp2041' is not one of host, rp2040,"),
        ("[virtual.physics]\nleak = 2", "virtual.physics.leak: no such key"),
    ],
)
async def test_a_mistake_in_the_physics_names_the_board_file(key: str, problem: str, tmp_path: Path) -> None:
    path = changed(tmp_path, "benches", "demo", str)
    board = tmp_path / "boards/virtual-m4.toml"
    board.write_text(
        (FIXTURES / "boards/virtual-m4.toml").read_text("utf-8").replace("\nseed = 1\n", f"\nseed = 1\n{key}\n"), encoding="utf-8"
    )
    with pytest.raises(FileError, match=re.escape(f"virtual-m4.toml: {problem}")):
        async with open_bench(load_bench(path)):
            pass


def test_a_pin_that_no_virtual_board_has_names_the_line(tmp_path: Path) -> None:
    path = changed(tmp_path, "benches", "demo", replaced(("board.MARK", "board.MRK")))
    with pytest.raises(FileError, match=r'demo\.toml: lines\.marker\.from: .* TRIG or MARK, got "MRK"; did you mean "MARK"\?'):
        bench_file.load_bench(path)


def test_a_line_that_the_instrument_does_not_fire_is_told_beside_the_option_that_says_which(tmp_path: Path) -> None:
    path = changed(tmp_path, "benches", "virtual-2461", replaced(("smu.line2", "smu.line9")))
    with pytest.raises(
        FileError, match=r'lines\.trigger\.from: expected "smu\.line2", the line that options\.fire_line .*got "smu\.line9"'
    ):
        bench_file.load_bench(path)


def test_so_is_a_marker_that_ends_at_another_line_than_the_instrument_listens_to(tmp_path: Path) -> None:
    marker = '[lines.marker]\nfrom = "board.MARK"\nto = "smu.line4"\nlevel = "3.0 V"\nisolation = "level_shifter"\n\n[lines.trigger]'
    options = ("fire_line = 2,", "fire_line = 2, trigger_line = 3,")
    path = changed(tmp_path, "benches", "virtual-2461", replaced(options, ("[lines.trigger]", marker)))
    with pytest.raises(
        FileError, match=r'lines\.marker\.to: expected "smu\.line3", the line that options\.trigger_line .*listens to, got "smu\.line4"'
    ):
        bench_file.load_bench(path)
