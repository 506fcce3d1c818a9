"""The sink of a capture that is kept: blocks go to its trace file, in a thread of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from labd.store.trace_writer import TraceWriter
from labd.stream.session import InstrumentSession
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import Acquisition

DISK_S = 30.0


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
        await self._disk.call(partial(self._writer.write, block, trigger=facts), deadline_s=DISK_S)


@asynccontextmanager
async def recorder(path: Path, capture: Mapping[str, Any]) -> AsyncIterator[Recorder]:
    """Open a trace for one capture; what was written is readable afterwards whatever happened inside. Raises StoreError."""
    async with InstrumentSession(f"disk {path.name}") as disk:
        writer = TraceWriter(path, capture=capture)
        writer.__enter__()
        try:
            yield Recorder(writer, disk)
        finally:
            await disk.call(writer.close, deadline_s=DISK_S)
