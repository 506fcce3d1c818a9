"""Durations: latency at the pin and on the device's counter, and wake-up by phases; their means and quantiles."""

from __future__ import annotations

import math

import numpy as np

from labd.kpi.context import Context
from labd.kpi.distributions import normal_quantile, order_statistic_ranks, smallest_n_for_quantile
from labd.kpi.estimate import TERM_UNKNOWN, Estimate, unknown_note
from labd.kpi.events import lap_array
from labd.kpi.split import edge_delay
from labd.kpi.terms import Uncertain, parts, timebase, unknown_terms
from labd.records import KpiRecord, Provenance, Role
from labd.segment.edges import EdgeSeries, FloatArray
from labd.segment.laps import unwrap_rows

QUANTILES = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
METHOD_ORDER = "order statistics"


def latencies(ctx: Context) -> None:
    """latency.pin.* where the marker shows the inference, latency.dut_counter.* where the device told its laps."""
    marks = ctx.events.marks
    if marks is not None and ctx.events.pinned and len(marks):
        _durations(ctx, "latency.pin", marks.start, marks.end, names=("start", "end"), mean=".mean")
    if ctx.capture.laps:
        _counter(ctx)


def wake_ups(ctx: Context) -> None:
    """wake_up.total and .wake from the trigger that fires the DUT, .load between two marks, and their distribution over the events; without
    the event on the axis the current's rise to ready, which is a lower bound."""
    marks = ctx.events.marks
    if marks is None or marks.awake is None or marks.ready is None or not ctx.events.pinned or not len(marks):
        if ctx.capture.role is Role.EVENT and ctx.capture.point.mode.is_event:
            ctx.withhold("wake_up.total", "ready is not on the sample axis", note="a marker line recorded with the samples would show it")
        return
    event = _triggers(ctx, marks.start.x)
    if event is not None:
        _durations(ctx, "wake_up.total", event, marks.ready, names=("trigger", "ready"))
        _durations(ctx, "wake_up.wake", event, marks.awake, names=("trigger", "awake"))
    else:
        _durations(
            ctx,
            "wake_up.current_rise_to_ready",
            ctx.events.rise,
            marks.ready,
            names=("burst", "ready"),
            quantiles=False,
            note="a lower bound of wake-up",
        )
    _durations(ctx, "wake_up.load", marks.awake, marks.ready, names=("awake", "ready"))


def _triggers(ctx: Context, x: FloatArray) -> EdgeSeries | None:
    """Position of the wake event of each event, where the instrument fires the DUT."""
    stretches = ctx.capture.stretches
    if not ctx.capture.trigger_fires_dut or any(s.trigger_s is None for s in stretches):
        return None
    own = [low + ((s.trigger_s or 0.0) - s.t0_s) / s.dt_s for low, s in zip(ctx.trace.bounds.tolist(), stretches, strict=False)]
    chosen = np.array(own)[ctx.trace.stretch_of(x)]
    return EdgeSeries(chosen, np.zeros(len(x)))


def _durations(
    ctx: Context,
    kpi: str,
    start: EdgeSeries,
    end: EdgeSeries,
    *,
    names: tuple[str, str],
    mean: str = "",
    quantiles: bool = True,
    note: str = "",
) -> None:
    """mean: what the mean's id has after `kpi`."""
    series = (end.x - start.x) * ctx.trace.dt_s
    nominal = float(series.mean())
    shared = nominal + timebase(ctx.terms, ctx.capture.meter, nominal) + edge_delay(ctx, names[1]) - edge_delay(ctx, names[0])
    ctx.add(f"{kpi}{mean}", shared, series=series, note=note)
    ctx.found.per_event[kpi] = tuple(series.tolist())
    if quantiles:
        order_quantiles(ctx, kpi, series, shared - nominal)


def _counter(ctx: Context) -> None:
    """The device's own figure, in the instrument's seconds where both saw the same events."""
    laps = unwrap_rows(lap_array(ctx.capture))
    ticks = laps[:, 4] - laps[:, 3]
    if np.isnan(ticks).any():
        return
    series = ticks * 1e-6
    ratio = _clock_ratio(ctx, ticks)
    scale = float(ratio if isinstance(ratio, float) else ratio.nominal_value)
    series = series * scale
    nominal = float(series.mean())
    shared = nominal * (ratio / scale)
    if float(np.ptp(series)) == 0:
        shared = shared + ctx.terms.limit(f"{ctx.capture.key}:counter_step", 1e-6)
    ctx.add("latency.dut_counter.mean", shared, series=series, note=ctx.events.placing)
    ctx.found.per_event["latency.dut_counter"] = tuple(series.tolist())
    order_quantiles(ctx, "latency.dut_counter", series, shared - nominal)


def _clock_ratio(ctx: Context, ticks: FloatArray) -> Uncertain:
    """Instrument's seconds a second of the device: from the whole capture, else from the gates themselves, else the declared limit."""
    terms, key = ctx.terms, ctx.capture.key
    marks = ctx.events.marks
    if ctx.events.clock is not None:
        ratio = ctx.events.clock.rate * ctx.trace.dt_s * 1e6
        u = ctx.events.clock.u_rate
    elif marks is not None and ctx.events.pinned and len(marks) == len(ticks) and ticks.sum() > 0:
        lengths = marks.end.x - marks.start.x
        ratio = float(lengths.sum()) * ctx.trace.dt_s / (float(ticks.sum()) * 1e-6)
        u = float(np.hypot(marks.start.u.mean(), marks.end.u.mean())) / math.sqrt(len(ticks)) / float(lengths.mean())
        delays = (edge_delay(ctx, "end") - edge_delay(ctx, "start")) / (float(lengths.mean()) * ctx.trace.dt_s)
        return ratio * (1.0 + terms.random(f"A:{key}:device_clock", u, dof=1e6) + delays + timebase(terms, ctx.capture.meter, 1.0))
    else:
        return 1.0 + terms.limit(f"{key}:device_clock", ctx.capture.device_clock)
    return ratio * (1.0 + terms.random(f"A:{key}:device_clock", u, dof=1e6) + timebase(terms, ctx.capture.meter, 1.0))


def order_quantiles(ctx: Context, kpi: str, series: FloatArray, systematic: Uncertain) -> None:
    """Order-statistic intervals, widened by the systematic part; none where a term of that is unknown, as for the mean."""
    unknown = unknown_terms(systematic)
    wide = ctx.draws.half_width(systematic) if parts(systematic) and not unknown else 0.0
    ordered = np.sort(series)
    probe = Estimate(kpi, ctx.at, systematic, len(series))
    for name, p in QUANTILES:
        ranks = order_statistic_ranks(len(ordered), p)
        if ranks is None:
            ctx.withhold(f"{kpi}.{name}", f"needs n >= {smallest_n_for_quantile(p)}", n=len(series))
            continue
        low, high = float(ordered[ranks[0] - 1]) - wide, float(ordered[ranks[1] - 1]) + wide
        ctx.found.records.append(
            KpiRecord(
                id=f"{kpi}.{name}",
                at=ctx.at,
                value=float(ordered[max(0, math.ceil(p * len(ordered)) - 1)]),
                unit="s",
                u=None if unknown else math.hypot((high - low - 2 * wide) / (2 * normal_quantile(0.975)), probe.u),
                low=None if unknown else low,
                high=None if unknown else high,
                n=len(series),
                provenance=Provenance.MEASURED,
                method=METHOD_ORDER,
                captures=(ctx.capture.key,),
                flags=(*((TERM_UNKNOWN,) if unknown else ()), *ctx.flags),
                note=unknown_note(unknown),
            )
        )
