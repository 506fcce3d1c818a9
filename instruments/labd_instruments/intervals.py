"""Which interval an instrument takes in place of the one that is wanted: the nearest at or above it, and its longest where none is."""

from __future__ import annotations

import math
from collections.abc import Iterable

SLACK = 1e-9  # relative: 50 * 20.48e-6 is not exactly 1.024e-3


def at_or_above(wanted_s: float, possible_s: Iterable[float]) -> float:
    """Out of a list of intervals."""
    every = sorted(possible_s)
    return next((one for one in every if one >= wanted_s * (1 - SLACK)), every[-1])


def in_steps(wanted_s: float, *, low_s: float, high_s: float, step_s: float) -> float:
    """Out of whole multiples of step_s from low_s to high_s. Neither end needs to be a multiple; the answer is one, between them."""
    least, most = math.ceil(low_s / step_s * (1 - SLACK)), math.floor(high_s / step_s * (1 + SLACK))
    steps = min(max(math.ceil(wanted_s / step_s * (1 - SLACK)), least), most)
    return round(steps * step_s, 12)  # 7 * 1e-6 is not exactly 7e-6


def between(wanted_s: float, *, low_s: float, high_s: float) -> float:
    """Out of all from low_s to high_s."""
    return min(max(wanted_s, low_s), high_s)
