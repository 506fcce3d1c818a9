"""`labd show` prints the result of a run by any short form of its id."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.cli import show
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Commands


@pytest.mark.parametrize("short", ["latest", "20261123", "suffix"])
def test_a_run_is_found_by_a_short_form_and_its_table_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], short: str) -> None:
    run_id = copy_of_a_run(tmp_path)
    answer = Commands(capsys, show)("show", run_id[-4:] if short == "suffix" else short, "--store", tmp_path)
    assert answer.code == 0
    assert "always-on" in answer.out
    assert "Event-sleep needs less power than always-on below" in answer.out
    assert all(len(line) <= 100 for line in answer.out.splitlines())


def test_an_unknown_run_names_the_newest_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_id = copy_of_a_run(tmp_path)
    answer = Commands(capsys, show)("show", "19990101", "--store", tmp_path)
    assert answer.code == 9
    assert run_id in answer.error


def test_a_terminal_without_unicode_gets_plain_signs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_of_a_run(tmp_path)
    monkeypatch.setattr(show, "prints_unicode", lambda: False)
    answer = Commands(capsys, show)("show", "latest", "--store", tmp_path)
    assert answer.out.isascii()
    assert "+-" in answer.out
