"""The batches of a stream: each is its block, whatever came before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from labd.errors import StoreError
from labd.store.trace import CAPTURE_KEY, DT_KEY, FORMAT_KEY, stream_path
from labd.store.trace_stream import batch_of, channels_of, placed, read_stream, stream_schema
from labd.store.trace_window import open_parts
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block


def block(n: int, *, seq: int = 0, marked: bool = False) -> Block:
    values = np.arange(1, n + 1, dtype=np.float32)
    return Block(seq, seq, 1, values, None, marker=-values if marked else None)


@pytest.mark.parametrize("marked", [True, False])
def test_a_batch_has_the_channels_of_its_block_and_is_placed_among_all(marked: bool) -> None:
    given = block(3, marked=marked)
    batch = batch_of(given, stream_schema(channels_of(given), 1, "{}"))
    assert batch.to_pydict() == {"current": [1, 2, 3]} | ({"marker": [-1, -2, -3]} if marked else {})
    assert placed(batch, 2, 40).to_pydict() == {
        "stretch": [2] * 3,
        "index": [40, 41, 42],
        "current": [1, 2, 3],
        "voltage": [None] * 3,
        "marker": [-1, -2, -3] if marked else [None] * 3,
        "digital": [None] * 3,
    }


@pytest.mark.parametrize("column", ["current", "marker"])
def test_zeros_that_a_power_cut_leaves_in_any_column_end_the_stream(tmp_path: Path, column: str) -> None:
    path = tmp_path / "0000-mean.parquet"
    with TraceWriter(path) as writer:
        writer.write(block(1, marked=True))
        for seq in (2, 5):  # each a stretch of its own
            writer.write(block(3, seq=seq, marked=True))
        stream = stream_path(path)
        (_, whole) = read_stream(stream)
        *_, (_, last) = whole
        buffer = last.column(column).buffers()[1]
        stream.write_bytes(zeroed(stream.read_bytes(), bytes(buffer)))
        assert len(list(read_stream(stream)[1])) == 2


@pytest.mark.parametrize(
    ("fields", "version", "says"),
    [
        ({"current": pa.float32()}, b"1", r"its format is b'1', this labd reads b'2'"),
        ({"current": pa.float64()}, b"2", "it has the columns current, this labd reads current, voltage"),
        ({"stretch": pa.int32()}, b"2", "it has the columns stretch"),
    ],
)
def test_a_stream_of_another_form_is_refused_by_name(tmp_path: Path, fields: dict[str, pa.DataType], version: bytes, says: str) -> None:
    path = tmp_path / "other.arrows"
    facts = {FORMAT_KEY: version, DT_KEY: b"1", CAPTURE_KEY: b"{}"}
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, pa.schema(list(fields.items()), facts)):
        pass
    for read in (read_stream, open_parts):
        with pytest.raises(StoreError, match=says):
            read(path)


def zeroed(data: bytes, part: bytes) -> bytes:
    """The last place where `part` stands."""
    at = data.rindex(part)
    return data[:at] + bytes(len(part)) + data[at + len(part) :]
