"""Type A evaluation of the mean of consecutive values that may be autocorrelated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LARGEST_RHO = 0.98


@dataclass(frozen=True, slots=True)
class TypeA:
    """mean; u: standard uncertainty of it; dof: effective degrees of freedom; n: values; factor: variance inflation by autocorrelation."""

    mean: float
    u: float
    dof: float
    n: int
    factor: float


def evaluate(values: NDArray[np.float64]) -> TypeA:
    """Mean of `values` (float64 [n], n >= 2, in time order) after metrology note 3.3: variance corrected for the correlation that it
    hides, inflated by the larger of Sokal's windowed sum and an AR(1) estimate corrected for small samples.

    Raises ValueError for fewer than two values: one value has no Type A uncertainty.
    """
    n = len(values)
    if n < 2:
        raise ValueError(f"{n} values have no Type A uncertainty")
    mean = float(values.mean())
    rest = values - mean
    square = float(rest @ rest)
    factor = correlation_factor(rest, square)
    variance = square / (n - factor)
    return TypeA(mean, math.sqrt(variance * factor / n), max(n / factor - 1, 1.0), n, factor)


def correlation_factor(rest: NDArray[np.float64], square: float) -> float:
    """The factor g >= 1 by which autocorrelation inflates the variance of a mean. rest: deviations from the mean, square: their sum of
    squares. At most n/3."""
    n = len(rest)
    if square <= 0 or n < 4:
        return 1.0
    r1 = float(rest[1:] @ rest[:-1]) / square
    rho = min(r1 + (1 + 3 * r1) / n, _LARGEST_RHO)
    if rho < 1 / math.sqrt(n):
        return 1.0  # within a standard error of none: inflating here only pads (97 instead of 96 % coverage of 12 white values)
    ar1 = (1 + rho) / (1 - rho)
    return max(1.0, min(max(ar1, _sokal(rest, square, r1)), n / 3))


def _sokal(rest: NDArray[np.float64], square: float, r1: float) -> float:
    g, lag = 1 + 2 * r1, 1
    while lag < 2.5 * g and lag < len(rest) - 2:
        lag += 1
        g += 2 * float(rest[lag:] @ rest[:-lag]) / square
    return g
