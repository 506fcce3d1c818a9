"""Lowest, highest and mean of a trace over buckets of 256, 4096, 65536 ... samples, for views that cannot draw every sample; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

BASE = 256
STEP = 16
RECORDED = ("current", "voltage", "marker")
CHANNELS = (*RECORDED, "power")
LINES = "digital"
PORTION = 1 << 14  # buckets of a level that are made at once


@dataclass(frozen=True, slots=True)
class Buckets:
    """One level, ascending by stretch and first index. size: samples a full bucket spans (buckets begin at multiples of it).

    stretch int32 [n], first int64 [n], length int64 [n]; valid int64 [n], low, high float32 [n] and mean float64 [n] by channel, those of
    CHANNELS that the trace has: how many samples are numbers, and what these are, NaN where none is. Power is the product of each sample's
    current and voltage. any_high, all_high: the digital lines that were ever and always high, uint8 [n], None without lines.
    """

    size: int
    stretch: NDArray[np.int32]
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    valid: dict[str, NDArray[np.int64]]
    low: dict[str, NDArray[np.float32]]
    high: dict[str, NDArray[np.float32]]
    mean: dict[str, NDArray[np.float64]]
    any_high: NDArray[np.uint8] | None = None
    all_high: NDArray[np.uint8] | None = None


@dataclass(frozen=True, slots=True)
class _Sums:
    """Mergeable form of a level; valid counts the samples that are neither null nor NaN. By channel, of those that have samples; the lines
    alone in ever and always."""

    stretch: NDArray[np.int32]
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    valid: dict[str, NDArray[np.int64]]
    total: dict[str, NDArray[np.float64]]
    low: dict[str, NDArray[np.float32]]
    high: dict[str, NDArray[np.float32]]
    ever: dict[str, NDArray[np.uint8]]
    always: dict[str, NDArray[np.uint8]]


class Pyramid:
    """Collects batches in order and gives the levels away as they come, up to the first one with one bucket a stretch: memory does not grow
    with the trace, but for what a stretch shorter than a bucket takes.

    put: takes consecutive buckets of one level, at most about PORTION of them; the levels take turns.
    """

    def __init__(self, put: Callable[[Buckets], None]) -> None:
        self._levels = [_Level(BASE)]
        self._put = put

    def add(self, batch: pa.RecordBatch) -> None:
        if len(batch):
            self._give(0, [_first_level(batch)])

    def end(self) -> None:
        """What has been waiting for more, too."""
        k = 0
        while k < len(self._levels):  # each may make the next one
            self._pass_on(k, self._levels[k].taken(whole=True))
            k += 1

    def _give(self, k: int, pieces: list[_Sums]) -> None:
        level = self._levels[k]
        level.add(pieces)
        if level.waiting >= PORTION:
            self._pass_on(k, level.taken(whole=False))

    def _pass_on(self, k: int, sums: _Sums | None) -> None:
        if sums is None:
            return
        level = self._levels[k]
        self._put(_buckets(sums, level.size))
        level.passed.append(sums)
        if k + 1 == len(self._levels) and np.any(sums.first > 0):
            self._levels.append(_Level(level.size * STEP))
        if k + 1 < len(self._levels):
            passed, level.passed = level.passed, []
            self._give(k + 1, passed)


class _Level:
    """size: samples a full bucket spans. waiting: how many buckets, or pieces of one, were not taken yet. passed: what was taken and is not
    in the next level yet, which there is as soon as a stretch has several buckets."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.waiting = 0
        self.passed: list[_Sums] = []
        self._pieces: list[_Sums] = []

    def add(self, pieces: list[_Sums]) -> None:
        self._pieces += pieces
        self.waiting += sum(len(one.first) for one in pieces)

    def taken(self, *, whole: bool) -> _Sums | None:
        """Merged to buckets; all but the last one, which may go on, unless it is the whole."""
        if not self._pieces:
            return None
        merged = _merged(_joined(self._pieces), self.size)
        last = len(merged.first) if whole else len(merged.first) - 1
        self._pieces = [] if whole else [_cut(merged, slice(last, None))]
        self.waiting = len(merged.first) - last
        return _cut(merged, slice(last)) if last else None


