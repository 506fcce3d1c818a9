"""A trace that is being recorded, read block by block while it grows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from labd.errors import NotFound, StoreError
from labd.store import parquet, trace_window
from labd.store.trace import stream_path
from labd.store.trace_window import columns, open_parts
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block

DT_NS = 1000
SIZE = 100


def blocks(count: int) -> list[Block]:
    """Sample value = sample number."""
    values = np.arange(count * SIZE, dtype=np.float32)
    return [Block(k, k * DT_NS, DT_NS, values[k : k + SIZE], values[k : k + SIZE] + 1) for k in range(0, len(values), SIZE)]


def test_what_was_seen_of_a_stream_stays_readable_when_it_has_become_a_file(tmp_path: Path) -> None:
    """Who was about to read is not cut off by the end of the capture."""
    path = tmp_path / "0000-mean.parquet"
    with TraceWriter(path) as writer:
        for block in blocks(4):
            writer.write(block)
        parts = open_parts(path)
    assert not parts.complete
    (facts,) = parts.stretches()
    assert columns(parts, 0, 150, facts.length)["current"].tolist() == list(range(150, 400))
    assert open_parts(path).complete


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (99, 101), (100, 200), (150, 351), (0, 400)])
def test_samples_are_those_between_the_two_wherever_blocks_begin(tmp_path: Path, start: int, stop: int) -> None:
    path = tmp_path / "0000-mean.parquet"
    with TraceWriter(path) as writer:
        for block in blocks(4):
            writer.write(block)
        parts = open_parts(path)
        for _ in range(2):
            found = columns(parts, 0, start, stop)
            assert set(found) == {"current", "voltage"}
            assert found["current"].tolist() == list(range(start, stop))
            assert found["voltage"].tolist() == list(range(start + 1, stop + 1))


@pytest.mark.parametrize(("size", "kept"), [(200, 2), (1000, 1)])
def test_as_many_samples_of_a_file_stay_decoded_as_may_however_large_its_row_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, kept: int
) -> None:
    monkeypatch.setattr(parquet, "ROW_GROUP", size)
    monkeypatch.setattr(trace_window, "SAMPLES_KEPT", 500)
    with TraceWriter(tmp_path / "0000-mean.parquet") as writer:
        for block in blocks(40):
            writer.write(block)
    decoded: list[int] = []
    really = pq.ParquetFile.read_row_group

    def read(self: pq.ParquetFile, number: int, columns: list[str]) -> pa.Table:
        decoded.append(number)
        return really(self, number, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read)
    parts = open_parts(tmp_path / "0000-mean.parquet")
    for group in [0, 1, 2, *reversed(range(3 - kept, 3))]:  # the last of them again, which costs nothing
        columns(parts, 0, group * size, group * size + 1)
    assert decoded == [0, 1, 2]
    columns(parts, 0, 0, 1)
    assert decoded == [0, 1, 2, 0]


def test_a_stream_without_a_whole_head_is_not_readable(tmp_path: Path) -> None:
    """As a kill leaves it before the first block."""
    stream_path(tmp_path / "0000-mean.parquet").touch()
    with pytest.raises(StoreError, match="its head is not whole"):
        open_parts(tmp_path / "0000-mean.parquet")


def test_a_trace_that_is_nowhere_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such trace"):
        open_parts(tmp_path / "0000-mean.parquet")


def test_a_block_whose_samples_never_reached_the_disk_is_the_end(tmp_path: Path) -> None:
    """As a power cut leaves it: the file is as long as it was, and its end is zeros. What comes later is not taken either."""
    path = tmp_path / "0000-mean.parquet"
    with TraceWriter(path) as writer:
        for block in blocks(4):
            writer.write(block)
        with stream_path(path).open("r+b") as file:
            file.seek(-SIZE * 4, 2)
            file.write(bytes(SIZE * 4))
        parts = open_parts(path)
        assert [facts.length for facts in parts.stretches()] == [3 * SIZE]
        writer.write(blocks(5)[4])
        assert [facts.length for facts in parts.stretches()] == [3 * SIZE]
        assert columns(parts, 0, 0, 3 * SIZE)["current"].tolist() == list(range(3 * SIZE))
