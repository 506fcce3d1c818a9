"""Windows into traces: whatever is asked for, it is what numpy says of the samples that were written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd.errors import NotFound, StoreError
from labd.live import windows as module
from labd.live.frame import header_of
from labd.live.windows import Windows
from labd.store.trace import pyramid_path, stream_path
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block
from tests.live.test_view import columns

DT_NS = 1000


def blocks(samples: NDArray[np.float32], size: int, *, t0_ns: int = 0) -> Iterator[Block]:
    for at in range(0, len(samples), size):
        part = samples[at : at + size]
        yield Block(at, t0_ns + at * DT_NS, DT_NS, part, np.full(len(part), 3.0, np.float32))


@contextmanager
def recording(path: Path, samples: NDArray[np.float32], size: int) -> Iterator[TraceWriter]:
    """Two stretches, `samples` and its negative, as they are while the recording goes on."""
    with TraceWriter(path) as writer:
        for block in blocks(samples, size):
            writer.write(block)
        for block in blocks(-samples, size, t0_ns=10**9):
            writer.write(block)
        yield writer


@pytest.fixture
async def windows() -> AsyncIterator[Windows]:
    async with Windows() as found:
        yield found


def one(frame: bytes) -> tuple[dict[str, object], dict[str, NDArray[np.float32]]]:
    (piece,) = header_of(frame)["pieces"]
    (found,) = columns(frame)
    return piece, found


async def check(windows: Windows, path: Path, samples: NDArray[np.float32], ask: tuple[int, int, int, int]) -> None:
    stretch, start, stop, points = ask
    piece, found = one(await windows.read(path, stretch, start, stop, points=points))
    truth = samples if stretch == 0 else -samples
    per_bucket, first = int(str(piece["per_bucket"])), int(str(piece["first"]))
    assert first <= start < first + per_bucket
    if stop - start <= points:
        assert per_bucket == 1
        np.testing.assert_array_equal(found["current.mean"], truth[start:stop])
        return
    rows = [truth[k : k + per_bucket] for k in range(first, min(len(truth), stop), per_bucket)]
    assert piece["count"] == len(rows) <= points + 1
    np.testing.assert_array_equal(found["current.low"], [row.min() for row in rows])
    np.testing.assert_array_equal(found["current.high"], [row.max() for row in rows])
    np.testing.assert_allclose(found["current.mean"], [row.mean(dtype=float) for row in rows], rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_window_of_a_growing_or_finished_trace_is_that_of_the_samples(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    length = data.draw(st.integers(1, 5000))
    samples = np.random.default_rng(length).normal(1e-3, 1e-4, length).astype(np.float32)
    start = data.draw(st.integers(0, length - 1))
    ask = (data.draw(st.integers(0, 1)), start, data.draw(st.integers(start + 1, length)), data.draw(st.integers(2, 300)))
    path = tmp_path_factory.mktemp("trace") / "0000-floor.parquet"

    async def main() -> None:
        async with Windows() as windows:
            with recording(path, samples, data.draw(st.integers(1, 700))):
                await check(windows, path, samples, ask)
                growing = await windows.integrate(path, *ask[:3])
            await check(windows, path, samples, ask)
            assert await windows.integrate(path, *ask[:3]) == pytest.approx(growing)

    asyncio.run(main())


async def test_a_recording_is_followed_as_it_grows(windows: Windows, tmp_path: Path) -> None:
    path = tmp_path / "0000-floor.parquet"
    samples = np.arange(1000, dtype=np.float32)
    with TraceWriter(path) as writer:
        for count, block in enumerate(blocks(samples, 100), start=1):
            writer.write(block)
            (facts,) = await windows.stretches(path)
            assert facts.length == 100 * count
            _, found = one(await windows.read(path, 0, 100 * count - 5, None, points=10))
            np.testing.assert_array_equal(found["current.mean"], samples[100 * count - 5 : 100 * count])


async def test_a_torn_end_is_left_out(windows: Windows, tmp_path: Path) -> None:
    path = tmp_path / "0000-floor.parquet"
    samples = np.arange(1000, dtype=np.float32)
    writer = TraceWriter(path)
    writer.__enter__()
    for block in blocks(samples, 100):
        writer.write(block)
    whole = stream_path(path).read_bytes()
    stream_path(path).write_bytes(whole[:-30])
    assert [facts.length for facts in await windows.stretches(path)] == [900]
    writer.end_stream()


async def test_energy_and_charge_between_two_samples_are_exact(windows: Windows, tmp_path: Path) -> None:
    path = tmp_path / "0000-floor.parquet"
    samples = np.arange(1, 1001, dtype=np.float32)
    samples[500] = np.nan
    with recording(path, samples, 300):
        pass
    found = await windows.integrate(path, 0, 100, 600)
    kept = np.delete(np.arange(101, 601, dtype=float), 400)
    assert found.charge_c == pytest.approx(kept.sum() * DT_NS * 1e-9)
    assert found.energy_j == pytest.approx(3.0 * kept.sum() * DT_NS * 1e-9)
    assert found.missing == 1
    assert found.duration_s == pytest.approx(500e-6)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_a_long_window_comes_from_the_pyramid_and_says_what_the_samples_say(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    lengths = data.draw(st.lists(st.one_of(st.integers(50, 30_000), st.integers(100_000, 200_000)), min_size=1, max_size=3))
    lined = data.draw(st.booleans())
    chance = np.random.default_rng(sum(lengths))
    path = tmp_path_factory.mktemp("trace") / "0000-floor.parquet"
    held = []
    with TraceWriter(path) as writer:
        for length in lengths:
            current, voltage = (chance.normal(mean, 1e-4, length).astype(np.float32) for mean in (1e-3, 3.0))
            current[chance.random(length) < 1e-3] = np.nan  # over range
            lines = chance.integers(0, 8, length // 700 + 1, np.uint8).repeat(700)[:length] if lined else None
            held.append((current, voltage, lines))
            for at in range(0, length, 50_000):
                part = slice(at, at + 50_000)
                digital = None if lines is None else lines[part]
                writer.write(Block(at, at * DT_NS, DT_NS, current[part], voltage[part], digital=digital), new_stretch=at == 0)
    stretch = data.draw(st.integers(0, len(lengths) - 1))
    start = data.draw(st.integers(0, lengths[stretch] - 50))
    stop = data.draw(st.integers(start + 50, lengths[stretch]))

    async def main() -> tuple[dict[str, object], dict[str, NDArray[np.float32]]]:
        async with Windows() as windows:
            return one(await windows.read(path, stretch, start, stop, points=data.draw(st.integers(2, 40))))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_LOOKED_AT", 0)
        piece, found = asyncio.run(main())
    per_bucket, first, count = (int(str(piece[key])) for key in ("per_bucket", "first", "count"))
    assert first <= start < first + per_bucket
    assert first + (count - 1) * per_bucket < stop <= first + count * per_bucket
    current, voltage, lines = held[stretch]
    end = first + (count - 1) * per_bucket + int(str(piece.get("lengths", per_bucket)))
    edges = range(first, end, per_bucket)
    for name, values in {"current": current, "voltage": voltage, "power": current * voltage}.items():
        rows = [values[k : min(k + per_bucket, end)] for k in edges]
        np.testing.assert_array_equal(found[f"{name}.low"], [np.nanmin(row) for row in rows])
        np.testing.assert_array_equal(found[f"{name}.high"], [np.nanmax(row) for row in rows])
        np.testing.assert_allclose(found[f"{name}.mean"], [np.nanmean(row, dtype=float) for row in rows], rtol=1e-6)
    assert piece["digital"] is lined
    if lines is not None:
        np.testing.assert_array_equal(found["any"], [np.bitwise_or.reduce(lines[k : min(k + per_bucket, end)]) for k in edges])
        np.testing.assert_array_equal(found["all"], [np.bitwise_and.reduce(lines[k : min(k + per_bucket, end)]) for k in edges])


@pytest.fixture
async def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, NDArray[np.float32]]:
    """A finished trace, of which windows are long from 10 000 samples on."""
    path = tmp_path / "0000-floor.parquet"
    samples = np.random.default_rng(1).normal(1e-3, 1e-4, 50_000).astype(np.float32)
    with recording(path, samples, 5000):
        pass
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 10_000)
    return path, samples


async def test_a_long_window_has_whole_buckets_of_the_level_that_is_fine_enough(
    windows: Windows, long: tuple[Path, NDArray[np.float32]]
) -> None:
    asked = [(700, None, 100), (0, 20_000, 18), (0, None, 2), (0, None, 1000)]
    found = [one(await windows.read(long[0], 1, start, stop, points=points))[0] for start, stop, points in asked]
    assert [(piece["per_bucket"], piece["first"], piece["count"], piece.get("lengths")) for piece in found] == [
        (512, 512, 97, 336),  # 493 samples a bucket were asked for
        (1280, 0, 16, 1024),  # 1112: five of 256, in the last one those that the window touches
        (28_672, 0, 2, 21_328),  # 25 000: seven of 4096
        (50, 0, 1000, None),  # finer than the finest level
    ]


async def test_a_view_of_a_whole_trace_opens_its_pyramid_once(windows: Windows, long: tuple[Path, NDArray[np.float32]]) -> None:
    first = await windows.read(long[0], 0, 0, None, points=10)
    pyramid_path(long[0]).unlink()
    assert await windows.read(long[0], 0, 0, None, points=10) == first


def damaged(whole: bytes) -> bytes:
    """In its body, while the end that is looked at first is whole."""
    return whole[:4] + bytes(byte ^ 0xFF for byte in whole[4:2000]) + whole[2000:]


@pytest.mark.parametrize("left", [lambda whole: b"", lambda whole: b"PAR1 is not all", lambda whole: None, damaged])
async def test_without_its_pyramid_a_trace_is_looked_at_sample_by_sample(
    windows: Windows,
    long: tuple[Path, NDArray[np.float32]],
    left: Callable[[bytes], bytes | None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    path, samples = long
    rest = left(pyramid_path(path).read_bytes())
    pyramid_path(path).unlink()
    if rest is not None:
        pyramid_path(path).write_bytes(rest)
    piece, found = one(await windows.read(path, 0, 0, None, points=10))
    assert piece["per_bucket"] == 5000
    np.testing.assert_array_equal(found["current.low"], samples.reshape(10, 5000).min(axis=1))
    assert pyramid_path(path).name in caplog.text


@pytest.mark.filterwarnings("error")
async def test_infinities_of_both_signs_have_no_mean_and_warn_nobody(
    windows: Windows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = np.ones(20_000, np.float32)
    samples[[0, 300]] = np.inf, -np.inf
    with recording(tmp_path / "0000-floor.parquet", samples, 5000):
        pass
    monkeypatch.setattr(module, "MOST_LOOKED_AT", 10_000)
    _, found = one(await windows.read(tmp_path / "0000-floor.parquet", 0, 0, None, points=5))
    assert (found["current.low"][0], found["current.high"][0]) == (-np.inf, np.inf)
    assert np.isnan(found["current.mean"]).tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(("stretch", "start", "stop"), [(2, 0, 1), (-1, 0, 1), (0, 1000, 1001), (0, 5, 5), (0, -1, 5)])
async def test_what_is_not_there_is_named(windows: Windows, tmp_path: Path, stretch: int, start: int, stop: int) -> None:
    path = tmp_path / "0000-floor.parquet"
    with recording(path, np.ones(1000, np.float32), 100):
        pass
    with pytest.raises(NotFound, match="0000-floor"):
        await windows.read(path, stretch, start, stop, points=10)


async def test_no_trace_and_no_trace_of_ours_are_named(windows: Windows, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such trace"):
        await windows.stretches(tmp_path / "none.parquet")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 is not all")
    with pytest.raises(StoreError, match="cannot be read"):
        await windows.stretches(tmp_path / "x.parquet")
