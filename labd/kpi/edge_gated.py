"""The estimate that fails: energy of the records with the marker high, uncorrected, kept only to show why guard bands exist."""

from __future__ import annotations

import numpy as np

from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate, published, withheld
from labd.kpi.inputs import CaptureInput
from labd.kpi.terms import Terms, power_like
from labd.kpi.trace import built, moments
from labd.kpi.type_a import evaluate
from labd.records import KpiRecord

ID = "naive.edge_gated"


def edge_gated(capture: CaptureInput) -> KpiRecord:
    """Sum of v*i*dt over the records with the marker above half, a run of such records an event; gains, offsets and scatter as usual, but
    nothing for edges and settling. A published figure must never come from here: measured coverage of its 95 % interval is near 60 %."""
    markers = [s.marker for s in capture.stretches if s.marker is not None]
    if len(markers) != len(capture.stretches):
        return withheld(ID, capture.point.key, reason="no marker column", captures=(capture.key,))
    trace = built(capture)
    high = np.concatenate(markers) > capture.marker_high_v / 2
    change = np.flatnonzero(np.diff(high.astype(np.int8), prepend=0, append=0))
    runs = change.reshape(-1, 2).astype(np.float64)
    if len(runs) < 2:
        return withheld(ID, capture.point.key, reason="no events found", captures=(capture.key,))
    vectors = trace.between(runs[:, 0], runs[:, 1]) * trace.dt_s
    terms = Terms()
    value = power_like(terms, capture.meter, moments=moments(vectors.mean(axis=0)), timed=True)
    r = trace.ranges
    found = evaluate(vectors[:, :r].sum(axis=1) - capture.meter.series_ohm * vectors[:, -1])
    value = value + terms.random(f"A:{capture.key}:{ID}", found.u, dof=found.dof)
    estimate = Estimate(ID, capture.point.key, value, len(runs), ("no edge correction",))
    return published(estimate, draws=Draws(capture.seed, capture.key), captures=(capture.key,))
