"""The Arrow IPC stream a trace is recorded into: one self-describing record batch per block, readable up to the last whole one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from labd.errors import StoreError
from labd.store.trace import CAPTURE_KEY, CHANNELS, DT_KEY, FORMAT, FORMAT_KEY, SCHEMA, FlagSpan, StretchFacts
from labd_instruments.block import Block, BlockFlag

END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # Arrow columnar format, "IPC streaming format"
BLOCK_KEY = b"labd.block"
SEALED_ALL, SEALED_CHANNELS = "all", "channels"


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What a batch says about itself. first: index in its stretch. crc: against zeros left by a power cut, over the columns that `sealed`
    names: CHANNELS, since stretch and index can be told from the rest; in streams of earlier versions over all of them."""

    stretch: int
    first: int
    length: int
    t0_ns: int
    seq: int
    flags: BlockFlag
    crc: int
    trigger: Mapping[str, Any] | None
    sealed: str = SEALED_ALL

    def to_bytes(self) -> bytes:
        data: dict[str, Any] = {"stretch": self.stretch, "first": self.first, "length": self.length, "t0_ns": self.t0_ns, "seq": self.seq}
        data |= {"flags": int(self.flags), "crc": self.crc, "trigger": self.trigger, "sealed": self.sealed}
        return json.dumps(data).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> BlockFacts:
        data = json.loads(text)
        return cls(**{**data, "flags": BlockFlag(data["flags"])})


@dataclass(frozen=True, slots=True)
class StreamHead:
    dt_ns: int
    capture: Mapping[str, Any]
    complete: bool


def schema_with(dt_ns: int, capture_json: str) -> pa.Schema:
    return SCHEMA.with_metadata({FORMAT_KEY: FORMAT, DT_KEY: str(dt_ns).encode(), CAPTURE_KEY: capture_json.encode()})


class Batches:
    """Makes the batches of one stream. The columns that say which samples they are lie in the same memory for every batch, so that a batch
    is good until the next is made: fresh pages for them cost more than all that is written into them."""

    def __init__(self) -> None:
        self._stretch = np.empty(0, np.int32)
        self._index = np.empty(0, np.int64)
        self._nothing: dict[str, pa.Array] = {}

    def of(self, block: Block, stretch: int, first: int) -> pa.RecordBatch:
        """first: index of the block's first sample in its stretch."""
        n = len(block)
        columns: list[pa.Array] = [self._stretches(stretch, n), self._indices(first, n)]
        for name in CHANNELS:
            values = getattr(block, name)
            columns.append(self._nulls(name, n) if values is None else pa.array(values, SCHEMA.field(name).type))
        return pa.record_batch(columns, schema=SCHEMA)

    def _stretches(self, stretch: int, n: int) -> pa.Array:
        if len(self._stretch) < n:
            self._stretch = np.full(n, stretch, np.int32)
        elif self._stretch[0] != stretch:
            self._stretch.fill(stretch)
        return pa.array(self._stretch[:n])

    def _indices(self, first: int, n: int) -> pa.Array:
        if len(self._index) < n:
            self._index = np.arange(first, first + n)
        else:
            self._index += first - self._index[0]
        return pa.array(self._index[:n])

    def _nulls(self, name: str, n: int) -> pa.Array:
        if len(self._nothing.get(name, ())) < n:
            self._nothing[name] = pa.nulls(n, SCHEMA.field(name).type)
        return self._nothing[name].slice(0, n)


def crc_of(batch: pa.RecordBatch, names: Sequence[str] = CHANNELS) -> int:
    """Over these columns; a column of nulls counts as the word."""
    crc = 0
    for column in (batch.column(name) for name in names):
        crc = zlib.crc32(b"null" if column.null_count else column.to_numpy(zero_copy_only=False), crc)
    return crc


def read_stream(path: Path) -> tuple[StreamHead, Iterator[tuple[BlockFacts, pa.RecordBatch]]]:
    """The head, and the batches up to the last whole one. Raises StoreError where not even the head is whole."""
    try:
        reader = pa.ipc.open_stream(pa.memory_map(str(path)))
        head = _head(reader.schema, complete=_ends_properly(path))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise StoreError(f"{path}: not a readable trace of labd's: {error}") from error
    return head, _batches(reader)


def _head(schema: pa.Schema, *, complete: bool) -> StreamHead:
    facts = schema.metadata or {}
    if facts.get(FORMAT_KEY) != FORMAT or not schema.equals(SCHEMA):
        raise ValueError(f"its format is {facts.get(FORMAT_KEY)!r}, this labd reads {FORMAT!r}")
    return StreamHead(int(facts[DT_KEY]), json.loads(facts[CAPTURE_KEY]), complete=complete)


def _batches(reader: Any) -> Iterator[tuple[BlockFacts, pa.RecordBatch]]:
    """Ends at the torn tail of a killed recording, whatever it holds."""
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
            facts = BlockFacts.from_bytes((metadata or {})[BLOCK_KEY])
            if not _whole(batch, facts):
                return
        except (StopIteration, OSError, pa.ArrowException, KeyError, ValueError, TypeError):
            return
        yield facts, batch


def _whole(batch: pa.RecordBatch, facts: BlockFacts) -> bool:
    if facts.sealed == SEALED_ALL:
        return crc_of(batch, SCHEMA.names) == facts.crc
    stretch, index = batch.column("stretch").to_numpy(), batch.column("index").to_numpy()
    placed = np.array_equal(index, np.arange(facts.first, facts.first + facts.length)) and bool((stretch == facts.stretch).all())
    return placed and crc_of(batch) == facts.crc


def _ends_properly(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - len(END_OF_STREAM)))
        return file.read() == END_OF_STREAM


def gather(facts: list[StretchFacts], block: BlockFacts) -> None:
    """Account for one more block in the list of stretches."""
    spans: tuple[FlagSpan, ...] = ()
    if marks := block.flags & ~BlockFlag.GAP_BEFORE:
        spans = (FlagSpan(block.first, block.first + block.length - 1, marks),)
    if block.stretch == len(facts):
        facts.append(StretchFacts(block.stretch, block.t0_ns, block.seq, block.length, block.flags, spans, block.trigger))
        return
    last = facts[-1]
    facts[-1] = replace(last, length=last.length + block.length, flags=last.flags | block.flags, spans=_joined(last.spans, spans))


def _joined(old: tuple[FlagSpan, ...], new: tuple[FlagSpan, ...]) -> tuple[FlagSpan, ...]:
    if old and new and old[-1].flags == new[0].flags and old[-1].last + 1 == new[0].first:
        return (*old[:-1], FlagSpan(old[-1].first, new[0].last, new[0].flags), *new[1:])
    return old + new
