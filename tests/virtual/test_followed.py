"""A board whose chip follows a device in real time: power, pins, bytes, currents and truth are those of what the device shows."""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.followed import Follower, Shown
from labd_virtual.load import Phase, State
from labd_virtual.spec import BenchSpec, BoardSpec, FirmwareSpec, SpecError

ASLEEP = Shown(State.SLEEP_RETAINED, Phase.SLEEP, 0)
AWAKE = Shown(State.RUNNING, Phase.WAKE, 0, 0.5)
INFERS = Shown(State.RUNNING, Phase.INFER, 1)
TAIL = Shown(State.WFI, Phase.TAIL, 0)
PLAIN = BoardSpec(power_dispersion=0.0, boot_s=0.0, thermal_k_per_w=0.0, ambient_c=25.0)


class Puppet:
    """A live device that does what the test says and notes what reaches it."""

    def __init__(self) -> None:
        self.starts = 0
        self.kills = 0
        self.levels: list[int] = []
        self.received = b""
        self.follower: Follower

    def start(self, follower: Follower) -> None:
        self.starts += 1
        self.follower = follower

    def kill(self) -> None:
        self.kills += 1

    def trig(self, level: int) -> None:
        self.levels.append(level)

    def receives(self, payload: bytes) -> None:
        self.received += payload


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - the bench tells nobody
            await asyncio.sleep(0.001)


@asynccontextmanager
async def followed(puppet: Puppet, *, delay_s: float = 0.0, board: BoardSpec = PLAIN) -> AsyncIterator[VirtualBench]:
    spec = BenchSpec(board=board, time="real", firmware=FirmwareSpec(delay_s=delay_s))
    async with run_bench(spec, keep_truth=True, device=puppet) as bench:
        feed(bench, 3.0)
        await until(lambda: puppet.starts)
        yield bench


def feed(bench: VirtualBench, emf_v: float) -> None:
    bench.board.supply.drive(emf_v=emf_v, resistance_ohm=0.01, clamp_a=0.1, connected=True)


async def test_it_boots_with_the_supply_and_dies_with_it_again_and_again() -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        puppet.follower.shows(INFERS)
        feed(bench, 0.0)
        await until(lambda: puppet.kills == 1)
        assert bench.board.silicon.doing.state is State.UNPOWERED
        assert bench.board.pins.level("MARK") == 0
        feed(bench, 3.0)
        await until(lambda: puppet.starts == 2)
        assert bench.board.silicon.counts.boots == 2


async def test_what_it_shows_is_what_the_board_draws_and_the_mark_pin_does() -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        drawn = {}
        for shown in (ASLEEP, AWAKE, INFERS, TAIL):
            puppet.follower.shows(shown)
            assert bench.board.pins.level("MARK") == shown.mark
            drawn[shown] = bench.board.supply.rest_power_w() / 3.0
        assert drawn[ASLEEP] == pytest.approx(6e-6, rel=0.1)
        assert drawn[AWAKE] == pytest.approx(8e-3, rel=0.02)
        assert drawn[INFERS] == pytest.approx(10e-3, rel=0.02)
        assert drawn[TAIL] == pytest.approx(1.7e-3, rel=0.02)


async def test_what_is_stamped_in_time_has_its_exact_place_whenever_it_is_told() -> None:
    puppet = Puppet()
    async with followed(puppet, delay_s=0.2) as bench:
        origin = bench.clock.at_host_ns(0)
        start = time.monotonic_ns()
        puppet.follower.shows(INFERS, start + 1_000)
        puppet.follower.shows(TAIL, start + 1_001_000)
        await until(lambda: bench.board.silicon.doing.phase is Phase.TAIL)
        edges = bench.board.pins.edges("MARK", 0, bench.clock.now_ns() + 1)
        assert [(e.t_ns - origin - start, e.level) for e in edges] == [(200_001_000, 1), (201_001_000, 0)]
        assert bench.board.silicon.counts.late == 0


async def test_what_is_stamped_too_late_counts_as_it_comes_in_its_order() -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        puppet.follower.shows(INFERS, time.monotonic_ns() - 1_000_000)
        puppet.follower.shows(TAIL, time.monotonic_ns() - 900_000)
        assert bench.board.silicon.doing.phase is Phase.TAIL
        assert bench.board.silicon.counts.late == 2
        assert bench.clock.behind().late == 0  # it shows itself without a delay: nothing was to be kept


async def test_what_comes_later_than_its_delay_is_told_as_time_that_was_not_kept() -> None:
    puppet = Puppet()
    async with followed(puppet, delay_s=0.02) as bench:
        puppet.follower.shows(INFERS, time.monotonic_ns() - 15_000_000_000)
        told = bench.clock.behind()
        assert told.late == 1
        assert told.worst_ns >= 14_900_000_000


async def test_nothing_planned_survives_the_supply() -> None:
    puppet = Puppet()
    async with followed(puppet, delay_s=0.05) as bench:
        puppet.follower.shows(INFERS)
        feed(bench, 0.0)
        await until(lambda: puppet.kills)
        await bench.clock.sleep_until(bench.clock.now_ns() + 100_000_000)
        assert bench.board.silicon.doing.state is State.UNPOWERED


