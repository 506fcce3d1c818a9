"""Energy and charge of an event by guard bands over whole bursts."""

from __future__ import annotations

import numpy as np

from labd.kpi.context import Context
from labd.kpi.guard import unsettled_w
from labd.kpi.split import HUM_OFF, locked_half_width, split
from labd.kpi.terms import Uncertain, latency
from labd.kpi.trace import moments
from labd.records import Mode
from labd.segment.edges import FloatArray

NO_QUIET = "no quiet gap between events"
UNSETTLED = "quiet level not settled"
_HIGH = 0.95  # quantile of the power in a burst
_MATERIAL = 2e-4  # share of the energy that the movement must reach to be worth a flag


def energies(ctx: Context) -> None:
    """Every energy kind that this capture's mode and marks can give, and the charge."""
    if ctx.guard is None or int(ctx.guard.usable.sum()) < 1:
        for kpi in _ids(ctx):
            ctx.withhold(kpi, NO_QUIET if len(ctx.events) else "no events found")
        return
    if ctx.capture.point.mode == Mode.ALWAYS_ON:
        _always_on(ctx)
    else:
        _burst(ctx)
        split(ctx)


def _ids(ctx: Context) -> tuple[str, ...]:
    kinds = ("gross", "net_of_sleep", "per_event") if ctx.capture.point.mode.is_event else ("gross", "net_of_idle")
    return (*(f"energy_per_inference.{kind}" for kind in kinds), "charge_per_inference")


def dead_time(ctx: Context) -> Uncertain:
    """Energy (J) that the pauses between apertures hide at the two ends of a burst. The trigger locks the DUT to the sampler, so that each
    event is cut alike and no scatter tells. Bounded by half a pause at the power that most of the burst stays below."""
    meter = ctx.capture.meter
    if not meter.dead_s or not ctx.capture.trigger_fires_dut or ctx.guard is None:
        return 0.0
    events, ok = ctx.events, ctx.guard.usable
    spans = zip(events.rise.x[ok].astype(np.int64), np.ceil(events.fall.x[ok]).astype(np.int64), strict=True)
    high = float(np.quantile(np.concatenate([ctx.trace.power[a:b] for a, b in spans]), _HIGH))
    step_w = high - float(ctx.watt(ctx.guard.quiet[ok]).mean())
    return sum(step_w * ctx.terms.limit(f"{meter.instrument}:dead_time.{edge}", meter.dead_s / 2) for edge in ("rise", "fall"))


def _always_on(ctx: Context) -> None:
    """gross = guard band with the idle level subtracted, plus the idle level times the window; net_of_idle without the last term."""
    assert ctx.guard is not None
    ok, dt = ctx.guard.usable, ctx.trace.dt_s
    net, quiet = ctx.guard.net[ok] * dt, ctx.guard.quiet[ok]
    window = (ctx.events.fall.x - ctx.events.rise.x)[ok] * dt
    gross = net + window[:, None] * quiet
    p_idle = float(ctx.watt(quiet).mean())
    flags = settling(ctx)
    edges = _edge_terms(ctx, p_idle, -p_idle) if ctx.events.pinned else _burst_edge(ctx, p_idle)
    dead = dead_time(ctx)
    hum, hum_quiet = _hum(ctx)
    hum_gross = hum + window * hum_quiet
    _energy(ctx, "energy_per_inference.gross", gross, extra=edges + dead, flags=flags, hum=hum_gross)
    _energy(ctx, "energy_per_inference.net_of_idle", net, extra=dead, flags=flags, hum=hum)
    _charge(ctx, gross, flags=flags, hum=hum_gross)


