"""The loops over every sample, in numpy or compiled by numba: the same functions either way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from labd import fast
from labd.scan import arrays
from labd.scan.samples import Column, Looked

Bits = NDArray[np.float32]

WORTH_COMPILING = 300_000_000  # samples: with fewer, numpy is done before numba is loaded


class Look(Protocol):
    def __call__(self, current: Column, voltage: Column, /, *, power: Bits, watched: Bits, levels: Bits, known: Bits) -> Looked:
        """All that is to be known of rows [m, n]. power, watched: float32 [4], gain and offset of the current and of the voltage, whose
        product is power and what is watched, each step rounded to single precision. levels: float32 [2], fall < rise. known: float32
        [2], lowest and highest power that is known already: rows that cannot be beyond are not looked into for it."""


class Running(Protocol):
    def __call__(self, sums: NDArray[Any], total: NDArray[Any], row: NDArray[np.int64], before: NDArray[Any], /) -> None:
        """Add the blocks total [5, m] to sums [5], one block after the other. before: [4, e], what the first four are before each of the
        blocks `row`, int64 [e], ascending."""


class Heads(Protocol):
    def __call__(self, current: Column, voltage: Column, row: NDArray[np.int64], inside: NDArray[np.int64], total: NDArray[Any], /) -> None:
        """Sums over the first `inside` samples of a row, for each of e rows: total [4, e] of v, i, v*i, and how many are a number."""


@dataclass(frozen=True, slots=True)
class Loops:
    """rows: as many as they are best given at once."""

    rows: int
    look: Look
    running: Running
    heads: Heads


def _of(module: Any) -> Loops:
    return Loops(module.ROWS, module.look, module.running, module.heads)


IN_NUMPY = _of(arrays)


def compiled() -> Loops | None:
    """By numba, None where that is not installed (extra `fast`). Sums of int16 samples are numpy's to the bit, those of float32 but for
    roundings; extremes and where levels are crossed are the same."""
    found = fast.compiled("labd.scan.compiled")
    return None if found is None else _of(found)


def loops_for(samples: int) -> Loops:
    """What is done first with so many samples."""
    return (compiled() if samples >= WORTH_COMPILING else None) or IN_NUMPY
