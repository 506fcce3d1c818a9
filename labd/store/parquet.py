"""From the recorded stream to the finished trace: Parquet with its pyramid, verified before the stream goes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from labd.errors import NotFound, StoreError
from labd.host import sync_folder
from labd.store.jsonform import dump
from labd.store.pyramid import Pyramid
from labd.store.pyramid_file import pyramid_writer
from labd.store.trace import (
    CAPTURE_KEY,
    COMPLETE_KEY,
    DT_KEY,
    FORMAT,
    FORMAT_KEY,
    SCHEMA,
    STRETCHES_KEY,
    StretchFacts,
    parquet_path,
    pyramid_path,
    stream_path,
)
from labd.store.trace_stream import gather, placed, read_stream

ROW_GROUP = 1 << 17  # samples that a view decodes to show any of them: some milliseconds; fewer would make a long trace's head heavy
ENCODING = {
    "stretch": "DELTA_BINARY_PACKED",
    "index": "DELTA_BINARY_PACKED",
    "current": "BYTE_STREAM_SPLIT",
    "voltage": "BYTE_STREAM_SPLIT",
    "marker": "BYTE_STREAM_SPLIT",
    "digital": "PLAIN",
}


def finish_trace(path: Path) -> Path:
    """Convert what was recorded under this name and return the Parquet file; also repairs after a kill, and is harmless to repeat.

    The Parquet file appears under its name only when it reads back equal to the stream; then the stream is removed.
    Raises NotFound where nothing was recorded, StoreError when the disk refuses (the stream then stays).
    """
    final, stream = parquet_path(path), stream_path(path)
    if not stream.exists():
        if final.exists():
            return final
        raise NotFound(f"{final}: no such trace")
    if not final.exists():
        _convert(stream, final)
    stream.unlink()
    return final


def _convert(stream: Path, final: Path) -> None:
    part, pyramid_part = final.with_name(f"{final.name}.part"), pyramid_path(final).with_name(f"{pyramid_path(final).name}.part")
    try:
        written = _write(stream, part)
        with pyramid_writer(pyramid_part) as put:
            pyramid = Pyramid(put)
            if _digest(_read_back(part, pyramid)) != written:
                raise StoreError(f"{final}: did not read back as recorded; {stream.name} holds the samples")
            pyramid.end()
        for file in (part, pyramid_part):
            _sync_file(file)
        pyramid_part.replace(pyramid_path(final))
        part.replace(final)
        sync_folder(final.parent)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{final}: cannot be written: {error}; {stream.name} holds the samples") from error
    finally:
        part.unlink(missing_ok=True)
        pyramid_part.unlink(missing_ok=True)


def _write(stream: Path, part: Path) -> tuple[int, ...]:
    """Two passes, since the stretches are part of the head. Returns the digest of what was written."""
    stretches: list[StretchFacts] = []
    head, batches = read_stream(stream)
    for facts, _ in batches:
        gather(stretches, facts)
    facts_of_all = {
        FORMAT_KEY: FORMAT,
        DT_KEY: str(head.dt_ns).encode(),
        CAPTURE_KEY: dump(head.capture).encode(),
        STRETCHES_KEY: dump(stretches).encode(),
        COMPLETE_KEY: b"1" if head.complete else b"0",
    }
    schema = SCHEMA.with_metadata(facts_of_all)
    with pq.ParquetWriter(part, schema, compression="zstd", use_dictionary=False, column_encoding=ENCODING) as writer:
        return _digest(_written(writer, (placed(batch, facts.stretch, facts.first) for facts, batch in read_stream(stream)[1])))


def _written(writer: pq.ParquetWriter, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """All row groups but the last are full, whatever the batches."""
    waiting: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        yield batch
        waiting.append(batch)
        rows += len(batch)
        if rows >= ROW_GROUP:
            table, full = pa.Table.from_batches(waiting, SCHEMA), rows - rows % ROW_GROUP
            writer.write_table(table[:full], row_group_size=ROW_GROUP)
            waiting, rows = table[full:].to_batches(), rows - full
    if rows:
        writer.write_table(pa.Table.from_batches(waiting, SCHEMA), row_group_size=ROW_GROUP)


def _read_back(part: Path, pyramid: Pyramid) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=1 << 16):
            pyramid.add(batch)
            yield batch


def _digest(batches: Iterable[pa.RecordBatch]) -> tuple[int, ...]:
    """Rows, then nulls and checksum of each column; does not depend on how rows are grouped into batches."""
    rows = 0
    nulls = [0] * len(SCHEMA)
    digests = [xxhash.xxh3_64() for _ in SCHEMA]
    for batch in batches:
        rows += len(batch)
        for k, column in enumerate(batch.columns):
            nulls[k] += column.null_count
            digests[k].update(column.drop_null().to_numpy(zero_copy_only=False))
    return (rows, *nulls, *(digest.intdigest() for digest in digests))


def _sync_file(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
