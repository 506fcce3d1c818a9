"""The ways in which an oscillator's rate wanders: one period of each, whose lowest and highest rate lie a band of 1 apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SHAPES = ("sine", "drift", "walk", "step")
_KNOTS = 256
_SETTLES = 0.03  # of a period: time constant with which the rate follows a step of temperature


class Wander(Protocol):
    """share: of a period, from any instant on."""

    def rate(self, share: float) -> float:
        """Departure from the mean rate, as a share of the band."""
        ...

    def strayed(self, share: float) -> float:
        """Integral of `rate` from 0 to share, the same at the same place of each period."""
        ...


@dataclass(frozen=True, slots=True)
class Sine:
    def rate(self, share: float) -> float:
        return math.sin(math.tau * share) / 2

    def strayed(self, share: float) -> float:
        return (1 - math.cos(math.tau * share)) / (2 * math.tau)


SINE = Sine()


@dataclass(frozen=True, slots=True)
class Path:
    """Straight between knots that lie evenly over a period. levels: the rate there, its first once more at the end. areas: what has come
    together up to there."""

    levels: tuple[float, ...]
    areas: tuple[float, ...]

    def rate(self, share: float) -> float:
        k, part = self._place(share)
        return self.levels[k] + part * (self.levels[k + 1] - self.levels[k])

    def strayed(self, share: float) -> float:
        k, part = self._place(share)
        return self.areas[k] + part * (self.levels[k] + self.rate(share)) / 2 / (len(self.levels) - 1)

    def _place(self, share: float) -> tuple[int, float]:
        at = (share - math.floor(share)) * (len(self.levels) - 1)
        k = min(int(at), len(self.levels) - 2)
        return k, at - k


def path(levels: NDArray[np.float64]) -> Path:
    """Through `levels` (float64 [n]) and back to the first, brought to a band of 1 about a mean of 0."""
    closed = np.append(levels, levels[0])
    closed = closed / np.ptp(closed)
    closed = closed - float(np.mean((closed[1:] + closed[:-1]) / 2))
    areas = np.append(0.0, np.cumsum((closed[1:] + closed[:-1]) / 2)) / len(levels)
    return Path(tuple(closed.tolist()), tuple(areas.tolist()))


def wander(shape: str, rng: np.random.Generator) -> Wander:
    """One of SHAPES. drift: up in a straight line for half a period, and back. walk: at random, as one that ends where it began. step: the
    temperature steps up, and back half a period later; the rate follows it."""
    if shape == "sine":
        return SINE
    share = np.arange(_KNOTS) / _KNOTS
    if shape == "drift":
        return path(np.abs(share - 0.5))
    if shape == "walk":
        steps = rng.standard_normal(_KNOTS)
        return path(np.cumsum(steps - steps.mean()))
    half = np.exp(-share[: _KNOTS // 2] / _SETTLES)
    return path(np.concatenate((1 - half, half)))
