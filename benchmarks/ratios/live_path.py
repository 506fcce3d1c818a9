"""Keeping up with four instruments of 2 MSa/s each: processor time against real time, and against copying the samples once (limit)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ratios.figures import Ratio, from_ratios
from benchmarks.ratios.live_source import COLUMNS, DT_NS, RATE_HZ, Source, samples_of
from labd import fast
from labd.bench.expand import CapturePlan
from labd.bench.recorder import Recorder, Recordings, Subject
from labd.influx.sink import FOLLOW_S, LOOK_AT_ITSELF_S
from labd.influx.trace_points import TracePoints
from labd.live.frame import header_of
from labd.live.view import LiveView
from labd.records import MarkStyle, Mode, OperatingPoint, Role
from labd.store.pyramid import BASE, Buckets, Pyramid
from labd.store.trace_reader import read_trace
from labd.store.trace_stream import batch_of, placed, stream_schema
from labd.stream.feed import Feed
from labd.stream.hub import Hub
from labd.stream.means import Means
from labd.stream.pump import pumping
from labd.stream.session import InstrumentSession
from labd.stream.trip import Trip, TripLimits
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition

REPEATS = 5
SECONDS = 3  # of samples a repeat; they come at their own pace, since what is synced, looked at and shown each second is part of the cost
INSTRUMENTS = 4
SAMPLES = SECONDS * RATE_HZ  # of each instrument
SUMMARIES_HZ = 1000
LIMITS = TripLimits(5.0, 0.5, 1.0, 1.0, 1e-3, "bench")
CALL_S = 30.0
PART = "keep up with live samples"
WHAT = f"{INSTRUMENTS} x 2 MSa/s of current and voltage: limits, store, pyramid, {SUMMARIES_HZ} summaries/s as lines, live page"
ARRIVED = "samples at the consumer that got the fewest (trace file, pyramid, summaries, energy, viewer)"
LEAST = 1.0  # of one core, all threads and the kernel included


def live_path(folder: Path) -> list[Ratio]:
    """folder: on the file system in question; everything written there is deleted again. All threads of the process count."""
    fast.rows()  # loaded once in a process, before its first run
    real, copies, arrived = [], [], []
    for _ in range(REPEATS):
        spent_s, share = asyncio.run(_kept_up(folder))
        for path in folder.iterdir():
            path.unlink()
        real.append(1 / spent_s)
        copies.append(_copy_s() / spent_s)
        arrived.append(share)
    return [
        from_ratios(PART, WHAT, against="one core in real time", kind="real time", ratios=real, least=LEAST),
        from_ratios(PART, WHAT, against="one copy of the samples", kind="limit", ratios=copies),
        Ratio(PART, ARRIVED, "every sample sent", "limit", min(arrived), min(arrived), max(arrived), REPEATS, least=1.0),
    ]


async def _kept_up(folder: Path) -> tuple[float, float]:
    """Processor seconds for a second of samples of all instruments; the share of them that came to the consumer with the fewest."""
    sources = [Source(number, SAMPLES) for number in range(INSTRUMENTS)]
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(_channel(folder / f"{n}.parquet", source)) for n, source in enumerate(sources)]
        spent_s = time.process_time()
        async with asyncio.TaskGroup() as tasks:
            for source in sources:
                source.begin()
            for channel in channels:
                tasks.create_task(channel.run())
        spent_s = time.process_time() - spent_s
    arrived = [share for channel in channels for share in channel.arrived().values()]
    arrived += [_read_back(folder / f"{number}.parquet", number) / SAMPLES for number in range(INSTRUMENTS)]
    return spent_s / SECONDS, min(arrived)


class _Channel:
    """One instrument on its way through a daemon, and who counts what arrives where."""

    def __init__(self, path: Path, source: Source, threads: tuple[InstrumentSession, InstrumentSession, InstrumentSession]) -> None:
        self._path = path
        self._source = source
        self._instrument, self._reader, self._shaper = threads
        self._feed: Hub[Feed] = Hub()
        self._view = LiveView(self._feed)
        self._pyramid = Pyramid(self._shaped)
        self._lines = self._shown = self._in_pyramid = 0
        self._energy_j = 0.0
        self._begun = False
        self._over = asyncio.Event()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            view = tasks.create_task(self._view.run())
            watchers = [tasks.create_task(work()) for work in (self._watch, self._mean)]
            await asyncio.sleep(0)  # they have subscribed
            following = tasks.create_task(self._follow())
            await self._record()
            await asyncio.gather(following, *watchers)
            view.cancel()

    async def _record(self) -> None:
        async with (
            Recordings(_left_to_another_process, self._feed) as recordings,
            recordings.recorder(self._path, Subject("r", _PLAN)) as recorder,
        ):
            await recorder.begin(_ACQUISITION)
            async with pumping(self._instrument, self._source.read, deadline_s=CALL_S, check=Trip(LIMITS)) as pump:
                async for block in pump:
                    await self._taken(recorder, block)
                    if self._source.ended:
                        pump.stop()
        self._over.set()

    async def _taken(self, recorder: Recorder, block: Block) -> None:
        await recorder.write(block, stretch=0, trigger=False)
        self._begun = True
        await self._shaper.call(partial(self._shape, block), deadline_s=CALL_S)

    def _shape(self, block: Block) -> None:
        """The pyramid gets what it gets when a trace is closed."""
        self._pyramid.add(placed(batch_of(block, _SCHEMA), 0, block.seq))

    def _shaped(self, level: Buckets) -> None:
        if level.size == BASE:
            self._in_pyramid += int(level.length.sum())

    async def _follow(self) -> None:
        """As the sink does it, from the file."""
        points: TracePoints | None = None
        place = 0
        while True:
            over = self._over.is_set()
            if points is None and self._begun:
                points = await self._reader.call(self._opened, deadline_s=CALL_S)
            while points is not None:
                piece = await self._reader.call(partial(points.next, place, ended=over), deadline_s=CALL_S)
                if piece is None:
                    break
                place, self._lines = piece.place, self._lines + piece.points
            if over:
                await self._shaper.call(self._pyramid.end, deadline_s=CALL_S)
                return
            await _either(self._over, FOLLOW_S)

    def _opened(self) -> TracePoints:
        return TracePoints(self._path, bench="demo", board="virtual-m4", rate_hz=SUMMARIES_HZ)

    async def _mean(self) -> None:
        """What the sink says of the capture each second."""
        means = Means()
        with self._feed.subscribe("itself", size=4096) as feed:
            while True:
                over = self._over.is_set()
                for item in feed.drained():
                    means.add(item)
                means.taken()
                if over:
                    self._energy_j = means.run_energy_j
                    return
                await _either(self._over, LOOK_AT_ITSELF_S)

    async def _watch(self) -> None:
        """One viewer, up to the end of the capture."""
        async with self._view.viewer() as frames:
            async for frame in frames:
                header = header_of(frame)
                self._shown += sum(_samples_in(piece) for piece in header["pieces"])
                if "end" in header:
                    return

    def arrived(self) -> dict[str, float]:
        """The share of the samples that came to each consumer, by what it has of them itself."""
        found = {
            "viewer": self._shown / SAMPLES,
            "summaries": self._lines / (SECONDS * SUMMARIES_HZ),
            "pyramid": self._in_pyramid / SAMPLES,
            "running energy": round(self._energy_j / self._source.energy_j(), 4),
        }
        for consumer, share in found.items():
            if share < 1.0:
                print(f"{PART}: {consumer} of an instrument got {share:.3g} of its samples")
        return found


def _samples_in(piece: dict[str, Any]) -> int:
    """lengths: of the last bucket, where it is not full (docs/reference/live-frames.md)."""
    whole = piece["count"] * piece["per_bucket"]
    return int(whole - piece["per_bucket"] + piece["lengths"] if "lengths" in piece else whole)


@asynccontextmanager
async def _channel(path: Path, source: Source) -> AsyncIterator[_Channel]:
    async with InstrumentSession("instrument") as one, InstrumentSession("reader") as two, InstrumentSession("shaper") as three:
        yield _Channel(path, source, (one, two, three))


async def _either(event: asyncio.Event, length_s: float) -> None:
    try:
        async with asyncio.timeout(length_s):
            await event.wait()
    except TimeoutError:
        pass


async def _left_to_another_process(path: Path) -> None:
    """The final file: a child of the daemon makes it, at low priority."""


def _read_back(path: Path, number: int) -> int:
    """How many samples the disk has, each of which is held against the one that was sent."""
    found = 0
    for stretch in read_trace(path).stretches:
        where = np.arange(stretch.facts.seq, stretch.facts.seq + stretch.facts.length) % RATE_HZ
        for column, sent in zip((stretch.current, stretch.voltage), samples_of(number), strict=True):
            assert column is not None
            assert np.array_equal(column, sent[where]), "other samples are in the file"
        found += stretch.facts.length
    return found


_POINT = OperatingPoint(Mode.EVENT_SLEEP, 5.0, 3.0, "dnn")
_PLAN = CapturePlan(f"{_POINT.key} mean 0", _POINT, Role.MEAN, 0, 0, 15, SECONDS, MarkStyle.GATE, "smu", 1)
_ACQUISITION = Acquisition(DT_NS, COLUMNS, DT_NS * 1e-9, 1.0, 5.0)
_SCHEMA = stream_schema(COLUMNS, DT_NS, "{}")


def _copy_s() -> float:
    """Processor seconds for copying a second of samples."""
    samples: list[Any] = [np.ones(RATE_HZ, np.float32) for _ in range(2 * INSTRUMENTS)]
    copies = [np.zeros_like(column) for column in samples]  # zeros: the memory is there before the clock runs
    for copy in copies:
        copy.fill(0.0)
    began_s = time.process_time()
    for copy, column in zip(copies, samples, strict=True):
        np.copyto(copy, column)
    return time.process_time() - began_s
