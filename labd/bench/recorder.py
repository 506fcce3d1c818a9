"""The sink of a capture that is kept: blocks go to its trace file in a thread of their own, then to whoever watches them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from labd.bench.expand import CapturePlan
from labd.deadline import deadline
from labd.errors import LabdError, StoreError
from labd.store.jsonform import to_json
from labd.store.trace_writer import TraceWriter
from labd.stream.feed import Feed, FeedBlock, FeedEnd, FeedStart
from labd.stream.hub import Hub
from labd.stream.session import InstrumentSession, SessionStuck
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import Acquisition

DISK_S = 30.0
STOPPED_S = 2.0  # for the traces of a run that was stopped: their streams are readable without their ends

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Subject:
    """Which capture of which run is recorded."""

    run_id: str
    plan: CapturePlan


class Recorder:
    """Writes one trace. A block counts as taken when it is in the file. acquisition: what the instrument really delivered."""

    def __init__(self, subject: Subject, writer: TraceWriter, disk: InstrumentSession, feed: Hub[Feed]) -> None:
        self._subject = subject
        self._writer = writer
        self._disk = disk
        self._feed = feed
        self._stretch = -1
        self._first = 0
        self.acquisition: Acquisition | None = None

    @property
    def samples(self) -> int:
        return self._writer.samples

    @property
    def stretches(self) -> int:
        return len(self._writer.stretches)

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(flag.name.lower() for flag in BlockFlag if flag in self._writer.flags and flag.name)

    async def begin(self, acquisition: Acquisition) -> None:
        self.acquisition = acquisition
        run, plan, now_ns = self._subject.run_id, self._subject.plan, time.time_ns()
        self._writer.know(utc_ns=now_ns)
        start = FeedStart(
            run_id=run,
            capture=plan.key,
            instrument=plan.instrument,
            order=plan.order,
            role=str(plan.role),
            point=plan.point.key,
            mode=plan.point.mode,
            marks=plan.marks,
            acquisition=acquisition,
            t_ns=now_ns,
        )
        self._feed.publish(start)

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        received_ns = time.time_ns()
        zero_ns = received_ns - block.t0_ns - len(block) * block.dt_ns
        facts = {"event": stretch, "utc_ns": zero_ns} if trigger else None
        await _on_disk(self._disk, partial(self._writer.write, block, trigger=facts), self._writer.path)
        self._publish(block, trigger=trigger, t_ns=received_ns)

    def _publish(self, block: Block, *, trigger: bool, t_ns: int) -> None:
        """By the stretches of the trace, which may be finer than the capture's: a gap begins one."""
        if not len(block):
            return
        last = self._writer.stretches[-1]
        self._feed.publish(FeedBlock(block, last.number, last.length - len(block), trigger, t_ns))


class Recordings:
    """The traces of a run. Enter it outside the station: what failed or was stopped is finished when the outputs are off already.

    finish_trace: makes the final file of a trace whose stream has ended.
    """

    def __init__(self, finish_trace: Callable[[Path], Awaitable[None]], feed: Hub[Feed]) -> None:
        self._finish_trace = finish_trace
        self._feed = feed
        self._unfinished: list[tuple[TraceWriter, InstrumentSession]] = []
        self._afterwards: list[Callable[[], Awaitable[None]]] = []

    async def __aenter__(self) -> Recordings:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.finish(deadline_s=STOPPED_S if isinstance(error, asyncio.CancelledError) else DISK_S)

    def afterwards(self, store: Callable[[], Awaitable[None]]) -> None:
        """Something to store that must not delay switching off; `finish` does it, in the order given."""
        self._afterwards.append(store)

    async def finish(self, *, deadline_s: float = DISK_S) -> None:
        """End the traces that a failure left behind, and store what waits. A disk that hangs costs a trace its end, not its samples."""
        while self._unfinished:
            writer, disk = self._unfinished.pop()
            try:
                await self._end(writer, disk, deadline_s=deadline_s)
            except (LabdError, TimeoutError) as error:
                log.warning("%s: its stream stays as it is: %s", writer.path, error or f"no end within {deadline_s:g} s")
                disk.abandon()
            await disk.close()
        while self._afterwards:
            await self._afterwards.pop(0)()

    @asynccontextmanager
    async def recorder(self, path: Path, subject: Subject) -> AsyncIterator[Recorder]:
        """Open a trace for one capture; what was written is readable afterwards whatever happened inside. Raises StoreError."""
        plan = subject.plan
        facts = {"run": subject.run_id, "key": plan.key, "role": str(plan.role), "point": to_json(plan.point)}
        writer = TraceWriter(path, capture=facts)
        disk = InstrumentSession(f"disk {path.name}")
        await disk.__aenter__()
        failure = "interrupted"
        try:
            await _on_disk(disk, writer.__enter__, path)
            yield Recorder(subject, writer, disk, self._feed)
            await self._end(writer, disk, deadline_s=None)
            failure = ""
        except BaseException as error:
            self._unfinished.append((writer, disk))  # not here: the outputs go off first
            failure = str(error) or failure
            raise
        finally:
            self._feed.publish(FeedEnd(subject.run_id, plan.key, failure, time.time_ns()))
        await disk.close()

    async def _end(self, writer: TraceWriter, disk: InstrumentSession, *, deadline_s: float | None) -> None:
        """The stream first, which is quick; then the final file, by whoever makes it: a long trace at a high rate takes minutes, more
        where a report is made first. deadline_s None: as long as that takes."""
        await _on_disk(disk, writer.end_stream, writer.path, deadline_s=deadline_s)
        if writer.whole:
            async with deadline(deadline_s):
                await self._finish_trace(writer.path)


async def _on_disk(disk: InstrumentSession, work: Callable[[], object], path: Path, *, deadline_s: float | None = None) -> None:
    """Raises StoreError, also for a disk that does not answer."""
    limit_s = DISK_S if deadline_s is None else deadline_s
    try:
        await disk.call(work, deadline_s=limit_s)
    except SessionStuck as error:
        raise StoreError(f"{path}: the disk did not answer within {limit_s:g} s: {error}") from error
