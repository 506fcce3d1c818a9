"""An outbox on disk behind a thread of its own, opened when it is first used and begun anew when its file is damaged."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from labd.errors import StoreError
from labd.outbox.contract import Books, Caps, Outbox
from labd.outbox.sqlite import OutboxDamaged, SqliteOutbox
from labd.stream.session import InstrumentSession, SessionStuck

T = TypeVar("T")

DISK_S = 60.0
SIDE_FILES = ("-wal", "-shm", "")  # the log first: it must not be replayed into the file that follows

log = logging.getLogger(__name__)


class OutboxSession:
    """Async context manager; `do` and `change` run a function of the outbox in its thread, one after the other.

    Nothing is read or written before the first of them, so that a disk that refuses is an error of a call and not of the start. A
    damaged file is put aside under a name that ends in `.damaged`; the next call begins a new one, whose cursors stand at 0 again:
    what feeds it feeds everything that it still has. books: after the last change. remark: what was put aside, else empty.
    now_ns: UTC.
    """

    def __init__(self, path: Path, caps: Caps, *, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._path = path
        self._caps = caps
        self._now_ns = now_ns
        self._thread = InstrumentSession(f"outbox {path.name}")
        self._outbox: Outbox | None = None
        self.books: Books | None = None
        self.remark = ""

    async def __aenter__(self) -> OutboxSession:
        await self._thread.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._thread.stuck:
            await self._thread.call(self._close, deadline_s=DISK_S)
        await self._thread.close()

    async def do(self, work: Callable[[Outbox], T]) -> T:
        """Raises what `work` raises, and StoreError for a disk that does not answer within a minute."""
        try:
            return await self._thread.call(partial(self._worked, work), deadline_s=DISK_S)
        except SessionStuck as error:
            raise StoreError(f"{self._path}: the disk did not answer within {DISK_S:g} s: {error}") from error

    async def change(self, work: Callable[[Outbox], object]) -> None:
        """Like `do`, and `books` are brought up to date."""
        self.books = await self.do(partial(_changed, work))

    def _worked(self, work: Callable[[Outbox], T]) -> T:
        try:
            if self._outbox is None:
                self._outbox = SqliteOutbox(self._path, self._caps, now_ns=self._now_ns)
            return work(self._outbox)
        except OutboxDamaged as error:
            self._put_aside(error)
            raise

    def _put_aside(self, error: OutboxDamaged) -> None:
        self._close()
        aside = self._path.with_name(f"{self._path.name}.damaged")
        try:
            for end in SIDE_FILES:
                side = self._path.with_name(f"{self._path.name}{end}")
                if side.exists():
                    side.replace(aside.with_name(f"{aside.name}{end}"))
        except OSError as refused:
            raise StoreError(f"{self._path} is damaged and cannot be put aside: {refused}") from error
        self.remark = f"{self._path} was damaged and is kept as {aside.name}; what it held is told again"
        log.error("%s (%s)", self.remark, error)

    def _close(self) -> None:
        outbox, self._outbox = self._outbox, None
        if outbox is not None:
            outbox.close()


def _changed(work: Callable[[Outbox], object], outbox: Outbox) -> Books:
    work(outbox)
    return outbox.books()
