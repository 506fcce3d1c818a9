"""The pump: reads blocks in the instrument's thread and hands them to one consumer, losing none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from labd.deadline import deadline
from labd.stream.session import InstrumentSession
from labd_instruments.block import Block

IDLE_MIN_S = 0.005
IDLE_MAX_S = 0.05
READ_EVERY_S = 0.02  # a read costs the instrument, the link and this process the same, however little it brings


@dataclass(frozen=True, slots=True)
class PumpBooks:
    """What went through a pump so far. full_waits: how often reading had to wait for the consumer (back-pressure)."""

    blocks: int
    samples: int
    polls: int
    idle_polls: int
    full_waits: int


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


class Pump:
    """Async iterator over the blocks of one stream; use it through `pumping`.

    Each read is a call of its own into the session's thread, so other calls to the same instrument (output state, a trigger) go in
    between. An empty poll is followed by a pause of 5 ms, doubling to 50 ms, ended by the next block; reads that bring
    something begin every_s apart, or at once after a block of twice that length, behind which more is waiting. check: sees every block
    before anybody else does; what it raises ends reading, and that block goes nowhere.
    """

    def __init__(
        self,
        session: InstrumentSession,
        read_block: Callable[[], Block | None],
        *,
        deadline_s: float,
        size: int = 64,
        drain_s: float = 2.0,
        every_s: float = READ_EVERY_S,
        check: Callable[[Block], None] | None = None,
    ) -> None:
        self._session = session
        self._read_block = read_block
        self._deadline_s = deadline_s
        self._drain_s = drain_s
        self._every_s = every_s
        self._check = check
        # size: `size` blocks (default 64); policy: the pump waits, nothing is dropped; counter: books.full_waits
        self._blocks: asyncio.Queue[Block | _End] = asyncio.Queue(maxsize=size)
        self._stopping = asyncio.Event()
        self._error: Exception | None = None
        self._ended = False
        self._count = _Counters()

    @property
    def books(self) -> PumpBooks:
        c = self._count
        return PumpBooks(blocks=c.blocks, samples=c.samples, polls=c.polls, idle_polls=c.idle_polls, full_waits=c.full_waits)

    def stop(self) -> None:
        """Ask for the end: what the instrument has ready is still read (to an empty poll, at most drain_s), then the iterator ends."""
        self._stopping.set()

    async def run(self) -> None:
        """Read until stopped or failed; an error is raised by the iterator after the blocks that came before it."""
        try:
            await self._read_until_stopped()
            await self._drain()
        except Exception as error:  # noqa: BLE001  the task's edge: the consumer raises it
            self._error = error
        await self._hand_over(_End(self._error))

    def __aiter__(self) -> Pump:
        return self

    async def __anext__(self) -> Block:
        if self._ended:
            raise StopAsyncIteration
        item = await self._blocks.get()
        if isinstance(item, Block):
            return item
        self._ended = True
        self.raise_unseen()
        raise StopAsyncIteration

    def raise_unseen(self) -> None:
        """Raise the error that ended reading, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    async def _read_until_stopped(self) -> None:
        idle_s = IDLE_MIN_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            began_s = loop.time()
            block = await self._read()
            if block is None:
                await self._pause(idle_s)
                idle_s = min(2 * idle_s, IDLE_MAX_S)
            else:
                idle_s = IDLE_MIN_S
                await self._hand_over(block)
                if len(block) * block.dt_ns < 2e9 * self._every_s:
                    await self._pause(began_s + self._every_s - loop.time())

    async def _drain(self) -> None:
        """An instrument that always has one more record never polls empty, hence the time limit."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._drain_s
        while (block := await self._read()) is not None:
            await self._hand_over(block)
            if loop.time() >= end_s:
                return

    async def _read(self) -> Block | None:
        block = await self._session.call(self._read_block, deadline_s=self._deadline_s)
        self._count.polls += 1
        if block is None:
            self._count.idle_polls += 1
        else:
            self._count.blocks += 1
            self._count.samples += len(block)
            if self._check is not None:
                self._check(block)
        return block

    async def _pause(self, length_s: float) -> None:
        if length_s <= 0.0:
            return
        with suppress(TimeoutError):
            async with deadline(length_s):
                await self._stopping.wait()

    async def _hand_over(self, item: Block | _End) -> None:
        if self._blocks.full():
            self._count.full_waits += 1
        await self._blocks.put(item)


@dataclass(slots=True)
class _Counters:
    blocks: int = 0
    samples: int = 0
    polls: int = 0
    idle_polls: int = 0
    full_waits: int = 0


@asynccontextmanager
async def pumping(
    session: InstrumentSession,
    read_block: Callable[[], Block | None],
    *,
    deadline_s: float,
    size: int = 64,
    check: Callable[[Block], None] | None = None,
) -> AsyncIterator[Pump]:
    """Run a pump for the length of the `async with`; leaving early stops it at once.

    Errors of `read_block` (LostSamplesError, SessionStuck) and of `check` come out of the iteration, or out of the `async with` when
    the consumer left before it reached them. An exception of the body passes unwrapped.
    """
    pump = Pump(session, read_block, deadline_s=deadline_s, size=size, check=check)
    failure: Exception | None = None
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(pump.run(), name=f"pump {session.name}")
        try:
            yield pump
        except Exception as error:  # noqa: BLE001  carried past the task group, which would wrap it
            failure = error
        finally:
            task.cancel()
    if failure is not None:
        raise failure
    pump.raise_unseen()
