"""What tests/conftest.py asks of every test fails a test that breaks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BAD = """
import asyncio, time
import pytest

LEAKED = []

async def test_blocked():
    began = time.thread_time()
    while time.thread_time() - began < 1.2:
        pass

async def test_waiting():
    await asyncio.sleep(0)

async def test_leaked():
    LEAKED.append(asyncio.create_task(asyncio.Event().wait(), name="nobody's"))
    await asyncio.sleep(0)

def test_skipped():
    pytest.skip("no such thing here")

def test_computing_outside_the_loop():
    began = time.thread_time()
    while time.thread_time() - began < 1.2:
        pass
"""


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rules")
    shutil.copy(ROOT / "tests/conftest.py", folder)
    (folder / "test_bad.py").write_text(BAD)
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n")
    command = [sys.executable, "-m", "pytest", "-rA", "--no-header", "-p", "no:cacheprovider", "test_bad.py"]
    environment = os.environ | {"LABD_SKIPS_FAIL": "1", "COLUMNS": "200"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False).stdout


def test_a_blocked_event_loop_fails_its_test(printed: str) -> None:
    assert "ERROR test_bad.py::test_blocked - AssertionError: the event loop was blocked" in printed


def test_a_task_without_an_owner_fails_its_test(printed: str) -> None:
    assert 'ERROR test_bad.py::test_leaked - AssertionError: tasks without an owner: ["nobody\'s"]' in printed


def test_a_skip_fails_where_skips_are_failures(printed: str) -> None:
    assert "FAILED test_bad.py::test_skipped" in printed


@pytest.mark.parametrize("name", ["test_waiting", "test_computing_outside_the_loop"])
def test_what_does_no_harm_passes(printed: str, name: str) -> None:
    assert f"PASSED test_bad.py::{name}" in printed
    assert f"ERROR test_bad.py::{name}" not in printed
