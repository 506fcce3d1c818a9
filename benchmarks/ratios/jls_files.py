"""Trace files against pyjls, the Joulescope's file format (peer): writing with summaries on the way, and looking at what was written."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyjls
from numpy.typing import NDArray

from benchmarks.ratios.figures import Ratio, compare
from labd.live.windows import Windows
from labd.store.pyramid import BASE, Buckets, Pyramid
from labd.store.trace_stream import batch_of, channels_of, placed, stream_schema
from labd.store.trace_window import columns, open_parts
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block

DT_NS = 500
RECORDS = 50_000  # a block
BLOCKS = 80  # of a file that is written
LOOKED_AT = 400  # blocks of the one that is read: more samples than labd makes an overview of one by one
BUCKETS = 1000  # of a view
ZOOMED = 1000  # samples a bucket, of a part
SAMPLES = 100_000
MOVED = SAMPLES // 10
SCATTERED = 0.381966  # of the file from one place to the next, by the golden ratio: never near to where it has been
PLACES = 50  # more of them than a file's decoded samples that labd keeps
READ = "look into a file"
PEER = ("pyjls", "peer")
SIGNALS = {1: "A", 2: "V"}


def jls_files(folder: Path) -> list[Ratio]:
    """folder: empty; everything written there is deleted again. Both sides leave it to the kernel when the disk gets what it has."""
    return [*_writing(folder), *_reading(folder)]


@dataclass(frozen=True, slots=True)
class _Recording:
    """The same samples for both. current, voltage: float32 [n]."""

    current: NDArray[np.float32]
    voltage: NDArray[np.float32]

    def blocks(self) -> Iterator[Block]:
        for first in range(0, len(self.current), RECORDS):
            part = slice(first, first + RECORDS)
            yield Block(first, first * DT_NS, DT_NS, self.current[part], self.voltage[part])


def _recording(blocks: int) -> _Recording:
    rng, count = np.random.default_rng(3), blocks * RECORDS
    return _Recording(rng.normal(0.01, 1e-3, count).astype(np.float32), rng.normal(3.0, 1e-4, count).astype(np.float32))


def _writing(folder: Path) -> list[Ratio]:
    recording = _recording(BLOCKS)
    schema = stream_schema(channels_of(next(recording.blocks())), DT_NS, "{}")
    names = itertools.count()
    open_writers: list[TraceWriter] = []

    def own() -> list[Buckets]:
        levels: list[Buckets] = []
        pyramid = Pyramid(levels.append)
        writer = TraceWriter(folder / f"{next(names)}.parquet")
        open_writers.append(writer.__enter__())
        for block in recording.blocks():
            writer.write(block)
            pyramid.add(placed(batch_of(block, schema), 0, block.seq))
        pyramid.end()
        return levels

    def alone() -> list[Buckets]:
        levels: list[Buckets] = []
        pyramid = Pyramid(levels.append)
        for block in recording.blocks():
            pyramid.add(placed(batch_of(block, schema), 0, block.seq))
        pyramid.end()
        return levels

    copies = np.empty_like(recording.current), np.empty_like(recording.voltage)

    def copy() -> None:
        np.copyto(copies[0], recording.current)
        np.copyto(copies[1], recording.voltage)

    def peer() -> None:
        _write_jls(folder / f"{next(names)}.jls", recording)

    def tidy() -> None:
        while open_writers:
            open_writers.pop().end_stream()
        for path in folder.iterdir():
            path.unlink()
        os.sync()

    _same_summary(alone(), recording)
    what = f"{2 * BLOCKS * RECORDS // 10**6} M samples: lowest, highest, mean of every 256, 4096 ..."
    return [
        *compare("make a pyramid", what, alone, {("one copy of the samples", "limit"): copy}),
        *compare("write a file with its summaries", "blocks as they come, each acknowledged", own, {PEER: peer}, tidy=tidy),
    ]


def _same_summary(levels: list[Buckets], recording: _Recording) -> None:
    finest = [one for one in levels if one.size == BASE]
    assert sum(int(one.length.sum()) for one in finest) == len(recording.current), "the pyramid has not every sample"
    low = np.concatenate([one.low["current"] for one in finest])
    assert np.array_equal(low, recording.current.reshape(-1, BASE).min(axis=1)), "its extremes are others"


def _write_jls(path: Path, recording: _Recording) -> None:
    with pyjls.Writer(str(path)) as writer:
        writer.source_def(1, name="bench", vendor="-", model="-", version="1", serial_number="1")
        for signal, unit in SIGNALS.items():
            writer.signal_def(signal, 1, sample_rate=10**9 // DT_NS, name=unit, units=unit)
        for block in recording.blocks():
            writer.fsr_f32(1, block.seq, block.current)
            writer.fsr_f32(2, block.seq, block.voltage)


def _reading(folder: Path) -> list[Ratio]:
    """labd's window has power as well, and every sample of a bucket in it; the peer's inner borders of buckets are about right."""
    recording = _recording(LOOKED_AT)
    trace, file = folder / "trace.parquet", folder / "file.jls"
    with TraceWriter(trace) as writer:
        for block in recording.blocks():
            writer.write(block)
    _write_jls(file, recording)
    length = len(recording.current)
    with contextlib.ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        windows = runner.run(Windows().__aenter__())
        stack.callback(lambda: runner.run(windows.__aexit__(None, None, None)))
        reader = stack.enter_context(contextlib.closing(pyjls.Reader(str(file))))
        parts = open_parts(trace)

        def view(what: str, start: int, step: int) -> list[Ratio]:
            stop = start + BUCKETS * step
            others = {PEER: lambda: [reader.fsr_statistics(signal, start, step, BUCKETS) for signal in SIGNALS]}
            return compare(READ, what, lambda: runner.run(windows.read(trace, 0, start, stop, points=BUCKETS)), others, calls=5)

        def samples(what: str, by: int) -> list[Ratio]:
            places = itertools.cycle(k * by % (length - SAMPLES) for k in range(PLACES))
            peers = itertools.cycle(k * by % (length - SAMPLES) for k in range(PLACES))

            def own() -> NDArray[np.float32]:
                at = next(places)
                return columns(parts, 0, at, at + SAMPLES)["current"]

            def peer() -> NDArray[np.float32]:
                at = next(peers)
                current, _ = (reader.fsr(signal, at, SAMPLES) for signal in SIGNALS)
                return np.asarray(current)

            assert np.array_equal(own(), peer()), "the two files hold other samples"
            return compare(READ, what, own, {PEER: peer}, calls=PLACES)

        found = [
            *view(f"{BUCKETS} buckets of the whole file", 0, length // BUCKETS),
            *view(f"{BUCKETS} buckets of {ZOOMED} samples each, all of them looked at", length // 6, ZOOMED),
            *samples(f"{SAMPLES} samples, and those {MOVED} further on", MOVED),
            *samples(f"{SAMPLES} samples, all over the file", int(SCATTERED * length)),
        ]
    for path in folder.iterdir():
        path.unlink()
    return found