def _first_level(batch: pa.RecordBatch) -> _Sums:
    """Buckets of BASE samples; a batch may begin and end within one."""
    stretch, index = batch.column("stretch").to_numpy(), batch.column("index").to_numpy()
    alone = stretch[0] == stretch[-1]  # samples of one stretch have no gaps: one of their indices says all
    edges = _edges(stretch, index, alone=alone)
    at, length = edges[:-1], edges[1:] - edges[:-1]
    first = index[0] + at if alone else index[at]
    first[0] -= first[0] % BASE
    values = {name: _numbers(batch.column(name)) for name in RECORDED if batch.column(name).null_count < len(batch)}
    with np.errstate(invalid="ignore", over="ignore"):  # infinities of both signs, or one of them and nothing: their bucket has no mean
        if values.keys() >= {"current", "voltage"}:
            values["power"] = values["current"] * values["voltage"]
        found = {name: _channel(column, at, length) for name, column in values.items()}
    valid, total, low, high = ({name: sums[k] for name, sums in found.items()} for k in range(4))
    ever, always = {}, {}
    if batch.column(LINES).null_count < len(batch):
        lines = batch.column(LINES).fill_null(0).to_numpy()
        ever, always = {LINES: np.bitwise_or.reduceat(lines, at)}, {LINES: np.bitwise_and.reduceat(lines, at)}
    return _Sums(np.full(len(at), stretch[0]) if alone else stretch[at], first, length, valid, total, low, high, ever, always)


def _edges(stretch: NDArray[np.int32], index: NDArray[np.int64], *, alone: bool) -> NDArray[np.int64]:
    """Rows at which a bucket begins, and the end. Stretches ascend. alone: there is one of them."""
    if alone:
        inner = np.arange(BASE - index[0] % BASE, len(index), BASE)
    else:
        inner = np.flatnonzero((index[1:] % BASE == 0) | (np.diff(stretch) != 0)) + 1
    return np.concatenate(([0], inner, [len(index)]))


def _numbers(column: pa.Array) -> NDArray[np.float32]:
    """What is null is NaN."""
    values: NDArray[np.float32] = column.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return values


def _channel(values: NDArray[np.float32], at: NDArray[np.int64], length: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    """Number, sum, lowest and highest of the valid samples of each bucket; what most channels need first: no null, no NaN.

    A sum of at most BASE samples is made in single precision, in which they are: pairwise (numpy), it is off by a few of their roundings.
    In double precision it would cost three times as much, of what every sample has to afford, for means that are only looked at.
    """
    total = np.add.reduceat(values, at)
    if not math.isnan(np.add.reduce(total)):
        return length, total.astype(np.float64), np.minimum.reduceat(values, at), np.maximum.reduceat(values, at)
    valid = ~np.isnan(values)
    total = np.add.reduceat(np.where(valid, values, np.float32(0)), at)
    number = np.add.reduceat(valid.astype(np.int64), at)
    return number, total.astype(np.float64), np.fmin.reduceat(values, at), np.fmax.reduceat(values, at)


def _joined(pieces: list[_Sums]) -> _Sums:
    """A channel that only some pieces have has no valid sample in the others."""

    def each(of: str, missing: float, kind: type[np.generic]) -> dict[str, NDArray[Any]]:
        columns = [getattr(piece, of) for piece in pieces]
        return {
            name: np.concatenate(
                [one.get(name, np.full(len(piece.first), missing, kind)) for one, piece in zip(columns, pieces, strict=True)]
            )
            for name in (*CHANNELS, LINES)
            if any(name in one for one in columns)
        }

    return _Sums(
        stretch=np.concatenate([piece.stretch for piece in pieces]),
        first=np.concatenate([piece.first for piece in pieces]),
        length=np.concatenate([piece.length for piece in pieces]),
        valid=each("valid", 0, np.int64),
        total=each("total", 0, np.float64),
        low=each("low", np.nan, np.float32),
        high=each("high", np.nan, np.float32),
        ever=each("ever", 0, np.uint8),
        always=each("always", 0, np.uint8),
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
        ever=each(np.bitwise_or, sums.ever),
        always=each(np.bitwise_and, sums.always),
    )


def _cut(sums: _Sums, rows: slice) -> _Sums:
    def each(columns: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        return {name: column[rows] for name, column in columns.items()}

    return _Sums(
        stretch=sums.stretch[rows],
        first=sums.first[rows],
        length=sums.length[rows],
        valid=each(sums.valid),
        total=each(sums.total),
        low=each(sums.low),
        high=each(sums.high),
        ever=each(sums.ever),
        always=each(sums.always),
    )


def _buckets(sums: _Sums, size: int) -> Buckets:
    mean = {name: np.full(len(sums.first), np.nan) for name in sums.valid}
    for name, valid in sums.valid.items():
        np.divide(sums.total[name], valid, out=mean[name], where=valid > 0)
    where = sums.stretch, sums.first, sums.length
    return Buckets(size, *where, sums.valid, sums.low, sums.high, mean, sums.ever.get(LINES), sums.always.get(LINES))
