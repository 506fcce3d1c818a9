"""Closure tests: two ways to the same figure must agree within their uncertainty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labd.kpi.capture import CaptureResult
from labd.kpi.draws import Draws
from labd.kpi.estimate import NOT_RESOLVED, Estimate, published, withheld
from labd.kpi.inputs import AnalyzerReadings
from labd.kpi.scatter import random_variance, without_random
from labd.kpi.terms import Terms, Uncertain, unknown_terms
from labd.kpi.type_a import evaluate
from labd.records import KpiRecord, Mode, Provenance, Role

DISAGREE = "disagree"
NOT_INFORMATIVE = "not informative"
_LARGEST_SHARE = 0.05  # U95 of the analyzer over the mean, above which its answer says nothing


@dataclass(frozen=True, slots=True)
class MeanPower:
    """Mean power (W) at a point, with the keys of the captures behind it."""

    power: Uncertain
    captures: tuple[str, ...]
    flags: tuple[str, ...] = ()


def window_energy(mode: Mode) -> str:
    """The energy kind that the slope of the rate fit must equal."""
    return "energy_per_inference.net_of_sleep" if mode.is_event else "energy_per_inference.net_of_idle"


def pooled(captures: Sequence[CaptureResult], kpi: str, *, terms: Terms) -> tuple[Uncertain, int, tuple[str, ...]] | None:
    """Mean of one figure over captures, weighted by their Type A variances: value, number of events, keys. Event captures, where there are
    any, because they share no sample with the rate fit."""
    having = [c for c in captures if kpi in c.estimates]
    chosen = [c for c in having if c.role == Role.EVENT] or having
    if not chosen:
        return None
    values = [terms.adopt(c.estimates[kpi].value) for c in chosen]
    weights = np.array([1 / max(random_variance(v), 1e-300) for v in values])
    weights /= weights.sum()
    value = sum(float(w) * v for w, v in zip(weights, values, strict=True))
    return value, sum(c.estimates[kpi].n for c in chosen), tuple(c.key for c in chosen)


def difference(kpi: str, at: str, value: Uncertain, *, n: int, captures: Sequence[str], draws: Draws) -> KpiRecord:
    """The record of a closure: a difference that should be 0, flagged `disagree` where its interval excludes 0. Without an interval, where
    a term is unknown, nothing says whether it is."""
    apart = not unknown_terms(value) and abs(float(value.nominal_value)) > draws.half_width(value)
    estimate = Estimate(kpi, at, value, n, (DISAGREE,) if apart else ())
    return published(estimate, draws=draws, captures=captures, provenance=Provenance.COMPUTED)


def phases(captures: Sequence[CaptureResult], at: str, mode: Mode, *, terms: Terms, draws: Draws) -> KpiRecord:
    """Sum of the phase energies of the capture that resolves them against the event energy of the others."""
    kpi = "closure.phases_vs_event"
    names = ["wake", "infer", "tail", *(["load"] if mode == Mode.EVENT_RELOAD else [])]
    ids = [f"phase_energy.{name}" for name in names]
    split = next((c for c in _finest_first(captures) if all(i in c.estimates for i in ids)), None)
    if split is None:
        return withheld(kpi, at, reason=NOT_RESOLVED, captures=(), note="no capture resolves all phases")
    others = [c for c in captures if c.key != split.key and c.role == Role.MEAN]
    event_kpi = "energy_per_inference.per_event"
    series = np.sum([split.per_event[i] for i in ids], axis=0)
    total = sum(without_random(terms.adopt(split.estimates[i].value)) for i in ids)
    other = pooled(others, event_kpi, terms=terms)
    keys: tuple[str, ...] = (split.key,)
    if other is None:
        series = series - np.array(split.per_event[event_kpi])
        event = without_random(terms.adopt(split.estimates[event_kpi].value))
    else:
        event = other[0]
        keys = (split.key, *other[2])
    found = evaluate(series)
    value = total - event + terms.random(f"A:{split.key}:phase_sum", found.u, dof=found.dof)
    return difference(kpi, at, value, n=len(series), captures=keys, draws=draws)


def _finest_first(captures: Sequence[CaptureResult]) -> list[CaptureResult]:
    return sorted(captures, key=lambda c: (c.role != Role.EVENT, c.key))


def power_analyzer(
    captures: Sequence[CaptureResult], readings: AnalyzerReadings, *, composed: MeanPower | None = None, terms: Terms, draws: Draws
) -> KpiRecord:
    """Mean power by the power analyzer less that by the capturing instrument, on the same operating point, or less the mean power composed
    for it where the meter measured none; withheld as `not informative`
    where the analyzer's own U95 exceeds 5 % of the mean, and where it gave too few readings of power to tell one."""
    kpi, at = "closure.power_analyzer", readings.point.key
    if len(readings.power_w) < 2:
        return withheld(kpi, at, reason="needs 2 readings of power or more", captures=(readings.key,), n=len(readings.power_w))
    found = evaluate(np.asarray(readings.power_w, dtype=np.float64))
    mean = found.mean - readings.correction_w
    value: Uncertain = mean + found.mean * terms.limit(f"{readings.instrument}:power.gain", readings.gain)
    value = value + terms.limit(f"{readings.instrument}:power.offset", readings.offset_w)
    value = value + terms.standard(f"{readings.instrument}:correction", readings.u_correction_w)
    value = value + terms.random(f"A:{readings.key}:power.mean", found.u, dof=found.dof)
    half = draws.half_width(value)
    if half > _LARGEST_SHARE * abs(mean):
        note = f"U95 {half:.3g} W of {mean:.3g} W"
        return withheld(kpi, at, reason=NOT_INFORMATIVE, captures=(readings.key,), n=found.n, flags=readings.flags, note=note)
    same = [c for c in captures if c.point.key == at]
    measured = pooled(same, "power.mean", terms=terms) or pooled(same, "power.floor", terms=terms)
    other = composed if measured is None else MeanPower(measured[0], measured[2])
    if other is None:
        return withheld(kpi, at, reason="no mean power to compare with", captures=(readings.key,), n=found.n, flags=readings.flags)
    record = difference(kpi, at, value - other.power, n=found.n, captures=(readings.key, *other.captures), draws=draws)
    return replace(record, flags=tuple(dict.fromkeys((*record.flags, *other.flags, *readings.flags))))
