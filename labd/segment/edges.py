"""Edges of a two-level line, placed within a record by the level averaged over that record."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
QUANTISED_U = 1 / math.sqrt(12)  # of an edge known to one record, in records
_PARTIAL = 0.05  # share of the swing from which on a record counts as cut by an edge


@dataclass(frozen=True, slots=True)
class EdgeSeries:
    """Instants as positions in records (record k covers k..k+1) and their standard uncertainties, both float64 [n]."""

    x: FloatArray
    u: FloatArray

    def __len__(self) -> int:
        return len(self.x)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_] | slice) -> EdgeSeries:
        return EdgeSeries(self.x[which], self.u[which])


@dataclass(frozen=True, slots=True)
class LevelEdges:
    """All edges of a line in order. averaged: the level is an average over the record (edges known to a fraction of it); else the
    line was sampled at instants and each edge is known to one record only."""

    edges: EdgeSeries
    rising: NDArray[np.bool_]
    averaged: bool


def levels(marker: NDArray[np.float32], high_v: float) -> tuple[float, float, float]:
    """Low level, high level (V) and noise as a fraction of the swing, from the records that are clearly one or the other; those beside an
    edge, which may be cut by it, only where there are no others."""
    parts = []
    for there in (marker < 0.25 * high_v, marker > 0.75 * high_v):
        alone = there.copy()
        alone[1:] &= there[:-1]
        alone[:-1] &= there[1:]
        parts.append(marker[alone] if alone.any() else marker[there])
    low_part, high_part = parts
    low = float(np.median(low_part)) if len(low_part) else 0.0
    high = float(np.median(high_part)) if len(high_part) else high_v
    swing = high - low
    spreads = [float(np.median(np.abs(part - level))) for part, level in ((low_part, low), (high_part, high)) if len(part)]
    return low, high, 1.4826 * max(spreads, default=0.0) / swing


def level_edges(marker: NDArray[np.float32], *, high_v: float, breaks: NDArray[np.intp] | None = None) -> LevelEdges:
    """Edges of `marker` (float32 [n], volt, mean over each record). `breaks`: first records of later stretches, where no edge is.

    A rising edge between records j-1 and j lies at j + (1 - f[j]) - f[j-1] with f the level as a share of the swing: the high part of
    the one and the low part of the other record are times. Raises ValueError when high_v is not positive.
    """
    if high_v <= 0:
        raise ValueError(f"marker_high_v is {high_v}, the high level of a marker is positive")
    low, high, noise = levels(marker, high_v)
    share = (marker.astype(np.float64) - low) / (high - low)
    state = share >= 0.5
    at = np.flatnonzero(state[1:] != state[:-1]) + 1
    if breaks is not None and len(breaks):
        at = at[~np.isin(at, breaks)]
    before, after = share[at - 1], share[at]
    rising = state[at]
    offset = np.where(rising, 1 - after - before, after + before - 1)
    partial = np.minimum(np.abs(np.stack((before, after))), np.abs(1 - np.stack((before, after)))).max(axis=0) > max(_PARTIAL, 6 * noise)
    averaged = bool(len(at)) and float(partial.mean()) >= 0.5
    x = at.astype(np.float64) + (offset if averaged else 0.0)
    u = np.full(len(at), max(noise * math.sqrt(2), 1e-4) if averaged else QUANTISED_U)
    if len(at) > 1:
        near = np.diff(x) < 2.0  # two edges share a record: their sum is known, each only to a record
        u[:-1][near] = np.maximum(u[:-1][near], QUANTISED_U)
        u[1:][near] = np.maximum(u[1:][near], QUANTISED_U)
    return LevelEdges(EdgeSeries(x, u), rising, averaged)
