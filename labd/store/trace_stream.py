"""The Arrow IPC stream a trace is recorded into: one self-describing record batch per block, readable up to the last whole one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from labd.errors import StoreError
from labd.store.trace import CAPTURE_KEY, CHANNELS, DT_KEY, FORMAT_KEY, SCHEMA, FlagSpan, StretchFacts
from labd_instruments.block import Block, BlockFlag

FORMAT = b"2"  # of streams; 1 had every column of SCHEMA in each batch
END_OF_STREAM = b"\xff\xff\xff\xff\x00\x00\x00\x00"  # Arrow columnar format, "IPC streaming format"
BLOCK_KEY = b"labd.block"


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What a batch says about itself. first: index in its stretch. digest: of its columns, against zeros left by a power cut."""

    stretch: int
    first: int
    length: int
    t0_ns: int
    seq: int
    flags: BlockFlag
    digest: str
    trigger: Mapping[str, Any] | None

    def to_bytes(self) -> bytes:
        data: dict[str, Any] = {"stretch": self.stretch, "first": self.first, "length": self.length, "t0_ns": self.t0_ns, "seq": self.seq}
        data |= {"flags": int(self.flags), "digest": self.digest, "trigger": self.trigger}
        return json.dumps(data).encode()

    @classmethod
    def from_bytes(cls, text: bytes) -> BlockFacts:
        data = json.loads(text)
        return cls(**{**data, "flags": BlockFlag(data["flags"])})


@dataclass(frozen=True, slots=True)
class StreamHead:
    """schema: of the batches."""

    schema: pa.Schema
    dt_ns: int
    capture: Mapping[str, Any]
    complete: bool


def channels_of(block: Block) -> tuple[str, ...]:
    """The channels that a block has, in the order of SCHEMA."""
    return tuple(name for name in CHANNELS if getattr(block, name) is not None)


def stream_schema(channels: Sequence[str], dt_ns: int, capture_json: str) -> pa.Schema:
    """Of a stream: only the channels that its blocks have. Stretch and index stand once in a block's facts: written for each sample they
    would be half of all that goes to the disk."""
    metadata = {FORMAT_KEY: FORMAT, DT_KEY: str(dt_ns).encode(), CAPTURE_KEY: capture_json.encode()}
    return pa.schema([SCHEMA.field(name) for name in channels], metadata)


def batch_of(block: Block, schema: pa.Schema) -> pa.RecordBatch:
    """The channels of `schema`, which the block has."""
    return pa.record_batch([pa.array(getattr(block, field.name), field.type) for field in schema], schema=schema)


def placed(batch: pa.RecordBatch, stretch: int, first: int) -> pa.RecordBatch:
    """A block as rows of SCHEMA: each says which sample it is, and channels without samples are null. first: index in its stretch."""
    n = len(batch)
    where = (pa.array(np.full(n, stretch, np.int32)), pa.array(np.arange(first, first + n)))
    channels = (batch.column(name) if name in batch.schema.names else pa.nulls(n, SCHEMA.field(name).type) for name in CHANNELS)
    return pa.record_batch([*where, *channels], schema=SCHEMA)


def digest_of(batch: pa.RecordBatch) -> str:
    """XXH3 of all columns: a checksum at the speed of memory, which is what every sample of a recording has to afford."""
    digest = xxhash.xxh3_64()
    for column in batch.columns:
        digest.update(column.to_numpy(zero_copy_only=False))
    return digest.hexdigest()


def read_stream(path: Path) -> tuple[StreamHead, Iterator[tuple[BlockFacts, pa.RecordBatch]]]:
    """The head, and the blocks up to the last whole one, with the channels recorded. Raises StoreError where not even the head is whole."""
    try:
        reader = pa.ipc.open_stream(pa.memory_map(str(path)))
        head = head_of(reader.schema, complete=_ends_properly(path))
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise StoreError(f"{path}: not a readable trace of labd's: {error}") from error
    return head, _batches(reader)


def head_of(schema: pa.Schema, *, complete: bool) -> StreamHead:
    """Raises ValueError, KeyError for what is no stream of this version."""
    facts = schema.metadata or {}
    if facts.get(FORMAT_KEY) != FORMAT:
        raise ValueError(f"its format is {facts.get(FORMAT_KEY)!r}, this labd reads {FORMAT!r}")
    if [field for field in schema if field.name not in CHANNELS or field != SCHEMA.field(field.name)]:
        raise ValueError(f"it has the columns {', '.join(schema.names)}, this labd reads {', '.join(CHANNELS)}")
    return StreamHead(schema, int(facts[DT_KEY]), json.loads(facts[CAPTURE_KEY]), complete=complete)


def _batches(reader: Any) -> Iterator[tuple[BlockFacts, pa.RecordBatch]]:
    """Ends at the torn tail of a killed recording, whatever it holds."""
    while True:
        try:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
            facts = BlockFacts.from_bytes((metadata or {})[BLOCK_KEY])
            if facts.length != len(batch) or facts.digest != digest_of(batch):
                return
        except (StopIteration, OSError, pa.ArrowException, KeyError, ValueError, TypeError):
            return
        yield facts, batch


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
