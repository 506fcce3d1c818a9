"""The catalogue behind two threads of its own, one that writes and one that reads: waiting for the disk never holds up the event loop."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from labd.errors import StoreError
from labd.store.catalogue import Catalogue
from labd.store.reserve import Reserve
from labd.stream.session import WAITING_CALLS, InstrumentSession, SessionBusy, SessionStuck

T = TypeVar("T")

DISK_S = 60.0

log = logging.getLogger(__name__)


class StoreBusy(StoreError):
    """More is read from the catalogue at once than may wait; it can be asked again in a moment."""


class CatalogueSession:
    """Async context manager; `do` runs a function of the catalogue in the thread that opened it, one after the other. `read` does so in
    another thread, on a connection that can only read: whoever looks never keeps a measurement waiting."""

    def __init__(self, folder: Path | None = None) -> None:
        self._wanted = folder
        self._writing = InstrumentSession("catalogue")
        self._reading = InstrumentSession("catalogue reader")
        # size: half of what may wait in the thread; policy: who comes later waits here, each in a task of its own; counter: none is needed,
        # nothing is refused, for a run whose write is refused has failed
        self._places = asyncio.Semaphore(WAITING_CALLS // 2)
        self._stack = AsyncExitStack()
        self._catalogue: Catalogue | None = None
        self._reader: Catalogue | None = None
        self.folder = Path()

    async def __aenter__(self) -> CatalogueSession:
        async with AsyncExitStack() as stack:
            self._catalogue = await self._opened(stack, self._writing, partial(Catalogue.open, self._wanted))
            self.folder = self._catalogue.folder
            self._reader = await self._opened(stack, self._reading, partial(Catalogue.open_read_only, self.folder))
            await self.hold_reserve()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    async def do(self, work: Callable[[Catalogue], T]) -> T:
        """Raises what `work` raises, and StoreError for a disk that does not answer within a minute.

        A full disk: the reserve is spent and `work` is done once more, so that what failed for want of space can be told. `work` is
        one transaction, or may be repeated.
        """
        if self._catalogue is None:
            raise StoreError("the catalogue is not open")
        return await self._write(partial(_with_reserve, work, self._catalogue))

    async def read(self, work: Callable[[Catalogue], T]) -> T:
        """Like `do`, for work that changes nothing; it sees all that has been done. Raises StoreBusy where too much is read at once."""
        if self._reader is None:
            raise StoreError("the catalogue is not open")
        return await self._in_thread(self._reading, partial(work, self._reader))

    async def hold_reserve(self) -> None:
        """Set space aside (again) for the moment when the disk is full."""
        if not await self._write(Reserve(self.folder).hold):
            log.warning("%s: the disk has no space to set aside", self.folder)

    async def _write(self, work: Callable[[], T]) -> T:
        async with self._places:
            return await self._in_thread(self._writing, work)

    async def _in_thread(self, thread: InstrumentSession, work: Callable[[], T]) -> T:
        try:
            return await thread.call(work, deadline_s=DISK_S)
        except SessionBusy as error:
            raise StoreBusy(f"{self.folder}: too much is read from the catalogue at once; try again") from error
        except SessionStuck as error:
            raise StoreError(f"{self.folder}: the disk did not answer within {DISK_S:g} s: {error}") from error

    async def _opened(self, stack: AsyncExitStack, thread: InstrumentSession, opened: Callable[[], Catalogue]) -> Catalogue:
        await stack.enter_async_context(thread)
        catalogue = await thread.call(opened, deadline_s=DISK_S)
        stack.push_async_callback(_close, thread, catalogue)
        return catalogue


async def _close(thread: InstrumentSession, catalogue: Catalogue) -> None:
    if not thread.stuck:
        await thread.call(catalogue.close, deadline_s=DISK_S)


def _with_reserve(work: Callable[[Catalogue], T], catalogue: Catalogue) -> T:
    try:
        return work(catalogue)
    except StoreError as error:
        if not (is_full(error) and Reserve(catalogue.folder).spend()):
            raise
        log.error("%s: the disk is full; the space set aside is used to say so", catalogue.folder)
        return work(catalogue)


def is_full(error: BaseException) -> bool:
    """Whether an error of the catalogue means that its disk is full."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode == sqlite3.SQLITE_FULL
