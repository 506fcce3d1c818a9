"""The VISA link over USBTMC and GPIB, with pyvisa-py's own sessions over a double of the library below them: no wire was there."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys

import pytest

from tests.instruments.double_session import BEHIND, CASES

ENDS_S = 120.0


@functools.cache
def came_to(behind: str) -> dict[str, str]:
    """All cases in one process, in which the double is in place before pyvisa-py looks for the library."""
    command = [sys.executable, "-m", "tests.instruments.double_session", behind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ENDS_S, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("behind", BEHIND)
def test_a_link_over_a_double_holds_what_it_holds_on_a_socket(behind: str, case: str) -> None:
    if behind.startswith("USB") and importlib.util.find_spec("usb") is None:
        pytest.skip("pyusb is not installed")
    assert came_to(behind)[case] == ""
