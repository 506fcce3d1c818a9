"""Energy and charge of an event: guard band over whole bursts, edge model for splits inside them."""

from __future__ import annotations

import numpy as np

from labd.kpi.context import Context
from labd.kpi.estimate import NOT_RESOLVED
from labd.kpi.guard import unsettled_w
from labd.kpi.terms import Uncertain, latency
from labd.records import Mode
from labd.segment.edges import QUANTISED_U, EdgeSeries, FloatArray

FEWEST_RECORDS = 10.0  # of a phase that is split inside a burst
FEWEST_EDGES = 5.0  # standard uncertainties of its edges
_LEVEL_S = 100e-6  # stretch before an edge in which its level is taken
_MOST_LEVEL_RECORDS = 8.0
NO_QUIET = "no quiet gap between events"
UNSETTLED = "quiet level not settled"


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
        _split(ctx)


def _ids(ctx: Context) -> tuple[str, ...]:
    kinds = ("gross", "net_of_sleep", "per_event") if ctx.capture.point.mode.is_event else ("gross", "net_of_idle")
    return (*(f"energy_per_inference.{kind}" for kind in kinds), "charge_per_inference")


def _always_on(ctx: Context) -> None:
    """gross = guard band with the idle level subtracted, plus the idle level times the window; net_of_idle without the last term."""
    assert ctx.guard is not None
    ok, dt = ctx.guard.usable, ctx.trace.dt_s / ctx.capture.inferences_per_event
    net, quiet = ctx.guard.net[ok] * dt, ctx.guard.quiet[ok]
    window = (ctx.events.fall.x - ctx.events.rise.x)[ok] * dt
    gross = net + window[:, None] * quiet
    p_idle = float(ctx.watt(quiet).mean()) / ctx.capture.inferences_per_event
    flags = _settling(ctx, float(ctx.watt(net).mean()))
    edges = _edge_terms(ctx, p_idle, -p_idle)
    _energy(ctx, "energy_per_inference.gross", gross, extra=edges, flags=flags)
    _energy(ctx, "energy_per_inference.net_of_idle", net, flags=flags)
    _charge(ctx, gross, flags=flags)


def _burst(ctx: Context) -> None:
    """net_of_sleep = guard band over the whole burst; per_event adds the sleep level while awake."""
    assert ctx.guard is not None
    ok, dt = ctx.guard.usable, ctx.trace.dt_s / ctx.capture.inferences_per_event
    net, quiet = ctx.guard.net[ok] * dt, ctx.guard.quiet[ok]
    awake = (ctx.events.fall.x - ctx.events.rise.x)[ok] * dt
    event = net + awake[:, None] * quiet
    flags = _settling(ctx, float(ctx.watt(net).mean()))
    p_sleep = float(ctx.watt(quiet).mean())
    edge = p_sleep * ctx.terms.limit(f"{ctx.capture.meter.instrument}:burst_edge", dt / 2)
    _energy(ctx, "energy_per_inference.net_of_sleep", net, flags=flags)
    _energy(ctx, "energy_per_inference.per_event", event, extra=edge, flags=flags)
    _charge(ctx, event, flags=flags)


def _energy(ctx: Context, kpi: str, vectors: FloatArray, *, extra: Uncertain = 0.0, flags: tuple[str, ...] = ()) -> None:
    series = ctx.watt(vectors)
    ctx.add(kpi, ctx.of_power(vectors.mean(axis=0), timed=True) + extra, series=series, flags=flags)
    ctx.found.per_event[kpi] = tuple(series.tolist())


def _charge(ctx: Context, vectors: FloatArray, *, flags: tuple[str, ...]) -> None:
    series = ctx.ampere(vectors)
    ctx.add("charge_per_inference", ctx.of_current(vectors.mean(axis=0), timed=True), series=series, flags=flags)
    ctx.found.per_event["charge_per_inference"] = tuple(series.tolist())


