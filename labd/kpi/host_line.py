"""Latency, and from the trigger to the inference, on a line from the board that this host reads: by the kernel's time stamps."""

from __future__ import annotations

import numpy as np

from labd.kpi.context import Context
from labd.kpi.latency import order_quantiles
from labd.kpi.terms import Uncertain
from labd.records import HostGates
from labd.segment.edges import FloatArray

LATENCY, TO_START = "latency.gpio", "trigger_to_start.gpio"
SLEW = 500e-6  # the kernel slews its monotonic clock by at most 500 ppm [adjtimex(2)]
NOT_ALL = "the line did not show each inference that was fired"
NOTE = "by the kernel's time stamps; the delay of its interrupt cancels but for its scatter"
LATE = "the delay of the kernel's interrupt is in it: an upper bound"


def host_line(ctx: Context) -> None:
    """latency.gpio.* between rise and fall, trigger_to_start.gpio.* from the middle of the call that fired to the rise."""
    seen = ctx.capture.host_gates
    if seen is None:
        return
    if seen.lost or not seen.gates_s:
        ctx.withhold(f"{LATENCY}.mean", seen.lost or "the line showed nothing")
        return
    gates = np.array(seen.gates_s, np.float64)  # [n][4]
    rise, fall = gates[:, :2].mean(axis=1), gates[:, 2:].mean(axis=1)
    stamped = float(np.ptp(gates[:, :2], axis=1).max() + np.ptp(gates[:, 2:], axis=1).max()) / 2
    _figure(ctx, LATENCY, fall - rise, half_s=stamped, note=NOTE)
    _to_start(ctx, seen, rise)


def _to_start(ctx: Context, seen: HostGates, rise: FloatArray) -> None:
    fired = np.array(seen.fired_s, np.float64).reshape(-1, 2)
    if len(fired) != len(rise) or (rise < fired[:, 0]).any():
        ctx.withhold(f"{TO_START}.mean", NOT_ALL)
        return
    _figure(ctx, TO_START, rise - fired.mean(axis=1), half_s=float(np.ptp(fired, axis=1).max()) / 2, note=LATE)


def _figure(ctx: Context, kpi: str, series: FloatArray, *, half_s: float, note: str) -> None:
    """half_s: an instant lies within so much of where it is taken to be."""
    nominal = float(series.mean())
    clock = ctx.terms.limit("host:monotonic_clock", SLEW)
    shared: Uncertain = nominal * (1.0 + clock) + ctx.terms.limit(f"{ctx.capture.key}:{kpi}:stamp", half_s)
    ctx.add(f"{kpi}.mean", shared, series=series, note=note)
    ctx.found.per_event[kpi] = tuple(series.tolist())
    order_quantiles(ctx, kpi, series, shared - nominal)
