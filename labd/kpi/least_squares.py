"""Linear models through values whose errors are partly shared: weighted least squares, and whether the model fits."""

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
_FEWEST_DOF = 4.0  # below, the mean square has no end
_IMPROBABLE = 0.002  # chance of a lack of fit under which the model is called wrong
NOT_LINEAR = "not linear"
INFLATED = "inflated by Birge ratio"


@dataclass(frozen=True, slots=True)
class Fit:
    """coefficients: one a column of the design, with their correlations. chi2_per_dof: None without spare points. flags: INFLATED, and
    NOT_LINEAR where the values do not follow the model."""

    coefficients: tuple[Uncertain, ...]
    chi2_per_dof: float | None
    dof: int
    flags: tuple[str, ...]


def fit_linear(design: NDArray[np.float64], values: Sequence[Uncertain]) -> Fit:
    """Weighted least squares of values = design @ coefficients, with the covariance of the values' Type A errors as weights; shared Type B
    errors pass through the linear estimator afterwards, so that they are neither averaged away nor used as weights.

    design: float64 [n, k], of full rank. The lack-of-fit test allows for all errors.
    """
    random, shared = _covariances(values)
    weigh = np.linalg.pinv(random, rcond=1e-14, hermitian=True)
    size = np.abs(design).max(axis=0)  # a clock of 1e8 Hz beside a constant 1 would leave no digits
    even = design / size
    estimator: NDArray[np.float64] = (np.linalg.solve(even.T @ weigh @ even, even.T @ weigh) / size[:, None]).astype(np.float64)
    chi2 = _lack_of_fit(design, estimator, values=values, covariance=_expected(random, values) + shared)
    dof = design.shape[0] - design.shape[1]
    per_dof = chi2 / dof if dof > 0 else None
    flags: list[str] = []
    birge = 1.0
    if per_dof is not None and per_dof > _BIRGE_FROM:
        chance = f_tail(per_dof, dof, dof2=typical_dof(values))
        if chance < UNLIKELY:
            birge = float(np.sqrt(per_dof))
            flags.append(INFLATED)
        if chance < _IMPROBABLE:
            flags.append(NOT_LINEAR)
    leverage = np.einsum("kp,pk->k", design, estimator).tolist()
    scaled = [random_times(v, birge * _weight_factor(v, h)) for v, h in zip(values, leverage, strict=True)]
    coefficients = tuple(sum(float(h) * v for h, v in zip(row, scaled, strict=True)) for row in estimator)
    return Fit(coefficients, per_dof, dof, tuple(flags))


def _covariances(values: Sequence[Uncertain]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Covariance matrices of the Type A and of the Type B errors of the values."""
    columns: dict[str, tuple[str, NDArray[np.float64]]] = {}
    for k, value in enumerate(values):
        for variable, c in parts(value):
            kind, column = columns.setdefault(variable.tag.name, (variable.tag.kind, np.zeros(len(values))))
            column[k] += c * variable.tag.unit_u
    random, shared = np.zeros((len(values), len(values))), np.zeros((len(values), len(values)))
    for kind, column in columns.values():
        target = random if kind == "A" else shared
        target += np.outer(column, column)
    weakest = 1e-9 * max(abs(v.nominal_value) for v in values)
    random[np.diag_indices(len(values))] = np.maximum(np.diag(random), weakest**2)
    return random, shared


def _expected(random: NDArray[np.float64], values: Sequence[Uncertain]) -> NDArray[np.float64]:
    """Mean squares that deviations have by chance: (deviation / u) squared is dof / (dof - 2) in the mean where u is known from dof degrees
    of freedom, and a few events at a low rate would look like a lack of fit."""
    dof = np.array([max(typical_dof([value]), _FEWEST_DOF) for value in values])
    by = np.sqrt(1 / (1 - 2 / dof))
    return by[:, None] * random * by


def _lack_of_fit(
    design: NDArray[np.float64], estimator: NDArray[np.float64], *, values: Sequence[Uncertain], covariance: NDArray[np.float64]
) -> float:
    """Chi-squared of the residuals under all errors, over the n - k directions that the model leaves."""
    n, k = design.shape
    if n <= k:
        return 0.0
    scale = 1 / np.sqrt(np.diag(covariance))
    left = np.eye(n) - design @ estimator
    rest = scale * (left @ np.array([v.nominal_value for v in values]))
    spread = scale[:, None] * (left @ covariance @ left.T) * scale
    eigenvalues, vectors = np.linalg.eigh(spread)
    kept = slice(k, None)
    return float(np.sum((vectors[:, kept].T @ rest) ** 2 / np.maximum(eigenvalues[kept], 1e-12)))


def _weight_factor(value: Uncertain, leverage: float) -> float:
    """Weights are estimates: a point whose scatter came out small by chance weighs too much and is believed too much. Meier 1953
    (Biometrics 9, 59) for weighted means, with the leverage in place of the share of the weight."""
    return float(np.sqrt(1 + 4 * max(0.0, 1 - leverage) / typical_dof([value])))
