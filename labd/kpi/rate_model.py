"""Mean power against rate: a weighted straight line whose uncertainty keeps the errors that all points share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.distributions import f_tail
from labd.kpi.scatter import random_times, typical_dof
from labd.kpi.terms import Uncertain, parts

_BIRGE_FROM = 2.0  # chi-squared per degree of freedom from which the scatter is taken at its word
UNLIKELY = 0.05  # chance of a lack of fit under which it is
_IMPROBABLE = 0.002  # chance of a lack of fit under which the line is called not linear
NOT_LINEAR = "not linear"
INFLATED = "inflated by Birge ratio"
TWO_RATES = "fitted through 2 rates, linearity not tested"


class NeedsRateZeroError(ValueError):
    """A rate fit without a rate-0 point sees no floor (20 times worse): refused."""


@dataclass(frozen=True, slots=True)
class Line:
    """P(r) = floor + slope * r. chi2_per_dof: None without spare points. flags: what the fit says about itself."""

    floor: Uncertain
    slope: Uncertain
    chi2_per_dof: float | None
    dof: int
    flags: tuple[str, ...]

    def at(self, rate: float) -> Uncertain:
        return self.floor + rate * self.slope


def fit_line(rates: Sequence[float], powers: Sequence[Uncertain]) -> Line:
    """Weighted least squares with the covariance of the points' Type A errors as weights; shared Type B errors pass through the linear
    estimator afterwards, so that they are neither averaged away nor used as weights.

    The lack-of-fit test allows for all errors. Raises NeedsRateZeroError without a point at rate 0, ValueError with one rate only.
    """
    r = np.asarray(rates, dtype=np.float64)
    if not np.any(r == 0):
        raise NeedsRateZeroError("a rate fit needs a point at rate 0: without it the floor is not seen")
    if len(np.unique(r)) < 2:
        raise ValueError("a rate fit needs two different rates or more")
    random, shared = _covariances(powers)
    design: NDArray[np.float64] = np.stack((np.ones_like(r), r), axis=1)
    weigh = np.linalg.pinv(random, rcond=1e-14, hermitian=True)
    estimator: NDArray[np.float64] = np.linalg.solve(design.T @ weigh @ design, design.T @ weigh).astype(np.float64)
    chi2 = _lack_of_fit(design, estimator, powers=powers, covariance=random + shared)
    dof = len(r) - 2
    per_dof = chi2 / dof if dof > 0 else None
    flags: list[str] = [TWO_RATES] if len(np.unique(r)) == 2 else []
    birge = 1.0
    if per_dof is not None and per_dof > _BIRGE_FROM:
        chance = f_tail(per_dof, dof, dof2=typical_dof(powers))
        if chance < UNLIKELY:
            birge = float(np.sqrt(per_dof))
            flags.append(INFLATED)
        if chance < _IMPROBABLE:
            flags.append(NOT_LINEAR)
    leverage = np.einsum("kp,pk->k", design, estimator).tolist()
    scaled = [random_times(p, birge * _weight_factor(p, h)) for p, h in zip(powers, leverage, strict=True)]
    floor, slope = (sum(float(h) * p for h, p in zip(row, scaled, strict=True)) for row in estimator)
    return Line(floor, slope, per_dof, dof, tuple(flags))


def _covariances(powers: Sequence[Uncertain]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Covariance matrices of the Type A and of the Type B errors of the points."""
    columns: dict[str, tuple[str, NDArray[np.float64]]] = {}
    for k, power in enumerate(powers):
        for variable, c in parts(power):
            kind, column = columns.setdefault(variable.tag.name, (variable.tag.kind, np.zeros(len(powers))))
            column[k] += c * variable.tag.unit_u
    random, shared = np.zeros((len(powers), len(powers))), np.zeros((len(powers), len(powers)))
    for kind, column in columns.values():
        target = random if kind == "A" else shared
        target += np.outer(column, column)
    weakest = 1e-9 * max(abs(p.nominal_value) for p in powers)
    random[np.diag_indices(len(powers))] = np.maximum(np.diag(random), weakest**2)
    return random, shared


def _lack_of_fit(
    design: NDArray[np.float64], estimator: NDArray[np.float64], *, powers: Sequence[Uncertain], covariance: NDArray[np.float64]
) -> float:
    """Chi-squared of the residuals under all errors, over the n - 2 directions that a line leaves."""
    n = len(powers)
    if n <= 2:
        return 0.0
    scale = 1 / np.sqrt(np.diag(covariance))
    left = np.eye(n) - design @ estimator
    rest = scale * (left @ np.array([p.nominal_value for p in powers]))
    spread = scale[:, None] * (left @ covariance @ left.T) * scale
    values, vectors = np.linalg.eigh(spread)
    kept = slice(2, None)
    return float(np.sum((vectors[:, kept].T @ rest) ** 2 / np.maximum(values[kept], 1e-12)))


def _weight_factor(power: Uncertain, leverage: float) -> float:
    """Weights are estimates: a point whose scatter came out small by chance weighs too much and is believed too much. Meier 1953
    (Biometrics 9, 59) for weighted means, with the leverage in place of the share of the weight."""
    return float(np.sqrt(1 + 4 * max(0.0, 1 - leverage) / typical_dof([power])))
