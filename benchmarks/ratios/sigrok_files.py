"""Recording logic lines: against sigrok-cli writing its own session file of the same samples (peer), where it is installed."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.ratios.figures import Ratio, compare
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block

SAMPLES = 8_000_000  # of eight lines: long beside the start of a process
RECORDS = 100_000  # a block
DT_NS = 500
PROGRAM = "sigrok-cli"
PEER = (f"{PROGRAM} to srzip", "peer")
PART = "record logic lines"


def sigrok_files(folder: Path) -> tuple[list[Ratio], list[str]]:
    """folder: empty; everything written there is deleted again. The ratios, and which are lacking."""
    if shutil.which(PROGRAM) is None:
        return [], [f"{PROGRAM} is not installed: it is no peer here"]
    lines = np.random.default_rng(2).integers(0, 256, SAMPLES // 100, np.uint8).repeat(100)  # each state lasts a while
    names = itertools.count()
    unfinished: list[TraceWriter] = []

    def acknowledged() -> None:
        writer = TraceWriter(folder / f"{next(names)}.parquet").__enter__()
        unfinished.append(writer)
        for first in range(0, SAMPLES, RECORDS):
            writer.write(Block(first, first * DT_NS, DT_NS, None, None, digital=lines[first : first + RECORDS]))

    def to_the_end() -> None:
        acknowledged()
        unfinished.pop().close()

    def peer() -> None:
        read = ["-I", f"binary:numchannels=8:samplerate={10**9 // DT_NS}", "-i", raw.name]
        subprocess.run([PROGRAM, *read, "-O", "srzip", "-o", str(folder / f"{next(names)}.sr")], check=True)

    def tidy() -> None:
        while unfinished:
            unfinished.pop().end_stream()
        for path in folder.iterdir():
            path.unlink()
        os.sync()

    with tempfile.NamedTemporaryFile() as raw:
        raw.write(lines.tobytes())
        raw.flush()
        return [
            *compare(PART, "until the last block is acknowledged", acknowledged, {PEER: peer}, tidy=tidy, least={PEER: 5.0}),
            *compare(PART, "to the end: synced, as Parquet, with its pyramid", to_the_end, {PEER: peer}, tidy=tidy),
        ], []
