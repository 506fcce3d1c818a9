"""The straight line of mean power over rate, at any rate, with its band."""

from __future__ import annotations

import math

from labd.records import KpiRecord, Provenance
from labd.report.data import RateCurve, RateFit
from labd.report.numbers import value_of


def half_band(fit: RateFit, rate_hz: float) -> float | None:
    """Half the 95 % band of the fitted mean power at a rate, in W: k sqrt(u(a)^2 + 2 r cov(a, b) + r^2 u(b)^2); None when u is unknown."""
    u_floor, u_slope = fit.floor.u, fit.incremental.u
    if u_floor is None or u_slope is None:
        return None
    variance = u_floor**2 + 2 * rate_hz * fit.covariance_wj + (rate_hz * u_slope) ** 2
    return fit.coverage_factor * math.sqrt(max(variance, 0.0))


def on_line(curve: RateCurve, rate_hz: float) -> KpiRecord | None:
    """Mean power at a rate as a figure; None without a line."""
    fit = curve.fit
    if fit is None:
        return None
    floor, slope = value_of(fit.floor), value_of(fit.incremental)
    if floor is None or slope is None:
        return None
    value, half = floor + slope * rate_hz, half_band(fit, rate_hz)
    method = "straight line through mean power over rate"
    if half is None:
        flags = tuple(dict.fromkeys((*fit.floor.flags, *fit.incremental.flags)))
        return KpiRecord("power.mean", curve.key, value, "W", None, None, None, fit.floor.n, Provenance.COMPUTED, method, flags=flags)
    u = half / fit.coverage_factor
    return KpiRecord("power.mean", curve.key, value, "W", u, value - half, value + half, fit.floor.n, Provenance.COMPUTED, method)
