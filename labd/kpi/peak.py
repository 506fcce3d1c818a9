"""Peak power: the largest boxcar mean over a stated length, less what noise adds to a largest value."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from labd.kpi.context import Context
from labd.kpi.distributions import normal_quantile
from labd.kpi.estimate import NOT_RESOLVED, Estimate
from labd.segment.edges import FloatArray

_NEAR_SIGMAS = 6.0
_PER_LENGTH = 3.5  # sliding means over m boxcar lengths have the largest value of about 3.5 m independent ones (simulated, m = 2..100)
_SPREAD = 0.6  # standard deviation of that largest value, in standard deviations of one mean (simulated: 0.75..0.4)
_CHUNK = 1 << 18
_HIGH_SHARE = 0.7  # of the peak: records that count as near it


def tau_label(tau_s: float) -> str:
    """1e-3 -> `1ms`."""
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if tau_s >= scale * 0.9995:
            return f"{tau_s / scale:g}{unit}"
    return f"{tau_s / 1e-9:g}ns"


def peaks(ctx: Context) -> None:
    """One record a boxcar length; lengths under a record or three time constants are `not resolved`."""
    for tau in ctx.capture.peak_tau_s:
        kpi = f"power.peak[{tau_label(tau)}]"
        least = max(ctx.trace.dt_s, 3 * ctx.capture.meter.time_constant_s)
        width = tau / ctx.trace.dt_s
        if tau < least * (1 - 1e-9) or width > np.diff(ctx.trace.bounds).max():
            ctx.withhold(kpi, NOT_RESOLVED, note=f"a boxcar of at least {least:.3g} s is resolved here")
        else:
            _peak(ctx, kpi, width)


def _peak(ctx: Context, kpi: str, width: float) -> None:
    """The largest of n noisy means is high by the expected largest of n normals: taken off for the means close to the largest."""
    means = _boxcars(ctx, width)
    at = int(np.nanargmax(means))
    noise = _noise_w(ctx.trace.power, means[at])
    sigma = noise / math.sqrt(width)
    near = 1 + _PER_LENGTH * max(0.0, (float(np.sum(means > means[at] - _NEAR_SIGMAS * sigma)) - 1) / width)
    bias = sigma * normal_quantile((near - 0.375) / (near + 0.25))
    start = np.array([float(at)])
    vector = ctx.trace.between(start, start + width)[0] / width
    value = ctx.of_power(vector, timed=False) - bias
    value = value + ctx.terms.random(f"A:{ctx.capture.key}:{kpi}", _SPREAD * sigma, dof=1e6)
    seen_hz = bandwidth_hz(ctx.trace.dt_s, ctx.capture.meter.time_constant_s)
    note = f"seen with about {seen_hz:.3g} Hz (-3 dB); noise bias {bias:.2g} W taken off"
    ctx.put(Estimate(kpi, ctx.at, value, len(ctx.events) or 1, ctx.flags, note=note))


def bandwidth_hz(dt_s: float, time_constant_s: float) -> float:
    """Of what comes before the boxcar, -3 dB: means over records of dt_s (sinc: 0.443 / dt_s) behind the time constant of source, leads
    and decoupling (1 / (2 pi tau)), as the squares of rise times add. The instrument's own analogue bandwidth can only be less."""
    record_hz = 0.443 / dt_s
    return record_hz / math.hypot(1.0, 2 * math.pi * time_constant_s * record_hz)


def _noise_w(power: NDArray[np.float32], peak_w: float) -> float:
    """Standard deviation of one record near the peak: noise belongs to the range, and a sleeping level is on another one. From the
    differences of neighbours (their median is blind to the few steps between layers)."""
    high = power > _HIGH_SHARE * peak_w
    steps = np.diff(power)[high[1:] & high[:-1]].astype(np.float64)
    return float(np.median(np.abs(steps))) / (0.6745 * math.sqrt(2)) if len(steps) else 0.0


def _boxcars(ctx: Context, width: float) -> FloatArray:
    """Mean power over [k, k + width) for each record k, NaN where it would leave its stretch or touch a missing sample."""
    trace = ctx.trace
    whole, share = int(width), width - int(width)
    out = np.full(trace.records, np.nan)
    for low, high in zip(trace.bounds[:-1].tolist(), trace.bounds[1:].tolist(), strict=True):
        for first in range(low, max(low, high - whole - (share > 0) + 1), _CHUNK):
            last = min(first + _CHUNK, high - whole - (share > 0) + 1)
            part = trace.power[first : last + whole].astype(np.float64)
            total = np.concatenate(([0.0], np.cumsum(part)))
            means = total[whole : whole + last - first] - total[: last - first]
            out[first:last] = (means + (share * part[whole : whole + last - first] if share else 0.0)) / width
    out[trace.lost(np.arange(trace.records, dtype=np.float64), np.minimum(np.arange(trace.records) + width, trace.records))] = np.nan
    return out