def _settling(ctx: Context, energy_j: float) -> tuple[str, ...]:
    """Flag a quiet level that is still moving after the guard: a second sleep state, a slower settling than stated."""
    assert ctx.guard is not None
    found = unsettled_w(ctx.trace, ctx.guard, lead_ohm=ctx.lead_ohm)
    if found is None:
        return ()
    difference, u, length = found
    return (UNSETTLED,) if abs(difference) > 4 * u and abs(difference) * length > 2e-4 * abs(energy_j) else ()


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


def locked_half_width(ctx: Context) -> float:
    """Half a record where edges are known to a record only and the trigger locks the DUT to the sampler: each event is rounded alike."""
    marks = ctx.events.marks
    if marks is None:
        return 0.0
    rounded = bool(len(marks)) and float(np.median(marks.start.u)) > 0.9 * QUANTISED_U
    return ctx.trace.dt_s / 2 if rounded and ctx.capture.trigger_fires_dut else 0.0


def load_side(ctx: Context, edge: EdgeSeries) -> tuple[FloatArray, FloatArray]:
    """Running sums on the load's side of a first-order path up to each edge, and the level at it (mean of one record), both [n, columns].

    The integral of the input up to t is that of the output plus tau times the output AT t (not next to it): the records before the edge
    carry that value, so the record that holds the edge is split with it."""
    whole = np.floor(edge.x)
    back = float(np.clip(np.floor(_LEVEL_S / ctx.trace.dt_s), 1, _MOST_LEVEL_RECORDS))
    first = np.maximum(whole - back, ctx.trace.bounds[ctx.trace.stretch_of(edge.x)])
    sums = ctx.trace.at(np.concatenate((whole, first))).reshape(2, len(whole), -1)
    level = (sums[0] - sums[1]) / np.maximum(whole - first, 1)[:, None]
    tau = ctx.capture.meter.time_constant_s / ctx.trace.dt_s
    return sums[0] + (edge.x - whole + tau)[:, None] * level, level


def _split(ctx: Context) -> None:
    """The inference inside the burst, and the phases around it."""
    marks = ctx.events.marks
    assert ctx.guard is not None
    if marks is None:
        ctx.withhold("energy_per_inference.gross", NOT_RESOLVED, note="no mark shows where the inference lies inside the burst")
        return
    ok = ctx.guard.usable
    edges = {
        name: e.take(ok) for name, e in (("awake", marks.awake), ("ready", marks.ready), ("start", marks.start), ("end", marks.end)) if e
    }
    cut = {name: load_side(ctx, e) for name, e in edges.items()}
    infer = cut["end"][0] - cut["start"][0]
    _part(ctx, "energy_per_inference.gross", infer, edges=[edges["start"], edges["end"]], names=["start", "end"], cut=cut, net=False)
    _part(ctx, "phase_energy.infer", infer, edges=[edges["start"], edges["end"]], names=["start", "end"], cut=cut, net=False)
    quiet = ctx.guard.quiet[ok]
    outer = ctx.trace.at(np.concatenate((ctx.guard.start[ok], ctx.guard.stop[ok]))).reshape(2, int(ok.sum()), -1)
    rise, fall = ctx.events.rise.take(ok), ctx.events.fall.take(ok)
    ahead = (rise.x - ctx.guard.start[ok])[:, None] * quiet
    behind = (ctx.guard.stop[ok] - fall.x)[:, None] * quiet
    tail = outer[1] - cut["end"][0] - behind
    _part(ctx, "phase_energy.tail", tail, edges=[edges["end"], fall], names=["end"], cut=cut, net=True)
    if "awake" in edges and "ready" in edges and ctx.capture.point.mode == Mode.EVENT_RELOAD:
        wake = cut["awake"][0] - outer[0] - ahead + cut["start"][0] - cut["ready"][0]
        load = cut["ready"][0] - cut["awake"][0]
        _part(ctx, "phase_energy.wake", wake, edges=[rise, edges["awake"]], names=["awake", "ready", "start"], cut=cut, net=True)
        _part(ctx, "phase_energy.load", load, edges=[edges["awake"], edges["ready"]], names=["awake", "ready"], cut=cut, net=False)
    else:
        wake = cut["start"][0] - outer[0] - ahead
        _part(ctx, "phase_energy.wake", wake, edges=[rise, edges["start"]], names=["start"], cut=cut, net=True)


