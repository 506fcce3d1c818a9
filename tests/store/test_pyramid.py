"""The pyramid's levels against the samples, however they are cut into stretches and batches, and its file."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd.errors import StoreError
from labd.store import pyramid as pyramid_module
from labd.store import pyramid_file
from labd.store.pyramid import BASE, STEP, Buckets, Pyramid
from labd.store.pyramid_file import PyramidFile, pyramid_writer
from labd.store.trace_stream import batch_of, channels_of, placed, stream_schema
from labd_instruments.block import Block

LENGTHS = st.lists(
    st.one_of(st.integers(1, 30), st.integers(200, 1500), st.integers(4000, 9000), st.integers(60_000, 140_000)), min_size=1, max_size=4
)
Held = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]


def samples(lengths: list[int], *, holes: bool) -> list[Held]:
    """Current, voltage and lines of each stretch."""
    chance = np.random.default_rng(sum(lengths))
    found = []
    for length in lengths:
        current, voltage = (chance.normal(mean, size=length).astype(np.float32) for mean in (0, 3))
        if holes:
            current[chance.random(length) < 0.3] = np.nan
            current[:BASE] = np.nan  # a bucket without any valid sample
        found.append((current, voltage, chance.integers(0, 8, length // 700 + 1, np.uint8).repeat(700)[:length]))  # a state lasts a while
    return found


def rows(block: Block, stretch: int = 0, first: int = 0) -> pa.RecordBatch:
    return placed(batch_of(block, stream_schema(channels_of(block), 1, "{}")), stretch, first)


def batches(held: list[Held], size: int) -> Iterator[pa.RecordBatch]:
    """Of `size` samples, or what is left of a stretch."""
    for stretch, (current, voltage, lines) in enumerate(held):
        for first in range(0, len(current), size):
            part = slice(first, first + size)
            yield rows(Block(first, first, 1, current[part], voltage[part], digital=lines[part]), stretch, first)


def given_away(given: Iterable[pa.RecordBatch], put: Callable[[Buckets], None]) -> None:
    pyramid = Pyramid(put)
    for batch in given:
        pyramid.add(batch)
    pyramid.end()


def levels(given: Iterable[pa.RecordBatch]) -> dict[int, Buckets]:
    """Whole, by size."""
    portions: list[Buckets] = []
    given_away(given, portions.append)
    found: dict[int, Buckets] = {}
    for one in portions:
        found[one.size] = joined(found[one.size], one) if one.size in found else one
    return found


def each_column(one: Buckets, made: Callable[..., Any], *others: Buckets) -> Buckets:
    """Of the same columns of all of them."""

    def column(name: str) -> Any:
        of = [getattr(level, name) for level in (one, *others)]
        if isinstance(of[0], dict):
            return {channel: made(*(by_channel[channel] for by_channel in of)) for channel in of[0]}
        return None if of[0] is None else made(*of)

    return Buckets(one.size, *(column(field.name) for field in dataclasses.fields(Buckets)[1:]))


def joined(one: Buckets, other: Buckets) -> Buckets:
    return each_column(one, lambda *columns: np.concatenate(columns), other)


def part_of(level: Buckets, rows: NDArray[np.bool_]) -> Buckets:
    return each_column(level, lambda column: column[rows])


def same(one: Buckets, other: Buckets) -> None:
    for name in ("stretch", "first", "length", "any_high", "all_high"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    for name in ("valid", "low", "high", "mean"):
        assert getattr(one, name).keys() == getattr(other, name).keys()
        for channel, column in getattr(one, name).items():
            np.testing.assert_array_equal(column, getattr(other, name)[channel])


@given(LENGTHS, st.integers(1, 20_000), st.integers(2, 40), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_bucket_is_what_its_samples_are_however_they_came(lengths: list[int], size: int, portion: int, holes: bool) -> None:
    held = samples(lengths, holes=holes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid_module, "PORTION", portion)
        found = levels(batches(held, max(size, max(lengths) // 50)))
    assert max(lengths) <= max(found) < max(BASE, *lengths) * STEP, "up to one bucket a stretch"
    for per_bucket, level in found.items():
        cut = [(s, first, slice(first, first + per_bucket)) for s, one in enumerate(held) for first in range(0, len(one[0]), per_bucket)]
        assert list(zip(level.stretch, level.first, strict=True)) == [(stretch, first) for stretch, first, _ in cut]
        assert level.length.tolist() == [len(held[stretch][0][part]) for stretch, _, part in cut]
        lines = [held[stretch][2][part] for stretch, _, part in cut]
        np.testing.assert_array_equal(level.any_high, [np.bitwise_or.reduce(one) for one in lines])
        np.testing.assert_array_equal(level.all_high, [np.bitwise_and.reduce(one) for one in lines])
        assert level.mean.keys() == {"current", "voltage", "power"}
        for k, (stretch, _, part) in enumerate(cut):
            current, voltage = held[stretch][0][part], held[stretch][1][part]
            for name, values in {"current": current, "voltage": voltage, "power": current * voltage}.items():
                good = values[~np.isnan(values)]
                assert level.valid[name][k] == len(good)
                ends = (level.low[name][k], level.high[name][k])
                assert ends == (good.min(), good.max()) if len(good) else np.isnan(ends).all()
                wanted = good.mean(dtype=np.float64) if len(good) else np.nan
                off = 16 * np.finfo(np.float32).eps * np.abs(good).max(initial=0)  # pairwise: log2(BASE) roundings, and eight in a row
                np.testing.assert_allclose(level.mean[name][k], wanted, rtol=0, atol=off)


def test_a_batch_of_many_short_stretches_keeps_them_apart() -> None:
    """As the finished file is read: many events in one batch."""
    lengths = [3, 300, 1, 256, 7]
    whole = np.concatenate([one[0] for one in samples(lengths, holes=False)])
    block = rows(Block(0, 0, 1, whole, None))
    stretch = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    index = np.concatenate([np.arange(length) for length in lengths])
    batch = block.set_column(0, block.schema.field(0), pa.array(stretch)).set_column(1, block.schema.field(1), pa.array(index))
    level = levels([batch])[BASE]
    assert level.stretch.tolist() == [0, 1, 1, 2, 3, 4]
    assert level.length.tolist() == [3, 256, 44, 1, 256, 7]
    assert level.low["current"].tolist() == [part.min() for part in np.split(whole, np.cumsum(level.length)[:-1])]
    assert level.any_high is None


def test_what_waits_does_not_grow_with_the_trace() -> None:
    ones, portion = np.ones(1 << 16, np.float32), 100
    waiting, sizes = [0], set()

    def put(level: Buckets) -> None:
        waiting[0] -= int(level.length.sum()) if level.size == BASE else 0
        sizes.add(level.size)

    pyramid = Pyramid(put)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid_module, "PORTION", portion)
        for first in range(0, 1 << 21, len(ones)):
            waiting[0] += len(ones)
            pyramid.add(rows(Block(first, first, 1, ones, ones), 0, first))
            assert waiting[0] < portion * BASE
        pyramid.end()
    assert waiting == [0]
    assert sizes == {256, 4096, 65_536, 1_048_576, 16_777_216}


@given(LENGTHS, st.integers(2, 30), st.data())
@settings(deadline=None, max_examples=30)
def test_a_part_of_a_level_is_read_from_the_file_whatever_its_row_groups(lengths: list[int], portion: int, data: st.DataObject) -> None:
    held = samples(lengths, holes=True)
    stretch = data.draw(st.integers(0, len(lengths)))
    start, stop = (data.draw(st.integers(0, max(lengths))) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid_module, "PORTION", portion)
        patch.setattr(pyramid_file, "GROUPS_KEPT", 2)
        with pyramid_writer(Path(folder) / "x") as put:
            given_away(batches(held, 3000), put)
        file, whole = PyramidFile(Path(folder) / "x"), levels(batches(held, 3000))
        assert file.sizes == sorted(whole)
        for size in file.sizes:
            level = whole[size]
            rows = (level.stretch == stretch) & (level.first >= start) & (level.first < stop)
            found = file.buckets(size, stretch, start, stop)
            assert len(found.first) == rows.sum()
            if rows.any():
                same(found, part_of(level, rows))


def test_a_few_row_groups_of_a_file_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pyramid_module, "PORTION", 2)
    monkeypatch.setattr(pyramid_file, "GROUPS_KEPT", 3)
    with pyramid_writer(tmp_path / "x") as put:
        given_away(batches(samples([10 * BASE], holes=False), BASE), put)
    file = PyramidFile(tmp_path / "x")
    decoded: list[int] = []
    really = pq.ParquetFile.read_row_group

    def read(self: pq.ParquetFile, number: int) -> pa.Table:
        decoded.append(number)
        return really(self, number)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read)
    for bucket in (0, 1, 2, 0, 3, 0, 1):  # each in a group of its own
        assert file.buckets(BASE, 0, bucket * BASE, bucket * BASE + 1).first.tolist() == [bucket * BASE]
    assert len(decoded) == 5, "3 drops 1, which was not asked for since"


def test_a_pyramid_of_an_older_labd_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"size": [256]}), tmp_path / "x")
    with pytest.raises(StoreError, match="x: a pyramid of another labd"):
        PyramidFile(tmp_path / "x")


@pytest.mark.filterwarnings("error")
def test_a_bucket_with_infinities_of_both_signs_has_ends_but_no_mean() -> None:
    values = np.zeros(BASE * 17, np.float32)
    values[[1, 2 * BASE]] = np.inf, -np.inf
    values[BASE + 1 : BASE + 3] = np.inf, -np.inf
    found = levels([rows(Block(0, 0, 1, values, None))])
    fine, coarse = found[BASE], found[BASE * STEP]
    assert fine.mean["current"][[0, 2, 3]].tolist() == [np.inf, -np.inf, 0]
    assert np.isnan(fine.mean["current"][1])
    assert np.isnan(coarse.mean["current"][0])
    assert (coarse.low["current"][0], coarse.high["current"][0]) == (-np.inf, np.inf)
