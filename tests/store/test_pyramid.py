"""The pyramid's finest level against the samples, however they are cut into stretches and batches, and its file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd.errors import StoreError
from labd.store import pyramid_file
from labd.store.pyramid import BASE, Pyramid
from labd.store.pyramid_file import PyramidFile, write_pyramid
from labd.store.trace_stream import batch_of, channels_of, placed, stream_schema
from labd_instruments.block import Block

LENGTHS = st.lists(st.one_of(st.integers(1, 30), st.integers(200, 1500)), min_size=1, max_size=5)


def samples(lengths: list[int], *, holes: bool) -> list[NDArray[np.float32]]:
    chance = np.random.default_rng(sum(lengths))
    found = [chance.normal(size=length).astype(np.float32) for length in lengths]
    for column in found if holes else ():
        column[chance.random(len(column)) < 0.3] = np.nan
        column[:BASE] = np.nan  # a bucket without any valid sample
    return found


def rows(block: Block, stretch: int = 0, first: int = 0) -> pa.RecordBatch:
    return placed(batch_of(block, stream_schema(channels_of(block), 1, "{}")), stretch, first)


@given(LENGTHS, st.integers(1, 700), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_bucket_is_what_its_samples_are_however_they_came(lengths: list[int], size: int, holes: bool) -> None:
    pyramid, columns = Pyramid(), samples(lengths, holes=holes)
    for stretch, values in enumerate(columns):
        for first in range(0, len(values), size):
            part = values[first : first + size]
            pyramid.add(rows(Block(first, first, 1, part, np.ones(len(part), np.float32)), stretch, first))
    level = pyramid.levels()[0]
    cut = [
        (stretch, first, values[first : first + BASE]) for stretch, values in enumerate(columns) for first in range(0, len(values), BASE)
    ]
    assert [(s, f, n) for s, f, n in zip(level.stretch, level.first, level.length, strict=True)] == [(s, f, len(v)) for s, f, v in cut]
    for k, (_, _, values) in enumerate(cut):
        good = values[~np.isnan(values)]
        ends = (level.low["current"][k], level.high["current"][k])
        assert ends == (good.min(), good.max()) if len(good) else np.isnan(ends).all()
        wanted = good.mean(dtype=np.float64) if len(good) else np.nan
        off = 16 * np.finfo(np.float32).eps * np.abs(good).max(initial=0)  # pairwise: log2(BASE) roundings, and the first eight in a row
        np.testing.assert_allclose(level.mean["current"][k], wanted, rtol=0, atol=off)
    assert (level.mean["voltage"] == 1).all()
    assert level.mean.keys() == {"current", "voltage", "power"}


def test_a_batch_of_many_short_stretches_keeps_them_apart() -> None:
    """As the finished file is read: many events in one batch."""
    lengths = [3, 300, 1, 256, 7]
    whole = np.concatenate(samples(lengths, holes=False))
    block = rows(Block(0, 0, 1, whole, None))
    stretch = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    index = np.concatenate([np.arange(length) for length in lengths])
    pyramid = Pyramid()
    pyramid.add(block.set_column(0, block.schema.field(0), pa.array(stretch)).set_column(1, block.schema.field(1), pa.array(index)))
    level = pyramid.levels()[0]
    assert level.stretch.tolist() == [0, 1, 1, 2, 3, 4]
    assert level.length.tolist() == [3, 256, 44, 1, 256, 7]
    assert level.low["current"].tolist() == [part.min() for part in np.split(whole, np.cumsum(level.length)[:-1])]


@given(LENGTHS, st.integers(1, 5), st.data())
@settings(deadline=None, max_examples=30)
def test_a_part_of_a_level_is_read_from_the_file_whatever_its_row_groups(lengths: list[int], group: int, data: st.DataObject) -> None:
    pyramid = Pyramid()
    for stretch, values in enumerate(samples(lengths, holes=True)):
        block = Block(0, 0, 1, values, np.full(len(values), 2, np.float32), digital=np.full(len(values), stretch, np.uint8))
        pyramid.add(rows(block, stretch))
    stretch = data.draw(st.integers(0, len(lengths)))
    start, stop = (data.draw(st.integers(0, 1500)) for _ in range(2))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pyramid_file, "ROW_GROUP", group)
        write_pyramid(pyramid.levels(), Path(folder) / "x")
        file = PyramidFile(Path(folder) / "x")
        found = file.buckets(BASE, stretch, start, stop)
        assert file.sizes == [level.size for level in pyramid.levels()]
    whole = pyramid.levels()[0]
    kept = (whole.stretch == stretch) & (whole.first >= start) & (whole.first < stop)
    for name in ("stretch", "first", "length", "any_high", "all_high"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name)[kept])
    for name in ("valid", "low", "high", "mean"):
        for channel, column in getattr(whole, name).items():
            np.testing.assert_array_equal(getattr(found, name)[channel], column[kept])


def test_a_pyramid_of_an_older_labd_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"size": [256]}), tmp_path / "x")
    with pytest.raises(StoreError, match="x: a pyramid of another labd"):
        PyramidFile(tmp_path / "x")


@pytest.mark.filterwarnings("error")
def test_a_bucket_with_infinities_of_both_signs_has_ends_but_no_mean() -> None:
    values = np.zeros(BASE * 17, np.float32)
    values[[1, 2 * BASE]] = np.inf, -np.inf
    values[BASE + 1 : BASE + 3] = np.inf, -np.inf
    pyramid = Pyramid()
    pyramid.add(rows(Block(0, 0, 1, values, None)))
    fine, coarse = pyramid.levels()[:2]
    assert fine.mean["current"][[0, 2, 3]].tolist() == [np.inf, -np.inf, 0]
    assert np.isnan(fine.mean["current"][1])
    assert np.isnan(coarse.mean["current"][0])
    assert (coarse.low["current"][0], coarse.high["current"][0]) == (-np.inf, np.inf)
