"""The link's two ends: what is refused, what a lost guard looks like, and what junk does."""

from __future__ import annotations

import asyncio
import grp
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from labd.errors import SafetyRefusal
from labd.guard.link import GuardLink, GuardLost
from labd.guard.off import switch_off
from labd.guard.spawn import ensure_guard
from tests.guard.guarded_bench import GuardProcess, armament, gone, guard_process, until

NOBODY_UID, GROUP = 65534, 1  # nobody; daemon
NOBODY = "TCPIP::127.0.0.1::9::SOCKET"


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[GuardProcess]:
    with guard_process(tmp_path) as running:
        yield running


class Heard:
    """What a link told of its state."""

    def __init__(self) -> None:
        self.states: list[bool] = []
        self.changed = asyncio.Event()

    def __call__(self, alive: bool, _text: str) -> None:
        self.states.append(alive)
        self.changed.set()

    async def until(self, states: list[bool]) -> None:
        async with asyncio.timeout(30):
            while self.states != states:
                self.changed.clear()
                await self.changed.wait()


async def test_without_a_guard_nothing_is_armed(tmp_path: Path) -> None:
    async with GuardLink(tmp_path / "none.sock") as link:
        assert not link.alive
        with pytest.raises(GuardLost, match="no guard serves"):
            async with link.armed(armament(NOBODY)):
                raise AssertionError("the body must not begin")


async def test_a_guard_that_dies_is_told_at_once_and_a_new_one_is_armed_again(guard: GuardProcess) -> None:
    heard = Heard()
    async with GuardLink(guard.socket, on_change=heard) as link, link.armed(armament(NOBODY)):
        guard.end()
        await heard.until([True, False])
        assert not link.alive
        await asyncio.get_running_loop().run_in_executor(None, guard.start)
        await heard.until([True, False, True])
        async with asyncio.timeout(30):
            while not (await link.status())["armed"]:  # noqa: ASYNC110  the guard is another process
                await asyncio.sleep(0.05)
    assert not guard.entries("lost")


async def test_who_gives_up_while_the_guard_arms_is_not_taken_for_hung(guard: GuardProcess) -> None:
    async with GuardLink(guard.socket) as link:
        await link.connect()
        given_up = asyncio.create_task(_armed_for_good(link))
        for _ in range(3):  # the request is written, and nobody has answered
            await asyncio.sleep(0)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert (await link.status())["armed"] == []
    assert guard.entries("armed")
    assert not guard.entries("lost")


async def _armed_for_good(link: GuardLink) -> None:
    async with link.armed(armament(NOBODY)):
        await asyncio.Event().wait()


async def test_a_guard_that_hangs_is_lost(guard: GuardProcess) -> None:
    heard = Heard()
    async with GuardLink(guard.socket, on_change=heard) as link, link.armed(armament(NOBODY, heartbeat_s=60.0)):
        guard.signal(signal.SIGSTOP)
        with pytest.raises(GuardLost, match="did not answer status within"):
            await link.status()
        assert heard.states == [True, False]


