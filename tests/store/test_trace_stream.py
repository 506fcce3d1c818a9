"""The batches of a stream: each is its block, whatever came before it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.store.trace import SCHEMA, stream_path
from labd.store.trace_stream import BLOCK_KEY, Batches, crc_of, read_stream, schema_with
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block

CAME = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2**40), st.integers(1, 40), st.booleans()), min_size=1, max_size=8)


def block(n: int, *, seq: int = 0, marked: bool = False) -> Block:
    values = np.arange(1, n + 1, dtype=np.float32)
    return Block(seq, seq, 1, values, None, marker=-values if marked else None)


@given(CAME)
def test_a_batch_does_not_depend_on_those_before(came: list[tuple[int, int, int, bool]]) -> None:
    batches = Batches()
    for stretch, first, n, marked in came:
        batch = batches.of(block(n, marked=marked), stretch, first)
        assert batch.to_pydict() == {
            "stretch": [stretch] * n,
            "index": list(range(first, first + n)),
            "current": list(range(1, n + 1)),
            "voltage": [None] * n,
            "marker": list(range(-1, -n - 1, -1)) if marked else [None] * n,
            "digital": [None] * n,
        }


@pytest.mark.parametrize("column", ["stretch", "index", "current", "marker"])
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


def test_streams_of_earlier_versions_whose_checksum_covers_every_column_are_read(tmp_path: Path) -> None:
    batch = Batches().of(block(4), 0, 0)
    facts = {"stretch": 0, "first": 0, "length": 4, "t0_ns": 0, "seq": 0, "flags": 0, "crc": crc_of(batch, SCHEMA.names), "trigger": None}
    for path, crc in ((tmp_path / "right.arrows", facts["crc"]), (tmp_path / "wrong.arrows", 1)):
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema_with(1, "{}")) as stream:
            stream.write_batch(batch, custom_metadata={BLOCK_KEY: json.dumps({**facts, "crc": crc}).encode()})
    found = [list(read_stream(path)[1]) for path in sorted(tmp_path.iterdir())]
    assert [[one.equals(batch) for _, one in blocks] for blocks in found] == [[True], []]


def zeroed(data: bytes, part: bytes) -> bytes:
    """The last place where `part` stands."""
    at = data.rindex(part)
    return data[:at] + bytes(len(part)) + data[at + len(part) :]
