"""Analysing a trace (block sums, then the sums of windows): against copying its samples once (limit) and a loop over windows (peer)."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from benchmarks.ratios.figures import Ratio, compare
from labd.kpi.inputs import Stretch
from labd.kpi.trace import Trace, build

RECORDS = 4_000_000  # two columns of 16 MB: more than caches hold
RECORD_S = 20.48e-6
WINDOWS = 2_000
FULL_SCALE_A = 0.3
AGREE = 1e-6  # relative, float32 block sums against float64


def window_sums() -> list[Ratio]:
    rng = np.random.default_rng(11)
    current = rng.normal(0.01, 1e-3, RECORDS).astype(np.float32)
    voltage = rng.normal(3.0, 1e-4, RECORDS).astype(np.float32)
    edges = np.linspace(0, RECORDS, WINDOWS + 1)
    whole = edges.astype(np.int64)
    stretch = Stretch(t0_s=0.0, dt_s=RECORD_S, current=current, voltage=voltage, nominal_v=3.0)
    copies = np.empty_like(current), np.empty_like(voltage)

    def built() -> Trace:
        return build((stretch,), full_scales_a=(FULL_SCALE_A,), lead_ohm=0.0)

    def both() -> NDArray[np.float64]:
        return built().between(edges[:-1], edges[1:])

    def copy() -> None:
        np.copyto(copies[0], current)
        np.copyto(copies[1], voltage)

    def loop() -> NDArray[np.float64]:
        return np.array([np.sum(current[a:b].astype(np.float64) * voltage[a:b].astype(np.float64)) for a, b in itertools.pairwise(whole)])

    ready = built()
    assert np.allclose(both()[:, 0], loop(), rtol=AGREE), "the sums of windows disagree with a plain loop"
    limit, peer = ("one copy of the samples", "limit"), ("float64 numpy loop over windows", "peer")
    return [
        *compare("analyse a trace", "block sums and window sums, 4 M records", both, {limit: copy, peer: loop}),
        *compare("analyse a trace", "more windows of the same trace", lambda: ready.between(edges[:-1], edges[1:]), {peer: loop}),
    ]