def _burst(ctx: Context) -> None:
    """net_of_sleep = guard band over the whole burst; per_event adds the sleep level while awake."""
    assert ctx.guard is not None
    ok, dt = ctx.guard.usable, ctx.trace.dt_s
    net, quiet = ctx.guard.net[ok] * dt, ctx.guard.quiet[ok]
    awake = (ctx.events.fall.x - ctx.events.rise.x)[ok] * dt
    event = net + awake[:, None] * quiet
    flags = settling(ctx)
    p_sleep = float(ctx.watt(quiet).mean())
    edge = _burst_edge(ctx, p_sleep)
    dead = dead_time(ctx)
    hum, hum_quiet = _hum(ctx)
    hum_event = hum + awake * hum_quiet
    _energy(ctx, "energy_per_inference.net_of_sleep", net, extra=dead, flags=flags, hum=hum)
    _energy(ctx, "energy_per_inference.per_event", event, extra=edge + dead, flags=flags, hum=hum_event)
    _charge(ctx, event, flags=flags, hum=hum_event)


def _hum(ctx: Context) -> tuple[FloatArray, FloatArray]:
    """What mains hum adds to the net energy of each usable event (J) and to its quiet level (W)."""
    assert ctx.guard is not None
    ok = ctx.guard.usable
    if ctx.hum is None:
        return np.zeros(int(ok.sum())), np.zeros(int(ok.sum()))
    quiet = ctx.hum.quiet_w(ctx.guard, ok)
    start, stop = ctx.guard.start[ok], ctx.guard.stop[ok]
    net = ctx.hum.energy(start, stop, ok) - (stop - start) * ctx.trace.dt_s * quiet
    return net, quiet


def _energy(ctx: Context, kpi: str, vectors: FloatArray, *, hum: FloatArray, extra: Uncertain = 0.0, flags: tuple[str, ...] = ()) -> None:
    series = ctx.watt(vectors) - hum
    value = ctx.of_power(vectors.mean(axis=0), timed=True) - float(hum.mean())
    ctx.add(kpi, value + extra, series=series, flags=flags, note=_hum_note(ctx))
    ctx.found.per_event[kpi] = tuple(series.tolist())


def _hum_note(ctx: Context) -> str:
    return "" if ctx.hum is None else HUM_OFF


def _charge(ctx: Context, vectors: FloatArray, *, flags: tuple[str, ...], hum: FloatArray) -> None:
    assert ctx.guard is not None
    quiet = moments(ctx.guard.quiet[ctx.guard.usable].mean(axis=0))
    humming = hum / float(quiet.v.sum() / quiet.n.sum())
    series = ctx.ampere(vectors) - humming
    value = ctx.of_current(vectors.mean(axis=0), timed=True) - float(humming.mean())
    ctx.add("charge_per_inference", value, series=series, flags=flags, note=_hum_note(ctx))
    ctx.found.per_event["charge_per_inference"] = tuple(series.tolist())


def settling(ctx: Context) -> tuple[str, ...]:
    """Flag a quiet level that is still moving after the guard: a second sleep state, a slower settling than stated."""
    found = None if ctx.guard is None else unsettled_w(ctx.trace, ctx.guard, lead_ohm=ctx.lead_ohm)
    if ctx.guard is None or found is None:
        return ()
    difference, u, length = found
    energy_j = float(ctx.watt(ctx.guard.net[ctx.guard.usable]).mean()) * ctx.trace.dt_s
    return (UNSETTLED,) if abs(difference) > 4 * u and abs(difference) * length > _MATERIAL * abs(energy_j) else ()


def _burst_edge(ctx: Context, level_w: float) -> Uncertain:
    """Energy at the level around a burst that its edges, which no line tells, may take in too much: up to half a record of it."""
    return level_w * ctx.terms.limit(f"{ctx.capture.meter.instrument}:burst_edge", ctx.trace.dt_s / 2)


def _edge_terms(ctx: Context, start_w: float, end_w: float) -> Uncertain:
    """Energy that a systematic displacement of the start and the end edge moves out of a window (powers: step at each edge, signed)."""
    meter, terms = ctx.capture.meter, ctx.terms
    value = start_w * latency(terms, meter, "start") + end_w * latency(terms, meter, "end")
    lock = locked_half_width(ctx)
    return (
        value
        + start_w * terms.limit(f"{meter.instrument}:record.start", lock)
        + end_w * terms.limit(f"{meter.instrument}:record.end", lock)
    )
