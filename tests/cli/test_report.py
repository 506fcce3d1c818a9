"""`labd report` writes the report's files and prints their paths."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import pytest

from labd.cli import report
from labd.report import json as result_json
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Commands


def test_all_files_are_written_and_their_paths_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    answer = Commands(capsys, report)("report", "latest", "--store", tmp_path / "store", "--out", tmp_path / "new" / "out")
    paths = [Path(line) for line in answer.out.splitlines()]
    assert [p.name for p in paths] == ["report.html", "report.md", "kpis.csv", "result.json"]
    assert all(p.parent == tmp_path / "new" / "out" for p in paths)
    assert paths[0].read_text("utf-8").startswith("<!DOCTYPE html")
    jsonschema.validate(json.loads(paths[3].read_text("utf-8")), result_json.schema())
    with paths[2].open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["id"] for r in rows} >= {"fit.floor_power", "energy_per_inference.gross", "break_even_rate"}


def test_one_format_writes_one_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    Commands(capsys, report)("report", "latest", "--store", tmp_path / "store", "--out", tmp_path / "out", "--format", "csv")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["kpis.csv"]


def test_without_a_folder_one_is_named_after_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = copy_of_a_run(tmp_path / "store")
    monkeypatch.chdir(tmp_path)
    Commands(capsys, report)("report", "latest", "--store", tmp_path / "store", "--format", "md")
    assert (tmp_path / run_id / "report.md").exists()


def test_a_folder_that_cannot_be_made_is_an_error_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    (tmp_path / "file").write_text("")
    answer = Commands(capsys, report)("report", "latest", "--store", tmp_path / "store", "--out", tmp_path / "file")
    assert answer.code == 8
    assert str(tmp_path / "file") in answer.error
