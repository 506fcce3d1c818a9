"""The daemon's log: machine readable, about something, and without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from labd import logs


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_of_json_says_when_who_what_and_what_about(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True)
    with logs.about(bench="demo", run="r1"), logs.about(capture="floor/0"):
        logging.getLogger("labd.bench").warning("the disk is slow: %d ms", 40)
    logging.getLogger("labd.bench").info("idle")
    about, without = lines(capsys)
    assert {key: about[key] for key in ("level", "logger", "message", "bench", "run", "capture")} == {
        "level": "WARNING",
        "logger": "labd.bench",
        "message": "the disk is slow: 40 ms",
        "bench": "demo",
        "run": "r1",
        "capture": "floor/0",
    }
    assert about["time"]
    assert "run" not in without


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cr3t-t0ken",
        "connecting with password=s3cr3t-t0ken to the broker",
        '{"token": "s3cr3t-t0ken"}',
        "bearer s3cr3t-t0ken refused",
    ],
)
def test_secrets_are_masked(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=False)
    logging.getLogger("labd").warning("%s", text)
    out = capsys.readouterr().err
    assert "s3cr3t" not in out
    assert "***" in out


def test_the_http_servers_lines_come_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(as_json=True)
    logging.getLogger("uvicorn.error").error("a fault")
    assert [line["message"] for line in lines(capsys)] == ["a fault"]
