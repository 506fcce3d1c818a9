"""What is captured now, as frames for whoever watches: made once, however many they are."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any

from labd import fast
from labd.deadline import deadline
from labd.live.envelope import Piece
from labd.live.frame import LIVE, encode
from labd.live.gathering import Gathering
from labd.live.phases import MOST, Shown
from labd.stream.feed import Feed, FeedBlock, FeedEnd, FeedStart
from labd.stream.hub import Hub
from labd.stream.session import InstrumentSession, SessionStuck

FRAME_S = 1 / 30
HEARTBEAT_S = 1.0
COMPILED_S = 60.0
BLOCKS = 4096  # that wait for a frame: two minutes at thirty a second
FRAMES = 16  # that wait for a viewer: half a second
HISTORY_NS = 10 * 10**9  # of the capture, for a viewer that comes in the middle

log = logging.getLogger(__name__)


class LiveView:
    """`run` is the one task that makes frames; `viewer` is entered by each who watches."""

    def __init__(self, feed: Hub[Feed]) -> None:
        self._feed = feed
        self._frames: Hub[bytes] = Hub()
        self._n = 0
        self._start: dict[str, Any] | None = None
        self._gathering: Gathering | None = None
        self._history: deque[Piece] = deque()
        self._phases: deque[Shown] = deque(maxlen=MOST)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_compiled(), name="live loops")
            await self._shown()

    async def _shown(self) -> None:
        # size: BLOCKS; policy: newest wins; counter: lost_blocks of each frame
        with self._feed.subscribe("live view", size=BLOCKS) as blocks:
            while True:
                try:
                    async with deadline(HEARTBEAT_S):
                        first = await anext(blocks)
                except TimeoutError:
                    self._frames.publish(self._frame({}, (), blocks.lost))
                    continue
                self._show([first, *blocks.drained()], blocks.lost)
                await asyncio.sleep(FRAME_S)

    @asynccontextmanager
    async def viewer(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Frames from now on; the first one holds the last seconds of the capture under way."""
        # size: FRAMES; policy: newest wins; counter: jumps of n, which the viewer sees itself
        with self._frames.subscribe("viewer", size=FRAMES) as frames:
            first = {} if self._start is None else {"start": self._start}
            frames.put(self._frame(first | _phases(self._phases), tuple(self._history), 0, counts=False))
            yield frames

    def _show(self, items: list[Feed], lost: int) -> None:
        """One frame of what came, and one more for each change of the capture in it."""
        header: dict[str, Any] = {}
        for item in items:
            match item:
                case FeedStart():
                    self._flush(header, lost)
                    header = {"start": self._begin(item)}
                case FeedBlock() if self._gathering is not None:
                    self._gathering.add(item)
                case FeedEnd() if self._gathering is not None:
                    self._gathering.end()
                    self._flush(header | {"end": {"error": item.error}}, lost)
                    header, self._start, self._gathering = {}, None, None
                    self._forget()
        self._flush(header, lost)

    def _begin(self, start: FeedStart) -> dict[str, Any]:
        self._gathering = Gathering(start.acquisition.dt_ns, start.mode, start.marks)
        self._forget()
        names = ("capture", "order", "instrument", "role", "point", "mode", "marks", "t_ns")
        self._start = {"run": start.run_id, "dt_ns": start.acquisition.dt_ns, **{name: getattr(start, name) for name in names}}
        return self._start

    def _flush(self, header: dict[str, Any], lost: int) -> None:
        gathered = None if self._gathering is None else self._gathering.taken()
        if gathered is None:
            if header:
                self._frames.publish(self._frame(header, (), lost))
            return
        self._remember(gathered.pieces)
        self._phases.extend(phase for phase in gathered.phases if phase.end_ns is not None)
        if header or gathered.newest_t_ns is not None:
            self._frames.publish(self._frame(header | gathered.header | _phases(gathered.phases), gathered.pieces, lost))

    def _forget(self) -> None:
        self._history.clear()
        self._phases.clear()

    def _remember(self, pieces: tuple[Piece, ...]) -> None:
        self._history.extend(pieces)
        kept_ns = sum(piece.count * piece.dt_ns for piece in self._history)
        while self._history and kept_ns - self._history[0].count * self._history[0].dt_ns > HISTORY_NS:
            piece = self._history.popleft()
            kept_ns -= piece.count * piece.dt_ns

    def _frame(self, header: dict[str, Any], pieces: tuple[Piece, ...], lost: int, *, counts: bool = True) -> bytes:
        self._n += counts
        return encode(LIVE, {"n": self._n, "t_ns": time.time_ns(), "lost_blocks": lost, "newest_t_ns": None, **header}, pieces)


async def _compiled() -> None:
    """Until the loops are there, which takes seconds where nothing was compiled before, numpy does the same."""
    async with InstrumentSession("live loops") as apart:
        with suppress(SessionStuck):
            await apart.call(fast.rows, deadline_s=COMPILED_S)


def _phases(shown: Iterable[Shown]) -> dict[str, Any]:
    return {"phases": [dataclasses.astuple(one) for one in shown]}
