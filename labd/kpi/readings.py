"""Figures of steady readings: means only, for nothing is seen of what moves within a reading."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from labd.kpi.context import Context
from labd.kpi.estimate import Estimate
from labd.kpi.terms import Uncertain, past_the_dut, power_like, read_power
from labd.kpi.trace import moments
from labd.kpi.type_a import evaluate
from labd.segment.edges import FloatArray

RATE_AS_ASKED = "rate as the board was asked to keep it, not measured"
FEWEST = 2


@dataclass(frozen=True, slots=True)
class MeanSquare:
    """Mean of i squared (A^2), which heats leads and shunts and which a reading of mean current does not show: the middle of what it can
    be, and the limit of its error, None where it is not known."""

    middle: float
    half_width: float | None

    @property
    def most(self) -> float:
        return self.middle + (self.half_width or 0.0)


def mean_square(mean_a: float, of_means: float, peak_a: float | None) -> MeanSquare:
    """mean_a: mean current. of_means: mean of the squares of what was read (A^2), the least that it can be (the variance is not negative).
    peak_a: the most that ever flows; i squared never exceeds peak times i, so nor do their means. A mean above its peak makes it unknown.
    """
    if peak_a is None or abs(mean_a) > peak_a:
        return MeanSquare(of_means, None)
    most = max(of_means, peak_a * abs(mean_a))
    return MeanSquare((of_means + most) / 2, (most - of_means) / 2)


def read_series(ctx: Context) -> tuple[FloatArray, Uncertain]:
    """Power of each reading that has a value (float64 [n], W), and their mean with all instrument errors."""
    trace = ctx.trace
    x = np.arange(trace.records, dtype=np.float64)
    there = ~trace.lost(x, x + 1)
    vectors = trace.between(x[there], x[there] + 1)
    meter, r = ctx.capture.meter, trace.ranges
    mean = moments(vectors.mean(axis=0))
    square = mean_square(float(mean.i.sum()), mean.i2, ctx.capture.peak_a)
    if ctx.capture.power_w is None:
        value = power_like(ctx.terms, meter, moments=replace(mean, i2=square.middle), timed=False)
        return ctx.watt(vectors), value + _hidden(ctx, square)
    volts = vectors[:, r : 2 * r].sum(axis=1)
    series = ctx.capture.power_w[there] - volts * meter.fixture_leakage_mean_a - meter.lead_ohm * vectors[:, -1]
    value = read_power(ctx.terms, meter, float(series.mean())) - meter.lead_ohm * (square.middle - mean.i2)
    value = value + float(volts.mean()) * past_the_dut(ctx.terms, meter)
    value = value + square.middle * ctx.terms.limit(f"{meter.instrument}:burden_voltage", meter.burden_half_ohm)
    value = value + square.middle * ctx.terms.standard(f"{meter.instrument}:lead", meter.u_lead_ohm)
    return series, value + _hidden(ctx, square)


def _hidden(ctx: Context, square: MeanSquare) -> Uncertain:
    """What moves within the readings and so heats what lies in series. It is the same at every rate of a mode, more or less, and something
    else at rest. The resistances' own errors weigh with the most that the mean square can be: both may err at once."""
    meter, point = ctx.capture.meter, ctx.capture.point
    name = f"{meter.instrument}:within_reading.{point.mode}.{'work' if point.rate_hz > 0 else 'rest'}"
    burden = ctx.terms.limit(f"{meter.instrument}:burden_voltage", meter.burden_half_ohm)
    lead = ctx.terms.standard(f"{meter.instrument}:lead", meter.u_lead_ohm)
    if square.half_width is None:
        in_series = meter.series_ohm or meter.u_lead_ohm != 0 or meter.burden_half_ohm != 0
        return ctx.terms.limit(name, None) if in_series else 0.0
    return meter.series_ohm * ctx.terms.limit(name, square.half_width) + square.half_width * (burden + lead)


def read_mean(ctx: Context) -> None:
    """Mean power of a board at work, and energy at its rate."""
    ids = ("power.mean", "energy_per_inference.at_rate")
    if ctx.trace.records - int(ctx.trace.missing[-1]) < FEWEST:
        for kpi in ids:
            ctx.withhold(kpi, "too short")
        return
    series, value = read_series(ctx)
    ctx.add("power.mean", value, series=series)
    rate, found = ctx.capture.point.rate_hz, evaluate(series)
    if rate <= 0:
        return
    value = (value + ctx.terms.random(f"A:{ctx.capture.key}:power.mean", found.u, dof=found.dof)) / rate
    ctx.put(Estimate("energy_per_inference.at_rate", ctx.at, value, len(series), (RATE_AS_ASKED, *ctx.flags)))
