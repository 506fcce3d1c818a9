"""Powers of a capture: quiet level, floor, and the mean over whole periods with what follows from it."""

from __future__ import annotations

import numpy as np

from labd.kpi.context import Context
from labd.kpi.energy import settling
from labd.kpi.estimate import NOT_RESOLVED, Estimate
from labd.kpi.events import TOO_LONG
from labd.kpi.readings import read_series
from labd.kpi.terms import Uncertain, latency, timebase, unknown_terms
from labd.kpi.type_a import evaluate
from labd.records import Mode
from labd.segment.edges import FloatArray

GAP = "gap"
BACK_FEED = "back_feed"
ACTIVITY = "activity at rate 0"
ABOVE_ONE = "above 1: bursts that are not one event each"
_FLOOR_BLOCKS = 100  # where there is no mains period to make blocks of


def quiet_id(mode: Mode) -> str:
    return "power.sleep" if mode.is_event else "power.idle"


def quiet(ctx: Context) -> None:
    """Power between the events: `power.idle` or `power.sleep`."""
    kpi = quiet_id(ctx.capture.point.mode)
    if ctx.guard is None or not ctx.guard.usable.any():
        ctx.withhold(kpi, "no quiet gap between events")
        return
    vectors = ctx.guard.quiet[ctx.guard.usable]
    hum = np.zeros(len(vectors)) if ctx.hum is None else ctx.hum.quiet_w(ctx.guard, ctx.guard.usable)
    value = ctx.of_power(vectors.mean(axis=0), timed=False) - float(hum.mean())
    ctx.add(kpi, value, series=ctx.watt(vectors) - hum, flags=(*_back_feed(ctx, vectors), *settling(ctx)))


def floor(ctx: Context) -> None:
    """Rate 0: mean over whole mains periods, Type A from their means. A negative value is not clipped."""
    sums, lengths = _blocks(ctx)
    if len(sums) < 2:
        ctx.withhold("power.floor", "too short")
        return
    vectors = sums / lengths[:, None]
    if ctx.capture.read:
        series, value = read_series(ctx)
    else:
        series, value = ctx.watt(vectors), ctx.of_power(vectors.mean(axis=0), timed=False)
    flags = (*_back_feed(ctx, vectors), *_activity(series))
    for kpi in ("power.floor", quiet_id(ctx.capture.point.mode)):
        ctx.add(kpi, value, series=series, flags=flags)


def _blocks(ctx: Context) -> tuple[FloatArray, FloatArray]:
    """Sums over blocks of one mains period (or of a hundredth of the record), and their lengths in records. Blocks with missing samples
    are left out only where the plan allows gaps; otherwise the caller has refused before."""
    trace = ctx.trace
    period = 1 / (ctx.capture.mains_hz * trace.dt_s) if ctx.capture.mains_hz > 0 else max(1.0, trace.records / _FLOOR_BLOCKS)
    period = max(1.0, period)  # a record that lasts longer than a mains period is one value, not several
    starts, stops = [], []
    for low, high in zip(trace.bounds[:-1].tolist(), trace.bounds[1:].tolist(), strict=True):
        edges = low + period * np.arange(int((high - low) / period) + 1)
        starts.append(edges[:-1])
        stops.append(edges[1:])
    start, stop = np.concatenate(starts), np.minimum(np.concatenate(stops), trace.records)
    whole = ~trace.lost(start, stop)
    return trace.between(start[whole], stop[whole]), (stop - start)[whole]


def _back_feed(ctx: Context, vectors: FloatArray) -> tuple[str, ...]:
    """Current that flows out of the DUT's supply, beyond its uncertainty, comes in through another pin."""
    series = ctx.ampere(vectors)
    if len(series) < 2 or float(series.mean()) >= 0:
        return ()
    found = evaluate(series)
    value = ctx.of_current(vectors.mean(axis=0), timed=False) + ctx.terms.random(f"A:{ctx.capture.key}:current", found.u, dof=found.dof)
    return (BACK_FEED,) if float(series.mean()) < -ctx.draws.half_width(value) else ()


def _activity(series: FloatArray) -> tuple[str, ...]:
    """Something woke up: single blocks far above the rest that weigh in the mean."""
    if len(series) < 8:
        return ()
    middle = float(np.median(series))
    spread = 1.4826 * float(np.median(np.abs(series - middle)))
    high = series[series > middle + 12 * spread]
    return (ACTIVITY,) if len(high) and float(np.sum(high - middle)) / len(series) > 2 * spread / np.sqrt(len(series)) else ()


def whole_periods(ctx: Context) -> None:
    """Mean power, rate, duty cycle and energy at rate, from whole periods cut in the flat part between bursts."""
    ids = ("power.mean", "inference_rate", "duty_cycle", "energy_per_inference.at_rate")
    reason = _no_periods(ctx)
    if reason:
        for kpi in ids:
            ctx.withhold(kpi, reason)
        return
    cuts, flags = _cuts(ctx)
    if len(cuts) < 3:
        for kpi in ids:
            ctx.withhold(kpi, "too few whole periods", n=max(0, len(cuts) - 1))
        return
    sums = np.diff(ctx.trace.at(cuts), axis=0)
    periods = np.diff(cuts)
    _mean(ctx, sums, periods, flags=flags)
    rate = _rate(ctx, cuts, flags=flags)
    at_rate = sums * ctx.trace.dt_s
    ctx.add("energy_per_inference.at_rate", ctx.of_power(at_rate.mean(axis=0), timed=True), series=ctx.watt(at_rate), flags=flags)
    _duty(ctx, rate, flags=flags)


