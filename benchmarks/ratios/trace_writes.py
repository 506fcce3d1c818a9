"""Recording a trace: against an unbuffered write of the same bytes to a plain file (limit)."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import numpy as np

from benchmarks.ratios.figures import Ratio, compare
from labd.store.trace import stream_path
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block

BLOCKS = 20
RECORDS = 50_000  # a block: what an instrument hands over in a second of 20 us records
DT_NS = 20_480


def trace_writes(folder: Path) -> list[Ratio]:
    """folder: empty, on the file system in question; everything written there is deleted again."""
    blocks = [_block(number) for number in range(BLOCKS)]
    names = itertools.count()
    chunk = b"\0" * (_recorded_bytes(folder, blocks) // BLOCKS)
    unfinished: list[TraceWriter] = []

    def acknowledged() -> None:
        writer = TraceWriter(folder / f"{next(names)}.parquet")
        writer.__enter__()
        unfinished.append(writer)
        for block in blocks:
            writer.write(block)

    def finish() -> None:
        while unfinished:
            unfinished.pop().close()

    def to_the_end() -> None:
        acknowledged()
        finish()

    def plain() -> None:
        with (folder / f"{next(names)}.bin").open("wb", buffering=0) as file:
            for _ in blocks:
                file.write(chunk)

    def tidy() -> None:
        finish()
        for path in folder.iterdir():
            path.unlink()
        os.sync()  # what one has left to the disk is not another's burden

    limit = {("unbuffered write of the same bytes", "limit"): plain}
    return [
        *compare("record a trace", "until its last block is acknowledged", acknowledged, limit, tidy=tidy),
        *compare("record a trace", "to the end: synced, as Parquet, with its pyramid", to_the_end, limit, tidy=tidy),
    ]


def _block(number: int) -> Block:
    rng = np.random.default_rng(number)
    current = rng.normal(0.01, 1e-3, RECORDS).astype(np.float32)
    voltage = rng.normal(3.0, 1e-4, RECORDS).astype(np.float32)
    return Block(number * RECORDS, number * RECORDS * DT_NS, DT_NS, current, voltage)


def _recorded_bytes(folder: Path, blocks: list[Block]) -> int:
    with TraceWriter(folder / "size.parquet") as writer:
        for block in blocks:
            writer.write(block)
        return stream_path(writer.path).stat().st_size
