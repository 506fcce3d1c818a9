"""The fewest seconds in which a break-even rate could be known well enough, from the scatter of a long run apart.

Of two lines P(r) through points at rate 0 and at the highest rate R, the difference at the break-even r is linear in the four mean
powers, with weights 1 - r/R and r/R. Mean powers that are measured for T have variances s^2/T. The least total time for a sum of a/T is
reached with times in proportion to the roots of a, and is the square of their sum over the variance that is wanted (Neyman 1934).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labd.kpi.capture import CaptureResult
from labd.kpi.scatter import random_variance
from labd.records import Mode, Role

COVERAGE = 1.96


@dataclass(frozen=True, slots=True)
class Scatter:
    """Of one mode. floor, top: variance of a mean power times the seconds that it took, W^2 s; top_hz: the highest rate."""

    floor: float
    top: float
    top_hz: float


def scatter_of(mode: Mode, captures: Sequence[CaptureResult], seconds: dict[str, float]) -> Scatter:
    """seconds: length of each capture by its key. Mean over the captures: each tells its own scatter by its blocks and periods."""
    own = [c for c in captures if c.point.mode is mode]
    floors = [random_variance(c.estimates["power.floor"].value) * seconds[c.key] for c in own if c.role is Role.FLOOR]
    top_hz = max(c.point.rate_hz for c in own)
    tops = [
        random_variance(c.estimates["excess_power" if "excess_power" in c.estimates else "power.mean"].value) * seconds[c.key]
        for c in own
        if c.role is Role.MEAN and c.point.rate_hz == top_hz
    ]
    return Scatter(float(np.mean(floors)), float(np.mean(tops)), top_hz)


def least_time_s(modes: Sequence[Scatter], break_even_hz: float, slopes_apart_j: float, *, aim: float, lasting: float) -> float:
    """aim, lasting: relative half-widths of the 95 % interval, wanted and left by the instruments."""
    per_watt = 1 / (slopes_apart_j * break_even_hz)
    roots = 0.0
    for one in modes:
        share = break_even_hz / one.top_hz
        roots += math.sqrt(one.floor) * abs(1 - share) * per_watt + math.sqrt(one.top) * share * per_watt
    return (COVERAGE * roots) ** 2 / (aim**2 - lasting**2)
