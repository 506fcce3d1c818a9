"""Energy per inference of one operating point from all its captures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from labd.kpi.capture import CaptureResult
from labd.kpi.distributions import f_tail
from labd.kpi.estimate import Estimate
from labd.kpi.least_squares import UNLIKELY
from labd.kpi.scatter import random_times, random_variance, typical_dof
from labd.kpi.terms import Terms, Uncertain
from labd.records import Mode

APART = "captures differ by more than their scatter"


def energy_kind(mode: Mode) -> str:
    """The energy that an inference takes while the board is awake for it."""
    return "energy_per_inference.per_event" if mode.is_event else "energy_per_inference.gross"


def pooled_energies(captures: Sequence[CaptureResult], *, terms: Terms) -> list[tuple[Estimate, tuple[str, ...]]]:
    """One estimate an operating point, with the keys of its captures; of a point with a single capture, that capture's."""
    points: dict[str, list[CaptureResult]] = {}
    for capture in captures:
        if energy_kind(capture.point.mode) in capture.estimates:
            points.setdefault(capture.point.key, []).append(capture)
    return [(_pooled(own, terms), tuple(c.key for c in own)) for own in points.values()]


def _pooled(own: Sequence[CaptureResult], terms: Terms) -> Estimate:
    """Weighted by the number of events, which no chance has a part in, as it has in variances that were estimated. Captures that differ
    beyond their scatter (Birge: chi-squared over its degrees of freedom, by chance in less than 5 %) widen it by as much."""
    kpi = energy_kind(own[0].point.mode)
    estimates = [c.estimates[kpi] for c in own]
    count = sum(e.n for e in estimates)
    values = [terms.adopt(e.value) for e in estimates]
    mean: Uncertain = sum(e.n / count * v for e, v in zip(estimates, values, strict=True))
    flags = dict.fromkeys(flag for e in estimates for flag in e.flags)
    ratio = _birge(values)
    if ratio > 1.0:
        mean = random_times(mean, ratio)
        flags[APART] = None
    return Estimate(f"pooled.{kpi}", own[0].point.key, mean, count, tuple(flags))


def _birge(values: Sequence[Uncertain]) -> float:
    if len(values) < 2:
        return 1.0
    variances = np.array([random_variance(one) for one in values])
    if not variances.all():
        return 1.0
    nominal = np.array([float(one.nominal_value) for one in values])
    centre = float(np.sum(nominal / variances) / np.sum(1 / variances))
    per_dof = float(np.sum((nominal - centre) ** 2 / variances)) / (len(values) - 1)
    by_chance = f_tail(per_dof, len(values) - 1, dof2=typical_dof(values))
    return float(np.sqrt(per_dof)) if per_dof > 1 and by_chance < UNLIKELY else 1.0
