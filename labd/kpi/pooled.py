"""Energy per inference of one operating point from all its captures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labd.kpi.capture import CaptureResult
from labd.kpi.distributions import f_tail
from labd.kpi.estimate import Estimate
from labd.kpi.least_squares import UNLIKELY
from labd.kpi.scatter import random_variance, typical_dof
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
    """Weighted by the number of events, which no chance has a part in, as it has in variances that were estimated. What captures differ by
    beyond the scatter of their events is an error of its own, known from as many captures as there are: of three or more it is taken at its
    word, of two where chance would give it in less than 5 %."""
    kpi = energy_kind(own[0].point.mode)
    estimates = [c.estimates[kpi] for c in own]
    count = sum(e.n for e in estimates)
    values = [terms.adopt(e.value) for e in estimates]
    mean: Uncertain = sum(e.n / count * v for e, v in zip(estimates, values, strict=True))
    flags = dict.fromkeys(flag for e in estimates for flag in e.flags)
    between = _between(values)
    if between.unlikely:
        flags[APART] = None
    if between.variance and (len(own) > 2 or between.unlikely):
        shares = np.array([e.n / count for e in estimates])
        u = float(np.sqrt(between.variance * np.sum(shares**2)))
        mean = mean + terms.random(f"A:{own[0].point.key}:{kpi} between captures", u, dof=len(own) - 1)
    return Estimate(f"pooled.{kpi}", own[0].point.key, mean, count, tuple(flags))


@dataclass(frozen=True, slots=True)
class _Between:
    """variance: of what captures differ by beyond their own scatter. unlikely: that it is chance, at 5 %."""

    variance: float
    unlikely: bool


def _between(values: Sequence[Uncertain]) -> _Between:
    """By moments (R. DerSimonian, N. Laird, Controlled Clinical Trials 7, 1986, p. 177), with the F test of chi-squared over its degrees of
    freedom."""
    variances = np.array([random_variance(one) for one in values])
    if len(values) < 2 or not variances.all():
        return _Between(0.0, unlikely=False)
    nominal, weights = np.array([float(one.nominal_value) for one in values]), 1 / variances
    chi2 = float(np.sum(weights * (nominal - np.sum(weights * nominal) / np.sum(weights)) ** 2))
    dof = len(values) - 1
    beyond = (chi2 - dof) / float(np.sum(weights) - np.sum(weights**2) / np.sum(weights))
    chance = f_tail(chi2 / dof, dof, dof2=typical_dof(values))
    return _Between(max(0.0, beyond), unlikely=chi2 > dof and chance < UNLIKELY)
