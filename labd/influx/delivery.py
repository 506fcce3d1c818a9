"""One batch on its way: halved around what the server will never take, until only that is left over."""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from labd.influx.answers import Answer, Verdict

MOST_FAULTS = 20  # lines of one batch that a server's faults may be laid to; more are no fault of theirs
LEAST_BYTES = 1 << 14  # of a request: no server's limit is below
LEVEL = 1  # measured: 7.5 times smaller at a ninth of the cost of level 9

InThread = Callable[[Callable[[], bytes]], Awaitable[bytes]]


class Writes(Protocol):
    async def write(self, body: bytes, *, zipped: bool) -> Answer: ...


@dataclass(slots=True)
class Delivered:
    """What came of a batch. stop: the answer that ended it, None when every line has its fate. bad: lines refused for good, with why;
    where the server does not say which of several it refused, all of them. rest: what is still to be sent where something stopped it; the
    other figures are without it."""

    points: int = 0
    dropped: int = 0
    requests: int = 0
    stop: Answer | None = None
    rest: bytes = b""
    bad: list[tuple[bytes, str]] = field(default_factory=list)


class Delivery:
    """in_thread: runs what would hold up the event loop; None where nothing is compressed.

    most_bytes: of one request, before compression; less, once a server has said that it was too large. blame: others get through, so
    that a fault of the server's at this batch is brought about by one of its lines.
    """

    def __init__(self, transport: Writes, in_thread: InThread | None, *, most_bytes: int, blame: bool = False) -> None:
        self._transport = transport
        self._in_thread = in_thread
        self.most_bytes = most_bytes
        self._blame = blame

    async def of(self, body: bytes) -> Delivered:
        """Whole lines. What stops it may be sent again: servers that overwrite a point take it twice."""
        found, done = Delivered(), 0
        for part in parted(body, self.most_bytes):
            one = Delivered()
            await self._sent(part, one)
            found.requests += one.requests
            if one.stop is not None:
                found.stop, found.rest = one.stop, body[done:]
                break
            found.points, found.dropped, done = found.points + one.points, found.dropped + one.dropped, done + len(part)
            found.bad += one.bad
        return found

    async def _sent(self, body: bytes, found: Delivered) -> None:
        answer = await self._asked(body)
        found.requests += 1
        match answer.verdict:
            case Verdict.DELIVERED:
                found.points += body.count(b"\n")
            case Verdict.PARTIAL:
                count = body.count(b"\n")
                dropped = min(answer.dropped, count)
                found.points += count - dropped
                found.dropped += dropped
                named = "".join(f"{line}\n" for line in answer.lines).encode()
                found.bad.append((named or body, answer.text))
            case Verdict.POISON:
                await self._halved(body, answer, found)
            case Verdict.TOO_LARGE:
                self.most_bytes = max(LEAST_BYTES, min(self.most_bytes, len(body) // 2))
                await self._halved(body, answer, found)
            case Verdict.FAULT if self._blame and len(found.bad) < MOST_FAULTS:
                await self._halved(body, answer, found)
            case _:
                found.stop = answer

    async def _halved(self, body: bytes, answer: Answer, found: Delivered) -> None:
        if body.count(b"\n") <= 1:
            found.dropped += 1
            found.bad.append((body, answer.text))
            return
        middle = body.index(b"\n", len(body) // 2) + 1
        if middle == len(body):  # one line longer than all others together
            middle = body.rindex(b"\n", 0, len(body) - 1) + 1
        for half in (body[:middle], body[middle:]):
            await self._sent(half, found)
            if found.stop is not None:
                return

    async def _asked(self, body: bytes) -> Answer:
        if self._in_thread is None:
            return await self._transport.write(body, zipped=False)
        packed = await self._in_thread(partial(gzip.compress, body, LEVEL, mtime=0))
        return await self._transport.write(packed, zipped=True)


def parted(body: bytes, most_bytes: int) -> list[bytes]:
    """Whole lines, at most so many bytes together; a longer line by itself."""
    parts: list[bytes] = []
    start = 0
    while start < len(body):
        end = len(body)
        if end - start > most_bytes:
            cut = body.rfind(b"\n", start, start + most_bytes)
            end = (cut if cut >= 0 else body.index(b"\n", start)) + 1
        parts.append(body[start:end])
        start = end
    return parts
