"""The fewest seconds in which a break-even rate could be known well enough, from the board's own account of its events.

A break-even r is (F1 - F2) / (S2 - S1) of two floors and two energies above rest. Floors are known to as good as any number of digits
within seconds; an energy whose events scatter with variance s^2, inflated by the autocorrelation g, is known with g s^2 / (R T) after T at
the highest rate R. The least total time for a sum of a/T is reached with times in proportion to the roots of a, and is the square of their
sum over the variance that is wanted (Neyman 1934). Nothing is left for a floor's noise, a middle rate, or what is not yet known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.coverage import best
from benchmarks.coverage.best import Account, Errors, half_width


@dataclass(frozen=True, slots=True)
class Side:
    """One mode by the board's account. rest_range: which measures its floor."""

    seen: Account
    floor_w: float
    slope_j: float
    rest_range: float

    def energy_variance(self, rho: float) -> float:
        """Of the energy of one event, times what the autocorrelation of the next ones adds: (1 + rho) / (1 - rho)."""
        return float(np.var(self.seen.net_j(), ddof=1)) * (1 + rho) / (1 - rho)


@dataclass(frozen=True, slots=True)
class Crossing:
    first: Side
    second: Side

    @property
    def rate_hz(self) -> float:
        return (self.first.floor_w - self.second.floor_w) / (self.second.slope_j - self.first.slope_j)

    def lasting(self, errors: Errors) -> best.Floats:
        """Draws of the relative error that instruments leave, however long is measured."""
        floors, slopes = [], []
        for side in (self.first, self.second):
            floors.append(side.floor_w + best.of_rest(errors, watt=side.floor_w, volt=side.seen.volt, full_scale=side.rest_range))
            slopes.append(side.slope_j + best.of_net(errors, side.seen, scatter=False))
        drawn = (floors[0] - floors[1]) / (slopes[1] - slopes[0])
        left: best.Floats = drawn / self.rate_hz - 1
        return left


def most_scatter(lasting: best.Floats, aim: float) -> float:
    """Standard deviation of a normal error that, beside the lasting ones, has a 95 % interval of half-width aim (Supplement 1; half-widths
    of a rectangular and of a normal error do not add as squares)."""
    normal = np.random.default_rng(1).standard_normal(len(lasting))
    low, high = 0.0, aim
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if half_width(lasting + middle * normal) < aim else (low, middle)
    return low


def least_time_s(crossing: Crossing, *, top_hz: Sequence[float], rho: float, aim: float, lasting: best.Floats) -> float:
    """top_hz: highest rate of both modes. aim: relative half-width of the 95 % interval that is wanted. lasting: as in `Crossing`."""
    sides = (crossing.first, crossing.second)
    apart_j = crossing.second.slope_j - crossing.first.slope_j
    roots = sum(math.sqrt(side.energy_variance(rho) / rate_hz) for side, rate_hz in zip(sides, top_hz, strict=True)) / apart_j
    return (roots / most_scatter(lasting, aim)) ** 2
