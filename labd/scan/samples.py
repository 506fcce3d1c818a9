"""Samples as one pass takes them: two columns, in whole blocks that do not depend on how they were handed over."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 256  # samples, from the first of a stretch on; as many as a bucket of the finest level of a pyramid
SUMS = 5  # rows: v, i, v*i, valid samples, i*i
VALID = 3  # of the rows of sums
BEFORE = 4  # rows of sums that are known of the samples before one
FORMATS = (np.dtype(np.float32), np.dtype(np.int16))

Column = NDArray[Any]  # float32 or int16
Pair = tuple[Column, Column]  # current and voltage


@dataclass(frozen=True, slots=True)
class Scale:
    """value = sample*gain + offset, in ampere or volt. Raises ValueError for a gain that is 0 or no number."""

    gain: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        if not self.gain or not math.isfinite(self.gain):
            raise ValueError(f"the gain is {self.gain}, a finite number other than 0 is needed")
        if not math.isfinite(self.offset):
            raise ValueError(f"the offset is {self.offset}, a finite number is needed")


@dataclass(frozen=True, slots=True)
class Scales:
    """Of both columns; those of float32 samples, which are in ampere and volt, are left as they are."""

    current: Scale = field(default_factory=Scale)
    voltage: Scale = field(default_factory=Scale)

    def factors(self) -> NDArray[np.float32]:
        """float32 [4], gain and offset of the current and of the voltage: a single sample has no more digits."""
        both = (self.current, self.voltage)
        return np.array([number for one in both for number in (one.gain, one.offset)], np.float32)

    def charge(self, n: Any, i: Any) -> Any:
        """Sum of the current (A) over n samples. i: sum of its samples."""
        return self.current.gain * i + self.current.offset * n

    def energy(self, n: Any, v: Any, *, i: Any, vi: Any) -> Any:
        """Sum of the power (W) over n samples, from the sums of samples and of their products."""
        (gi, oi), (gv, ov) = ((one.gain, one.offset) for one in (self.current, self.voltage))
        return gv * gi * vi + gv * oi * v + ov * gi * i + ov * oi * n

    def square(self, n: Any, i: Any, *, ii: Any) -> Any:
        """Sum of the squared current (A^2) over n samples."""
        g, o = self.current.gain, self.current.offset
        return g * g * ii + 2 * g * o * i + o * o * n


@dataclass(frozen=True, slots=True)
class Looked:
    """What m consecutive blocks of equal length are.

    sums: [5, m], of v, i, v*i, of samples that are a number in both columns (only these are summed), and of i*i: int64, exact, of int16
    samples, float64 of float32. low, high: [2, m], lowest and highest sample of current and voltage, NaN where none is a number. power:
    float32 [2], lowest and highest of these samples and of those before that were told.

    at, above: int64 and bool [e], where what is watched is for the first time at a level or beyond, counted from the first sample, then
    where it changes sides. heads: [4, e], sums from the beginning of its block to each of them.
    """

    sums: NDArray[Any]
    low: Column
    high: Column
    power: NDArray[np.float32]
    at: NDArray[np.int64]
    above: NDArray[np.bool_]
    heads: NDArray[Any]


def in_rows(pieces: Iterable[Pair], most: int) -> Iterator[Pair]:
    """The pieces of one stretch as rows of BLOCK samples, at most `most` rows at once; the last row of all may be shorter.

    Only what lies across the border of two pieces is copied: a piece is left as it is until the next one is asked for. Raises ValueError
    for columns of two lengths or of a format that is not one of FORMATS.
    """
    left: list[Pair] = []
    have = 0  # samples left
    for current, voltage in pieces:
        pair = _checked(current), _checked(voltage)
        length = len(current)
        if length != len(voltage) or pair[0].dtype != pair[1].dtype:
            raise ValueError(f"current is {pair[0].dtype} [{length}] and voltage {pair[1].dtype} [{len(voltage)}]; they are of one kind")
        across = min(length, -have % BLOCK)
        if have:
            left.append(_part(pair, 0, across))
            have += across
            if have < BLOCK:
                continue
            yield _row(left)
        whole = across + (length - across) // BLOCK * BLOCK
        for start in range(across, whole, most * BLOCK):
            part = _part(pair, start, min(whole, start + most * BLOCK))
            yield part[0].reshape(-1, BLOCK), part[1].reshape(-1, BLOCK)
        have = length - whole
        left = [(pair[0][whole:].copy(), pair[1][whole:].copy())] if have else []
    if have:
        yield _row(left)


def _checked(column: Column) -> Column:
    if column.ndim != 1 or column.dtype not in FORMATS:
        raise ValueError(f"samples are float32 or int16 [n], got {column.dtype} {list(column.shape)}")
    return np.require(column, requirements=("C", "A"))


def _part(pair: Pair, start: int, stop: int) -> Pair:
    return pair[0][start:stop], pair[1][start:stop]


def _row(pieces: list[Pair]) -> Pair:
    current, voltage = (np.concatenate([piece[k] for piece in pieces])[np.newaxis] for k in range(2))
    return current, voltage
