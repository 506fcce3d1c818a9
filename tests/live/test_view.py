"""Live frames: what viewers are sent of a capture, in which order, and what a slow one loses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.live.envelope import Piece
from labd.live.frame import HEAD, header_of
from labd.live.gathering import Gathering
from labd.live.view import FRAMES, LiveView
from labd.records import MarkStyle, Mode
from labd.stream.feed import Feed, FeedBlock, FeedEnd, FeedStart
from labd.stream.hub import Hub
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import Acquisition

SOON_S = 10.0
DT_NS = 10_000
PER_BUCKET = 100


def start(capture: str = "always_on/r=0/v=3/dnn/floor/0") -> FeedStart:
    acquisition = Acquisition(DT_NS, ("current", "voltage"), DT_NS * 1e-9, 0.1, 20.0)
    return FeedStart("r1", capture, "smu", 0, "floor", "always_on/r=0/v=3/dnn", Mode.ALWAYS_ON, MarkStyle.GATE, acquisition, 1)


def block(first: int, values: list[float] | np.ndarray[Any, Any], *, stretch: int = 0, **more: Any) -> FeedBlock:
    current = np.asarray(values, np.float32)
    made = Block(first, first * DT_NS, DT_NS, current, np.full(len(current), 3.0, np.float32), **more)
    return FeedBlock(made, stretch, first, trigger=False, t_ns=77)


def end(error: str = "") -> FeedEnd:
    return FeedEnd("r1", "always_on/r=0/v=3/dnn/floor/0", error, 2)


def columns(frame: bytes) -> list[dict[str, np.ndarray[Any, Any]]]:
    """The columns of each piece, read as the document says, without labd's own code."""
    length = int.from_bytes(frame[8:12], "little")
    at, found = 12 + length, []
    assert at % 8 == 0
    for piece in header_of(frame)["pieces"]:
        names = [(c, k) for c in piece["channels"] for k in (("mean",) if piece["per_bucket"] == 1 else ("low", "high", "mean"))]
        one = {}
        for channel, kind in names:
            one[f"{channel}.{kind}"] = np.frombuffer(frame, "<f4", piece["count"], at)
            at += 4 * piece["count"]
        if piece["digital"]:
            one["any"] = np.frombuffer(frame, "u1", piece["count"], at)
            one["all"] = np.frombuffer(frame, "u1", piece["count"], at + piece["count"])
            at += -(-2 * piece["count"] // 4) * 4
        found.append(one)
    assert at == len(frame)
    return found


@asynccontextmanager
async def viewing() -> AsyncIterator[tuple[Hub[Feed], LiveView]]:
    hub: Hub[Feed] = Hub()
    view = LiveView(hub)
    task = asyncio.create_task(view.run())
    await asyncio.sleep(0)
    try:
        yield hub, view
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until(frames: AsyncIterator[bytes], key: str) -> bytes:
    async with asyncio.timeout(SOON_S):
        async for frame in frames:
            if header_of(frame).get(key) is not None:
                return frame
    raise AssertionError


async def test_a_capture_begins_shows_its_buckets_and_ends() -> None:
    async with viewing() as (hub, view), view.viewer() as frames:
        hub.publish(start())
        hub.publish(block(0, np.arange(250)))
        hub.publish(end("the cable was pulled"))
        first = await until(frames, "start")
        last = first if "end" in header_of(first) else await until(frames, "end")
        head = header_of(last)
        assert head["end"] == {"error": "the cable was pulled"}
        assert head["samples"] == 250
        assert head["energy_j"] == pytest.approx(3.0 * sum(range(250)) * DT_NS * 1e-9)
        means = np.concatenate([one["current.mean"] for one in columns(last)])
        assert means.tolist() == [49.5, 149.5, 224.5]
        assert head["pieces"][-1]["lengths"] == 50


async def test_a_viewer_that_comes_late_gets_the_last_seconds_first() -> None:
    async with viewing() as (hub, view):
        async with view.viewer() as early:
            hub.publish(start())
            hub.publish(block(0, np.ones(1000)))
            await until(early, "newest_t_ns")
        async with view.viewer() as late:
            first = await asyncio.wait_for(anext(late), SOON_S)
        assert header_of(first)["start"]["run"] == "r1"
        assert sum(piece["count"] for piece in header_of(first)["pieces"]) == 10


async def test_phases_come_with_the_marks_they_are_told_by_and_a_late_viewer_gets_those_so_far() -> None:
    async with viewing() as (hub, view):
        async with view.viewer() as early:
            hub.publish(start())
            hub.publish(block(0, np.ones(120), marker=np.repeat([0.1, 2.9, 0.1], 40).astype(np.float32)))
            head = header_of(await until(early, "newest_t_ns"))
        async with view.viewer() as late:
            first = header_of(await asyncio.wait_for(anext(late), SOON_S))
    assert head["phases"] == first["phases"] == [["infer", 40 * DT_NS, 80 * DT_NS, 0]]
    assert (first["start"]["mode"], first["start"]["marks"]) == ("always_on", "gate")


async def test_a_viewer_that_comes_after_a_capture_is_shown_none() -> None:
    async with viewing() as (hub, view):
        async with view.viewer() as early:
            hub.publish(start())
            hub.publish(block(0, np.ones(1000)))
            hub.publish(end())
            await until(early, "end")
        async with view.viewer() as late:
            head = header_of(await asyncio.wait_for(anext(late), SOON_S))
        assert "start" not in head
        assert head["pieces"] == []


async def test_all_viewers_are_sent_the_same_bytes_and_a_slow_one_sees_its_loss_in_the_numbers() -> None:
    async with viewing() as (hub, view), view.viewer() as one, view.viewer() as slow:
        hub.publish(start())
        sent = 0
        numbers: list[int] = []
        while sent < FRAMES + 5:
            hub.publish(block(sent * PER_BUCKET, np.ones(PER_BUCKET)))
            numbers.append(header_of(await until(one, "newest_t_ns"))["n"])
            sent += 1
        assert numbers == list(range(numbers[0], numbers[0] + sent))
        left = [header_of(await anext(slow))["n"] for _ in range(FRAMES)]
        assert left == numbers[-FRAMES:]


async def test_an_idle_view_says_that_it_is_there() -> None:
    async with viewing() as (_, view), view.viewer() as frames:
        await anext(frames)
        head = header_of(await asyncio.wait_for(anext(frames), SOON_S))
        assert (head["pieces"], head["newest_t_ns"]) == ([], None)


@given(st.lists(st.integers(1, 350), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_buckets_are_those_of_the_samples_however_the_blocks_fall(lengths: list[int], seed: int) -> None:
    samples = np.random.default_rng(seed).normal(1e-3, 1e-4, sum(lengths)).astype(np.float32)
    gathering = Gathering(DT_NS, Mode.ALWAYS_ON, MarkStyle.GATE)
    pieces: list[Piece] = []
    at = 0
    for length in lengths:
        gathering.add(block(at, samples[at : at + length]))
        pieces += gathering.taken().pieces
        at += length
    gathering.end()
    pieces += gathering.taken().pieces
    assert [piece.first for piece in pieces] == [sum(p.count for p in pieces[:n]) * PER_BUCKET for n in range(len(pieces))]
    for name, reduce in (("low", np.min), ("high", np.max)):
        found = np.concatenate([getattr(piece.bands["current"], name) for piece in pieces])
        expected = [reduce(samples[k : k + PER_BUCKET]) for k in range(0, len(samples), PER_BUCKET)]
        assert found.tolist() == expected
    means = np.concatenate([piece.bands["current"].mean for piece in pieces])
    expected = [samples[k : k + PER_BUCKET].mean(dtype=float) for k in range(0, len(samples), PER_BUCKET)]
    np.testing.assert_allclose(means, expected, rtol=1e-6)


def test_over_range_samples_are_missing_and_not_zero() -> None:
    gathering = Gathering(DT_NS, Mode.ALWAYS_ON, MarkStyle.GATE)
    values = np.ones(200, np.float32)
    values[50:200] = np.nan
    gathering.add(block(0, values, flags=BlockFlag.OVER_RANGE))
    taken = gathering.taken()
    (piece,) = taken.pieces
    assert piece.bands["current"].mean[0] == 1.0
    assert np.isnan(piece.bands["current"].mean[1])
    assert taken.header["flags"] == ["over_range"]
    assert taken.header["charge_c"] == pytest.approx(50 * DT_NS * 1e-9)


def test_a_gap_begins_a_piece_of_its_own() -> None:
    gathering = Gathering(DT_NS, Mode.ALWAYS_ON, MarkStyle.GATE)
    gathering.add(block(0, np.ones(50)))
    gathering.add(block(0, np.ones(120), stretch=1))
    gathering.end()
    assert [(piece.stretch, piece.first, piece.count) for piece in gathering.taken().pieces] == [(0, 0, 1), (1, 0, 1), (1, 100, 1)]


def test_a_frame_of_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="no frame of labd's"):
        header_of(HEAD.pack(b"PNG\0", 1, 1, 0, 0))
