"""Gaussian regression with unknown trends (universal kriging): what readings say of a quantity of which only the covariance is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from labd.segment.clocks import FloatArray

_GATE_SIGMAS = 5.0  # a reading farther off than this was displaced, by a glitch of the instrument
_ALONE = 1e-9  # of its weight, what the basis leaves of a reading that alone tells a factor: rounding
_TO_SIGMA = 1.4826  # of a median of absolute values, for values scattered normally

Choice = TypeVar("Choice")


@dataclass(frozen=True, slots=True)
class Kriged:
    """seen: float64 [n], of covariance cov [n, n] (the quantity's own and the readings' noise) about basis [n, k] times unknown factors
    beta. cov_beta: of these. projected [n, n]: inverse of cov without what the basis explains."""

    seen: FloatArray
    cov: FloatArray
    basis: FloatArray
    inverse: FloatArray
    projected: FloatArray
    beta: FloatArray
    cov_beta: FloatArray

    @property
    def likelihood(self) -> float:
        """Logarithm of the restricted likelihood, but for a constant (D. Harville, JASA 72 (1977) 320)."""
        spread = np.linalg.slogdet(self.cov)[1] - np.linalg.slogdet(self.cov_beta)[1]
        return -0.5 * float(spread + self.seen @ self.projected @ self.seen)

    @property
    def left_out(self) -> FloatArray:
        """How far each reading is off what all the others say, in the standard deviations of that difference, float64 [n] (the closed form
        of leaving one out: residual and variance from the projected inverse). 0 for a reading that alone tells a factor."""
        own = np.maximum(np.diag(self.projected), _ALONE * np.diag(self.inverse))
        out: FloatArray = self.projected @ self.seen / np.sqrt(own)
        return out

    def at(self, near: FloatArray, own: FloatArray, basis: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The quantity at m places and its variance there, float64 [m] each. near [m, n]: covariance with what was seen; own [m]: variance
        of itself; basis [m, k]."""
        weights = near @ self.inverse
        left = basis - weights @ self.basis
        value = basis @ self.beta + weights @ (self.seen - self.basis @ self.beta)
        variance = own - np.sum(weights * near, axis=1) + np.sum((left @ self.cov_beta) * left, axis=1)
        return value, np.maximum(variance, 0.0)


def kriged(seen: FloatArray, cov: FloatArray, basis: FloatArray) -> Kriged:
    """Raises numpy.linalg.LinAlgError where the readings do not tell the factors."""
    inverse: FloatArray = np.linalg.inv(cov).astype(np.float64)
    cov_beta: FloatArray = np.linalg.inv(basis.T @ inverse @ basis).astype(np.float64)
    projected = inverse - inverse @ basis @ cov_beta @ basis.T @ inverse
    return Kriged(seen, cov, basis, inverse, projected, cov_beta @ basis.T @ inverse @ seen, cov_beta)


def plausible(tried: Sequence[Choice], build: Callable[[Choice], Kriged]) -> FloatArray:
    """How plausible each choice is by what was seen, float64 [n], 1 in all; before that all are alike."""
    logs = np.array([build(choice).likelihood for choice in tried])
    weights = np.exp(logs - logs.max())
    out: FloatArray = weights / weights.sum()
    return out


def undisplaced(n: int, build: Callable[[NDArray[np.bool_]], Kriged]) -> NDArray[np.bool_]:
    """Which of n readings contradict none of the others, bool [n]. build: of those that are kept, as the last of what it sees.

    One after the other the worst is left out while it lies beyond the gate. The unit of the gate is the scatter that the others show
    without it, and not less than they are said to have: an estimate that it takes part in it widens, and of n readings none can ever lie
    farther off than (n - 1) / sqrt(n) of such standard deviations (F. Grubbs, Technometrics 11 (1969) 1).
    """
    kept = np.ones(n, dtype=np.bool_)
    while kept.any():
        off = np.abs(build(kept).left_out[-int(kept.sum()) :])
        worst = int(np.argmax(off))
        others = kept.copy()
        others[np.flatnonzero(kept)[worst]] = False
        rest = build(others).left_out[-int(others.sum()) :] if others.any() else np.zeros(1)
        if off[worst] <= _GATE_SIGMAS * max(1.0, _TO_SIGMA * float(np.median(np.abs(rest)))):
            break
        kept = others
    return kept
