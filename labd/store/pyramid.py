"""Minimum, maximum and mean of a trace over buckets of 256, 4096, 65536 ... samples, for views that cannot draw every sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labd.errors import NotFound, StoreError

BASE = 256
STEP = 16
CHANNELS = ("current", "voltage", "marker")


@dataclass(frozen=True, slots=True)
class Buckets:
    """One level, ascending by stretch and first index. size: samples a full bucket spans (buckets begin at multiples of it).

    stretch int32 [n], first int64 [n], length int64 [n]; low, high float32 [n] and mean float64 [n] by channel, NaN where a bucket has
    no valid sample.
    """

    size: int
    stretch: NDArray[np.int32]
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    low: dict[str, NDArray[np.float32]]
    high: dict[str, NDArray[np.float32]]
    mean: dict[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class _Sums:
    """Mergeable form of a level; valid counts the samples that are neither null nor NaN. By channel, of those that have samples."""

    stretch: NDArray[np.int32]
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    valid: dict[str, NDArray[np.int64]]
    total: dict[str, NDArray[np.float64]]
    low: dict[str, NDArray[np.float32]]
    high: dict[str, NDArray[np.float32]]


class Pyramid:
    """Collects batches in order and writes the levels; a bucket may come in several pieces."""

    def __init__(self) -> None:
        self._pieces: list[_Sums] = []

    def add(self, batch: pa.RecordBatch) -> None:
        if len(batch):
            self._pieces.append(_first_level(batch))

    def levels(self) -> list[Buckets]:
        """From the finest on, up to the first level with one bucket a stretch."""
        if not self._pieces:
            return []
        size = BASE
        sums = _merged(_joined(self._pieces), size)
        levels = [_buckets(sums, size)]
        while np.any(sums.first > 0):
            size *= STEP
            sums = _merged(sums, size)
            levels.append(_buckets(sums, size))
        return levels

    def write(self, path: Path) -> None:
        """One Parquet table: size, stretch, first, length and <channel>_min, _max, _mean."""
        tables = [_table(level) for level in self.levels()]
        pq.write_table(pa.concat_tables(tables) if tables else _SCHEMA.empty_table(), path, compression="zstd")


def read_pyramid(path: Path) -> list[Buckets]:
    """All levels of the file `pyramid_path(trace)`, finest first. Raises NotFound, StoreError."""
    if not path.exists():
        raise NotFound(f"{path}: no such pyramid")
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: {error}") from error
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    return [_level(columns, int(size)) for size in np.unique(columns["size"])]


_SCHEMA = pa.schema(
    [("size", pa.int64()), ("stretch", pa.int32()), ("first", pa.int64()), ("length", pa.int64())]
    + [(f"{name}_{kind}", pa.float64() if kind == "mean" else pa.float32()) for name in CHANNELS for kind in ("min", "max", "mean")]
)


def _first_level(batch: pa.RecordBatch) -> _Sums:
    """Buckets of BASE samples; a batch may begin and end within one."""
    stretch, index = batch.column("stretch").to_numpy(), batch.column("index").to_numpy()
    alone = stretch[0] == stretch[-1]  # samples of one stretch have no gaps: one of their indices says all
    edges = _edges(stretch, index, alone=alone)
    at, length = edges[:-1], edges[1:] - edges[:-1]
    first = index[0] + at if alone else index[at]
    first[0] -= first[0] % BASE
    columns = {name: batch.column(name) for name in CHANNELS}
    with np.errstate(invalid="ignore"):  # infinities of both signs: their bucket has no mean
        found = {name: _channel(column, at, length) for name, column in columns.items() if column.null_count < len(column)}
    valid, total, low, high = ({name: sums[k] for name, sums in found.items()} for k in range(4))
    return _Sums(np.full(len(at), stretch[0]) if alone else stretch[at], first, length, valid, total, low, high)


def _edges(stretch: NDArray[np.int32], index: NDArray[np.int64], *, alone: bool) -> NDArray[np.int64]:
    """Rows at which a bucket begins, and the end. Stretches ascend. alone: there is one of them."""
    if alone:
        inner = np.arange(BASE - index[0] % BASE, len(index), BASE)
    else:
        inner = np.flatnonzero((index[1:] % BASE == 0) | (np.diff(stretch) != 0)) + 1
    return np.concatenate(([0], inner, [len(index)]))


def _channel(column: pa.Array, at: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """Number, sum, lowest and highest of the valid samples of each bucket; what most channels need first: no null, no NaN.

    A sum of at most BASE samples is made in single precision, in which they are: pairwise (numpy), it is off by a few of their roundings.
    In double precision it would cost three times as much, of what every sample has to afford, for means that are only looked at.
    """
    values = column.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    total = np.add.reduceat(values, at)
    if not math.isnan(np.add.reduce(total)):
        return length, total.astype(np.float64), np.minimum.reduceat(values, at), np.maximum.reduceat(values, at)
    valid = ~np.isnan(values)
    total = np.add.reduceat(np.where(valid, values, np.float32(0)), at)
    number = np.add.reduceat(valid.astype(np.int64), at)
    return number, total.astype(np.float64), np.fmin.reduceat(values, at), np.fmax.reduceat(values, at)


def _joined(pieces: list[_Sums]) -> _Sums:
    """A channel that only some pieces have has no valid sample in the others."""
    names = [name for name in CHANNELS if any(name in piece.valid for piece in pieces)]

    def each(of: str, missing: float, kind: type[np.generic]) -> dict[str, NDArray[Any]]:
        return {
            name: np.concatenate([getattr(piece, of).get(name, np.full(len(piece.first), missing, kind)) for piece in pieces])
            for name in names
        }

    return _Sums(
        stretch=np.concatenate([piece.stretch for piece in pieces]),
        first=np.concatenate([piece.first for piece in pieces]),
        length=np.concatenate([piece.length for piece in pieces]),
        valid=each("valid", 0, np.int64),
        total=each("total", 0, np.float64),
        low=each("low", np.nan, np.float32),
        high=each("high", np.nan, np.float32),
    )


def _merged(sums: _Sums, size: int) -> _Sums:
    """Neighbours that fall into the same bucket of `size` become one."""
    bucket = sums.first // size
    new = (np.diff(bucket) != 0) | (np.diff(sums.stretch) != 0)
    at = np.concatenate(([0], np.flatnonzero(new) + 1))
    end = np.append(at[1:], len(bucket))
    several = np.flatnonzero(end - at > 1)  # at the finest level few: a bucket that lies across the border of two batches
    spans = np.column_stack((at[several], end[several])).ravel()
    spans = spans[: np.searchsorted(spans, len(bucket))]  # to the end of all needs no saying

    def each(reduce: np.ufunc, columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {name: one(reduce, column) for name, column in columns.items()}

    def one(reduce: np.ufunc, column: NDArray[Any]) -> NDArray[Any]:
        found = column[at]
        if len(spans):
            found[several] = reduce.reduceat(column, spans)[::2]
        return found

    with np.errstate(invalid="ignore"):  # see _first_level
        total = each(np.add, sums.total)
    return _Sums(
        stretch=sums.stretch[at],
        first=bucket[at] * size,
        length=one(np.add, sums.length),
        valid=each(np.add, sums.valid),
        total=total,
        low=each(np.fmin, sums.low),
        high=each(np.fmax, sums.high),
    )


def _buckets(sums: _Sums, size: int) -> Buckets:
    mean = {name: np.full(len(sums.first), np.nan) for name in CHANNELS}
    low, high = ({name: np.full(len(sums.first), np.nan, np.float32) for name in CHANNELS if name not in sums.valid} for _ in range(2))
    for name, valid in sums.valid.items():
        np.divide(sums.total[name], valid, out=mean[name], where=valid > 0)
    return Buckets(size, sums.stretch, sums.first, sums.length, sums.low | low, sums.high | high, mean)


def _table(level: Buckets) -> pa.Table:
    columns = {"size": np.full(len(level.first), level.size), "stretch": level.stretch, "first": level.first, "length": level.length}
    for name in CHANNELS:
        columns |= {f"{name}_min": level.low[name], f"{name}_max": level.high[name], f"{name}_mean": level.mean[name]}
    return pa.table({name: pa.array(columns[name], _SCHEMA.field(name).type) for name in _SCHEMA.names}, schema=_SCHEMA)


def _level(columns: dict[str, NDArray[np.generic]], size: int) -> Buckets:
    rows = columns["size"] == size
    part = {name: column[rows] for name, column in columns.items()}
    by_kind = {kind: {name: part[f"{name}_{kind}"] for name in CHANNELS} for kind in ("min", "max", "mean")}
    return Buckets(size, part["stretch"], part["first"], part["length"], by_kind["min"], by_kind["max"], by_kind["mean"])
