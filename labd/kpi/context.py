"""What every figure of one capture is computed from."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate, published, withheld
from labd.kpi.events import Events
from labd.kpi.guard import Guard
from labd.kpi.hum import Hum
from labd.kpi.inputs import CaptureInput
from labd.kpi.terms import Terms, Uncertain, charge_like, power_like
from labd.kpi.trace import Trace, moments
from labd.kpi.type_a import TypeA, evaluate
from labd.records import KpiRecord
from labd.segment.edges import FloatArray

_DRIFT_SIGMAS = 4.0


@dataclass(slots=True)
class Findings:
    """What an analysis has found so far: records to publish, estimates that keep correlations, one value an event."""

    records: list[KpiRecord] = field(default_factory=list)
    estimates: dict[str, Estimate] = field(default_factory=dict)
    per_event: dict[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """One capture under analysis. flags: go into every record. hum: mains hum around the events where it stands out."""

    capture: CaptureInput
    trace: Trace
    events: Events
    guard: Guard | None
    terms: Terms
    draws: Draws
    found: Findings
    flags: tuple[str, ...]
    hum: Hum | None = None

    @property
    def at(self) -> str:
        return self.capture.point.key

    @property
    def lead_ohm(self) -> float:
        return self.capture.meter.series_ohm

    def watt(self, sums: FloatArray) -> FloatArray:
        """The power column of sums [..., columns]."""
        r = self.trace.ranges
        out: FloatArray = sums[..., :r].sum(axis=-1) - self.lead_ohm * sums[..., -1]
        return out

    def ampere(self, sums: FloatArray) -> FloatArray:
        r = self.trace.ranges
        out: FloatArray = sums[..., 2 * r : 3 * r].sum(axis=-1)
        return out

    def of_power(self, vector: FloatArray, *, timed: bool) -> Uncertain:
        return power_like(self.terms, self.capture.meter, moments=moments(vector), timed=timed)

    def of_current(self, vector: FloatArray, *, timed: bool) -> Uncertain:
        return charge_like(self.terms, self.capture.meter, moments=moments(vector), timed=timed)

    def add(self, kpi: str, value: Uncertain, *, series: FloatArray, note: str = "", flags: tuple[str, ...] = ()) -> Estimate:
        """Publish the mean of `series` (float64 [n]), whose nominal value and shared errors are `value`, with its Type A error."""
        if len(series) >= 2:
            type_a = evaluate(series)
            value = value + self.terms.random(f"A:{self.capture.key}:{kpi}", type_a.u, dof=type_a.dof)
            flags = (*flags, *drift(series, type_a))
        return self.put(Estimate(kpi, self.at, value, len(series), (*flags, *self.flags), note=note), scatter=len(series) >= 2)

    def put(self, estimate: Estimate, *, scatter: bool = True) -> Estimate:
        """Publish an estimate that is complete."""
        self.found.records.append(published(estimate, draws=self.draws, captures=(self.capture.key,), scatter=scatter))
        if scatter:
            self.found.estimates[estimate.id] = estimate
        return estimate

    def withhold(self, kpi: str, reason: str, *, n: int = 0, note: str = "") -> None:
        self.found.records.append(withheld(kpi, self.at, reason=reason, captures=(self.capture.key,), n=n, flags=self.flags, note=note))


def drift(series: FloatArray, type_a: TypeA) -> tuple[str, ...]:
    """`drift` where a straight line explains more of the series than chance, and moves it by more than a third of its U95 (rule C18)."""
    n = len(series)
    if n < 8 or type_a.u == 0:
        return ()
    t = np.arange(n) - (n - 1) / 2
    rest = series - series.mean()
    slope = float(t @ rest) / float(t @ t)
    spread = float(np.sum((rest - slope * t) ** 2)) / (n - 2)
    certain = abs(slope) > _DRIFT_SIGMAS * np.sqrt(spread / float(t @ t))
    return ("drift",) if certain and abs(slope) * (n - 1) > 2 * type_a.u else ()
