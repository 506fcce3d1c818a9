"""Shells complete labd's commands and options."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.cli.bench_apart import LABD


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_a_command(shell: str) -> None:
    asked = {"COMP_WORDS": "labd sub", "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": "labd sub", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    environment = os.environ | asked | {"_LABD_COMPLETE": f"complete_{shell}"}
    answer = subprocess.run(LABD, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "submit" in answer.stdout