async def test_a_bench_in_use_by_a_living_process_is_refused_to_another(guard: GuardProcess) -> None:
    script = f"""
import asyncio, json
from pathlib import Path
from labd.guard.link import GuardLink
from tests.guard.guarded_bench import armament
async def main():
    async with GuardLink(Path({str(guard.socket)!r})) as link, link.armed(armament({NOBODY!r})):
        print(flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as other:  # noqa: ASYNC220  a short wait in a test
        assert other.stdout is not None
        other.stdout.readline()
        async with GuardLink(guard.socket) as link:
            with pytest.raises(SafetyRefusal, match=f"demo is in use by process {other.pid}"):
                async with link.armed(armament(NOBODY)):
                    raise AssertionError("the body must not begin")
            other.kill()
            until(lambda: bool(guard.entries("lost")))
            with pytest.raises(SafetyRefusal, match="still switching demo off"):
                async with link.armed(armament(NOBODY)):
                    raise AssertionError("the body must not begin")


async def test_a_driver_that_does_not_exist_is_refused_when_it_is_armed(guard: GuardProcess) -> None:
    arms = armament(NOBODY)
    message = {"op": "arm", "n": 1, "bench": "demo", "off_voltage_v": 0.1, "off_time_s": 1.0, "heartbeat_s": 1.0}
    source = {"name": arms.sources[0].name, "driver": "nosuch", "resource": NOBODY, "off_assurance": "second_session"}
    answer = said(guard.socket, json.dumps(message | {"sources": [source]}).encode() + b"\n")
    assert "there is no driver nosuch" in answer["error"]


JUNK = [
    b"\xff\xfe\n",
    b"[]\n",
    b"{}\n",
    b'{"op": "explode"}\n',
    b'{"op": ["arm"]}\n',
    b'{"op": "arm"}\n',
    b'{"op": "arm", "sources": [1], "bench": "x", "off_voltage_v": true}\n',
    b"[" * 60_000 + b"\n",
    b"x" * 200_000 + b"\n",
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_is_answered_with_what_is_wrong_and_the_guard_goes_on(guard: GuardProcess, junk: bytes) -> None:
    assert said(guard.socket, junk)["error"]
    assert said(guard.socket, b'{"op": "status", "n": 7}\n')["n"] == 7


def said(path: Path, text: bytes) -> dict[str, Any]:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(text)
        with client.makefile("rb") as lines:
            answer: dict[str, Any] = json.loads(lines.readline())
    return answer


def test_the_socket_is_its_owners_alone(guard: GuardProcess) -> None:
    assert stat.S_IMODE(guard.socket.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can ask as somebody else")
def test_members_of_the_socket_s_group_may_ask_for_the_stop_and_for_nothing_else() -> None:
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        folder = Path(name)
        folder.chmod(0o755)
        with guard_process(folder, "--group", grp.getgrgid(GROUP).gr_name) as guard:
            assert stat.S_IMODE(guard.socket.stat().st_mode) == 0o660
            source = {"name": "smu", "driver": "nosuch", "resource": NOBODY, "off_assurance": "second_session"}
            off = {"bench": "demo", "off_voltage_v": 0.1, "off_time_s": 1.0, "heartbeat_s": 1.0, "sources": [source]}
            with as_user(NOBODY_UID, GROUP):
                assert "pid" in said(guard.socket, b'{"op": "status"}\n')
                assert "no driver nosuch" in said(guard.socket, json.dumps({"op": "off"} | off).encode() + b"\n")["error"]
                for op in ("arm", "beat", "disarm", "take", "release"):
                    assert "status and off only" in said(guard.socket, json.dumps({"op": op} | off).encode() + b"\n")["error"]
            with as_user(NOBODY_UID), pytest.raises(PermissionError):
                said(guard.socket, b'{"op": "status"}\n')


@contextmanager
def as_user(uid: int, *groups: int) -> Iterator[None]:
    before = os.getgroups()
    os.setgroups(groups)
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(before)


def test_a_group_that_does_not_exist_is_named(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "labd.guard",
        "--socket",
        str(tmp_path / "s"),
        "--journal",
        str(tmp_path / "j"),
        "--group",
        "no-such-group",
    ]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 1
    assert "no-such-group" in ended.stderr


def test_a_service_manager_hears_that_the_guard_is_ready_when_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        with guard_process(tmp_path) as guard:
            assert manager.recv(200).startswith(b"READY=1")
            assert said(guard.socket, b'{"op": "status"}\n')["armed"] == []


def test_a_second_guard_on_the_same_socket_ends_by_saying_so(guard: GuardProcess) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "labd.guard", "--socket", guard.socket, "--journal", guard.journal],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr == f"labd guard: another guard serves {guard.socket}\n"
    assert said(guard.socket, b'{"op": "status"}\n')["pid"] == (guard.process.pid if guard.process else 0)


def test_a_killed_guard_leaves_nothing_that_stops_the_next_one(guard: GuardProcess) -> None:
    guard.end()
    assert guard.socket.exists()
    guard.start()
    until(lambda: len(guard.entries("started")) == 2)
    said(guard.socket, b'{"op": "status"}\n')


async def test_a_guard_started_by_labd_outlives_its_process_group_and_ends_by_itself(tmp_path: Path) -> None:
    guard = GuardProcess(tmp_path)
    script = f"""
import asyncio, os, signal
from pathlib import Path
from labd.guard.spawn import ensure_guard
asyncio.run(ensure_guard(Path({str(guard.socket)!r}), Path({str(guard.journal)!r}), linger_s=3.0))
os.killpg(0, signal.SIGKILL)
"""
    caller = await asyncio.create_subprocess_exec(sys.executable, "-c", script, start_new_session=True)
    assert await caller.wait() == -signal.SIGKILL
    async with GuardLink(guard.socket) as link:
        pid = int((await link.status())["pid"])
        assert os.getsid(pid) != os.getsid(0)
        await ensure_guard(guard.socket, guard.journal)  # there is one already
        assert int((await link.status())["pid"]) == pid
    until(lambda: gone(pid))
    assert not guard.socket.exists()


async def test_a_guard_that_cannot_start_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SafetyRefusal, match="the guard did not start"):
        await ensure_guard(tmp_path / "file" / "guard.sock", tmp_path / "guard.jsonl")


async def test_an_emergency_stop_that_reaches_nobody_says_which_source_is_not_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.guard.off.GIVE_UP_S", 0.0)
    (result,) = await switch_off(armament(NOBODY), sockets=[tmp_path / "none.sock"])
    assert not result.off
    assert result.source == "smu"
    assert NOBODY in result.text
