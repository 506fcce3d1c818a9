"""Lowest, highest and mean of samples in buckets; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labd_instruments.block import Block

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Band:
    """One channel's buckets, float32 [n] each; NaN where a bucket has no valid sample."""

    low: Floats
    high: Floats
    mean: Floats


@dataclass(frozen=True, slots=True)
class Piece:
    """Contiguous buckets of one stretch; see docs/reference/live-frames.md. any_high, all_high: of digital lines, uint8 [n]."""

    stretch: int
    trigger: bool
    first: int
    per_bucket: int
    t0_ns: int
    dt_ns: int
    count: int
    bands: Mapping[str, Band] = field(default_factory=dict)
    any_high: Bytes | None = None
    all_high: Bytes | None = None
    last_length: int | None = None


def columns_of(block: Block) -> dict[str, Floats]:
    """The value columns that a block has, and power where it can be computed."""
    found = {name: np.asarray(getattr(block, name), np.float32) for name in ("current", "voltage") if getattr(block, name) is not None}
    if len(found) == 2:
        found["power"] = found["current"] * found["voltage"]
    if block.marker is not None:
        found["marker"] = np.asarray(block.marker, np.float32)
    return found


def bands_of(columns: Mapping[str, Floats], per_bucket: int, *, head: int = 0) -> dict[str, Band]:
    """Buckets of `per_bucket` samples; the first one has `head` samples less, the last one what is left."""
    length = len(next(iter(columns.values()))) if columns else 0
    starts = np.arange(-head, length, per_bucket)
    starts[0] = 0
    return {name: _band(values, starts, per_bucket, head) for name, values in columns.items()}


def bits_of(digital: Bytes, per_bucket: int, *, head: int = 0) -> tuple[Bytes, Bytes]:
    """Lines that were ever, and always, high in each bucket."""
    starts = np.arange(-head, len(digital), per_bucket)
    starts[0] = 0
    return np.bitwise_or.reduceat(digital, starts), np.bitwise_and.reduceat(digital, starts)


def _band(values: Floats, starts: NDArray[np.int64], per_bucket: int, head: int) -> Band:
    if per_bucket == 1:
        return Band(values, values, values)
    whole = len(values) - len(values) % per_bucket
    if head == 0 and whole == len(values):  # rows of equal length: several times as fast as reduceat
        rows = values.reshape(-1, per_bucket)
        low, high, mean = rows.min(axis=1), rows.max(axis=1), rows.mean(axis=1, dtype=np.float64)
    else:
        lengths = np.diff(np.append(starts, len(values)))
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        mean = np.add.reduceat(values, starts, dtype=np.float64) / lengths
    if np.isnan(mean).any():
        return _with_gaps(values, starts)
    return Band(low, high, mean.astype(np.float32))


def _with_gaps(values: Floats, starts: NDArray[np.int64]) -> Band:
    """Over-range samples (NaN) count as missing."""
    valid = ~np.isnan(values)
    count = np.add.reduceat(valid, starts, dtype=np.int64)
    total = np.add.reduceat(np.where(valid, values, 0.0), starts, dtype=np.float64)
    mean = np.full(len(starts), np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return Band(low, high, mean.astype(np.float32))


def edges_of(levels: NDArray[np.bool_], before: bool | None) -> NDArray[np.int64]:  # noqa: FBT001  a level
    """Indices of the samples at which the level is another than before."""
    if len(levels) == 0:
        return np.empty(0, np.int64)
    changes = np.flatnonzero(levels[1:] != levels[:-1]) + 1
    if before is not None and bool(levels[0]) != before:
        return np.concatenate((np.zeros(1, np.int64), changes))
    return changes
