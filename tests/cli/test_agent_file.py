"""`labd agent` gives the very file that runs on a board."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from labd.cli import agent
from tests.agent.apart import AGENT
from tests.cli.local_app import Commands


def test_it_writes_a_file_that_runs_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, agent)("agent", tmp_path / "board")
    assert answer.code == 0
    path = tmp_path / "board/agent.py"
    assert path.read_bytes() == AGENT.read_bytes()
    ended = subprocess.run(
        [sys.executable, "-I", str(path), "--help"], capture_output=True, text=True, timeout=60, check=True, cwd=tmp_path
    )
    assert "--callable" in ended.stdout


def test_it_prints_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    answer = Commands(capsys, agent)("agent", "--print")
    assert answer.out == AGENT.read_text("utf-8")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").touch()
    answer = Commands(capsys, agent)("agent", tmp_path / "taken")
    assert answer.code == 8
    assert "taken" in answer.error
