"""`labd show` prints the result of a run by any short form of its id."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd.cli import report, show
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState
from tests.analyse.stored_run import NOW_NS, captures, copy_of_a_run, new_run
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


def failed_run(store: Path, error: str) -> None:
    """In which no capture succeeded, and two for the same reason."""
    with Catalogue.open(store) as catalogue:
        planned = [m.planned for m in captures(rates=())]
        run = catalogue.runs.create(new_run(), planned, now_ns=NOW_NS)
        for one in planned[:2]:
            catalogue.captures.begin(run.id, one.key)
            catalogue.captures.fail(run.id, one.key, error)
        catalogue.runs.end(run.id, RunState.FAILED, error=error)


def test_a_run_without_a_successful_capture_has_no_empty_tables_but_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed_run(tmp_path, "the agent is gone")
    said = Commands(capsys, show)("show", "latest", "--store", tmp_path).out
    assert said.startswith("No capture succeeded, of 8. 2 captures: the agent is gone (")
    for empty in ("Rate", "straight line", "U95", "Event detector", ": :"):
        assert empty not in said
    assert said.count("error: 2 captures: the agent is gone") == 1
    assert "warning: run: 6 of 8 captures were not made" in said


def test_its_report_says_so_on_standard_error_and_has_no_empty_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    failed_run(tmp_path / "store", "the agent is gone")
    answer = Commands(capsys, report)("report", "latest", "--store", tmp_path / "store", "--out", tmp_path)
    assert "No capture succeeded, of 8. 2 captures: the agent is gone" in answer.err
    assert len(answer.out.splitlines()) == 4
    written = (tmp_path / "report.md").read_text("utf-8")
    assert "No capture succeeded, of 8" in written
    assert "| Rate |" not in written
    assert "Straight line through" not in written


def test_what_ended_a_run_before_its_first_capture_has_a_subject(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Catalogue.open(tmp_path) as catalogue:
        run = catalogue.runs.create(new_run(), [m.planned for m in captures(rates=())], now_ns=NOW_NS)
        catalogue.runs.end(run.id, RunState.FAILED, error="no instrument at TCPIP::192.0.2.1")
    said = Commands(capsys, show)("show", "latest", "--store", tmp_path).out
    assert "error: run: it failed: no instrument at TCPIP::192.0.2.1" in said
    assert "warning: run: 8 of 8 captures were not made" in said