async def test_both_edges_of_the_trigger_reach_it() -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        for level in (1, 1, 0, 1):
            bench.board.pins.drive("TRIG", level)
        assert puppet.levels == [1, 0, 1]


async def test_bytes_go_both_ways_and_are_lost_without_supply() -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        host = os.open(bench.board.uart.path, os.O_RDWR | os.O_NOCTTY)
        try:
            os.write(host, b"name%")
            await until(lambda: puppet.received == b"name%")
            puppet.follower.sends(b"m-ready\r\n")
            await until(lambda: not bench.board.uart._outgoing)
            assert await asyncio.to_thread(os.read, host, 100) == b"m-ready\r\n"
            feed(bench, 0.0)
            await until(lambda: puppet.kills)
            os.write(host, b"%")
            await until(lambda: bench.board.silicon.counts.bytes_lost == 1)
            assert puppet.received == b"name%"
        finally:
            os.close(host)


async def test_the_truth_of_an_event_has_its_cause_its_windows_and_its_energy() -> None:
    puppet = Puppet()
    async with followed(puppet, delay_s=0.1) as bench:
        start = time.monotonic_ns()
        ms = itertools.count(1)
        for shown in (ASLEEP, AWAKE, INFERS, TAIL, ASLEEP, AWAKE, INFERS, TAIL, ASLEEP):
            puppet.follower.shows(shown, start + next(ms) * 1_000_000)
        await until(lambda: len([r for r in bench.truth if r["kind"] == "event"]) == 2)
        event = next(r for r in bench.truth if r["kind"] == "event")
    assert event["cause"] == "timer"
    assert [b - a for a, b in event["windows"]] == [1_000_000]
    assert event["start_ns"] - event["event_ns"] == 1_000_000
    assert event["rest"]["state"] == State.SLEEP_RETAINED
    # 1 ms each of 8, 10 and 1.7 mA from 3 V, less what the series resistance takes.
    assert sum(event["load_j"].values()) == pytest.approx(3.0 * 19.7e-6, rel=0.03)


@pytest.mark.parametrize("outside", ["trig", "uart"])
async def test_what_came_from_outside_while_it_rested_is_the_cause(outside: str) -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        puppet.follower.shows(ASLEEP)
        if outside == "trig":
            bench.board.pins.drive("TRIG", 1)
        else:
            bench.board.silicon.byte_arrives(0x25)
        for shown in (AWAKE, INFERS):
            puppet.follower.shows(shown)
            await bench.clock.sleep_until(bench.clock.now_ns() + 1_000)
        puppet.follower.shows(ASLEEP)
        await until(lambda: any(r["kind"] == "event" for r in bench.truth))
        assert next(r for r in bench.truth if r["kind"] == "event")["cause"] == outside


@pytest.mark.parametrize("delay_s", [0.0, 0.2])
async def test_the_truth_of_a_wake_up_begins_at_the_edge_that_woke_it(delay_s: float) -> None:
    """With the delay the edge may come before the rest is shown that it ends: in the device's own time it came after it began."""
    puppet = Puppet()
    async with followed(puppet, delay_s=delay_s) as bench:
        puppet.follower.shows(ASLEEP, time.monotonic_ns() if delay_s else None)
        bench.board.pins.drive("TRIG", 1)
        woke_ns = time.monotonic_ns() + 3_000_000
        await bench.clock.sleep_until(bench.clock.now_ns() + 5_000_000)
        for k, shown in enumerate((AWAKE, INFERS, TAIL, ASLEEP)):
            puppet.follower.shows(shown, woke_ns + k * 1_000_000 if delay_s else None)
            await bench.clock.sleep_until(bench.clock.now_ns() + 1_000_000)
        await until(lambda: any(r["kind"] == "event" for r in bench.truth))
        event = next(r for r in bench.truth if r["kind"] == "event")
        (edge,) = bench.board.pins.edges("TRIG", 0, bench.clock.now_ns() + 1)
    assert (event["cause"], event["event_ns"]) == ("trig", edge.t_ns)
    assert event["awake_ns"] - event["event_ns"] >= 3_000_000 + delay_s * 1e9
    assert event["from_ns"] == event["awake_ns"]


async def test_one_that_ends_by_itself_leaves_a_core_that_hangs() -> None:
    puppet = Puppet()
    async with followed(puppet) as bench:
        puppet.follower.shows(INFERS)
        puppet.follower.ended("the emulator ended")
        look = bench.board.look()
        assert (look["crashed"], look["state"]) == ("the emulator ended", "busy_poll")
        assert bench.board.pins.level("MARK") == 0


async def test_a_stepped_bench_cannot_follow() -> None:
    with pytest.raises(SpecError, match="must be 'real', not 'stepped'"):
        async with run_bench(BenchSpec(), device=Puppet()):
            pass
