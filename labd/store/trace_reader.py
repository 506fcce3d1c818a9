"""Reads a trace, finished or torn, into numpy columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labd.errors import NotFound, StoreError
from labd.store.trace import (
    CAPTURE_KEY,
    COMPLETE_KEY,
    DT_KEY,
    FORMAT,
    FORMAT_KEY,
    STRETCHES_KEY,
    FlagSpan,
    Stretch,
    StretchFacts,
    Trace,
    parquet_path,
    stream_path,
)
from labd.store.trace_stream import gather, read_stream
from labd_instruments.block import BlockFlag


def read_trace(path: Path) -> Trace:
    """The trace of this name: the Parquet file, or else what a recording (killed, or still going on) has written so far.

    A torn stream is read up to its last whole block. Raises NotFound, StoreError.
    """
    final, stream = parquet_path(path), stream_path(path)
    if final.exists():
        return _from_parquet(final)
    if stream.exists():
        return _from_stream(stream)
    raise NotFound(f"{final}: no such trace")


def _from_parquet(path: Path) -> Trace:
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
    facts = table.schema.metadata or {}
    if facts.get(FORMAT_KEY) != FORMAT:
        raise StoreError(f"{path}: a Parquet file, but not one of labd's traces (or one of a newer labd)")
    stretches = [stretch_facts(item) for item in json.loads(facts[STRETCHES_KEY])]
    read = _split(path, table, stretches, int(facts[DT_KEY]))
    return Trace(path, int(facts[DT_KEY]), read, complete=facts[COMPLETE_KEY] == b"1", capture=json.loads(facts[CAPTURE_KEY]))


def _from_stream(path: Path) -> Trace:
    head, batches = read_stream(path)
    stretches: list[StretchFacts] = []
    parts: list[pa.RecordBatch] = []
    for facts, batch in batches:
        gather(stretches, facts)
        parts.append(batch)
    read = _split(path, pa.Table.from_batches(parts, head.schema), stretches, head.dt_ns)
    return Trace(path, head.dt_ns, read, complete=head.complete, capture=head.capture)


def _split(path: Path, table: pa.Table, stretches: list[StretchFacts], dt_ns: int) -> tuple[Stretch, ...]:
    if (rows := sum(facts.length for facts in stretches)) != len(table):
        raise StoreError(f"{path}: holds {len(table)} samples, its stretches say {rows}")
    read: list[Stretch] = []
    start = 0
    for facts in stretches:
        read.append(_stretch(table.slice(start, facts.length), facts, dt_ns))
        start += facts.length
    return tuple(read)


def _stretch(rows: pa.Table, facts: StretchFacts, dt_ns: int) -> Stretch:
    return Stretch(
        facts,
        dt_ns,
        current=_column(rows, "current", np.float32),
        voltage=_column(rows, "voltage", np.float32),
        marker=_column(rows, "marker", np.float32),
        digital=_column(rows, "digital", np.uint8),
    )


def _column(rows: pa.Table, name: str, kind: type[Any]) -> NDArray[Any] | None:
    """A column is there for the whole trace or not at all; the writer sees to it."""
    if name not in rows.column_names or rows.column(name).null_count:
        return None
    values: NDArray[Any] = rows.column(name).to_numpy().astype(kind, copy=False)
    values.flags.writeable = False
    return values


def stretch_facts(data: dict[str, Any]) -> StretchFacts:
    spans = tuple(FlagSpan(span["first"], span["last"], BlockFlag(span["flags"])) for span in data["spans"])
    plain = {name: item for name, item in data.items() if name not in {"spans", "flags"}}
    return StretchFacts(**plain, flags=BlockFlag(data["flags"]), spans=spans)
