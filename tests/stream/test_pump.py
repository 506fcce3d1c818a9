"""The pump: order, back-pressure, clean end, errors."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable

import numpy as np
import pytest

from labd.stream.pump import Pump, pumping
from labd.stream.session import InstrumentSession, SessionStuck
from labd_instruments.block import Block
from labd_instruments.errors import LostSamplesError

LONG_S = 20.0


def _block(seq: int, n: int = 4) -> Block:
    values = np.arange(seq, seq + n, dtype=np.float32)
    return Block(seq=seq, t0_ns=seq * 1000, dt_ns=1000, current=values, voltage=None)


def _long_block(seq: int, n: int) -> Block:
    """n samples that take no memory."""
    return Block(seq=seq, t0_ns=seq * 1000, dt_ns=1000, current=np.broadcast_to(np.float32(0.0), (n,)), voltage=None)


class Script:
    """An instrument that answers each poll with the next entry; after the last it has nothing more."""

    def __init__(self, entries: Iterable[Block | Exception | None]) -> None:
        self.entries = deque(entries)
        self.polls = 0
        self.exhausted = threading.Event()

    def read_block(self) -> Block | None:
        self.polls += 1
        if not self.entries:
            self.exhausted.set()
            return None
        entry = self.entries.popleft()
        if isinstance(entry, Exception):
            raise entry
        return entry


async def _consume(session: InstrumentSession, read_block: Callable[[], Block | None], seen: list[int], deadline_s: float = LONG_S) -> None:
    async with pumping(session, read_block, deadline_s=deadline_s) as pump:
        async for block in pump:
            seen.append(block.seq)  # noqa: PERF401  what came before an error is kept


async def _fail_at_the_first_block(session: InstrumentSession, script: Script) -> None:
    async with pumping(session, script.read_block, deadline_s=LONG_S) as pump:
        async for _ in pump:
            raise ZeroDivisionError


async def test_blocks_arrive_in_order_and_the_end_is_clean() -> None:
    script = Script([_block(0), None, _block(4), None, None, _block(8)])
    seen: list[int] = []
    async with InstrumentSession("smu") as session, pumping(session, script.read_block, deadline_s=LONG_S) as pump:
        async for block in pump:
            seen.append(block.seq)
            if len(seen) == 3:
                pump.stop()
    assert seen == [0, 4, 8]
    assert pump.books.blocks == 3
    assert pump.books.samples == 12
    assert pump.books.idle_polls >= 4


async def test_stop_still_reads_what_the_instrument_has_ready() -> None:
    script = Script([_block(4 * k) for k in range(10)])
    async with InstrumentSession("smu") as session:
        pump = Pump(session, script.read_block, deadline_s=LONG_S)
        pump.stop()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pump.run(), name="pump")
            assert [block.seq async for block in pump] == [4 * k for k in range(10)]


async def test_an_instrument_with_little_to_give_is_not_asked_all_the_time() -> None:
    """An hour between two reads, so that only the way of the blocks decides what was read."""
    hour_s = 3600.0
    full = round(2e9 * hour_s) // 1000  # samples of 1 us
    script = Script([_long_block(0, full), _block(full), _block(full + 4)])
    async with InstrumentSession("smu") as session:
        pump = Pump(session, script.read_block, deadline_s=LONG_S, every_s=hour_s)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pump.run(), name="pump")
            assert [(await anext(pump)).seq, (await anext(pump)).seq] == [0, full]  # the backlog at once, then what little there was
            await session.call(int, deadline_s=LONG_S)
            assert script.polls == 2
            pump.stop()
            assert [block.seq async for block in pump] == [full + 4]


async def test_a_slow_consumer_holds_the_instrument_back_and_loses_nothing() -> None:
    script = Script([_block(4 * k) for k in range(20)])
    async with InstrumentSession("smu") as session, pumping(session, script.read_block, deadline_s=LONG_S, size=2) as pump:
        async with asyncio.timeout(LONG_S):
            while pump.books.full_waits == 0:  # noqa: ASYNC110  the books have no event
                await asyncio.sleep(0)
        assert script.polls == 3  # two in the queue, one in the hand
        seen = []
        async for block in pump:
            seen.append(block.seq)
            if len(seen) == 20:
                pump.stop()
    assert seen == [4 * k for k in range(20)]
    assert pump.books.full_waits >= 1


async def test_lost_samples_surface_after_the_blocks_before_them() -> None:
    script = Script([_block(0), _block(4), LostSamplesError("FIFO overran", expected=100, received=8)])
    seen: list[int] = []
    async with InstrumentSession("smu") as session:
        with pytest.raises(LostSamplesError, match="FIFO overran"):
            await _consume(session, script.read_block, seen)
    assert seen == [0, 4]


async def test_an_error_nobody_iterated_to_is_raised_on_leaving() -> None:
    script = Script([LostSamplesError("FIFO overran", expected=100, received=8)])
    async with InstrumentSession("smu") as session:
        with pytest.raises(LostSamplesError):
            await _leave_after_one_more_call(session, script)


async def _leave_after_one_more_call(session: InstrumentSession, script: Script) -> None:
    async with pumping(session, script.read_block, deadline_s=LONG_S):
        await asyncio.sleep(0)
        await session.call(int, deadline_s=LONG_S)
        await asyncio.sleep(0)


async def test_an_exception_of_the_consumer_passes_unwrapped() -> None:
    script = Script([_block(0)])
    async with InstrumentSession("smu") as session:
        with pytest.raises(ZeroDivisionError):
            await _fail_at_the_first_block(session, script)
        assert await session.call(int, deadline_s=LONG_S) == 0


async def test_a_read_that_hangs_ends_the_stream_by_name() -> None:
    release = threading.Event()

    def read_block() -> Block | None:
        release.wait(LONG_S)
        return None

    async with InstrumentSession("smu") as session:
        with pytest.raises(SessionStuck, match="smu: read_block did not return"):
            await _consume(session, read_block, [], deadline_s=0.05)
        release.set()


async def test_other_calls_go_between_the_reads_of_a_pump() -> None:
    script = Script([])
    async with InstrumentSession("smu") as session, pumping(session, script.read_block, deadline_s=LONG_S):
        await asyncio.to_thread(script.exhausted.wait, LONG_S)
        assert await session.call(threading.current_thread, deadline_s=LONG_S) is not threading.current_thread()


async def test_cancelling_the_consumer_cancels_the_pump() -> None:
    script = Script([])
    async with InstrumentSession("smu") as session:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(_consume(session, script.read_block, []), name="consumer")
            await asyncio.to_thread(script.exhausted.wait, LONG_S)
            task.cancel()
        assert task.cancelled()
        assert not [t for t in asyncio.all_tasks() if t.get_name().startswith("pump")]
