"""Starts of the board: from where its supply is enough to where it says that it is ready, and what that takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from labd.kpi.context import Context
from labd.kpi.latency import order_quantiles
from labd.kpi.terms import Uncertain, latency, timebase
from labd.records import KpiRecord, Provenance
from labd.segment.edges import FloatArray, level_edges

TIME, ENERGY, PEAK = "start_time", "start_energy", "start_peak"
SMEARED = 1.0  # records: a step of the supply within one is seen in it and its neighbour
NO_VOLTAGE = "needs the voltage in the log"
NO_MARKER = "needs the marker line in the log"
NO_LEAST = "needs the board's supply_min"
NOT_READY = "not ready within the log"
HOST = "start_time.host"
BOUND = "upper bound"
NOTE = "from the crossing of supply_min"


@dataclass(frozen=True, slots=True)
class Start:
    """One start, positions in records of the trace. half: the crossing lies within so many records of supplied."""

    supplied: float
    half: float
    ready: float


def starts(ctx: Context) -> list[str]:
    """start_time and its distribution, start_energy and start_peak, over the stretches. Returns problems, one line each."""
    _by_host(ctx)
    reason = _lacking(ctx)
    if reason is not None:
        _withheld(ctx, reason)
        return []
    found = [_start(ctx, number) for number in range(len(ctx.capture.stretches))]
    good = [start for start in found if start is not None]
    lost = len(found) - len(good)
    if not good:
        _withheld(ctx, NOT_READY)
        return [f"none of {len(found)} starts: {NOT_READY}; a board that takes longer needs a longer captures.start_time"]
    _figures(ctx, good)
    return [f"{lost} of {len(found)} starts: {NOT_READY}"] if lost else []


def _by_host(ctx: Context) -> None:
    """Bounds, which carry no interval and are in no other figure."""
    told = ctx.capture.host_starts_s
    if told:
        ctx.found.per_event[HOST] = told
        ctx.found.records.append(
            KpiRecord(
                id=HOST,
                at=ctx.at,
                value=float(np.median(told)),
                unit="s",
                u=None,
                low=None,
                high=None,
                n=len(told),
                provenance=Provenance.MEASURED,
                method="host clock",
                captures=(ctx.capture.key,),
                flags=(BOUND, *ctx.flags),
                note="median, from before the supply rose until the board had answered; ramp, tests and protocol are in it",
            )
        )


def _lacking(ctx: Context) -> str | None:
    stretches = ctx.capture.stretches
    if ctx.capture.supply_min_v is None:
        return NO_LEAST
    if ctx.capture.meter.voltage_from != "measured" or any(s.voltage is None for s in stretches):
        return NO_VOLTAGE
    return NO_MARKER if any(s.marker is None for s in stretches) else None


def _withheld(ctx: Context, reason: str) -> None:
    for kpi in (TIME, ENERGY, PEAK):
        ctx.withhold(kpi, reason)


def _start(ctx: Context, number: int) -> Start | None:
    """None where the line does not move after the supply is there. Its last edge is ready: nobody talks to it before the log ends."""
    stretch, first = ctx.capture.stretches[number], float(ctx.trace.bounds[number])
    assert stretch.voltage is not None
    assert stretch.marker is not None
    assert ctx.capture.supply_min_v is not None
    meter, least_v = ctx.capture.meter, ctx.capture.supply_min_v
    voltage = stretch.voltage.astype(np.float64)
    off_v = meter.widen * ((meter.voltage_gain or 0.0) * least_v + (meter.voltage_offset_v or 0.0))
    places = [crossing(voltage, level) for level in (least_v - off_v, least_v, least_v + off_v)]
    edges = level_edges(np.nan_to_num(stretch.marker), high_v=ctx.capture.marker_high_v).edges.x
    low, supplied, high = places
    if low is None or supplied is None or high is None or not len(edges) or edges[-1] <= supplied:
        return None
    return Start(first + supplied, max(high - supplied, supplied - low) + SMEARED, first + float(edges[-1]))


def crossing(voltage: FloatArray, level_v: float) -> float | None:
    """Where means over records (float64 [n], volt) first reach a level, in records, between the middles of two; None where they begin above
    it or never do."""
    above = voltage >= level_v
    k = int(np.argmax(above))
    if k == 0:
        return None
    return k - 0.5 + float((level_v - voltage[k - 1]) / (voltage[k] - voltage[k - 1]))


def _figures(ctx: Context, found: list[Start]) -> None:
    dt_s, meter = ctx.trace.dt_s, ctx.capture.meter
    supplied, ready = np.array([s.supplied for s in found]), np.array([s.ready for s in found])
    unknown = meter.voltage_gain is None or meter.voltage_offset_v is None
    late = ctx.terms.limit(f"{meter.instrument}:supplied", None if unknown else max(s.half for s in found) * dt_s)
    marked = latency(ctx.terms, meter, "ready") + ctx.terms.limit(f"{meter.instrument}:record.ready", dt_s / 2)
    series = (ready - supplied) * dt_s
    nominal = float(series.mean())
    shared: Uncertain = nominal + timebase(ctx.terms, meter, nominal) + marked - late
    ctx.add(TIME, shared, series=series, note=NOTE)
    ctx.found.per_event[TIME] = tuple(series.tolist())
    order_quantiles(ctx, TIME, series, shared - nominal)
    _energy(ctx, supplied, ready, marked=marked, late=late)
    _peak(ctx, ready)


def _energy(ctx: Context, supplied: FloatArray, ready: FloatArray, *, marked: Uncertain, late: Uncertain) -> None:
    """What was put into the board's capacitors before the crossing is not in it."""
    dt_s = ctx.trace.dt_s
    if ctx.trace.lost(supplied, ready).any():
        ctx.withhold(ENERGY, "over range")
        return
    sums = ctx.trace.between(supplied, ready) * dt_s
    series = ctx.watt(sums)
    first_w, last_w = (float(ctx.watt(ctx.trace.between(x, x + 1)).max()) for x in (supplied, ready - 1))
    ctx.add(ENERGY, ctx.of_power(sums.mean(axis=0), timed=True) + last_w * marked - first_w * late, series=series, note=NOTE)


def _peak(ctx: Context, ready: FloatArray) -> None:
    """The largest record from the beginning of each log to ready."""
    trace = ctx.trace
    at = []
    for end in ready.tolist():
        first = int(trace.bounds[int(trace.stretch_of(np.array([end]))[0])])
        at.append(first + int(np.argmax(trace.current.ravel()[first : int(end) + 1])))
    largest = np.array(at, dtype=np.float64)
    if trace.lost(largest, largest + 1).any():
        ctx.withhold(PEAK, "over range")
        return
    sums = trace.between(largest, largest + 1)
    note = f"the largest mean over a record of {trace.dt_s * 1e6:.3g} us, up to ready"
    ctx.add(PEAK, ctx.of_current(sums.mean(axis=0), timed=False), series=ctx.ampere(sums), note=note)
