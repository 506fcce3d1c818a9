"""Figures of stock MLPerf Tiny firmware, out of windows of several numbers of inferences back to back.

A window of N inferences takes A + N*e (energy) and B + N*t (time). What every window holds alike, the loop around the inferences, the
supply's way to a new current, what an edge's place is wrong by, is A and B: e and t are the slope over N.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.context import Context
from labd.kpi.distributions import order_statistic_ranks, smallest_n_for_quantile
from labd.kpi.estimate import NOT_RESOLVED, TERM_UNKNOWN, Estimate, budget, unknown_note
from labd.kpi.peak import peaks
from labd.kpi.split import FEWEST_EDGES, FEWEST_RECORDS
from labd.kpi.terms import Uncertain, timebase, unknown_terms
from labd.records import KpiRecord, MarkStyle, Provenance
from labd.segment.edges import EdgeSeries, FloatArray
from labd.segment.errors import NoMarks, SegmentError
from labd.segment.laps import PerInference, per_inference
from labd.segment.pulses import Pulses, calibrate_hold, find_pulses, last_pairs, text_free

NO_PULSES = "performance build: no pulse shows its windows"
TO_CHANGE = (
    "build the firmware with EE_CFG_ENERGY_MODE=1 and wire its timestamp pin to the meter; text and host timestamps never cut energy"
)
TOO_FEW = "needs windows of two numbers of inferences"
SHORT = "windows shorter than 10 s"
MLPERF_S = 10.0
MEDIAN = "energy_per_inference.mlperf_median"
OF_ENERGY = ("energy_per_inference.gross", "charge_per_inference", MEDIAN)
OF_TIME = ("latency.pin.mean", "inference_rate.back_to_back")


@dataclass(frozen=True, slots=True)
class Seen:
    """The windows that can be used, one entry each. counts: inferences. fall: of the pulse before; start: where that rises again, and end:
    the next fall. free: from where on no text is sent. text_s, hold_s: how long text is sent in a window, and how long the pin is low
    before it."""

    counts: NDArray[np.intp]
    fall: FloatArray
    start: EdgeSeries
    end: EdgeSeries
    free: FloatArray
    text_s: float
    hold_s: float

    @property
    def note(self) -> str:
        text = f"the first {self.text_s * 1e3:.3g} ms of each window, in which text was still being sent, left out; " if self.text_s else ""
        return f"{text}the pin is low for {self.hold_s * 1e3:.3g} ms before a window, which is not in it"


def stock_figures(ctx: Context) -> list[str]:
    """Publish them, or why there are none. Returns problems, one line each."""
    if ctx.capture.mark_style is MarkStyle.TEXT:
        for kpi in OF_ENERGY:
            ctx.withhold(kpi, NO_PULSES, note=TO_CHANGE)
        _by_counter(ctx)
        peaks(ctx)
        return []
    try:
        seen, problems = _seen(ctx)
        fits = _slopes(ctx, seen)
    except SegmentError as error:
        for kpi in (*OF_ENERGY, *OF_TIME):
            ctx.withhold(kpi, TOO_FEW if isinstance(error, NoMarks) else "no windows", note=str(error))
        return [str(error)]
    peaks(ctx)
    if fits is not None:
        _energy(ctx, seen)
        _times(ctx, seen)
        _median(ctx, seen)
    return problems


def _seen(ctx: Context) -> tuple[Seen, list[str]]:
    """Raises SegmentError."""
    capture, trace = ctx.capture, ctx.trace
    markers = [s.marker for s in capture.stretches if s.marker is not None]
    if len(markers) != len(capture.stretches):
        raise NoMarks("the capture has no marker column")
    breaks = trace.bounds[1:-1].astype(np.intp)
    pulses = find_pulses(np.nan_to_num(np.concatenate(markers)), high_v=capture.marker_high_v, breaks=breaks)
    falling, ignored = last_pairs(pulses.falling, len(capture.windows))
    hold = calibrate_hold(Pulses(falling, pulses.rising.take(slice(ignored, None))))
    if len(falling) != 2 * len(capture.windows):
        raise NoMarks(f"{len(falling) // 2} windows at the pin, the board was asked for {len(capture.windows)}")
    start, end = pulses.rising.take(slice(ignored, None, 2)), falling.take(slice(1, None, 2))
    text_s = max(window.text_s for window in capture.windows)  # the same of each, so that it is alike in all of them
    free = text_free(start, end, text_x=text_s / trace.dt_s)
    fall = falling.x[::2]
    ok = ~trace.lost(fall, end.x) & (trace.stretch_of(fall) == trace.stretch_of(end.x)) & (free.share > 0)
    counts = np.array([window.inferences for window in capture.windows])
    left_out = int(np.sum(~ok))
    problems = [f"{left_out} windows left out: records are missing, or text is sent to their end"] if left_out else []
    seen = Seen(counts[ok], fall[ok], start.take(ok), end.take(ok), free.start.x[ok], text_s, hold.x * trace.dt_s)
    return seen, problems


def _slopes(ctx: Context, seen: Seen) -> PerInference | None:
    """The windows' lengths over their numbers, None where they are too short to be resolved: then that is published. Raises NoMarks."""
    lengths = seen.end.x - seen.start.x
    fit = per_inference(seen.counts, lengths)
    u_edge = float(np.sqrt(np.mean(seen.start.u**2) + np.mean(seen.end.u**2)))
    shortest = float(lengths.min())
    if shortest >= max(FEWEST_RECORDS, FEWEST_EDGES * u_edge):
        return fit
    for kpi in (*OF_ENERGY, *OF_TIME):
        ctx.withhold(kpi, NOT_RESOLVED, n=len(lengths), note=f"windows of {shortest:.1f} records, edges known to {u_edge:.2g} records")
    return None


