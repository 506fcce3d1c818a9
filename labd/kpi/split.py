"""Splits inside a burst: the inference and the phases around it, by the edge model of a first-order path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from labd.kpi.context import Context
from labd.kpi.estimate import NOT_RESOLVED, Estimate
from labd.kpi.events import BY_BURSTS
from labd.kpi.terms import Uncertain, latency, timebase
from labd.kpi.type_a import evaluate
from labd.records import Mode
from labd.segment.edges import QUANTISED_U, EdgeSeries, FloatArray

FEWEST_RECORDS = 10.0  # of a phase that is split inside a burst
FEWEST_EDGES = 5.0  # standard uncertainties of its edges
TAU_DISAGREES = "time constant disagrees with the trace"
HUM_OFF = "mains hum taken off"
LOAD_NOT_MARKED = "the load is not marked in this capture"
_LEVEL_S = 100e-6  # stretch before an edge in which its level is taken
_MOST_LEVEL_RECORDS = 8.0
_FLAT_SHARE = 0.02  # of the step at an edge: what a level may change from one stretch to the next
_MATERIAL = 1.5e-3  # share of the inference's energy that a wrong time constant must move to be worth a flag


@dataclass(frozen=True, slots=True)
class Cut:
    """One kind of edge in all usable events. sums: running sums on the load's side up to it; level: mean of one record at it; both
    float64 [n, columns]. step_w: mean step of power there."""

    name: str
    edge: EdgeSeries
    sums: FloatArray
    level: FloatArray
    level_w: float
    step_w: float


@dataclass(frozen=True, slots=True)
class Part:
    """One phase: its sums [n, columns], what it lies between (the first span decides whether it is resolved) and the cuts that bound it,
    each with +1 where the phase ends there and -1 where it begins."""

    kpi: str
    sums: FloatArray
    spans: tuple[tuple[EdgeSeries, EdgeSeries], ...]
    cuts: tuple[tuple[Cut, float], ...]


def split(ctx: Context) -> None:
    """Publish `gross` and the phases of an event mode, or why they are not resolved."""
    if ctx.events.marks is None or ctx.guard is None:
        ctx.withhold("energy_per_inference.gross", NOT_RESOLVED, note="no mark shows where the inference lies inside the burst")
        return
    ok = ctx.guard.usable
    cuts = _cuts(ctx, ok)
    flags = (TAU_DISAGREES,) if _tau_disagrees(ctx, cuts["start"], cuts["end"], ctx.events.fall.take(ok)) else ()
    parts = _parts(ctx, {name: _flatter(ctx, cut) for name, cut in cuts.items()}, ok)
    for part in parts:
        _publish(ctx, part, ok, flags=flags)
    _keep_what_a_time_out_weighs(ctx, {name: _flatter(ctx, cut) for name, cut in cuts.items()}, ok)
    if all(part.kpi != "phase_energy.wake" for part in parts):
        ctx.withhold("phase_energy.wake", LOAD_NOT_MARKED, n=int(ok.sum()))


def locked_half_width(ctx: Context) -> float:
    """Half a record where edges are known to a record only and the trigger locks the DUT to the sampler: each event is rounded alike."""
    marks = ctx.events.marks
    if marks is None:
        return 0.0
    rounded = bool(len(marks)) and float(np.median(marks.start.u)) > 0.9 * QUANTISED_U
    return ctx.trace.dt_s / 2 if rounded and ctx.capture.trigger_fires_dut else 0.0


def _cuts(ctx: Context, ok: NDArray[np.bool_]) -> dict[str, Cut]:
    marks = ctx.events.marks
    assert marks is not None
    named = (("awake", marks.awake), ("ready", marks.ready), ("start", marks.start), ("end", marks.end))
    return {name: _cut(ctx, name, edge.take(ok)) for name, edge in named if edge is not None}


def _cut(ctx: Context, name: str, edge: EdgeSeries) -> Cut:
    """The integral of the load up to t is that of the record plus tau times the output AT t (not next to it). The records before the edge
    carry that value, so the record that holds the edge is divided with it."""
    trace = ctx.trace
    tau = ctx.capture.meter.time_constant_s / trace.dt_s
    whole = np.floor(edge.x)
    back = float(np.clip(np.floor(_LEVEL_S / trace.dt_s), 1, _MOST_LEVEL_RECORDS))
    first = np.maximum(whole - back, trace.bounds[trace.stretch_of(edge.x)])
    later = np.minimum(whole + np.ceil(5 * tau) + 1, trace.records - 1.0)
    sums = trace.at(np.concatenate((whole, first, later, later + 1))).reshape(4, len(whole), -1)
    level = (sums[0] - sums[1]) / np.maximum(whole - first, 1)[:, None]
    level_w = float(ctx.watt(level).mean())
    step_w = float(ctx.watt(sums[3] - sums[2]).mean()) - level_w
    return Cut(name, edge, sums[0] + (edge.x - whole + tau)[:, None] * level, level, level_w, step_w)


def _flatter(ctx: Context, cut: Cut) -> Cut:
    """The same edge, divided with the level on the side where it is a level: a phase shorter than a few records has none. After the edge
    means after the supply has settled; that side is preferred at the end of an inference, whose last layers may be shorter than a record
    and yet look level, while the tail is flat."""
    trace, x = ctx.trace, cut.edge.x
    tau = ctx.capture.meter.time_constant_s / trace.dt_s
    width = float(np.clip(np.floor(_LEVEL_S / trace.dt_s), 1, _MOST_LEVEL_RECORDS))
    settled = np.floor(x) + 1 + np.ceil(5 * tau)
    before, after = _levels(ctx, np.floor(x) - 2 * width, width), _levels(ctx, settled, width)
    rough_before, rough_after = (abs(float(np.mean(ctx.watt(side[1] - side[0])))) for side in (before, after))
    flat_after = cut.name == "end" and rough_after < _FLAT_SHARE * abs(cut.step_w)
    if rough_before <= rough_after and not flat_after:
        return cut
    level = after[0]
    sums = trace.at(np.minimum(settled, float(trace.records))) + (x - settled + tau)[:, None] * level
    return replace(cut, sums=sums, level=level, level_w=float(ctx.watt(level).mean()))


def _levels(ctx: Context, start: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Mean of one record over two neighbouring stretches of `width` records from `start` on, float64 [n, columns] each."""
    edges = np.clip(start + width * np.arange(3)[:, None], 0.0, float(ctx.trace.records))
    sums = ctx.trace.at(edges.ravel()).reshape(3, len(start), -1)
    return (sums[1] - sums[0]) / width, (sums[2] - sums[1]) / width


