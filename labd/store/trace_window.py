"""Parts of a trace without reading all of it: of the finished file by row groups, of one that is being recorded by its blocks."""

from __future__ import annotations

import itertools
import json
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labd.errors import NotFound, StoreError
from labd.store.trace import (
    CAPTURE_KEY,
    CHANNELS,
    COMPLETE_KEY,
    DT_KEY,
    FORMAT,
    FORMAT_KEY,
    STRETCHES_KEY,
    StretchFacts,
    parquet_path,
    stream_path,
)
from labd.store.trace_reader import stretch_facts
from labd.store.trace_stream import BLOCK_KEY, BlockFacts, digest_of, gather, head_of

DOUBTED_BYTES = 64 << 20  # at the end of a file that is opened: after a power cut blocks may be there whose samples never reached the disk
SAMPLES_KEPT = 1 << 22  # of one file, decoded by row groups: a view that is moved needs its neighbours

Columns = dict[str, NDArray[Any]]


class TraceParts(Protocol):
    """One trace. complete: its recording has ended; whole: properly. capture: the facts that its writer was given."""

    dt_ns: int
    complete: bool
    whole: bool
    capture: Mapping[str, Any]

    def stretches(self) -> Sequence[StretchFacts]: ...

    def pieces(self, stretch: int, start: int, stop: int) -> Iterator[Columns]:
        """Samples start to stop of a stretch, the channels that it has, in the pieces in which they lie; bounds are within the stretch."""


def open_parts(path: Path, channels: Sequence[str] = CHANNELS) -> TraceParts:
    """channels: at least these are read. Raises NotFound, StoreError."""
    if parquet_path(path).exists():
        return _Finished(parquet_path(path), channels)
    if stream_path(path).exists():
        return _Growing(stream_path(path))
    raise NotFound(f"{parquet_path(path)}: no such trace")


def columns(parts: TraceParts, stretch: int, start: int, stop: int) -> Columns:
    """Samples start to stop of a stretch, in one piece."""
    pieces = list(parts.pieces(stretch, start, stop))
    if len(pieces) == 1:
        return pieces[0]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in (pieces[0] if pieces else {})}


