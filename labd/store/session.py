"""The catalogue behind a thread of its own: a commit that waits for the disk never holds up the event loop."""

from __future__ import annotations

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
from labd.stream.session import InstrumentSession, SessionStuck

T = TypeVar("T")

DISK_S = 60.0

log = logging.getLogger(__name__)


class CatalogueSession:
    """Async context manager; `do` runs a function of the catalogue in the thread that opened it, one after the other."""

    def __init__(self, folder: Path | None = None) -> None:
        self._wanted = folder
        self._thread = InstrumentSession("catalogue")
        self._stack = AsyncExitStack()
        self._catalogue: Catalogue | None = None
        self.folder = Path()

    async def __aenter__(self) -> CatalogueSession:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._thread)
            catalogue = await self._thread.call(partial(Catalogue.open, self._wanted), deadline_s=DISK_S)
            stack.push_async_callback(self._close, catalogue)
            self._catalogue, self.folder = catalogue, catalogue.folder
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
        return await self._in_thread(partial(_with_reserve, work, self._catalogue))

    async def hold_reserve(self) -> None:
        """Set space aside (again) for the moment when the disk is full."""
        if not await self._in_thread(Reserve(self.folder).hold):
            log.warning("%s: the disk has no space to set aside", self.folder)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await self._thread.call(work, deadline_s=DISK_S)
        except SessionStuck as error:
            raise StoreError(f"{self.folder}: the disk did not answer within {DISK_S:g} s: {error}") from error

    async def _close(self, catalogue: Catalogue) -> None:
        if not self._thread.stuck:
            await self._thread.call(catalogue.close, deadline_s=DISK_S)


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