def _parts(ctx: Context, cuts: Mapping[str, Cut], ok: NDArray[np.bool_]) -> list[Part]:
    """The inference and, with the quiet level taken off outside the burst, what is before and after it; without the wake where a load that
    no mark tells apart lies in it."""
    start, end = cuts["start"], cuts["end"]
    rise, fall = ctx.events.rise.take(ok), ctx.events.fall.take(ok)
    ahead, behind = _around(ctx, ok)
    infer = Part("phase_energy.infer", end.sums - start.sums, ((start.edge, end.edge),), ((start, -1.0), (end, 1.0)))
    gross = Part("energy_per_inference.gross", infer.sums, infer.spans, infer.cuts)
    tail = Part("phase_energy.tail", behind - end.sums, ((end.edge, fall),), ((end, -1.0),))
    loads = ctx.capture.point.mode == Mode.EVENT_RELOAD
    if loads and not {"awake", "ready"} <= cuts.keys():
        return [gross, infer, tail]
    if not loads:
        wake = Part("phase_energy.wake", start.sums - ahead, ((rise, start.edge),), ((start, 1.0),))
        return [gross, infer, tail, wake]
    awake, ready = cuts["awake"], cuts["ready"]
    load = Part("phase_energy.load", ready.sums - awake.sums, ((awake.edge, ready.edge),), ((awake, -1.0), (ready, 1.0)))
    wake = Part(
        "phase_energy.wake",
        awake.sums - ahead + start.sums - ready.sums,
        ((rise, awake.edge), (ready.edge, start.edge)),
        ((awake, 1.0), (ready, -1.0), (start, 1.0)),
    )
    return [gross, infer, tail, wake, load]


