"""Quantiles of any number of values in little memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TOGETHER = 1 << 16  # values that are sorted in at once
FINE = 13  # bits after the leading one that are kept of a value: a quantile is within 2^-14 of it, that is 0.006 %
_CUT = 52 - FINE  # of the 52 bits that a double has (IEEE 754 binary64)
_ALL_BUT_SIGN = np.int64(0x7FFFFFFFFFFFFFFF)


class Spread:
    """How many values fall into each of many narrow bins, lowest and highest value and sum. The order of the values is that of the sum.

    A decade of values has 27000 bins; one without values takes no memory.
    """

    def __init__(self) -> None:
        self.count = 0
        self.low = np.inf
        self.high = -np.inf
        self._total = 0.0
        self._bins = np.empty(0, np.int64)
        self._counts = np.empty(0, np.int64)
        self._waiting: list[NDArray[np.float64]] = []
        self._number_waiting = 0

    def add(self, values: NDArray[np.float64]) -> None:
        """Finite ones, float64 [n]."""
        if not len(values):
            return
        self.count += len(values)
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self._waiting.append(values)
        self._number_waiting += len(values)
        if self._number_waiting >= TOGETHER:
            self._sort_in()

    def _sort_in(self) -> None:
        values = np.concatenate(([self._total], *self._waiting))
        self._waiting, self._number_waiting = [], 0
        self._total = float(np.add.accumulate(values)[-1])  # one after the other, however they are handed over
        bins, counts = np.unique(_ordered(values[1:].view(np.int64)) >> _CUT, return_counts=True)
        self._bins, inverse = np.unique(np.concatenate((self._bins, bins)), return_inverse=True)
        merged = np.zeros(len(self._bins), np.int64)
        np.add.at(merged, inverse, np.concatenate((self._counts, counts)))
        self._counts = merged

    @property
    def total(self) -> float:
        self._sort_in()
        return self._total

    def quantile(self, share: float) -> float:
        """The value that this share of all do not exceed (the smallest such), to the width of a bin. Raises ValueError without values."""
        if not self.count:
            raise ValueError("there are no values")
        self._sort_in()
        rank = max(1, int(np.ceil(share * self.count)))
        bin_ = self._bins[np.searchsorted(np.cumsum(self._counts), rank)]
        edges = _ordered(np.array([bin_ << _CUT, ((bin_ + 1) << _CUT) - 1])).view(np.float64)
        return float(min(max(edges.mean(), self.low), self.high))


def _ordered(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """Bits of a float64 as an integer that is larger where the float is; and back."""
    return bits ^ ((bits >> 63) & _ALL_BUT_SIGN)
