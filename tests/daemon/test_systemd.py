"""What the service manager hears, over a real datagram socket."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from labd import systemd


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
        end.settimeout(5)
        name = str(tmp_path / "notify") if request.param == "path" else f"@labd-test-{os.getpid()}-{tmp_path.name}"
        end.bind(name if request.param == "path" else f"\0{name[1:]}")
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        yield end


def test_a_state_reaches_the_manager(manager: socket.socket) -> None:
    systemd.notify("READY=1", "STATUS=idle")
    assert manager.recv(100) == b"READY=1\nSTATUS=idle"


def test_without_a_manager_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere/at/all")
    systemd.notify("READY=1")


async def test_the_watchdog_is_fed_while_the_loop_turns(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    manager.setblocking(False)
    feeding = asyncio.create_task(systemd.keep_alive())
    loop = asyncio.get_running_loop()
    for _ in range(3):
        assert await asyncio.wait_for(loop.sock_recv(manager, 100), timeout=5) == b"WATCHDOG=1"
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)


@pytest.mark.parametrize(("usec", "pid", "expected"), [("2000000", None, 2.0), ("", None, None), ("0", None, None), ("2000000", "1", None)])
def test_the_interval_is_this_process_s_own(usec: str, pid: str | None, expected: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", usec)
    if pid is None:
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert systemd.watchdog_s() == expected
