"""A stream of a Joulescope as blocks, and means over stretches of it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Any

import numpy as np

from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock, RecordCheck
from labd_instruments.contract import Reading, StreamEnd
from labd_instruments.drivers._joulescope import Kit
from labd_instruments.drivers._joulescope_stream import IDS_HZ, Stretch, Timeline
from labd_instruments.errors import InstrumentError, LostSamplesError, NotConnectedError, OutOfRangeError, RefusedError, SentinelError

NEARLY = 1 - 1e-6  # values are f32
TIMEBASE = 1e-3  # of its clock against the host's, for the record check only: no document at hand gives it
BEHIND_S = 0.15  # by how much samples may be behind the clock: they are published 20 times a second (h/fp) and come over USB
MOST_WAITING = 1 << 28  # bytes that wait for a host that does not read, 26 s of a JS220, 15 s of a JS110; what comes then is dropped
LONGEST_S = 1.0  # of a sample: its values wait in memory until it is whole
UNNUMBERED = "losses of more than 512 frames (32 ms) are not in the sample ids"  # js110_usb.c, PKT_INDEX_SKIP_FILL_MAX


class Inbox:
    """What subscribers were called with, for another thread.

    newest: sample ids that are kept up to the last one; what is older is dropped, but for the first piece of each signal, from which
    samples are numbered. Without it, at most MOST_WAITING bytes wait, and what comes then is dropped. Either is counted.
    """

    def __init__(self, newest: int | None) -> None:
        self.newest = newest
        self._come = threading.Condition()
        self._pieces: deque[tuple[str, Any]] = deque()
        self._firsts: list[tuple[str, Any]] = []
        self._begun: set[str] = set()
        self._bytes = self._dropped = 0

    def put(self, topic: str, value: Any) -> None:
        size = len(value["data"]) * value["data"].itemsize
        with self._come:
            if self.newest is None and self._bytes + size > MOST_WAITING:
                self._dropped += 1
                return
            self._pieces.append((topic, value))
            self._bytes += size
            if self.newest is not None:
                self._drop_before(value["sample_id"] - self.newest)
            self._come.notify()

    def take(self, wait_s: float = 0.0) -> tuple[list[tuple[str, Any]], int]:
        """Pieces, and how many were dropped since the last look."""
        with self._come:
            if wait_s > 0 and not self._pieces:
                self._come.wait(wait_s)
            found, dropped = [*self._firsts, *self._pieces], self._dropped
            self._begun.update(topic for topic, _ in found)
            self._firsts.clear()
            self._pieces.clear()
            self._bytes = self._dropped = 0
            return found, dropped

    def _drop_before(self, sample_id: int) -> None:
        while self._pieces[0][1]["sample_id"] < sample_id:
            topic, value = self._pieces.popleft()
            if topic in self._begun:
                self._dropped += 1
            else:
                self._begun.add(topic)
                self._firsts.append((topic, value))


class Log:
    """From its set-up to its end. full_scale_a, full_scale_v: from which on a value is cut off; fixed: the current's is the range of
    each. gpi: the input. newest: what a host does not fetch in time is dropped but for its end, and is no loss."""

    def __init__(
        self,
        kit: Kit,
        clock: Clock,
        dt_s: float,
        *,
        full_scale_a: float,
        full_scale_v: float,
        fixed: bool,
        gpi: int | None = None,
        newest: bool = False,
    ) -> None:
        self._kit = kit
        self._clock = clock
        self._full_scale_a, self._full_scale_v = full_scale_a, full_scale_v
        self.dt_ns = round(dt_s * 1e9)
        self._topics = {"i": "s/i", "v": "s/v"} | ({"r": "s/i/range"} if fixed else {}) | ({} if gpi is None else {"g": f"s/gpi/{gpi}"})
        self._bit = 0 if gpi is None else gpi
        self._timeline = Timeline(round(dt_s * IDS_HZ), kit.model.step, with_range=fixed, with_input=gpi is not None)
        self._names = {f"{kit.link.device}/{topic}/!data": name for name, topic in self._topics.items()}
        self._check = RecordCheck(dt_s, TIMEBASE, clock)
        self._inbox = Inbox(2 * self._timeline.ids + IDS_HZ // 2 if newest else None)
        self._put = self._inbox.put  # one object: unsubscribing takes the very one
        self._blocks: deque[Block] = deque()
        self._failure: InstrumentError | None = None
        self._started_s = self._elapsed_s = 0.0
        self._records = self._seen = self._lost = self._missing = 0
        self._holes = 0  # that the inbox has made and that the samples have still to show
        self._on: list[str] = []  # topics that may stream

    @property
    def running(self) -> bool:
        return bool(self._on)

    def start(self) -> None:
        """Signals begin one after the other; the first sample is the first of which all are there."""
        for topic in self._topics.values():
            self._kit.link.subscribe(f"{topic}/!data", self._put)
            self._on.append(topic)
        for topic in self._topics.values():
            self._kit.put(f"{topic}/ctrl", 1)
        self._started_s = self._clock.now_s()

    def read(self) -> Block | None:
        """Raises LostSamplesError, RefusedError (another range), NotConnectedError, ReplyError, once what came before has been handed on;
        the same ever after."""
        if not self.running:
            raise OutOfRangeError(f"{self._kit.name}: no stream runs; start_stream comes first")
        if not self._blocks and self._failure is None:
            try:
                self._fetch()
            except InstrumentError as error:  # nothing that comes after it is a number
                self._failure = error
        if self._blocks:
            block = self._blocks.popleft()
            self._records += len(block)
            return block
        if self._failure is not None:
            raise self._failure
        return None

    def stop(self) -> StreamEnd:
        """Samples that `read` has not fetched are dropped. elapsed_s: as of the last `read`.

        Each signal is tried, whatever became of the others; raises the first failure, after which another `stop` tries what may still run.
        """
        failures: list[InstrumentError] = []
        for topic in list(self._on):
            try:
                self._kit.put(f"{topic}/ctrl", 0)
                self._kit.link.unsubscribe(f"{topic}/!data", self._put)
                self._on.remove(topic)
            except InstrumentError as error:
                failures.append(error)
        if failures:
            raise failures[0]
        return StreamEnd(self._records, self._elapsed_s, self._clock.name, self._lost + self._missing)

    def record_check(self) -> str:
        unseen = f"; {UNNUMBERED}" if self._kit.model.name == "JS110" else ""
        return f"sample ids, and {self._check} and {BEHIND_S:g} s that they may be behind{unseen}"

    def _fetch(self) -> None:
        """What was due when the look began must be here, or come within one time-out."""
        self._elapsed_s = self._clock.now_s() - self._started_s
        end_s = time.monotonic() + self._kit.link.timeout_s
        self._accept(0.0)
        while self._missed() and (left_s := end_s - time.monotonic()) > 0:
            self._accept(left_s)
        self._missing = self._missed()
        if self._missing:
            if not self._kit.link.is_there():
                raise NotConnectedError(f"{self._kit.name}: {self._kit.link.device} is gone; its samples end at {self._seen}")
            self._check.require(self._kit.name, self._seen, self._elapsed_s - BEHIND_S)

    def _missed(self) -> int:
        return self._check.missing(self._seen, self._elapsed_s - BEHIND_S)

    def _accept(self, wait_s: float) -> None:
        pieces, dropped = self._inbox.take(wait_s)
        if dropped and self._inbox.newest is not None:
            self._holes += 1
        self._take(pieces)
        if dropped and self._inbox.newest is None and self._kit.options.on_loss == "error":
            what = f"{dropped} messages came while {MOST_WAITING} bytes waited to be read, and were dropped here"
            due = round(self._elapsed_s * 1e9) // self.dt_ns
            raise LostSamplesError(f"{self._kit.name}: behind sample {self._seen - 1} {what}", expected=due, received=self._seen)

    def _take(self, pieces: list[tuple[str, Any]]) -> None:
        for topic, piece in pieces:
            if topic in self._names:
                self._timeline.tracks[self._names[topic]].add(piece)
        while (stretch := self._timeline.take()) is not None:
            self._seen = stretch.seq + len(stretch.current)
            self._lost += stretch.lost
            if stretch.lost and self._holes:
                self._holes -= 1
            elif stretch.lost and self._kit.options.on_loss == "error":
                first = stretch.seq - stretch.lost
                what = f"{self._kit.name}: behind sample {first - 1} the sample ids jump by {stretch.lost} samples"
                raise LostSamplesError(what, expected=stretch.seq, received=first)
            self._require_range(stretch)
            self._blocks.append(self._block(stretch))

    def _require_range(self, stretch: Stretch) -> None:
        """Raises RefusedError where the instrument says that it measured on another range than the one that was set."""
        for code in map(int, stretch.ranges):
            if code != self._kit.range_code(self._full_scale_a):
                what = f"it measures on {self._kit.range_named(code)}, although {self._full_scale_a:g} A was fixed"
                raise RefusedError(f"{self._kit.name}: {what}, at sample {stretch.seq} or soon after", ((code, "s/i/range"),))

    def _block(self, stretch: Stretch) -> Block:
        flag = BlockFlag.GAP_BEFORE if stretch.lost else BlockFlag.NONE
        if stretch.peak_a >= self._full_scale_a * NEARLY or stretch.peak_v >= self._full_scale_v * NEARLY:
            flag |= BlockFlag.CLIPPED
        marker = None if stretch.level is None else stretch.level * np.float32(self._kit.options.logic_v)
        digital = None if stretch.last is None else stretch.last << np.uint8(self._bit)
        seq = stretch.seq
        return Block(seq, seq * self.dt_ns, self.dt_ns, stretch.current, stretch.voltage, marker, digital, flags=flag)


class Mean:
    """Readings back to back, each one sample of a log of the newest; a host that comes late gets the last one."""

    def __init__(self, kit: Kit, log: Log) -> None:
        self._kit = kit
        self._log = log

    def read(self) -> Reading | None:
        """Raises as `Log.read`, SentinelError for a current or a voltage at the end of its range, where it is cut off."""
        if not self._log.running:
            self._log.start()
        newest = None
        while (block := self._log.read()) is not None:
            newest = block
        if newest is None:
            return None
        if BlockFlag.CLIPPED in newest.flags:
            raise SentinelError(f"{self._kit.name}: a current or a voltage reaches the end of its range, of which no mean is made")
        assert newest.current is not None
        assert newest.voltage is not None
        return Reading(float(newest.current[-1]), float(newest.voltage[-1]))

    def stop(self) -> None:
        if self._log.running:
            self._log.stop()
