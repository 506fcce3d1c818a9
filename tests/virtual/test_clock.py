"""The board's clock in both paces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from labd_virtual.clock import Behind, BoardClock, Urgency

MS = 1_000_000


@asynccontextmanager
async def moving(*, stepped: bool = True, patience_s: float = 0.05) -> AsyncIterator[BoardClock]:
    clock = BoardClock(stepped=stepped, patience_s=patience_s)
    task = asyncio.create_task(clock.run())
    try:
        yield clock
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def rounds(count: int = 30) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_stepped_time_jumps_to_the_earliest_sleeper_and_wakes_in_order() -> None:
    async with moving() as clock:
        woken: list[tuple[str, int]] = []

        async def sleeper(name: str, t_ns: int) -> None:
            await clock.sleep_until(t_ns)
            woken.append((name, clock.now_ns()))

        async with asyncio.timeout(5):
            await asyncio.gather(sleeper("late", 3600 * 1000 * MS), sleeper("a", MS), sleeper("b", MS), sleeper("middle", 2 * MS))
        assert woken == [("a", MS), ("b", MS), ("middle", 2 * MS), ("late", 3600 * 1000 * MS)]


async def test_a_woken_task_acts_before_time_moves_on() -> None:
    async with moving() as clock:
        seen: list[int] = []
        relay = asyncio.Event()

        async def second() -> None:
            await relay.wait()
            seen.append(clock.now_ns())

        async def first() -> None:
            await clock.sleep_until(MS)
            relay.set()

        async with asyncio.timeout(5):
            await asyncio.gather(first(), second(), clock.sleep_until(2 * MS))
        assert seen == [MS]


async def test_nothing_passes_while_nobody_waits() -> None:
    async with moving() as clock:
        fired: list[int] = []
        clock.call_at(MS, lambda: fired.append(clock.now_ns()))
        await rounds()
        assert clock.now_ns() == 0
        assert fired == []
        async with asyncio.timeout(5):
            await clock.sleep_until(2 * MS)
        assert fired == [MS]


async def test_a_limit_stops_time_exactly_there_until_it_moves() -> None:
    async with moving() as clock:
        clock.set_limit("log", MS)
        task = asyncio.create_task(clock.sleep_until(2 * MS))
        await rounds()
        assert clock.now_ns() == MS
        assert not task.done()
        clock.set_limit("log", None)
        async with asyncio.timeout(5):
            await task
        assert clock.now_ns() == 2 * MS


async def test_a_cancelled_sleeper_no_longer_makes_time_pass() -> None:
    async with moving() as clock:
        task = asyncio.create_task(clock.sleep_until(MS))
        clock.freeze("test")
        await rounds(2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        clock.thaw("test")
        await rounds()
        assert clock.now_ns() == 0


async def test_a_patient_timer_fires_only_after_the_host_was_quiet() -> None:
    async with moving(patience_s=0.05) as clock:
        fired = asyncio.Event()
        clock.call_at(MS, fired.set, urgency=Urgency.PATIENT)
        await rounds()
        assert clock.now_ns() == 0
        async with asyncio.timeout(5):
            await fired.wait()
        assert clock.now_ns() == MS


async def test_an_active_sleeper_passes_a_patient_timer_on_its_way() -> None:
    async with moving(patience_s=50.0) as clock:
        fired: list[int] = []
        clock.call_at(MS, lambda: fired.append(clock.now_ns()), urgency=Urgency.PATIENT)
        async with asyncio.timeout(5):
            await clock.sleep_until(2 * MS)
        assert fired == [MS]


@pytest.mark.parametrize("stepped", [True, False])
async def test_timers_fire_at_exactly_their_instants_in_either_pace(stepped: bool) -> None:
    async with moving(stepped=stepped) as clock:
        fired: list[int] = []
        clock.set_limit("a log", 0 if not stepped else 10**12)
        for t in (5 * MS, MS, 3 * MS, 3 * MS + 1):
            clock.call_at(t, lambda: fired.append(clock.now_ns()))
        async with asyncio.timeout(5):
            await clock.sleep_until(6 * MS)
        assert fired == [MS, 3 * MS, 3 * MS + 1, 5 * MS]


async def test_real_time_waits_for_a_frozen_clock_and_catches_up() -> None:
    async with moving(stepped=False) as clock:
        async with asyncio.timeout(5):
            await clock.sleep_until(MS)
        clock.freeze("firmware")
        at = clock.now_ns()
        task = asyncio.create_task(clock.sleep_until(at + MS))
        await rounds(200)
        assert clock.now_ns() == at
        assert not task.done()
        clock.thaw("firmware")
        async with asyncio.timeout(5):
            await task
        assert clock.now_ns() >= at + MS


async def test_time_frozen_unless_awaited_passes_for_a_sleeper_only_and_stops_at_its_instant() -> None:
    fired: list[int] = []
    async with moving() as clock, asyncio.timeout(5):
        clock.freeze("host", unless_awaited=True)
        for t in (MS, 2 * MS, 3 * MS):
            clock.call_at(t, lambda: fired.append(clock.now_ns()), urgency=Urgency.ACTIVE)
        await rounds()
        assert fired == []
        await clock.sleep_until(2 * MS + 1)
        await rounds()
        assert fired == [MS, 2 * MS]
        assert clock.now_ns() == 2 * MS + 1
        clock.thaw("host")
        await clock.sleep_until(3 * MS)
    assert fired == [MS, 2 * MS, 3 * MS]


async def test_a_sleeper_that_gives_up_no_longer_lets_frozen_time_pass() -> None:
    async with moving() as clock, asyncio.timeout(5):
        clock.freeze("host", unless_awaited=True)
        clock.freeze("firmware")
        sleeper = asyncio.create_task(clock.sleep_until(5 * MS))
        await rounds()
        sleeper.cancel()
        await asyncio.gather(sleeper, return_exceptions=True)
        clock.call_at(MS, lambda: None, urgency=Urgency.ACTIVE)
        clock.thaw("firmware")
        await rounds()
        assert clock.now_ns() == 0


async def test_a_past_instant_returns_at_once() -> None:
    async with moving() as clock:
        async with asyncio.timeout(5):
            await clock.sleep_until(MS)
            await clock.sleep_until(0)
        assert clock.now_ns() == MS


async def test_real_time_tells_once_by_how_much_it_fell_behind() -> None:
    async with moving(stepped=False) as clock, asyncio.timeout(5):
        await clock.sleep_until(clock.now_ns() + MS)
        clock.behind()
        clock.freeze("firmware")  # a machine that comes to nothing for a while looks alike
        at = clock.now_ns()
        task = asyncio.create_task(clock.sleep_until(at + MS))
        await asyncio.sleep(0.04)
        clock.thaw("firmware")
        await task
        assert clock.behind().worst_ns >= 39 * MS
        assert clock.behind() == Behind()


async def test_stepped_time_is_never_behind() -> None:
    async with moving() as clock, asyncio.timeout(5):
        await clock.sleep_until(10**12)
        assert clock.behind() == Behind()
