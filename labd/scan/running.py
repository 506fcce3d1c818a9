"""Running sums of one stretch, and the bursts that they give."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd.scan.loops import Loops
from labd.scan.samples import BEFORE, SUMS, Column, Looked, Scales
from labd.scan.spread import Spread


@dataclass(frozen=True, slots=True)
class Watch:
    """A burst begins with the first sample at `rise` or above and ends before the first at `fall` or below, in watt, or ampere of the
    current.

    Raises ValueError unless fall < rise.
    """

    rise: float
    fall: float
    of: str = "power"

    def __post_init__(self) -> None:
        if not np.float32(self.fall) < np.float32(self.rise):
            raise ValueError(f"a burst ends below where it begins: {self.fall} is not below {self.rise} in single precision")
        if self.of not in ("power", "current"):
            raise ValueError(f"bursts are found in power or current, not in {self.of}")


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of samples, and what they are."""

    current: Column
    voltage: Column
    looked: Looked


@dataclass(slots=True)
class Bursts:
    """cut: bursts whose beginning or end was not recorded, or that hold samples that are no number; the others have energy (J) and length
    (s)."""

    energy_j: Spread = field(default_factory=Spread)
    length_s: Spread = field(default_factory=Spread)
    cut: int = 0


class Run:
    """Sums from the first sample of a stretch on. position: of the next sample. at: positions that are asked for, ascending."""

    def __init__(self, scales: Scales, dt_s: float, bursts: Bursts, *, loops: Loops, at: NDArray[np.int64]) -> None:
        self.position = 0
        self._scales, self._dt_s, self._bursts, self._loops, self._at = scales, dt_s, bursts, loops, at
        self._answered: list[NDArray[Any]] = []
        self._next = 0  # of the positions asked for
        self._sums: NDArray[Any] = np.zeros(SUMS)
        self._exact = [0] * SUMS  # of int16 samples: without the end that 64 bits have
        self._above = False
        self._begun: tuple[NDArray[np.int64], NDArray[Any]] | None = None  # where a burst has begun: position [1], sums before it [4, 1]

    def take(self, part: Part) -> None:
        """Consecutive parts."""
        looked = part.looked
        if not self.position:
            self._sums = np.zeros(SUMS, looked.sums.dtype)
        width = part.current.shape[1]
        end = self.position + part.current.size
        stop = int(np.searchsorted(self._at, end, side="left"))
        row, inside = np.divmod(self._at[self._next : stop] - self.position, width)
        changed = looked.above != np.concatenate(([self._above], looked.above[:-1]))
        edges = looked.at[changed]
        rows = np.concatenate((row, edges // width))
        order = np.argsort(rows, kind="stable")
        before = np.empty((BEFORE, len(rows)), looked.sums.dtype)
        sums = self._sums.copy()
        self._loops.running(sums, looked.sums, rows[order], before)
        before[:, order] = before.copy()
        if len(row):
            heads = np.empty((BEFORE, len(row)), before.dtype)
            self._loops.heads(part.current, part.voltage, row, inside, heads)
            self._answered.append(before[:, : len(row)] + heads)
        if len(edges):
            self._pair(edges + self.position, before[:, len(row) :] + looked.heads[:, changed])
            self._above = bool(looked.above[-1])
        self._add(sums)
        self.position, self._next = end, stop

    def _add(self, sums: NDArray[Any]) -> None:
        if sums.dtype == np.int64:  # modulo 2^64, as are all differences
            self._exact = [total + more for total, more in zip(self._exact, (sums - self._sums).tolist(), strict=True)]
        self._sums = sums

    def end(self) -> NDArray[Any]:
        """After the last part: the sums before each position asked for."""
        if self._begun is not None:
            self._bursts.cut += 1
            self._begun = None
        left = len(self._at) - self._next  # positions at the end
        return np.concatenate([*self._answered, np.repeat(self._sums[:BEFORE, np.newaxis], left, axis=1)], axis=1)

    def total(self) -> list[Any]:
        """Of all so far: Python's integers of int16 samples, floats of others."""
        return self._exact if self._sums.dtype == np.int64 else self._sums.tolist()

    def _pair(self, at: NDArray[np.int64], sums: NDArray[Any]) -> None:
        if self._begun is not None:
            at, sums = np.concatenate((self._begun[0], at)), np.concatenate((self._begun[1], sums), axis=1)
        whole = len(at) // 2 * 2
        self._begun = (at[whole:], sums[:, whole:]) if whole < len(at) else None
        first, length = at[0:whole:2], at[1:whole:2] - at[0:whole:2]
        v, i, vi, n = sums[:, 1:whole:2] - sums[:, 0:whole:2]
        good = (first > 0) & (n == length)
        self._bursts.cut += int(len(first) - good.sum())
        self._bursts.energy_j.add((self._scales.energy(n, v, i=i, vi=vi) * self._dt_s)[good])
        self._bursts.length_s.add(length[good] * self._dt_s)
