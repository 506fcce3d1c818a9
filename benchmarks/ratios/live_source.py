"""An instrument that has 2 MSa/s of current and voltage ready, as time goes on, and nothing to do for it."""

from __future__ import annotations

import functools
import time

import numpy as np
from numpy.typing import NDArray

from labd_instruments.block import Block

COLUMNS = ("current", "voltage")
DT_NS = 500
RATE_HZ = 10**9 // DT_NS
BUFFER_S = 1.0

Samples = NDArray[np.float32]


@functools.cache
def samples_of(number: int) -> tuple[Samples, Samples]:
    """A second of current and voltage, of its own for each instrument: more than caches hold, as with samples that have just come."""
    rng = np.random.default_rng(number)
    return rng.normal(0.01, 1e-3, RATE_HZ).astype(np.float32), rng.normal(3.0, 1e-4, RATE_HZ).astype(np.float32)


class Source:
    """`samples` of them in all; the same second again and again. What waits longer than BUFFER_S is lost, as in an instrument's memory."""

    def __init__(self, number: int, samples: int) -> None:
        self._current, self._voltage = samples_of(number)
        self._samples = samples
        self._given = 0
        self._began_ns: int | None = None

    def begin(self) -> None:
        self._began_ns = time.monotonic_ns()

    @property
    def ended(self) -> bool:
        return self._given == self._samples

    def read(self) -> Block | None:
        """All that is due, up to the end of a second."""
        assert self._began_ns is not None
        due = min(self._samples, (time.monotonic_ns() - self._began_ns) // DT_NS)
        first = max(self._given, due - round(BUFFER_S * RATE_HZ))
        start = first % RATE_HZ
        count = min(due - first, RATE_HZ - start)
        if count <= 0:
            return None
        self._given = first + count
        part = slice(start, start + count)
        return Block(first, first * DT_NS, DT_NS, self._current[part], self._voltage[part])

    def energy_j(self) -> float:
        """Of all of them."""
        return float(np.dot(self._current.astype(np.float64), self._voltage)) * DT_NS * 1e-9 * self._samples / RATE_HZ