def _around(ctx: Context, ok: NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Sums up to the rise and to the fall of each burst, float64 [n, columns], the guards outside of it at the quiet level."""
    assert ctx.guard is not None
    start, stop, quiet = ctx.guard.start[ok], ctx.guard.stop[ok], ctx.guard.quiet[ok]
    region = ctx.trace.at(np.concatenate((start, stop))).reshape(2, int(ok.sum()), -1)
    ahead = region[0] + (ctx.events.rise.take(ok).x - start)[:, None] * quiet
    behind = region[1] - (stop - ctx.events.fall.take(ok).x)[:, None] * quiet
    return ahead, behind


def _keep_what_a_time_out_weighs(ctx: Context, cuts: Mapping[str, Cut], ok: NDArray[np.bool_]) -> None:
    """Energies and times of waking (until ready, a load included), serving (ready to the end of the inference: what a follow-up takes as
    well) and tail, from the marks of ready; kept, not published."""
    if "ready" not in cuts:
        return
    ready, end = cuts["ready"], cuts["end"]
    rise, fall = ctx.events.rise.take(ok), ctx.events.fall.take(ok)
    ahead, behind = _around(ctx, ok)
    for name, sums, span, bounds in (
        ("waking", ready.sums - ahead, (rise, ready.edge), ((ready, 1.0),)),
        ("serving", end.sums - ready.sums, (ready.edge, end.edge), ((ready, -1.0), (end, 1.0))),
        ("tail", behind - end.sums, (end.edge, fall), ((end, -1.0),)),
    ):
        part = Part(f"part_energy.{name}", sums, (span,), bounds)
        if not _unresolved(part):
            _keep(ctx, part, ok)


def _keep(ctx: Context, part: Part, ok: NDArray[np.bool_]) -> None:
    value, joules = _energy_of(ctx, part, ok)
    first, last = part.spans[0]
    seconds = (last.x - first.x) * ctx.trace.dt_s
    nominal = float(seconds.mean())
    lasts: Uncertain = nominal + timebase(ctx.terms, ctx.capture.meter, nominal)
    lasts += sum(sign * edge_delay(ctx, cut.name) for cut, sign in part.cuts)
    lasts += 0.0 if len(part.cuts) == 2 else -part.cuts[0][1] * edge_delay(ctx, "burst")
    name = part.kpi.removeprefix("part_energy.")
    for kpi, mean, series in ((part.kpi, value, joules), (f"part_time.{name}", lasts, seconds)):
        if len(series) >= 2:
            found = evaluate(series)
            scatter = ctx.terms.random(f"A:{ctx.capture.key}:{kpi}", found.u, dof=found.dof)
            ctx.found.estimates[kpi] = Estimate(kpi, ctx.at, mean + scatter, len(series), ctx.flags)


def edge_delay(ctx: Context, name: str) -> Uncertain:
    """Systematic displacement (s) of one kind of edge."""
    terms, meter = ctx.terms, ctx.capture.meter
    if name == "burst":
        return terms.limit(f"{meter.instrument}:burst_edge", ctx.trace.dt_s / 2) + terms.standard(
            f"{meter.instrument}:time_constant", meter.u_time_constant_s
        )
    value = latency(terms, meter, name)
    return value if name == "trigger" else value + terms.limit(f"{meter.instrument}:record.{name}", locked_half_width(ctx))


def _unresolved(part: Part) -> str:
    """Why a phase is not resolved; empty where it is."""
    first, last = part.spans[0]
    length = float(np.mean(last.x - first.x))
    u_edge = float(np.sqrt(np.mean(first.u**2) + np.mean(last.u**2)))
    short = length < FEWEST_RECORDS or length < FEWEST_EDGES * u_edge
    return f"{length:.1f} records long, edges known to {u_edge:.2g} records" if short else ""


def _publish(ctx: Context, part: Part, ok: NDArray[np.bool_], *, flags: tuple[str, ...]) -> None:
    if note := _unresolved(part):
        ctx.withhold(part.kpi, NOT_RESOLVED, n=len(part.sums), note=note)
        return
    value, series = _energy_of(ctx, part, ok)
    notes = ("" if ctx.hum is None else HUM_OFF, "" if ctx.events.pinned else ctx.events.placing)
    ctx.add(part.kpi, value, series=series, flags=flags, note="; ".join(filter(None, notes)))
    ctx.found.per_event[part.kpi] = tuple(series.tolist())


def _energy_of(ctx: Context, part: Part, ok: NDArray[np.bool_]) -> tuple[Uncertain, FloatArray]:
    """The mean with its shared errors, and one value an event (J)."""
    vectors = part.sums * ctx.trace.dt_s
    hum = np.zeros(len(vectors))
    if ctx.hum is not None:
        hum = np.sum([ctx.hum.energy(a.x, b.x, ok) for a, b in part.spans], axis=0)
    moved = sum(_displaced(ctx, cut, sign) for cut, sign in part.cuts)
    tau_w = sum(sign * cut.level_w for cut, sign in part.cuts)
    moved = moved + tau_w * ctx.terms.standard(f"{ctx.capture.meter.instrument}:time_constant", ctx.capture.meter.u_time_constant_s)
    return ctx.of_power(vectors.mean(axis=0), timed=True) - float(hum.mean()) + moved, ctx.watt(vectors) - hum


def _displaced(ctx: Context, cut: Cut, sign: float) -> Uncertain:
    """Energy that a systematic displacement of an edge moves into or out of a phase: the step there times the displacement. The neighbour
    gets the opposite sign of the same variable."""
    meter, terms, step = ctx.capture.meter, ctx.terms, sign * cut.step_w
    value: Uncertain = step * latency(terms, meter, cut.name) if ctx.events.pinned else 0.0
    value = value + step * terms.limit(f"{meter.instrument}:record.{cut.name}", locked_half_width(ctx))
    if ctx.capture.trigger_fires_dut:
        value = value + step * terms.limit(f"{meter.instrument}:dead_time.{cut.name}", meter.dead_s / 2)
    if ctx.events.clock is None or ctx.events.pinned:
        return value
    u_s = float(np.median(cut.edge.u)) * ctx.trace.dt_s  # all text marks of a capture are displaced together
    name = f"{ctx.capture.key}:placement"
    if ctx.events.placing == BY_BURSTS:  # rounded to records
        return value + step * terms.standard(name, u_s)
    return value + step * terms.random(name, u_s, dof=1e6)


def _tau_disagrees(ctx: Context, start: Cut, end: Cut, fall: EdgeSeries) -> bool:
    """The area under the step down at the end of the inference over its height is the time constant that the trace itself shows. An unknown
    latency of the marks could be all of a difference."""
    meter, dt = ctx.capture.meter, ctx.trace.dt_s
    tau = meter.time_constant_s / dt
    width = float(np.ceil(max(3.0, 10 * tau)))
    if not ctx.events.pinned or meter.trigger_latency_s is None or len(fall) < 3 or float(np.min(fall.x - end.edge.x)) < 2 * width + 2:
        return False
    sums = ctx.trace.at(np.concatenate((end.edge.x + width, end.edge.x + 2 * width))).reshape(2, len(fall), -1)
    after = ctx.watt(sums[1] - sums[0]) / width
    height = ctx.watt(end.level) - after
    area = ctx.watt(sums[0] - end.sums) + tau * ctx.watt(end.level) - width * after
    if float(np.mean(height)) <= 0:
        return False
    seen = evaluate(area / float(np.mean(height)))
    systematic = (meter.u_time_constant_s**2 + (meter.trigger_latency_s**2 + locked_half_width(ctx) ** 2) / 3) / dt**2
    apart = abs(seen.mean - tau)
    energy = end.level_w * float(np.mean(end.edge.x - start.edge.x))
    return bool(apart > 4 * np.sqrt(seen.u**2 + systematic) and apart * float(np.mean(height)) > _MATERIAL * energy)
