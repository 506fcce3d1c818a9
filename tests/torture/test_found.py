"""What `make torture` says of its cases: each falls short under its own name, and the last line is printed whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.torture import __main__ as torture
from benchmarks.torture.found import Found, Unexpected, run


def fine(folder: Path, found: Found) -> None:
    assert folder.is_dir()
    found.say("off after 0.1 s")


def short(_folder: Path, found: Found) -> None:
    found.say("off after 2.5 s")
    found.expect(False, "off after 2.50 s")


def unexpected(_folder: Path, _found: Found) -> None:
    raise Unexpected("the daemon died")


def broken(_folder: Path, _found: Found) -> None:
    raise ConnectionRefusedError("nobody listens")


def test_each_case_falls_short_under_its_name_and_leaves_the_others_alone(capsys: pytest.CaptureFixture[str]) -> None:
    code = run("torture", [{"broken": broken, "short": short, "fine": fine}, {"unexpected": unexpected, "also fine": fine}])
    lines = capsys.readouterr().out.splitlines()
    assert code == 1
    assert lines[:3] == ["short: off after 2.5 s", "fine: off after 0.1 s", "also fine: off after 0.1 s"]
    assert lines[3:-1] == [
        "FALLS SHORT: broken: ConnectionRefusedError: nobody listens",
        "FALLS SHORT: short: off after 2.50 s",
        "FALLS SHORT: unexpected: the daemon died",
    ]
    assert lines[-1].endswith("; short: off after 2.5 s; fine: off after 0.1 s; also fine: off after 0.1 s; 3 fall short")


def test_cases_that_hold_what_they_promise_end_with_ok(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("torture", [{"fine": fine}]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("fine: off after 0.1 s; ok")


def test_the_last_line_is_there_and_is_no_ok_when_somebody_breaks_it_off(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(_folder: Path, _found: Found) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run("torture", [{"fine": fine, "interrupted": interrupted}])
    assert capsys.readouterr().out.splitlines()[-1].endswith("fine: off after 0.1 s; broken off")


def test_only_refuses_a_case_that_is_not_there_and_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        torture.main(["--only", "nothing"])
    assert "stop-locked" in capsys.readouterr().err