def pairs(
    parts: TraceParts, stretch: int, start: int, stop: int, *, voltage_v: float
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Current and voltage of samples start to stop, in the pieces in which they lie. voltage_v: of a trace that has none."""
    same = np.empty(0, np.float32)
    for piece in parts.pieces(stretch, start, stop):
        current = piece["current"].astype(np.float32, copy=False)
        if "voltage" in piece:
            yield current, piece["voltage"].astype(np.float32, copy=False)
        else:
            same = same if len(same) >= len(current) else np.full(len(current), voltage_v, np.float32)
            yield current, same[: len(current)]


def in_chunks(parts: TraceParts, stretch: int, start: int, stop: int, size: int) -> Iterator[tuple[int, Columns]]:
    """(index of the first sample, columns) a chunk; chunks begin at multiples of `size` but for the first."""
    while start < stop:
        end = min(stop, (start // size + 1) * size)
        yield start, columns(parts, stretch, start, end)
        start = end


class _Finished:
    """The Parquet file; rows of a stretch are in one piece, stretches in their order."""

    complete = True

    def __init__(self, path: Path, channels: Sequence[str]) -> None:
        self._channels = list(channels)
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path}: cannot be read: {error}") from error
        facts = self._file.schema_arrow.metadata or {}
        if facts.get(FORMAT_KEY) != FORMAT:
            raise StoreError(f"{path}: a Parquet file, but not one of labd's traces (or one of a newer labd)")
        self.dt_ns = int(facts[DT_KEY])
        self.whole = facts[COMPLETE_KEY] == b"1"
        self.capture = json.loads(facts[CAPTURE_KEY])
        self._stretches = [stretch_facts(item) for item in json.loads(facts[STRETCHES_KEY])]
        self._rows = np.concatenate(([0], np.cumsum([facts.length for facts in self._stretches])))
        metadata = self._file.metadata
        self._groups = [0, *itertools.accumulate(metadata.row_group(n).num_rows for n in range(metadata.num_row_groups))]
        self._kept: OrderedDict[int, Columns] = OrderedDict()
        self._samples_kept = 0

    def stretches(self) -> Sequence[StretchFacts]:
        return self._stretches

    def pieces(self, stretch: int, start: int, stop: int) -> Iterator[Columns]:
        first, last = int(self._rows[stretch]) + start, int(self._rows[stretch]) + stop
        group = bisect_right(self._groups, first) - 1
        while first < last:
            base, end = self._groups[group], min(last, self._groups[group + 1])
            yield {name: column[first - base : end - base] for name, column in self._group(group).items()}
            first, group = end, group + 1

    def _group(self, number: int) -> Columns:
        if number not in self._kept:
            table = self._file.read_row_group(number, columns=self._channels)
            self._kept[number] = {name: _plain(table.column(name)) for name in self._channels if not table.column(name).null_count}
            self._samples_kept += table.num_rows
            while self._samples_kept > SAMPLES_KEPT and len(self._kept) > 1:
                dropped, _ = self._kept.popitem(last=False)
                self._samples_kept -= self._groups[dropped + 1] - self._groups[dropped]
        self._kept.move_to_end(number)
        return self._kept[number]


class _Growing:
    """The stream that is being recorded: an index of its blocks, which each look extends by what has come since.

    Blocks are read where the file lies in memory: at millions of samples a second each copy of them shows. What was seen stays readable
    when the stream has become a file.
    """

    complete = whole = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts: list[StretchFacts] = []
        self._blocks: dict[int, list[tuple[int, int, int, int]]] = {}  # stretch -> (first, length, offset, size), ascending
        self._seen = _Seen()
        self._reader: pa.ipc.RecordBatchStreamReader | None = None
        self._kept: tuple[int, pa.RecordBatch] | None = None
        self.dt_ns = 0
        self.capture: Mapping[str, Any] = {}
        size = path.stat().st_size if path.exists() else 0
        self._doubted = range(max(0, size - DOUBTED_BYTES), size)
        self._look()

    def stretches(self) -> Sequence[StretchFacts]:
        self._look()
        return self._facts

    def pieces(self, stretch: int, start: int, stop: int) -> Iterator[Columns]:
        blocks = self._blocks.get(stretch, [])
        at = max(0, bisect_right(blocks, start, key=itemgetter(0)) - 1)
        for first, length, offset, size in blocks[at:]:
            if first >= stop:
                break
            batch = self._decoded(offset, size)
            low, high = max(start - first, 0), min(stop - first, length)
            yield {name: _plain(batch.column(name))[low:high] for name in batch.schema.names}

    def _decoded(self, offset: int, size: int) -> pa.RecordBatch:
        """Who reads on in small steps asks for a block several times."""
        if self._kept is None or self._kept[0] != offset:
            assert self._reader is not None
            message = pa.ipc.read_message(self._seen.buffer.slice(offset, size))
            self._kept = offset, pa.ipc.read_record_batch(message, self._reader.schema)
        return self._kept[1]

    def _look(self) -> None:
        """Raises StoreError where not even the head is whole."""
        try:
            with pa.memory_map(str(self._path)) as whole:
                self._seen.buffer = whole.read_buffer()  # stays mapped as long as it is used
            if self._reader is None:
                self._read_head()
            while (size := _message_size(self._seen.buffer, self._seen.offset)) is not None:
                self._index(self._seen.offset, size)
        except (OSError, pa.ArrowException, KeyError, ValueError) as error:
            if self._reader is None:
                raise StoreError(f"{self._path}: not a readable trace of labd's: {error}") from error

    def _read_head(self) -> None:
        if _message_size(self._seen.buffer, 0) is None:
            raise ValueError("its head is not whole")
        reader = pa.ipc.open_stream(self._seen)
        facts = head_of(reader.schema, complete=False)
        self.dt_ns, self.capture = facts.dt_ns, facts.capture
        self._reader = reader

    def _index(self, offset: int, size: int) -> None:
        """One more block. What cannot be read is the end, and is tried again at the next look."""
        assert self._reader is not None
        try:
            batch, metadata = self._reader.read_next_batch_with_custom_metadata()
            facts = BlockFacts.from_bytes((metadata or {})[BLOCK_KEY])
            if offset in self._doubted:
                _held_against(facts, batch)
        except Exception:
            self._seen.offset = offset
            raise
        self._blocks.setdefault(facts.stretch, []).append((facts.first, facts.length, offset, size))
        gather(self._facts, facts)


class _Seen:
    """What of a stream has been seen, as a file that goes on: one reader serves it for good, and reads it where it lies."""

    closed = False

    def __init__(self) -> None:
        self.buffer = pa.py_buffer(b"")
        self.offset = 0

    def read(self, size: int) -> pa.Buffer:
        """A reader of streams asks for no more than the message has that comes next."""
        found = self.buffer.slice(self.offset, size)
        self.offset += found.size
        return found


def _held_against(facts: BlockFacts, batch: pa.RecordBatch) -> None:
    if facts.digest != digest_of(batch):
        raise ValueError("its samples are not those that were written")


def _message_size(buffer: pa.Buffer, offset: int) -> int | None:
    """Bytes of the whole message at offset, None where it is the end mark or not whole yet (Arrow columnar format, "Encapsulated message
    format": 0xFFFFFFFF, length of the metadata, metadata, body)."""
    if buffer.size - offset < 8:
        return None
    mark, length = np.frombuffer(buffer.slice(offset, 8), "<u4")
    if mark != 0xFFFFFFFF or length == 0 or buffer.size - offset < 8 + int(length):
        return None
    reader = pa.BufferReader(buffer.slice(offset))
    try:
        pa.ipc.read_message(reader)
    except (OSError, EOFError, pa.ArrowException):
        return None
    return int(reader.tell())


def _plain(column: pa.ChunkedArray | pa.Array) -> NDArray[Any]:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return found
