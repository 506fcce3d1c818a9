"""A trace: the samples of one capture as numpy columns per contiguous stretch, and what its files are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labd_instruments.block import BlockFlag

# Row k of a stretch covers [t0_ns + index*dt_ns, t0_ns + (index+1)*dt_ns). Null: the instrument gave no such column. NaN: over-range.
SCHEMA = pa.schema(
    [
        pa.field("stretch", pa.int32(), nullable=False),
        pa.field("index", pa.int64(), nullable=False),
        pa.field("current", pa.float32()),
        pa.field("voltage", pa.float32()),
        pa.field("marker", pa.float32()),
        pa.field("digital", pa.uint8()),
    ]
)
CHANNELS = ("current", "voltage", "marker", "digital")

DT_KEY = b"labd.dt_ns"
CAPTURE_KEY = b"labd.capture"
STRETCHES_KEY = b"labd.stretches"
COMPLETE_KEY = b"labd.complete"
FORMAT_KEY = b"labd.format"
FORMAT = b"1"


@dataclass(frozen=True, slots=True)
class FlagSpan:
    """Samples first..last (both inside) of a stretch came in a block with these flags."""

    first: int
    last: int
    flags: BlockFlag


@dataclass(frozen=True, slots=True)
class StretchFacts:
    """What is known of a stretch beside its samples. t0_ns, seq: of its first sample, on the instrument's axis. trigger: facts about
    the trigger or event it belongs to, as JSON data, None where there is none. flags: of all its blocks together (GAP_BEFORE: samples
    are missing between the stretch before and this one)."""

    number: int
    t0_ns: int
    seq: int
    length: int
    flags: BlockFlag = BlockFlag.NONE
    spans: tuple[FlagSpan, ...] = ()
    trigger: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Contiguous samples. current (A), voltage (V), marker (V): float32 [n]; digital: uint8 [n]; None where never recorded. Read-only."""

    facts: StretchFacts
    dt_ns: int
    current: NDArray[np.float32] | None
    voltage: NDArray[np.float32] | None
    marker: NDArray[np.float32] | None
    digital: NDArray[np.uint8] | None

    def __len__(self) -> int:
        return self.facts.length

    @property
    def t0_ns(self) -> int:
        return self.facts.t0_ns

    @property
    def flags(self) -> BlockFlag:
        return self.facts.flags

    def time_s(self) -> NDArray[np.float64]:
        """Start of each sample in seconds on the instrument's axis, float64 [n]."""
        t_ns = self.facts.t0_ns + np.arange(self.facts.length, dtype=np.int64) * self.dt_ns
        return t_ns.astype(np.float64) * 1e-9


@dataclass(frozen=True, slots=True)
class Trace:
    """All stretches of one capture. complete: False where recording did not end properly (what remains is whole up to its end).

    capture: the per-capture facts the writer was given.
    """

    path: Path
    dt_ns: int
    stretches: tuple[Stretch, ...]
    complete: bool
    capture: Mapping[str, Any] = field(default_factory=dict)

    @property
    def samples(self) -> int:
        return sum(len(stretch) for stretch in self.stretches)


def parquet_path(path: Path) -> Path:
    """The finished trace; `path` may name any of a trace's files."""
    return path.with_name(f"{_stem(path)}.parquet")


def stream_path(path: Path) -> Path:
    """The Arrow IPC stream that exists while recording, or after recording was killed."""
    return path.with_name(f"{_stem(path)}.arrows")


def pyramid_path(path: Path) -> Path:
    """Lowest, highest and mean of buckets of samples, beside the finished trace."""
    return path.with_name(f"{_stem(path)}.pyramid.parquet")


def _stem(path: Path) -> str:
    for suffix in (".pyramid.parquet", ".parquet", ".arrows"):
        if path.name.endswith(suffix):
            return path.name.removesuffix(suffix)
    return path.name
