"""Commands are loaded one at a time, and the list of them is what their modules register."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_group

from labd.cli.commands import MODULES, registered
from labd.cli.main import run_command

NOT_FOR_A_STOP = ("fastapi", "httpx", "jinja2", "matplotlib", "pyarrow", "scipy", "uvicorn", "websockets")


@pytest.mark.parametrize("module", MODULES)
def test_a_module_registers_the_commands_that_are_listed_for_it(module: str) -> None:
    assert tuple(get_group(registered(module)).commands) == MODULES[module]


def test_the_emergency_stop_loads_no_other_command_and_nothing_of_the_server() -> None:
    script = (
        "import sys; from labd.cli.main import run_command; run_command(['bench', 'off', '--help']); "
        "print(*(name for name in sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    loaded = set(ended.stderr.split())
    assert "labd.cli.bench" in loaded
    assert loaded & {f"labd.cli.{name}" for name in MODULES} == {"labd.cli.bench"}
    assert loaded & set(NOT_FOR_A_STOP) == set()


def test_a_mistyped_command_is_told_the_right_one(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["sbumit"]) == 2
    assert "Did you mean 'submit'?" in capfd.readouterr().err
