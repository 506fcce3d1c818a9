"""Ending a process: that one and no other, whatever its state."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from labd.guard.holder import Holder

IGNORES_TERM = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen([sys.executable, "-c", IGNORES_TERM], stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running
        running.kill()


def holder_of(process: subprocess.Popen[str]) -> Holder:
    found = Holder.of(process.pid)
    assert found is not None
    return found


@pytest.mark.parametrize("stopped", [False, True])
async def test_a_process_that_heeds_no_sigterm_is_killed(process: subprocess.Popen[str], *, stopped: bool) -> None:
    holder = holder_of(process)
    if stopped:
        process.send_signal(signal.SIGSTOP)
    assert await holder.end()
    assert not holder.alive(), "a zombie holds nothing any more"
    assert process.wait() == -signal.SIGKILL


async def test_another_process_with_the_same_number_is_left_alone(process: subprocess.Popen[str]) -> None:
    earlier = replace(holder_of(process), started=1)
    assert not earlier.alive()
    assert await earlier.end()
    assert process.poll() is None


async def test_who_is_gone_already_needs_no_ending(process: subprocess.Popen[str]) -> None:
    holder = holder_of(process)
    process.kill()
    process.wait()
    assert Holder.of(process.pid) is None
    assert await holder.end()


async def test_nobody_ends_himself() -> None:
    own = Holder.of(os.getpid())
    assert own is not None
    assert not await own.end()
