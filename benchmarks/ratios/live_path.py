"""Keeping up with two instruments of 2 MSa/s each: processor time against real time, and against copying the samples once (limit)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.ratios.figures import Ratio, from_ratios
from labd import fast
from labd.influx.sink import FOLLOW_S
from labd.influx.trace_points import TracePoints
from labd.store.pyramid import Pyramid
from labd.store.trace_stream import batch_of, channels_of, placed, stream_schema
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block

REPEATS = 5
SECONDS = 3  # of samples a repeat; they come at their own pace, since what is synced and looked at each second is part of the cost
INSTRUMENTS = 2
DT_NS = 500
RECORDS = 100_000  # a block: 50 ms
BLOCKS_A_SECOND = 10**9 // (RECORDS * DT_NS)
RATE_HZ = 1000.0  # summaries
POINT = {"mode": "event_sleep", "rate_hz": 5.0, "supply_v": 3.0, "model": "dnn", "settings": {}}
PART = "keep up with live samples"
WHAT = f"{INSTRUMENTS} x 2 MSa/s of current and voltage: stored and synced, pyramid, {RATE_HZ:g} summaries a second as lines"


def live_path(folder: Path) -> list[Ratio]:
    """folder: on the file system in question; everything written there is deleted again. All threads of the process count."""
    fast.rows()  # loaded once in a process, before its first run
    found = [(_spent_s(folder), _copy_s()) for _ in range(REPEATS)]
    real, copies = [1 / spent_s for spent_s, _ in found], [copy_s / spent_s for spent_s, copy_s in found]
    return [
        from_ratios(PART, WHAT, against="one core in real time", kind="real time", ratios=real),
        from_ratios(PART, WHAT, against="one copy of the samples", kind="limit", ratios=copies),
    ]


@dataclass(slots=True)
class _Channel:
    """One instrument's trace and what follows it."""

    writer: TraceWriter
    pyramid: Pyramid = field(default_factory=Pyramid)
    points: TracePoints | None = None
    place: int = 0
    lines: int = 0
    apart_s: float = 0.0

    def take(self, block: Block, first: int) -> None:
        """The pyramid gets what it gets when a trace is closed, a batch that was read; making one here is no part of the path (apart_s)."""
        self.writer.write(block)
        began_s = time.thread_time()
        batch = placed(batch_of(block, stream_schema(channels_of(block), DT_NS, "{}")), 0, first)
        self.apart_s += time.thread_time() - began_s
        self.pyramid.add(batch)

    def follow(self) -> None:
        """As the sink does it, from the file."""
        self.points = self.points or TracePoints(self.writer.path, bench="demo", board="virtual-m4", rate_hz=RATE_HZ)
        while (piece := self.points.next(self.place, ended=False)) is not None:
            self.place, self.lines = piece.place, self.lines + piece.points


def _spent_s(folder: Path) -> float:
    """Processor seconds for a second of samples."""
    pieces = [_columns(seed) for seed in range(4)]
    capture = {"run": "r", "key": "event_sleep/r=5/v=3/dnn mean 0", "role": "mean", "point": POINT, "utc_ns": time.time_ns()}
    channels = [_Channel(TraceWriter(folder / f"{n}.parquet", capture=capture)) for n in range(INSTRUMENTS)]
    for channel in channels:
        channel.writer.__enter__()
    began_s, spent_s = time.monotonic(), time.process_time()
    looked_s = began_s
    for count in range(SECONDS * BLOCKS_A_SECOND):
        time.sleep(max(0.0, began_s + count / BLOCKS_A_SECOND - time.monotonic()))
        for n, channel in enumerate(channels):
            current, voltage = pieces[(count + n) % len(pieces)]
            first = count * RECORDS
            channel.take(Block(first, first * DT_NS, DT_NS, current, voltage), first)
        if time.monotonic() >= looked_s + FOLLOW_S:
            looked_s = time.monotonic()
            for channel in channels:
                channel.follow()
    for channel in channels:
        channel.follow()
        channel.pyramid.levels()
        channel.writer.end_stream()
    spent_s = time.process_time() - spent_s - sum(channel.apart_s for channel in channels)
    assert [channel.lines for channel in channels] == [SECONDS * RATE_HZ] * INSTRUMENTS, "not every summary was written"
    for path in folder.iterdir():
        path.unlink()
    return spent_s / SECONDS


def _columns(seed: int) -> tuple[np.typing.NDArray[np.float32], np.typing.NDArray[np.float32]]:
    rng = np.random.default_rng(seed)
    return rng.normal(0.01, 1e-3, RECORDS).astype(np.float32), rng.normal(3.0, 1e-4, RECORDS).astype(np.float32)


def _copy_s() -> float:
    """Processor seconds for copying a second of samples."""
    samples = [np.ones(BLOCKS_A_SECOND * RECORDS, np.float32) for _ in range(2 * INSTRUMENTS)]
    copies = [np.zeros_like(column) for column in samples]  # zeros: the memory is there before the clock runs
    for copy in copies:
        copy.fill(0.0)
    began_s = time.process_time()
    for copy, column in zip(copies, samples, strict=True):
        np.copyto(copy, column)
    return time.process_time() - began_s