def _no_periods(ctx: Context) -> str:
    if len(ctx.trace.bounds) > 2 and not ctx.capture.allow_gaps:
        return GAP
    if ctx.trace.missing[-1] and not ctx.capture.allow_gaps:
        return GAP
    if not ctx.events.complete:
        return "events missing"
    return "" if len(ctx.events) else "no events found"


def _cuts(ctx: Context) -> tuple[FloatArray, tuple[str, ...]]:
    """One cut a period, the same distance before each event, in the middle of the shortest flat part. With gaps: of the longest stretch."""
    events, trace = ctx.events, ctx.trace
    anchor = events.marks.start.x if events.marks is not None else events.rise.x
    stretch = trace.stretch_of(anchor)
    best = int(np.argmax(np.bincount(stretch, minlength=len(trace.bounds) - 1)))
    mine = stretch == best
    anchor, rise, fall = anchor[mine], events.rise.x[mine], events.fall.x[mine]
    lead = float(np.max(anchor - rise))
    flat = float(np.min(rise[1:] - fall[:-1])) if len(rise) > 1 else 0.0
    cuts = anchor - lead - max(flat, 0.0) / 2
    inside = cuts >= trace.bounds[best]
    flags = ("gap: longest stretch only",) if len(trace.bounds) > 2 else ()
    return cuts[inside], flags


def _mean(ctx: Context, sums: FloatArray, periods: FloatArray, *, flags: tuple[str, ...]) -> None:
    total = float(periods.sum())
    vector = sums.sum(axis=0) / total
    mean = float(ctx.watt(vector))
    series = mean + (ctx.watt(sums) - mean * periods) / float(periods.mean())
    ctx.add("power.mean", ctx.of_power(vector, timed=False), series=series, flags=flags)
    if ctx.guard is not None and ctx.guard.usable.any():
        _excess(ctx, sums, periods)


def _excess(ctx: Context, sums: FloatArray, periods: FloatArray) -> None:
    """Mean power above the quiet level of the same capture and range: what a sweep adds to a floor measured in a better range. Kept, not
    published."""
    assert ctx.guard is not None
    level = ctx.guard.quiet[ctx.guard.usable].mean(axis=0)
    above = sums - periods[:, None] * level
    vector = above.sum(axis=0) / float(periods.sum())
    series = ctx.watt(above) / float(periods.mean())
    found = evaluate(series)
    own = evaluate(ctx.watt(ctx.guard.quiet[ctx.guard.usable])) if int(ctx.guard.usable.sum()) > 1 else None
    value = ctx.of_power(vector, timed=False) + ctx.terms.random(f"A:{ctx.capture.key}:excess", found.u, dof=found.dof)
    if own is not None:
        value = value + ctx.terms.random(f"A:{ctx.capture.key}:excess.level", own.u, dof=own.dof)
    ctx.found.estimates["excess_power"] = Estimate("excess_power", ctx.at, value, len(series), ctx.flags)


def _rate(ctx: Context, cuts: FloatArray, *, flags: tuple[str, ...]) -> Uncertain:
    """Events over the time between the first and the last of them; the spread of single periods is the DUT's, not an error of the mean."""
    events = ctx.events
    span = float(cuts[-1] - cuts[0]) * ctx.trace.dt_s
    nominal = (len(cuts) - 1) / span
    u_edge = (events.marks.start if events.marks is not None else events.rise).u
    both = float(np.hypot(u_edge[0], u_edge[-1])) * ctx.trace.dt_s
    value = nominal + nominal * ctx.terms.random(f"A:{ctx.capture.key}:inference_rate", both / span, dof=1e6)
    value = value - timebase(ctx.terms, ctx.capture.meter, nominal)
    ctx.put(Estimate("inference_rate", ctx.at, value, len(cuts) - 1, (*flags, *ctx.flags)))
    return value


def _duty(ctx: Context, rate: Uncertain, *, flags: tuple[str, ...]) -> None:
    """Share of the time in which the DUT is active: inferring (always_on), or not at rest (event modes). A burst that is longer than any
    event of the board holds something else (it was awake for its host, or for several events), and tells no active time of one."""
    events, trace = ctx.events, ctx.trace
    series = (events.fall.x - events.rise.x) * trace.dt_s
    if TOO_LONG in ctx.flags:
        ctx.withhold("duty_cycle", TOO_LONG, n=len(series))
        return
    nominal = float(series.mean())
    active: Uncertain = nominal + timebase(ctx.terms, ctx.capture.meter, nominal)
    if events.pinned and not ctx.capture.point.mode.is_event:
        active = active + latency(ctx.terms, ctx.capture.meter, "end") - latency(ctx.terms, ctx.capture.meter, "start")
    else:
        active = active + ctx.terms.limit(f"{ctx.capture.meter.instrument}:burst_edge", trace.dt_s / 2)
    if len(series) >= 2:
        found = evaluate(series)
        active = active + ctx.terms.random(f"A:{ctx.capture.key}:active", found.u, dof=found.dof)
    reason = _no_duty(ctx, active * rate, scatter=len(series) >= 2)
    if reason:
        ctx.withhold("duty_cycle", reason, n=len(series), note=f"{float((active * rate).nominal_value):.3g} was found")
        return
    if len(series) >= 2:
        ctx.found.estimates["active_time"] = Estimate("active_time", ctx.at, active, len(series), ctx.flags)
    ctx.put(Estimate("duty_cycle", ctx.at, active * rate, len(series), (*flags, *ctx.flags)), scatter=len(series) >= 2)


def _no_duty(ctx: Context, duty: Uncertain, *, scatter: bool) -> str:
    """Why this is no duty cycle; empty where it is one."""
    if float(duty.nominal_value) > 1:
        return ABOVE_ONE
    unresolved = scatter and not unknown_terms(duty) and ctx.draws.half_width(duty) > float(duty.nominal_value)
    return NOT_RESOLVED if unresolved else ""
