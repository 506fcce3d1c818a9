"""Writes the blocks of one capture as they come, so that an acknowledged block survives kill -9 and, a second later, a power cut."""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa

from labd.errors import StoreError
from labd.host import sync_folder, sync_samples
from labd.store.jsonform import dump, to_json
from labd.store.parquet import finish_trace
from labd.store.trace import StretchFacts, parquet_path, stream_path
from labd.store.trace_stream import BLOCK_KEY, BlockFacts, batch_of, channels_of, digest_of, gather, stream_schema
from labd_instruments.block import Block, BlockFlag

SYNC_AFTER_S = 0.5  # the promise is 1 s; the rest is for the disk


class TraceWriter:
    """A context manager; use it from one thread at a time (`await asyncio.to_thread(writer.write, block)` is fine).

    Leaving it converts to Parquet, also after an exception: what was captured stays readable. dt and the channels are the first block's.
    """

    def __init__(self, path: Path, *, capture: Mapping[str, Any] | None = None) -> None:
        self.path = parquet_path(path)
        self.samples = 0
        self._dt_ns = 0
        self._capture = dict(capture or {})
        self._stretches: list[StretchFacts] = []
        self._file: pa.OSFile | None = None
        self._stream: pa.ipc.RecordBatchStreamWriter | None = None
        self._sync: _Syncer | None = None
        self._schema = pa.schema([])
        self._broken = False
        self._closed = False

    def __enter__(self) -> TraceWriter:
        if self.path.exists() or stream_path(self.path).exists():
            raise StoreError(f"{self.path}: a trace of this name exists already; traces are never overwritten")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def stretches(self) -> tuple[StretchFacts, ...]:
        """What was written so far."""
        return tuple(self._stretches)

    @property
    def flags(self) -> BlockFlag:
        """Of all blocks together."""
        return functools.reduce(operator.or_, (stretch.flags for stretch in self._stretches), BlockFlag.NONE)

    def know(self, **facts: Any) -> None:
        """More about the capture, as JSON data. Raises StoreError once a block has been written: the facts stand at the head."""
        if self._stream is not None:
            raise StoreError(f"{self.path}: the trace has begun without {', '.join(facts)}")
        self._capture |= facts

    def write(self, block: Block, *, trigger: Mapping[str, Any] | None = None, new_stretch: bool = False) -> int:
        """Append a block; when this returns it is acknowledged (in the file). Returns the samples acknowledged so far.

        A new stretch begins at the first block, with new_stretch or a trigger (facts about it, as JSON data), at GAP_BEFORE, and where
        seq or t0_ns do not continue. Raises StoreError for a change of dt_ns and when the disk refuses.
        """
        if self._closed or self._broken:
            raise StoreError(f"{self.path}: the trace is closed" + (" after a write failed" if self._broken else ""))
        if len(block) == 0:
            return self.samples
        if self._stream is None:
            self._open(block)
        if block.dt_ns != self._dt_ns:
            raise StoreError(f"{self.path}: a block with dt {block.dt_ns} ns in a trace with dt {self._dt_ns} ns")
        self._check_columns(block)
        self._append(block, self._place(block, fresh=new_stretch or trigger is not None), trigger)
        return self.samples

    def close(self) -> None:
        """End the stream and convert it; nothing remains to be done by anybody. Raises StoreError; the stream then stays as it is."""
        ended = not self._closed
        self.end_stream()
        if ended and self.whole:
            finish_trace(self.path)

    def end_stream(self) -> None:
        """End the stream, which is quick; `finish_trace` makes the final file of it, here or elsewhere. Raises StoreError."""
        if self._closed:
            return
        self._closed = True
        if self._stream is None:
            return  # nothing was recorded: no file
        try:
            self._end()
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{stream_path(self.path)}: cannot be ended: {error}") from error

    @property
    def whole(self) -> bool:
        """Whether there is a stream that no failed write has torn."""
        return self._stream is not None and not self._broken

    def _open(self, block: Block) -> None:
        path = stream_path(self.path)
        self._schema = stream_schema(channels_of(block), block.dt_ns, dump(self._capture))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = pa.OSFile(str(path), "wb")  # unbuffered: each write reaches the kernel
            self._stream = pa.ipc.new_stream(self._file, self._schema)
            sync_folder(path.parent)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path}: cannot be written: {error}") from error
        self._dt_ns = block.dt_ns
        self._sync = _Syncer(self._file.fileno(), path)

    def _check_columns(self, block: Block) -> None:
        columns, expected = channels_of(block), self._schema.names
        if list(columns) != expected:
            raise StoreError(f"{self.path}: a block with {', '.join(columns)} in a trace with {', '.join(expected)}")

    def _place(self, block: Block, *, fresh: bool) -> tuple[int, int]:
        """Stretch and index of the block's first sample."""
        if not self._stretches:
            return 0, 0
        last = self._stretches[-1]
        continues = block.seq == last.seq + last.length and block.t0_ns == last.t0_ns + last.length * block.dt_ns
        if fresh or not continues or BlockFlag.GAP_BEFORE in block.flags:
            return last.number + 1, 0
        return last.number, last.length

    def _append(self, block: Block, place: tuple[int, int], trigger: Mapping[str, Any] | None) -> None:
        assert self._stream is not None
        assert self._sync is not None
        stretch, first = place
        batch = batch_of(block, self._schema)
        facts = BlockFacts(
            stretch=stretch,
            first=first,
            length=len(block),
            t0_ns=block.t0_ns,
            seq=block.seq,
            flags=block.flags,
            digest=digest_of(batch),
            trigger=None if trigger is None else to_json(trigger),
        )
        try:
            self._stream.write_batch(batch, custom_metadata={BLOCK_KEY: facts.to_bytes()})
        except (OSError, pa.ArrowException) as error:
            self._broken = True
            raise StoreError(f"{stream_path(self.path)}: cannot be written: {error}") from error
        gather(self._stretches, facts)
        self.samples += len(block)
        self._sync.written()

    def _end(self) -> None:
        assert self._stream is not None
        assert self._sync is not None
        assert self._file is not None
        try:
            if not self._broken:  # nothing whole can follow a torn batch
                self._stream.close()
        finally:
            self._sync.stop()
            with self._file:
                sync_samples(self._file.fileno())


class _Syncer:
    """A daemon thread that syncs at most SYNC_AFTER_S after a write, also when no further write follows."""

    def __init__(self, fd: int, path: Path) -> None:
        self._fd = fd
        self._path = path
        self._dirty = threading.Event()
        self._stop = threading.Event()
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._serve, name=f"sync {path.name}", daemon=True)
        self._thread.start()

    def written(self) -> None:
        self._dirty.set()
        if self._error is not None:
            raise StoreError(f"{self._path}: the disk refuses: {self._error}") from self._error

    def stop(self) -> None:
        self._stop.set()
        self._dirty.set()
        self._thread.join()

    def _serve(self) -> None:
        while True:
            self._dirty.wait()
            if self._stop.wait(SYNC_AFTER_S):
                return
            self._dirty.clear()
            if self._stop.is_set():  # since the wait ended: what `stop` set to wake this thread is cleared now
                return
            try:
                sync_samples(self._fd)
            except OSError as error:
                self._error = error
                return
