"""`labd runs` lists what was run, newest first, with what became of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd.cli import runs
from labd.daemon.run import first_of
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from tests.analyse.stored_run import NOW_NS, captures, copy_of_a_run, new_run
from tests.cli.local_app import Commands


def _runs(folder: Path) -> list[str]:
    with Catalogue.open(folder) as catalogue:
        planned = [m.planned for m in captures(rates=())]
        first = catalogue.runs.create(new_run(), planned, now_ns=NOW_NS)
        catalogue.captures.begin(first.id, planned[0].key)
        catalogue.captures.finish(first.id, planned[0].key, samples=1, stretches=1)
        catalogue.captures.fail(first.id, planned[1].key, "gap")
        catalogue.runs.end(first.id, RunState.FAILED, error="[red]the board[/red] is gone")
        second = catalogue.runs.create(new_run(), planned, now_ns=NOW_NS + 3_600_000_000_000)
        return [first.id, second.id]


def test_runs_are_listed_newest_first_with_captures_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _runs(tmp_path)
    answer = Commands(capsys, runs)("runs", "--store", tmp_path)
    assert answer.code == 0
    assert answer.out.index(second) < answer.out.index(first)
    line = next(line for line in answer.out.splitlines() if first in line)
    assert "failed" in line
    assert "1/8, 1 failed" in line
    assert "2026-11-23 14:30:00" in line
    assert "[red]the board[/red] is gone" in line  # a name is never markup


def test_a_limit_shows_only_the_newest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = _runs(tmp_path)
    answer = Commands(capsys, runs)("runs", "--store", tmp_path, "-n", 1)
    assert second in answer.out
    assert first not in answer.out


def test_an_empty_store_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalogue.open(tmp_path):
        pass
    assert f"no runs in {tmp_path}" in Commands(capsys, runs)("runs", "--store", tmp_path).out


def test_a_folder_without_a_catalogue_is_an_error_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, runs)("runs", "--store", tmp_path / "none")
    assert answer.code == 9
    assert str(tmp_path / "none") in answer.error
    assert not (tmp_path / "none").exists()


def test_a_long_error_makes_no_wide_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(new_run(), [m.planned for m in captures(rates=())], now_ns=NOW_NS)
        catalogue.runs.end(run.id, RunState.FAILED, error="no answer to `laps` " * 12)
    answer = Commands(capsys, runs)("runs", "--store", tmp_path)
    assert answer.out.count("no answer to") == 12
    assert max(map(len, answer.out.splitlines())) < 180


def test_a_run_keeps_the_first_of_its_errors_and_how_many_more_there_are() -> None:
    assert first_of(["a: gone", *["b: silent"] * 11]) == "a: gone (+11 more)"
    assert first_of(["a: gone"]) == "a: gone"
    assert first_of([]) == ""


def test_a_run_is_listed_as_complete_or_with_the_keys_that_nobody_filled_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = copy_of_a_run(tmp_path)
    for untold, said in ((["hardware.process_node", "setup.rails"], "2 keys missing"), ([], "complete")):
        with Catalogue.open(tmp_path) as catalogue:
            catalogue.runs.disclosed(run_id, untold)
        assert said in Commands(capsys, runs)("runs", "--store", tmp_path).out
        (listed,) = json.loads(Commands(capsys, runs)("runs", "--store", tmp_path, "--json").out)
        assert (listed["complete"], listed["untold"]) == (not untold, untold)
