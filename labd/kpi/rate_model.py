"""Mean power against rate: a weighted straight line whose uncertainty keeps the errors that all points share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labd.kpi.least_squares import fit_linear
from labd.kpi.terms import Uncertain

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
    """Weighted least squares (labd.kpi.least_squares). Raises NeedsRateZeroError without a point at rate 0, ValueError with one rate
    only."""
    r = np.asarray(rates, dtype=np.float64)
    if not np.any(r == 0):
        raise NeedsRateZeroError("a rate fit needs a point at rate 0: without it the floor is not seen")
    if len(np.unique(r)) < 2:
        raise ValueError("a rate fit needs two different rates or more")
    fit = fit_linear(np.stack((np.ones_like(r), r), axis=1), powers)
    flags = (TWO_RATES,) if len(np.unique(r)) == 2 else ()
    floor, slope = fit.coefficients
    return Line(floor, slope, fit.chi2_per_dof, fit.dof, (*flags, *fit.flags))
