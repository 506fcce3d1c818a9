"""How far one way to place the events lies from another: the edges of the current against the marker, or against the signatures."""

from __future__ import annotations

import numpy as np

from labd.kpi.context import Context
from labd.kpi.events import bursts_of
from labd.kpi.terms import latency, timebase
from labd.records import MarkStyle
from labd.segment.bursts import holding
from labd.segment.refine import refined

TO_MARKER, TO_SIGNATURE = "timeline.edge_to_marker", "timeline.edge_to_signature"
_FEWEST = 3


def check_edges(ctx: Context) -> None:
    """timeline.edge_to_marker in always_on, where an inference's marker and its burst begin at one instant; timeline.edge_to_signature
    where laps are placed by signatures. Seconds, positive where the current comes later. No figure rests on either."""
    displaced = ctx.events.displaced
    if displaced is not None:
        value = displaced[0] * ctx.trace.dt_s
        known = ctx.terms.random(f"A:{ctx.capture.key}:{TO_SIGNATURE}", displaced[1] * ctx.trace.dt_s, dof=1e6)
        ctx.add(TO_SIGNATURE, value + known, series=np.array([value]))
    elif ctx.events.pinned and not ctx.capture.point.mode.is_event and ctx.capture.mark_style == MarkStyle.GATE:
        _to_marker(ctx)


def _to_marker(ctx: Context) -> None:
    marks, trace, meter = ctx.events.marks, ctx.trace, ctx.capture.meter
    if marks is None or len(marks) < _FEWEST:
        return
    bursts = bursts_of(ctx.capture, trace, marks)
    held = holding(bursts, (marks.start.x + marks.end.x) / 2)
    alone = (held >= 0) & (np.bincount(held[held >= 0], minlength=len(bursts) or 1)[np.maximum(held, 0)] == 1)
    if int(alone.sum()) < max(_FEWEST, len(marks) // 2):
        ctx.withhold(TO_MARKER, "the inferences have no bursts of their own", n=len(marks))
        return
    rise = refined(trace.power, bursts, tau_records=meter.time_constant_s / trace.dt_s).rise.x[held[alone]]
    series = (rise - marks.start.x[alone]) * trace.dt_s
    nominal = float(series.mean())
    path = ctx.terms.standard(f"{meter.instrument}:time_constant", meter.u_time_constant_s)
    ctx.add(TO_MARKER, nominal + path - latency(ctx.terms, meter, "start") + timebase(ctx.terms, meter, nominal), series=series)
