"""One capture in, its figures out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from labd.kpi.context import Context, Findings
from labd.kpi.draws import Draws
from labd.kpi.edge_check import check_edges
from labd.kpi.energy import energies
from labd.kpi.estimate import Estimate
from labd.kpi.events import LONGER_THAN_BOUND, TOO_LONG, Events, find_events, windows
from labd.kpi.guard import Guard, guard, guard_records
from labd.kpi.host_line import host_line
from labd.kpi.hum import find_hum
from labd.kpi.inputs import CaptureInput
from labd.kpi.latency import latencies, wake_ups
from labd.kpi.peak import peaks
from labd.kpi.power import BACK_FEED, GAP, floor, quiet, whole_periods
from labd.kpi.readings import read_mean
from labd.kpi.starts import starts
from labd.kpi.stock import stock_figures
from labd.kpi.terms import Terms, voltage_like
from labd.kpi.trace import Trace, built, moments
from labd.records import KpiRecord, MarkStyle, OperatingPoint, Role, Window
from labd.segment.edges import EdgeSeries


@dataclass(frozen=True, slots=True)
class CaptureResult:
    """What one capture yields.

    records: to publish. estimates: id -> value with its correlations (plus what is not published: `excess_power`, `active_time`,
    `supply_voltage`, and `part_energy` and `part_time` of waking, serving and tail).
    windows: phases on each stretch's axis. per_event: id -> one value an event, for distributions. problems: one line each.
    flags: of every record, and of what rests on this capture. stock: its windows are of stock firmware. longer_than_bound_s: how long its
    longest burst lasts, where that is longer than the board's bound; else 0.
    """

    key: str
    point: OperatingPoint
    role: Role
    instrument: str
    ranges_a: tuple[float, ...]
    records: tuple[KpiRecord, ...]
    estimates: Mapping[str, Estimate]
    windows: tuple[Window, ...]
    per_event: Mapping[str, tuple[float, ...]]
    problems: tuple[str, ...]
    flags: tuple[str, ...] = ()
    stock: bool = False
    longer_than_bound_s: float = 0.0


def analyse_capture(capture: CaptureInput, *, terms: Terms | None = None) -> CaptureResult:
    """All figures of one capture. terms: the run's registry; without it the estimates join others by the names of their variables.

    Never raises for what the samples or marks are like: figures are withheld and `problems` says why.
    """
    trace = built(capture)
    found = Findings()
    events = _events(capture, trace)
    mains = 1 / (capture.mains_hz * trace.dt_s) if capture.mains_hz > 0 else 0.0
    bands = None if capture.windows else _guard(capture, trace, events, mains)
    longer_s = _longer_than_bound(capture, trace, events)
    ctx = Context(
        capture=capture,
        trace=trace,
        events=events,
        guard=bands,
        terms=terms or Terms(),
        draws=Draws(capture.seed, capture.key),
        found=found,
        flags=_flags(capture, trace, events, too_long=bool(longer_s)),
        hum=None if bands is None else find_hum(trace, bands, mains_records=mains),
    )
    problems = [*events.problems, *_figures(ctx)]
    if capture.role is not Role.START:
        _supply(ctx)
    if any(BACK_FEED in record.flags for record in found.records):
        problems.append("back_feed: current flows out of the supply pins")
    return CaptureResult(
        key=capture.key,
        point=capture.point,
        role=capture.role,
        instrument=capture.meter.instrument,
        ranges_a=tuple(r.full_scale_a for r in capture.meter.current),
        records=tuple(_told(record, found.records) for record in found.records),
        estimates=found.estimates,
        windows=_windows(capture, trace, events),
        per_event=found.per_event,
        problems=tuple(problems),
        flags=ctx.flags,
        stock=bool(capture.windows),
        longer_than_bound_s=longer_s,
    )


def _windows(capture: CaptureInput, trace: Trace, events: Events) -> tuple[Window, ...]:
    if not len(events):
        return ()
    return windows(events, trace, always_on=not capture.point.mode.is_event, u_tau_s=capture.meter.u_time_constant_s)


def _told(record: KpiRecord, records: list[KpiRecord]) -> KpiRecord:
    """Back-feed seen in one figure spoils them all: part of the board's energy came another way."""
    if BACK_FEED in record.flags or not any(BACK_FEED in other.flags for other in records):
        return record
    return replace(record, flags=(*record.flags, BACK_FEED))


def _events(capture: CaptureInput, trace: Trace) -> Events:
    """None at rest, in readings, and where text alone tells of windows."""
    if capture.role in (Role.FLOOR, Role.START) or capture.read or (capture.windows and capture.mark_style is MarkStyle.TEXT):
        return _no_events()
    return find_events(capture, trace)


def _figures(ctx: Context) -> list[str]:
    """Returns problems, one line each."""
    if ctx.capture.role is Role.START:
        return starts(ctx)
    if ctx.capture.windows:
        return stock_figures(ctx)
    host_line(ctx)
    _of_events(ctx)
    return []


def _supply(ctx: Context) -> None:
    """Mean voltage of the capture; kept, not published."""
    sums = ctx.trace.between(np.zeros(1), np.array([float(ctx.trace.records)]))[0]
    if moments(sums).n.sum() > 0:
        value = voltage_like(ctx.terms, ctx.capture.meter, moments=moments(sums))
        ctx.found.estimates["supply_voltage"] = Estimate("supply_voltage", ctx.at, value, 1, ctx.flags)


def _of_events(ctx: Context) -> None:
    if ctx.capture.role == Role.FLOOR:
        lost = bool(ctx.trace.missing[-1]) or any(s.gap for s in ctx.capture.stretches)
        if lost and not ctx.capture.allow_gaps:
            ctx.withhold("power.floor", GAP)
        else:
            floor(ctx)
        return
    if ctx.capture.read:
        read_mean(ctx)
        return
    energies(ctx)
    quiet(ctx)
    if ctx.capture.role == Role.MEAN:
        whole_periods(ctx)
    if len(ctx.events):
        peaks(ctx)
        latencies(ctx)
        check_edges(ctx)
        wake_ups(ctx)


def _flags(capture: CaptureInput, trace: Trace, events: Events, *, too_long: bool) -> tuple[str, ...]:
    flags = [*capture.meter.flags, *capture.flags]
    if any(s.gap for s in capture.stretches) or trace.missing[-1]:
        flags.append(GAP)
    if any(s.over_range for s in capture.stretches):
        flags.append("over range")
    if any(s.clipped for s in capture.stretches):
        flags.append("clipped")
    if not events.complete:
        flags.append("events missing")
    if too_long:
        flags.append(TOO_LONG)
    return tuple(flags)


def _longer_than_bound(capture: CaptureInput, trace: Trace, events: Events) -> float:
    if capture.windows or capture.burst_bound_s <= 0 or not len(events):
        return 0.0
    longest_s = float(np.max(events.fall.x - events.rise.x)) * trace.dt_s
    return longest_s if longest_s > LONGER_THAN_BOUND * capture.burst_bound_s else 0.0


def _guard(capture: CaptureInput, trace: Trace, events: Events, mains: float) -> Guard | None:
    if not len(events):
        return None
    margin = guard_records(trace.dt_s, capture.meter.time_constant_s)
    return guard(trace, events.rise.x, events.fall.x, others=events.lone, margin=margin, mains_records=mains)


def _no_events() -> Events:
    nothing = EdgeSeries(np.zeros(0), np.zeros(0))
    return Events(None, nothing, nothing, np.zeros((0, 2)), None, complete=True, problems=())
