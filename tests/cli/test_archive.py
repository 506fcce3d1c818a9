"""`labd archive`, `import`, `annotate` and `delete`, on a store of this machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd.cli import archive, imports, runs
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Commands


@pytest.fixture
def labd(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys, archive, imports, runs)


def test_a_run_goes_from_one_store_to_another(tmp_path: Path, labd: Commands) -> None:
    run = copy_of_a_run(tmp_path / "here")
    file = tmp_path / "run.zip"
    assert labd("archive", "latest", file, "--store", tmp_path / "here").out == f"{file}\n"
    assert labd("import", file, "--store", tmp_path / "there").out == f"{run}\n"
    here, there = (json.loads(labd("runs", "--store", tmp_path / name, "--json").out) for name in ("here", "there"))
    assert here == there
    assert here[0]["id"] == run


def test_a_file_that_is_there_and_a_run_that_is_there_are_left_alone(tmp_path: Path, labd: Commands) -> None:
    copy_of_a_run(tmp_path)
    file = tmp_path / "run.zip"
    file.write_text("mine")
    assert labd("archive", "latest", file, "--store", tmp_path).code == 8
    assert file.read_text() == "mine"
    assert labd("archive", "latest", file, "--store", tmp_path, "--force").code == 0
    assert "already" in labd("import", file, "--store", tmp_path).error


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path, labd: Commands) -> None:
    assert labd("import", tmp_path / "none.zip", "--store", tmp_path).code == 2
    (tmp_path / "other.zip").write_text("hello")
    answer = labd("import", tmp_path / "other.zip", "--store", tmp_path)
    assert answer.code == 8
    assert "other.zip" in answer.error


def test_notes_and_tags_are_changed_and_shown(tmp_path: Path, labd: Commands) -> None:
    copy_of_a_run(tmp_path)
    labd("annotate", "latest", "--store", tmp_path, "--notes", "new leads", "--tag", "keep", "--tag", "paper")
    assert labd("annotate", "latest", "--store", tmp_path, "--untag", "paper").out.splitlines()[1:] == ["tags  keep", "notes new leads"]
    assert len(json.loads(labd("runs", "--store", tmp_path, "--tag", "keep", "--json").out)) == 1
    assert "no such runs" in labd("runs", "--store", tmp_path, "--tag", "paper").out


def test_a_deleted_run_is_gone_with_its_traces(tmp_path: Path, labd: Commands) -> None:
    run = copy_of_a_run(tmp_path)
    assert (tmp_path / "traces" / run).is_dir()
    assert labd("delete", "latest", "--store", tmp_path, "--yes").out == f"{run} is deleted\n"
    assert not (tmp_path / "traces" / run).exists()
    assert json.loads(labd("runs", "--store", tmp_path, "--json").out) == []
