"""The catalogue behind a thread of its own: a commit that waits for the disk never holds up the event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from labd.errors import StoreError
from labd.store.catalogue import Catalogue
from labd.stream.session import InstrumentSession, SessionStuck

T = TypeVar("T")

DISK_S = 60.0


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
            self._catalogue = await self._thread.call(partial(Catalogue.open, self._wanted), deadline_s=DISK_S)
            stack.push_async_callback(self._close, self._catalogue)
            self.folder = self._catalogue.folder
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._stack.aclose()

    async def do(self, work: Callable[[Catalogue], T]) -> T:
        """Raises what `work` raises, and StoreError for a disk that does not answer within a minute."""
        if self._catalogue is None:
            raise StoreError("the catalogue is not open")
        try:
            return await self._thread.call(partial(work, self._catalogue), deadline_s=DISK_S)
        except SessionStuck as error:
            raise StoreError(f"{self.folder}: the disk did not answer within {DISK_S:g} s: {error}") from error

    async def _close(self, catalogue: Catalogue) -> None:
        if not self._thread.stuck:
            await self._thread.call(catalogue.close, deadline_s=DISK_S)
