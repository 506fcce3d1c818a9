"""Live samples for who watches: against joulescope's StreamBuffer, a queue of samples (peers) and one copy for each viewer (limit)."""

from __future__ import annotations

import asyncio
import queue
import time
from typing import Any

import numpy as np
from joulescope.v1.stream_buffer import StreamBuffer

from benchmarks.ratios.figures import Ratio, compare, from_ratios
from benchmarks.ratios.live_source import COLUMNS, DT_NS, RATE_HZ, samples_of
from labd import fast
from labd.live.frame import header_of
from labd.live.gathering import BUCKET_NS, Gathered, Gathering
from labd.live.view import FRAME_S, LiveView
from labd.records import MarkStyle, Mode
from labd.stream.feed import Feed, FeedBlock, FeedEnd, FeedStart
from labd.stream.hub import Hub
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition

RECORDS = 40_000  # a block: 20 ms
SECONDS = 2
VIEWERS = 8
QUEUED = 100_000  # samples that are put into queues, one by one: enough to tell what one costs
REPEATS = 5
PER_BUCKET = BUCKET_NS // DT_NS
AGREE = 1e-5  # relative
FANNED = f"2 MSa/s of current and voltage to {VIEWERS} viewers, 30 frames a second"
PEER = ("joulescope StreamBuffer", "peer")
SHOWN = "a second at 2 MSa/s: lowest, highest, mean of each ms"


def live_view() -> list[Ratio]:
    fast.rows()
    return _fan_out() + _shown()


def _blocks(seconds: int = 1) -> list[FeedBlock]:
    current, voltage = samples_of(0)
    found = []
    for first in range(0, seconds * RATE_HZ, RECORDS):
        part = slice(first % RATE_HZ, first % RATE_HZ + RECORDS)
        found.append(FeedBlock(Block(first, first * DT_NS, DT_NS, current[part], voltage[part]), 0, first, trigger=False, t_ns=1))
    return found


def _fan_out() -> list[Ratio]:
    """Processor time, as frames come at their own pace; the queue's is that of as many samples."""
    found = [(asyncio.run(_fanned_s()), _copied_s(), _queued_s()) for _ in range(REPEATS)]
    sides = (("one core in real time", "real time", 1.0), ("one copy of the samples for each viewer", "limit", 0.0))
    ratios = [[1 / own for own, _, _ in found], [copied / own for own, copied, _ in found]]
    part = "fan out live samples"
    return [
        *(
            from_ratios(part, FANNED, against=side[0], kind=side[1], ratios=one, least=side[2])
            for side, one in zip(sides, ratios, strict=True)
        ),
        from_ratios(
            part,
            FANNED,
            against="a queue of samples for each, as MLCommons' runner",
            kind="peer",
            ratios=[queued / own for own, _, queued in found],
            least=5.0,
        ),
    ]


async def _fanned_s() -> float:
    """Processor seconds for a second of samples."""
    feed: Hub[Feed] = Hub()
    view = LiveView(feed)
    acquisition = Acquisition(DT_NS, COLUMNS, DT_NS * 1e-9, 1.0, 5.0)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(view.run())
        viewers = [tasks.create_task(_seen(view)) for _ in range(VIEWERS)]
        await asyncio.sleep(FRAME_S)  # they are there
        spent_s, began_s = time.process_time(), time.monotonic()
        feed.publish(FeedStart("r", "c", "smu", 0, "mean", "p", Mode.EVENT_SLEEP, MarkStyle.GATE, acquisition, 1))
        for count, block in enumerate(_blocks(SECONDS), start=1):
            await asyncio.sleep(max(0.0, began_s + count * RECORDS / RATE_HZ - time.monotonic()))
            feed.publish(block)
        feed.publish(FeedEnd("r", "c", "", 1))
        seen = await asyncio.gather(*viewers)
        spent_s = time.process_time() - spent_s
        running.cancel()
    assert seen == [SECONDS * RATE_HZ] * VIEWERS, f"of {SECONDS * RATE_HZ} samples viewers were shown {seen}"
    return spent_s / SECONDS


async def _seen(view: LiveView) -> int:
    """Bytes are what a viewer gets; reading them is its own work, of which the headers are enough here."""
    found = 0
    async with view.viewer() as frames:
        async for frame in frames:
            header = header_of(frame)
            found += sum(int(piece["count"] * piece["per_bucket"]) for piece in header["pieces"])
            if "end" in header:
                return found
    return found


def _copied_s() -> float:
    samples = samples_of(0)
    copies = [np.zeros_like(column) for column in samples]
    for copy in copies:
        copy.fill(0.0)
    began_s = time.process_time()
    for _ in range(VIEWERS):
        for copy, column in zip(copies, samples, strict=True):
            np.copyto(copy, column)
    return time.process_time() - began_s


def _queued_s() -> float:
    """Put and taken, for a second of samples."""
    current, voltage = (column[:QUEUED] for column in samples_of(0))
    queues: list[queue.SimpleQueue[list[float]]] = [queue.SimpleQueue() for _ in range(VIEWERS)]
    began_s = time.process_time()
    for k, (i, v) in enumerate(zip(current.tolist(), voltage.tolist(), strict=True)):
        item = [k * DT_NS * 1e-9, v, i]
        for one in queues:
            one.put(item)
    for one in queues:
        for _ in range(QUEUED):
            one.get()
    return (time.process_time() - began_s) * RATE_HZ / QUEUED


def _shown() -> list[Ratio]:
    """labd also computes power, which the peer is given, energy and charge; the peer keeps the samples and has a variance."""
    blocks = _blocks()
    power = [one.block.current * one.block.voltage for one in blocks if one.block.current is not None and one.block.voltage is not None]

    def own() -> list[Gathered]:
        gathering = Gathering(DT_NS, Mode.EVENT_SLEEP, MarkStyle.GATE)
        found = []
        for block in blocks:
            gathering.add(block)
            found.append(gathering.taken())
        return found

    def peer() -> Any:
        kept = StreamBuffer(2.0, RATE_HZ, None)
        for unused in ((4, 0), (5, 0), (5, 1)):  # ranges and general purpose inputs: labd has none of these here either
            del kept.buffers[unused]
        found = []
        for one, watts in zip(blocks, power, strict=True):
            for field, data in ((1, one.block.current), (2, one.block.voltage), (3, watts)):
                said = {"field_id": field, "index": 0, "sample_id": one.first, "sample_rate": RATE_HZ, "decimate_factor": 1}
                kept.insert("", {**said, "data": data})
            found.append(kept.data_get(one.first, one.first + RECORDS, PER_BUCKET))
        return np.concatenate(found)

    theirs = peer()
    for place, name in enumerate(("current", "voltage", "power")):
        for figure, column in (("low", "min"), ("high", "max"), ("mean", "mean")):
            mine = np.concatenate([getattr(piece.bands[name], figure) for one in own() for piece in one.pieces])
            assert np.allclose(mine, theirs[:, place][column], rtol=AGREE), f"{figure} of {name}: labd and joulescope differ"
    return compare("show live samples", SHOWN, own, {PEER: peer}, calls=10, least={PEER: 5.0})
