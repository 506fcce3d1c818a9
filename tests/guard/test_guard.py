"""The guard against a virtual bench in real time: whatever happens to the daemon, the output goes off and the board is discharged."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from labd.guard import attempt, journal, server, wire
from labd.guard.client import Client
from labd.guard.holder import Holder
from labd.guard.journal import Journal
from labd.guard.link import GuardLink, TakenByGuard
from labd.guard.off import switch_off
from labd.guard.peer import Peer
from labd_instruments.contract import OffAssurance, Reading
from labd_instruments.errors import OutputNotOffError
from tests.cli.bench_apart import Bench, bench_apart
from tests.guard.guarded_bench import SEEN_S, GuardProcess, armament, daemon, gone, guard_process, powered, safe, until

pytestmark = pytest.mark.compiler

WITHIN_S = 2.0  # what the evidence tests ask for
ENDS_UNREAD = """import select, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(sys.stdin.buffer.read())
select.select([connection], [], [])
"""


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[GuardProcess]:
    with guard_process(tmp_path) as running:
        yield running


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with bench_apart(tmp_path) as running:
        yield running


def test_a_killed_daemon_leaves_the_output_off_and_an_incident_to_report(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource)) as process:
        until(lambda: powered(bench))
        process.kill()
        until(lambda: safe(bench))
    until(lambda: bool(guard.entries("done")))
    (incident,) = journal.unreported(guard.journal)
    assert incident.off
    assert incident.bench == "demo"
    assert "without disarming" in incident.text
    assert "smu: off" in incident.text
    journal.mark_reported(guard.journal, [incident])
    assert journal.unreported(guard.journal) == []


def test_an_end_with_an_answer_unread_is_told_as_an_end(guard: GuardProcess, bench: Bench) -> None:
    """The kernel resets such a connection, where it closes others."""
    request = wire.line({"op": "arm", "n": 1, **wire.write_armament(armament(bench.resource))})
    subprocess.run([sys.executable, "-c", ENDS_UNREAD, guard.socket], input=request, check=True)
    until(lambda: bool(guard.entries("lost")))
    (lost,) = guard.entries("lost")
    assert "the connection ended without disarming" in lost.text


def test_a_stopped_daemon_is_switched_off_and_told_so_when_it_goes_on(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource)) as process:
        process.send_signal(signal.SIGSTOP)
        until(lambda: safe(bench))
        assert not gone(process.pid)  # its session was not in the way
        process.send_signal(signal.SIGCONT)
        assert process.stdout is not None
        assert "the guard has switched demo off" in process.stdout.readline()


@pytest.mark.parametrize("behaviour", ["block", "stuck"])
def test_no_beat_is_taken_for_a_hang(guard: GuardProcess, bench: Bench, behaviour: str) -> None:
    with daemon(guard, armament(bench.resource), behaviour):
        until(lambda: safe(bench))
    until(lambda: bool(guard.entries("done")))
    assert any("no beat for 1 s" in entry.text for entry in guard.entries("lost"))


def test_a_guard_that_hung_and_goes_on_ends_the_run_whose_outputs_it_took_but_not_its_process(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource)) as process:
        guard.signal(signal.SIGSTOP)
        assert process.stdout is not None
        assert process.stdout.readline() == "lost\n"
        guard.signal(signal.SIGCONT)
        until(lambda: safe(bench))
        assert "the guard has switched demo off" in process.stdout.readline()
        assert not gone(process.pid)


async def test_a_beat_that_came_while_the_guard_itself_did_not_run_counts() -> None:
    """Its deadline and the beat are then seen at the same moment."""
    here, there = socket.socketpair()
    reader, writer = await asyncio.open_unix_connection(sock=here)
    loop = asyncio.get_running_loop()
    client = Client(cast("server.Guard", None), reader, writer, Peer(Holder(os.getpid(), 0), "me", owns=True))
    client.armament = armament("unused")
    client._deadline_s = loop.time() + 0.05
    with there, closing(writer):
        async with asyncio.TaskGroup() as tasks:
            line = tasks.create_task(client._line(), name="line")
            await asyncio.sleep(0)
            there.send(b'{"op":"beat"}\n')
            while loop.time() < client._deadline_s:
                pass
        assert line.result() == b'{"op":"beat"}\n'


def test_an_exclusive_link_is_freed_by_ending_the_hung_process(guard: GuardProcess, tmp_path: Path) -> None:
    with (
        bench_apart(tmp_path, instruments={"smu": {"clients": "one"}}) as bench,
        daemon(guard, armament(bench.resource, assurance=OffAssurance.GUARD_OWNS_LINK), "block") as process,
    ):
        until(lambda: gone(process.pid))
        until(lambda: safe(bench))


@pytest.mark.parametrize("clients", ["one", "one_refusing"])
def test_an_instrument_that_turns_out_to_serve_one_client_is_freed_as_well(guard: GuardProcess, tmp_path: Path, clients: str) -> None:
    with (
        bench_apart(tmp_path, instruments={"smu": {"clients": clients}}) as bench,
        daemon(guard, armament(bench.resource), "block") as process,
    ):
        until(lambda: safe(bench))
        assert gone(process.pid)
    assert guard.entries("not_verified")  # beside the hung session it did not work


def test_a_cut_network_is_tried_until_it_carries_again(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource)) as process:
        bench.control.ask(op="network", instrument="smu", cut=True)
        process.kill()
        until(lambda: bool(guard.entries("not_verified")))
        assert bench.output_on()
        assert not journal.unreported(guard.journal)[0].off
        bench.control.ask(op="network", instrument="smu", cut=False)
        until(lambda: safe(bench))
    until(lambda: bool(guard.entries("done")))


def test_a_daemon_that_disarms_may_go_and_nothing_happens(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource), "disarm") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "end: disarmed\n"
    until(lambda: bool(guard.entries("disarmed")))
    assert not guard.entries("lost")


def test_outputs_that_could_not_be_verified_off_are_left_to_the_guard_and_the_daemon_lives(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource), "unverified") as process:
        until(lambda: safe(bench))
        assert not gone(process.pid)
    until(lambda: bool(guard.entries("done")))


async def test_an_emergency_stop_through_the_guard_tells_the_process_whose_outputs_it_took(guard: GuardProcess, bench: Bench) -> None:
    arms = armament(bench.resource)
    with daemon(guard, arms) as process:
        (result,) = await switch_off(arms, sockets=[guard.socket], by="ann")
        assert result.off
        until(lambda: safe(bench))
        assert process.stdout is not None
        assert "switched demo off: emergency stop by ann" in process.stdout.readline()
        assert not gone(process.pid)


async def test_a_process_that_fails_by_a_stop_before_its_next_beat_still_hears_of_it(guard: GuardProcess, bench: Bench) -> None:
    arms = armament(bench.resource, heartbeat_s=600.0)
    with daemon(guard, arms, "follow") as process:
        (result,) = await switch_off(arms, sockets=[guard.socket], by="ann")
        assert result.off
        assert process.stdout is not None
        assert "switched demo off: emergency stop by ann" in process.stdout.readline()
        assert not gone(process.pid)


async def test_after_an_emergency_stop_nothing_is_armed_until_it_is_released_also_by_the_next_guard(
    guard: GuardProcess, bench: Bench
) -> None:
    arms = armament(bench.resource)
    await switch_off(arms, sockets=[guard.socket], by="ann")
    for _ in range(2):
        async with GuardLink(guard.socket) as link:
            with pytest.raises(TakenByGuard, match=r"emergency stop by ann.*labd bench resume"):
                async with link.armed(arms):
                    raise AssertionError("the body must not begin")
            assert (await link.status())["stopped"] == [{"bench": "demo", "why": "emergency stop by ann"}]
        guard.end()
        guard.start()
    async with GuardLink(guard.socket) as link:
        await link.release("demo", by="ann")
        async with link.armed(arms):
            pass
    guard.end()
    assert journal.stops(guard.journal) == {}


async def test_a_process_that_was_armed_hears_from_the_next_guard_of_a_stop_that_it_missed(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource)) as process:
        guard.end()
        assert process.stdout is not None
        assert process.stdout.readline() == "lost\n"
        async with Journal(guard.journal) as book:
            await book.note("stopped", "demo", "emergency stop by ann")
        guard.start()
        ended = next(line for line in process.stdout if line.startswith("end:"))
        assert "switched demo off: emergency stop by ann" in ended


async def test_a_stop_that_takes_longer_than_its_answer_goes_on_as_the_same_incident(
    guard: GuardProcess, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "GIVE_UP_S", 0.05)
    arms = armament(bench.resource)
    async with Journal(guard.folder / "own.jsonl") as book:
        own = server.Guard(book)
        async with own._tasks:
            bench.control.ask(op="network", instrument="smu", cut=True)
            (first,) = await own.stop_now(arms, "ann")
            assert not first["off"]
            assert own.armed_elsewhere(cast("Client", None), "demo") is not None
            bench.control.ask(op="network", instrument="smu", cut=False)
            monkeypatch.setattr(server, "GIVE_UP_S", SEEN_S)
            (second,) = await own.stop_now(arms, "bob")
            assert second["off"]
    (incident,) = journal.unreported(guard.folder / "own.jsonl")
    assert incident.off
    assert incident.ended
    assert incident.text.startswith("emergency stop by ann")


def test_what_a_guard_was_killed_in_is_told_once(guard: GuardProcess, bench: Bench) -> None:
    with daemon(guard, armament(bench.resource)) as process:
        bench.control.ask(op="network", instrument="smu", cut=True)
        process.kill()
        until(lambda: bool(guard.entries("not_verified")))
        guard.end()
    guard.start()
    (incident,) = journal.unreported(guard.journal)
    assert (incident.off, incident.ended) == (False, True)
    assert "the guard was ended before it could tell that all is off" in incident.text
    journal.mark_reported(guard.journal, [incident])
    guard.end()
    guard.start()
    assert journal.unreported(guard.journal) == []


@pytest.mark.parametrize("hung", [False, True])
async def test_an_emergency_stop_without_a_guard_ends_who_is_in_the_way(guard: GuardProcess, tmp_path: Path, *, hung: bool) -> None:
    with bench_apart(tmp_path, instruments={"smu": {"clients": "one"}}) as bench:
        arms = armament(bench.resource, assurance=OffAssurance.GUARD_OWNS_LINK, heartbeat_s=60.0)
        with daemon(guard, arms) as process:
            guard.end()
            if hung:
                process.send_signal(signal.SIGSTOP)
            (result,) = await switch_off(arms, sockets=[guard.socket], holder=Holder.of(process.pid))
            assert result.off
            assert gone(process.pid)
            until(lambda: safe(bench))


@pytest.mark.parametrize("sinks", [True, False])
def test_where_the_source_sees_the_board_off_means_discharged(*, sinks: bool) -> None:
    class Sees:
        volts = iter([3.0, 1.0, 0.05]) if sinks else itertools.repeat(3.0)

        def measure_output(self) -> Reading:
            return Reading(0.0, next(self.volts))

    arms = replace(armament("x"), off_time_s=0.05 if not sinks else 5.0)
    expected = nullcontext() if sinks else pytest.raises(OutputNotOffError, match=r"off, but 3 V at the board after 0.05 s")
    with expected:
        attempt._await_discharged(Sees(), arms)  # type: ignore[arg-type]  # all it asks for


@pytest.mark.evidence
@pytest.mark.parametrize("_round", range(5))
@pytest.mark.parametrize("clients", ["many", "one", "one_refusing"])
def test_off_and_discharged_within_two_seconds_of_a_kill(guard: GuardProcess, tmp_path: Path, clients: str, _round: int) -> None:
    with bench_apart(tmp_path, instruments={"smu": {"clients": clients}}) as bench, daemon(guard, armament(bench.resource)) as process:
        until(lambda: powered(bench))
        os.kill(process.pid, signal.SIGKILL)
        assert until(lambda: safe(bench)) < WITHIN_S


@pytest.mark.evidence
@pytest.mark.parametrize("_round", range(5))
def test_off_and_discharged_within_two_seconds_of_a_kill_with_the_network_cut(guard: GuardProcess, bench: Bench, _round: int) -> None:
    with daemon(guard, armament(bench.resource), "watchdog") as process:
        until(lambda: powered(bench))
        bench.control.ask(op="network", instrument="smu", cut=True)
        os.kill(process.pid, signal.SIGKILL)
        assert until(lambda: safe(bench)) < WITHIN_S