def _part(
    ctx: Context,
    kpi: str,
    vectors: FloatArray,
    *,
    edges: list[EdgeSeries],
    names: list[str],
    cut: dict[str, tuple[FloatArray, FloatArray]],
    net: bool,
) -> None:
    """One phase. names: edges whose displacement moves energy between this phase and its neighbour, in time order; the last one ends it
    unless it is the only one of a tail. The energy that crosses an edge is the step there times its displacement, and enters the
    neighbour with the opposite sign because both name the same error."""
    length = float(np.mean(edges[1].x - edges[0].x))
    u_edge = float(np.sqrt(np.mean(edges[0].u ** 2) + np.mean(edges[1].u ** 2)))
    if length < FEWEST_RECORDS or length < FEWEST_EDGES * u_edge:
        ctx.withhold(kpi, NOT_RESOLVED, n=len(vectors), note=f"{length:.1f} records long, edges known to {u_edge:.2g} records")
        return
    scaled = vectors * (ctx.trace.dt_s / ctx.capture.inferences_per_event)
    extra: Uncertain = 0.0
    tau_w = 0.0
    for name in names:
        sign = 1.0 if _ends(kpi, name) else -1.0
        level = float(ctx.watt(cut[name][1]).mean())
        tau_w += sign * level
        extra += _displaced(ctx, name, sign=sign, level_w=level)
    extra += tau_w * ctx.terms.standard(f"{ctx.capture.meter.instrument}:time_constant", ctx.capture.meter.u_time_constant_s)
    series = ctx.watt(scaled)
    ctx.add(kpi, ctx.of_power(scaled.mean(axis=0), timed=True) + extra / ctx.capture.inferences_per_event, series=series)
    ctx.found.per_event[kpi] = tuple(series.tolist())


def _ends(kpi: str, name: str) -> bool:
    """Does this phase end at this edge (True) or begin there?"""
    return {"wake": name in ("awake", "start"), "load": name == "ready", "tail": False}.get(kpi.rpartition(".")[2], name == "end")


def _displaced(ctx: Context, name: str, *, sign: float, level_w: float) -> Uncertain:
    """Energy moved by a systematic displacement of an edge: the step of power there times the displacement."""
    meter, terms = ctx.capture.meter, ctx.terms
    step = sign * _power_after(ctx, name, level_w)
    value = step * latency(terms, meter, name) if ctx.events.pinned else 0.0
    lock = locked_half_width(ctx)
    if lock:
        value += step * terms.limit(f"{meter.instrument}:record.{name}", lock)
    if ctx.events.clock is not None and not ctx.events.pinned:
        offset = ctx.terms.standard(f"{ctx.capture.key}:placement", ctx.events.clock.u_x * ctx.trace.dt_s)
        value += step * offset  # all text marks of a capture are displaced together
    return value


def _power_after(ctx: Context, name: str, level_w: float) -> float:
    """The step at an edge: level a few records after it less the level before it."""
    marks = ctx.events.marks
    assert marks is not None
    edge = {"awake": marks.awake, "ready": marks.ready, "start": marks.start, "end": marks.end}[name]
    assert edge is not None
    settle = np.ceil(5 * ctx.capture.meter.time_constant_s / ctx.trace.dt_s) + 1
    first = np.minimum(np.floor(edge.x) + settle, ctx.trace.records - 1.0)
    after = ctx.trace.between(first, first + 1)
    return float(ctx.watt(after).mean()) - level_w
