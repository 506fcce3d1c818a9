"""Shells complete labd's commands and options."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from labd.cli.commands import MODULES

# as the script that an installation makes: completion goes by the program's name
AS_LABD = (sys.executable, "-c", "import sys; sys.argv[0] = 'labd'; from labd.cli.main import main; main()")


def completed(shell: str, typed: str) -> str:
    asked = {
        "COMP_WORDS": typed,
        "COMP_CWORD": str(typed.count(" ")),
        "_TYPER_COMPLETE_ARGS": typed,
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }
    environment = os.environ | asked | {"_LABD_COMPLETE": f"complete_{shell}"}
    answer = subprocess.run(AS_LABD, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "Usage:" not in answer.stdout
    return answer.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_a_command(shell: str) -> None:
    assert "submit" in completed(shell, "labd sub")


def test_a_shell_completes_a_command_of_a_group_and_an_option() -> None:
    assert completed("bash", "labd bench o").split() == ["off"]
    assert "--priority" in completed("bash", "labd submit --pri").split()


def test_a_shell_that_asks_for_commands_hears_all_of_them() -> None:
    assert completed("bash", "labd ").split() == [name for names in MODULES.values() for name in names]
