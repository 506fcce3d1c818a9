"""From the outbox to the server: what it takes is accepted, what it never will is set aside, all else waits."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from labd.influx.answers import Answer, Verdict
from labd.influx.delivery import LEAST_BYTES, Delivered, Delivery
from labd.influx.transport import Transport
from labd.outbox.contract import Lent, Outbox
from labd.outbox.session import OutboxSession
from labd.patience import Patience
from labd.stream.session import InstrumentSession

MOST_BYTES = 1 << 20  # of a request, before compression: servers cut the connection at 25 MB
MOST_MESSAGES = 200
BEHIND = 3  # batches that wait: from there on the newest go between, so that a dashboard is not hours behind
NEWEST_EVERY = 3
SETTINGS_S = 30.0  # until a wrong password or database is tried again: somebody has to mend it
RESETS = 2  # in a row: then the batch is halved
GROWS_AFTER, GROWS_AFTER_MOST = 20, 1000  # batches that arrive: then requests may be larger again
FAULTS = 4  # of the server's at the oldest batch, in a row: then the newest message goes first, to see whether others get through
BLAMED_AFTER = 20  # of them, while others get through: then the lines of the batch are tried one by one
PACK_S = 30.0
MOST_REFUSED = 4 << 20  # bytes of the file of what was refused

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Counts:
    """Since the daemon started. sent, rejected: points; retries: requests that failed; latency_s: of the newest point when it arrived."""

    sent: int = 0
    rejected: int = 0
    requests: int = 0
    retries: int = 0
    latency_s: float | None = None
    last_success_ns: int | None = None

    def told(self) -> dict[str, Any]:
        return asdict(self)


class Sender:
    """`some` sends one batch. refused: the file that keeps what no server will ever take, with the server's words; alarm: told each time
    that nothing gets through before somebody mends the settings."""

    def __init__(
        self, outbox: OutboxSession, thread: InstrumentSession, *, refused: Path, alarm: Callable[[str], None] = lambda _: None
    ) -> None:
        self._outbox = outbox
        self._thread = thread
        self._refused = refused
        self._alarm = alarm
        self._patience = Patience()
        self._most_bytes = MOST_BYTES
        self._limit = MOST_BYTES  # of requests, as far as the server has told
        self._arrived, self._grows_after = 0, GROWS_AFTER
        self._resets = 0
        self._faults = 0
        self._passed = False  # others get through where the oldest batch meets faults
        self._turn = 0
        self._open = False  # whether something may be lent that was not settled
        self.counts = Counts()
        self.verdict: Verdict | None = None
        self.error = ""

    @property
    def connected(self) -> bool:
        return self.verdict is Verdict.DELIVERED

    async def some(self, transport: Transport, *, zipped: bool) -> bool:
        """False when nothing waits. Waits itself after a failure; raises StoreError."""
        if self._open:  # a disk refused, or was late: nobody else lends
            await self._outbox.change(lambda outbox: outbox.release())
        self._open = True
        lender, lent, newest = await self._outbox.do(self._lent)
        if not lent:
            self._open = False
            return False
        blame = self._passed and self._faults >= BLAMED_AFTER
        delivery = Delivery(transport, self._packed if zipped else None, most_bytes=self._most_bytes, blame=blame)
        done = False
        try:
            found = await delivery.of(b"".join(one.message.body for one in lent))
            if found.bad and found.stop is None:
                await self._thread.call(partial(_keep_refused, self._refused, found.bad), deadline_s=PACK_S)
            done = found.stop is None
        finally:
            await self._outbox.change(partial(_settle, lender, lent, accept=done))
            self._open = False
        if delivery.most_bytes < self._most_bytes:
            self._limit = delivery.most_bytes
            self._sized(delivery.most_bytes)
        await self._count(found, lent)
        self._judge(found.stop, newest=newest)
        if found.stop is not None:
            await asyncio.sleep(self._failed(found.stop, sum(len(one.message.body) for one in lent)))
        return True

    def _lent(self, outbox: Outbox) -> tuple[Outbox, list[Lent], bool]:
        """And whether they are the newest."""
        self._turn += 1
        if self._faults >= FAULTS and not self._passed:
            return outbox, outbox.lend(1, newest=True), True
        behind = outbox.books().waiting_bytes > BEHIND * self._most_bytes
        newest = behind and self._turn % NEWEST_EVERY == 0
        return outbox, outbox.lend(MOST_MESSAGES, newest=newest, most_bytes=self._most_bytes), newest

    def _judge(self, stop: Answer | None, *, newest: bool) -> None:
        """Whether it is one batch that the server cannot take, or all of them."""
        if newest:
            self._passed = stop is None
        elif stop is None:
            self._faults, self._passed = 0, False
        elif stop.verdict is Verdict.FAULT:
            self._faults += 1
            if self._faults % FAULTS == 0 and self._faults < BLAMED_AFTER:
                self._passed = False  # is it still so?

    async def _packed(self, work: Callable[[], bytes]) -> bytes:
        return await self._thread.call(work, deadline_s=PACK_S)

    async def _count(self, found: Delivered, lent: Sequence[Lent]) -> None:
        counts = self.counts
        counts.requests += found.requests
        if found.stop is not None:
            return  # all of it comes again: its points are counted, and its bad lines kept, when it is through
        counts.sent += found.points
        counts.rejected += found.dropped
        if found.bad:
            for lines, why in found.bad[:3]:
                log.error("influx: refused for good, of %d lines: %s: %s", lines.count(b"\n"), why, lines[:200].decode(errors="replace"))
        self._resets = 0
        self._patience.restored()
        if not found.points:  # a server that takes none of them is not one that points get to
            self.verdict, self.error = Verdict.POISON, found.bad[0][1]
            return
        self.verdict, self.error = Verdict.DELIVERED, ""
        self._grow()
        counts.last_success_ns = time.time_ns()
        newest_ns = max(max(one.message.t_ns, one.message.until_ns) for one in lent)
        counts.latency_s = None if not newest_ns else max(0.0, (counts.last_success_ns - newest_ns) * 1e-9)

    def _failed(self, answer: Answer, size: int) -> float:
        """Seconds until the next try. size: of the batch."""
        self.counts.retries += 1
        if self.verdict is not answer.verdict or self.error != answer.text:
            log.warning("influx: %s: %s", answer.verdict, answer.text)
        self.verdict, self.error = answer.verdict, answer.text
        if answer.verdict is Verdict.SETTINGS:
            self._alarm(answer.text)
            return SETTINGS_S * random.uniform(0.8, 1.2)
        if answer.verdict is Verdict.RESET:
            self._resets += 1
            if self._resets % RESETS == 0 and self._most_bytes > LEAST_BYTES:
                self._sized(max(LEAST_BYTES, min(self._most_bytes, size) // 2))
                self._grows_after = min(2 * self._grows_after, GROWS_AFTER_MOST)
                self._patience.restored()  # the next request is another one
        return max(self._patience.spent(), answer.after_s or 0.0)

    def _grow(self) -> None:
        """A size that was found while a server was going down is not its limit."""
        self._arrived += 1
        if self._arrived >= self._grows_after and self._most_bytes < self._limit:
            self._sized(min(2 * self._most_bytes, self._limit))

    def _sized(self, most_bytes: int) -> None:
        self._most_bytes, self._arrived = most_bytes, 0
        log.warning("influx: requests have at most %d bytes from now on", most_bytes)


def _settle(lender: Outbox, lent: Sequence[Lent], outbox: Outbox, *, accept: bool) -> None:
    """Nothing where the outbox was begun anew meanwhile: the same ids are other messages there."""
    if outbox is lender:
        (outbox.accept if accept else outbox.keep)(lent)


def _keep_refused(path: Path, bad: Sequence[tuple[bytes, str]]) -> None:
    """As line protocol with the reasons as comments, to be looked at and sent by hand; the file begins anew when it is long."""
    if path.exists() and path.stat().st_size > MOST_REFUSED:
        path.replace(path.with_suffix(".old.lp"))
    with path.open("ab") as file:
        for line, why in bad:
            file.write(f"# {why}\n".encode() + line)