def _energy(ctx: Context, seen: Seen) -> None:
    """Of the text-free part of each window: the same stretch is missing in all of them, and drops out."""
    sums = ctx.trace.between(seen.free, seen.end.x) * ctx.trace.dt_s
    for kpi, of, series in (
        ("energy_per_inference.gross", ctx.of_power, ctx.watt(sums)),
        ("charge_per_inference", ctx.of_current, ctx.ampere(sums)),
    ):
        fit = per_inference(seen.counts, series)
        _put(ctx, kpi, of(fit.weights @ sums, timed=True), fit, n=len(series), note=seen.note)


def _times(ctx: Context, seen: Seen) -> None:
    fit = per_inference(seen.counts, (seen.end.x - seen.start.x) * ctx.trace.dt_s)
    placed = float(np.sqrt(np.sum(fit.weights**2 * (seen.start.u**2 + seen.end.u**2)))) * ctx.trace.dt_s
    latency = fit.x + timebase(ctx.terms, ctx.capture.meter, fit.x)
    estimate = _put(ctx, "latency.pin.mean", latency, fit, n=len(seen.counts), least_u=placed)
    if estimate.nominal > 0:
        rate = 1 / estimate.value
        ctx.put(Estimate("inference_rate.back_to_back", ctx.at, rate, estimate.n, ctx.flags), scatter=fit.u is not None)
        ctx.found.estimates["active_time"] = Estimate("active_time", ctx.at, estimate.value, estimate.n, ctx.flags)


def _by_counter(ctx: Context) -> None:
    """The board's own latency by its laps; what one of them prints within the window is in all of them."""
    counts = np.array([window.inferences for window in ctx.capture.windows])
    ticks = np.array([float(window.counter_us or 0) for window in ctx.capture.windows])
    try:
        fit = per_inference(counts, ticks * 1e-6)
    except NoMarks as error:
        ctx.withhold("latency.dut_counter.mean", TOO_FEW, n=len(ticks), note=str(error))
        return
    printing = max(window.lap_text_s for window in ctx.capture.windows)
    value = fit.x * (1 + ctx.terms.limit(f"{ctx.capture.key}:device_clock", ctx.capture.device_clock))
    value = value + ctx.terms.limit(f"{ctx.capture.key}:counter_step", 1e-6 * float(np.abs(fit.weights).sum()) / 2)
    note = f"what printing the first lap takes in a window, at most {printing * 1e3:.3g} ms, drops out"
    _put(ctx, "latency.dut_counter.mean", value, fit, n=len(ticks), note=note)


def _put(ctx: Context, kpi: str, value: Uncertain, fit: PerInference, *, n: int, note: str = "", least_u: float = 0.0) -> Estimate:
    if fit.u is not None:
        value = value + ctx.terms.random(f"A:{ctx.capture.key}:{kpi}", max(fit.u, least_u), dof=n - 2)
    return ctx.put(Estimate(kpi, ctx.at, value, n, ctx.flags, note=note), scatter=fit.u is not None)


def _median(ctx: Context, seen: Seen) -> None:
    """As both MLPerf Tiny runners have it: from falling edge to falling edge over the number of inferences, the median of the windows. Of
    those with the fewest inferences, since the others are there for the slope."""
    own = seen.counts == seen.counts.min()
    counts, length = seen.counts[own].astype(np.float64), (seen.end.x - seen.fall)[own] * ctx.trace.dt_s
    vectors = ctx.trace.between(seen.fall[own], seen.end.x[own]) * (ctx.trace.dt_s / counts)[:, None]
    ordered = np.sort(ctx.watt(vectors))
    ranks = order_statistic_ranks(len(ordered), 0.5)
    shared = ctx.of_power(vectors.mean(axis=0), timed=True)
    unknown = unknown_terms(shared)
    flags = [*((TERM_UNKNOWN,) if unknown else ()), *((SHORT,) if length.min() < MLPERF_S else ()), *ctx.flags]
    low = high = None
    if ranks is None:
        flags.insert(0, f"interval needs n >= {smallest_n_for_quantile(0.5)}")
    elif not unknown:
        wide = ctx.draws.half_width(shared)
        low, high = float(ordered[ranks[0] - 1]) - wide, float(ordered[ranks[1] - 1]) + wide
    ctx.found.records.append(
        KpiRecord(
            id=MEDIAN,
            at=ctx.at,
            value=float(np.median(ordered)),
            unit="J",
            u=None,
            low=low,
            high=high,
            n=len(ordered),
            provenance=Provenance.MEASURED,
            method="median of windows",
            captures=(ctx.capture.key,),
            budget=budget(shared),
            flags=tuple(dict.fromkeys(flags)),
            note="; ".join(filter(None, (f"windows of {int(counts[0])} inferences, the pin's hold included", unknown_note(unknown)))),
        )
    )
