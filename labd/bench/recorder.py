"""The sink of a capture that is kept: blocks go to its trace file in a thread of their own, and no disk delays switching off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from labd.errors import StoreError
from labd.store.trace_writer import TraceWriter
from labd.stream.session import InstrumentSession, SessionStuck
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import Acquisition

DISK_S = 30.0
STOPPED_S = 2.0  # for the traces of a run that was stopped: their streams are readable without their ends

log = logging.getLogger(__name__)


class Recorder:
    """Writes one trace. A block counts as taken when it is in the file. acquisition: what the instrument really delivered."""

    def __init__(self, writer: TraceWriter, disk: InstrumentSession) -> None:
        self._writer = writer
        self._disk = disk
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

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        facts = {"event": stretch} if trigger else None
        await _on_disk(self._disk, partial(self._writer.write, block, trigger=facts), self._writer.path)


class Recordings:
    """The traces of a run. Enter it outside the station: what failed or was stopped is finished when the outputs are off already."""

    def __init__(self) -> None:
        self._unfinished: list[tuple[TraceWriter, InstrumentSession]] = []
        self._afterwards: list[Callable[[], None]] = []

    async def __aenter__(self) -> Recordings:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.finish(deadline_s=STOPPED_S if isinstance(error, asyncio.CancelledError) else DISK_S)

    def afterwards(self, store: Callable[[], None]) -> None:
        """Something to store that must not delay switching off; `finish` does it, in the order given."""
        self._afterwards.append(store)

    async def finish(self, *, deadline_s: float = DISK_S) -> None:
        """End the traces that a failure left behind, and store what waits. A disk that hangs costs a trace its end, not its samples."""
        while self._unfinished:
            writer, disk = self._unfinished.pop()
            try:
                await disk.call(writer.close, deadline_s=deadline_s)
            except (StoreError, SessionStuck) as error:
                log.warning("%s: its stream stays as it is: %s", writer.path, error)
                disk.abandon()
            await disk.close()
        while self._afterwards:
            self._afterwards.pop(0)()

    @asynccontextmanager
    async def recorder(self, path: Path, capture: Mapping[str, Any]) -> AsyncIterator[Recorder]:
        """Open a trace for one capture; what was written is readable afterwards whatever happened inside. Raises StoreError."""
        writer = TraceWriter(path, capture=capture)
        writer.__enter__()
        disk = InstrumentSession(f"disk {path.name}")
        await disk.__aenter__()
        try:
            yield Recorder(writer, disk)
            await _on_disk(disk, writer.close, path)
        except BaseException:
            self._unfinished.append((writer, disk))  # not here: the outputs go off first
            raise
        await disk.close()


async def _on_disk(disk: InstrumentSession, work: Callable[[], object], path: Path) -> None:
    """Raises StoreError, also for a disk that does not answer."""
    try:
        await disk.call(work, deadline_s=DISK_S)
    except SessionStuck as error:
        raise StoreError(f"{path}: the disk did not answer within {DISK_S:g} s: {error}") from error
