"""Lowest, highest and mean of samples in buckets; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from labd import fast
from labd_instruments.block import Block

SHOWN = ("current", "voltage", "power", "marker")

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
    """The value columns that a block has."""
    names = ("current", "voltage", "marker")
    return {name: np.asarray(getattr(block, name), np.float32) for name in names if getattr(block, name) is not None}


@dataclass(frozen=True, slots=True)
class Banded:
    """current, power: sums over all samples, where a compiled pass over them had them by the way."""

    bands: dict[str, Band]
    current: float | None = None
    power: float | None = None


def bands_of(columns: Mapping[str, Floats], per_bucket: int, *, head: int = 0) -> Banded:
    """Buckets of `per_bucket` samples; the first one has `head` samples less, the last one what is left.

    columns: of the same length each. Where there are current and voltage, there is power as well. Where compiled loops are loaded (extra
    `fast`), means differ from those elsewhere by roundings.
    """
    length = len(next(iter(columns.values()))) if columns else 0
    starts = np.arange(-head, length, per_bucket)
    starts[0] = 0
    at_once = _in_one_pass(columns, per_bucket) if head == 0 and length % per_bucket == 0 else Banded({})
    found = dict(at_once.bands)
    found |= {name: _band(values, starts, per_bucket, head) for name, values in columns.items() if name not in found}
    if "power" not in found and columns.keys() >= {"current", "voltage"}:
        found["power"] = _band(columns["current"] * columns["voltage"], starts, per_bucket, head)
    return replace(at_once, bands={name: found[name] for name in SHOWN if name in found})


def _in_one_pass(columns: Mapping[str, Floats], per_bucket: int) -> Banded:
    """Current, voltage and power, of whole buckets; empty where nothing is compiled, or where a sample is no number."""
    reduce = fast.loaded()
    given = [columns[name] for name in ("current", "voltage") if name in columns]
    if reduce is None or per_bucket == 1 or len(given) != 2 or not all(map(fast.plain, given)):
        return Banded({})
    rows = [values.reshape(-1, per_bucket) for values in given]
    low, high = (np.empty((3, len(rows[0])), np.int32) for _ in range(2))
    total, room = np.empty((3, len(rows[0]))), np.empty(per_bucket, np.float32)
    reduce(*rows, *(values.view(np.int32) for values in rows), room, room.view(np.int32), total, low, high)
    if not np.isfinite(total).all():
        return Banded({})
    mean = (total / per_bucket).astype(np.float32)
    lows, highs = low.view(np.float32), high.view(np.float32)
    bands = {name: Band(lows[k], highs[k], mean[k]) for k, name in enumerate(("current", "voltage", "power"))}
    return Banded(bands, float(total[0].sum()), float(total[2].sum()))


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
