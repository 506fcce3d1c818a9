"""What feeds the board in the field: how long a battery lasts and how far a pulse pulls it down, and what a harvester sustains."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labd.kpi import closure
from labd.kpi.battery import CHARGE, ENERGY, battery_life, pulse_voltage
from labd.kpi.break_even import BEYOND, EXTRAPOLATED, with_detector
from labd.kpi.capture import CaptureResult
from labd.kpi.draws import Draws
from labd.kpi.harvester import buffer, neutral_rate
from labd.kpi.inputs import Battery, Detector, Harvester
from labd.kpi.mode_fit import ModeFit
from labd.kpi.pooled import energy_kind
from labd.kpi.rate_model import Line
from labd.kpi.terms import Terms, Uncertain
from labd.records import KpiRecord


@dataclass(frozen=True, slots=True)
class Sources:
    """What the plan says of them. supply_min_v: the least that the board works at, None where nobody tells."""

    battery: Battery | None
    harvester: Harvester | None
    detector: Detector
    supply_min_v: float | None
    terms: Terms
    draws: Draws

    def records(self, fit: ModeFit, own: Sequence[CaptureResult]) -> list[KpiRecord]:
        """own: captures of the mode."""
        supply = closure.pooled(own, "supply_voltage", terms=self.terms)
        found = self._lives(fit, supply[0] if supply else None)
        if self.battery is not None and supply is not None:
            found += self._pulse(fit, own, supply[0], self.battery)
        return [*found, *self._harvested(fit, own)]

    def _line(self, fit: ModeFit) -> Line:
        return with_detector(fit.mode, fit.line, detector=self.detector, terms=self.terms)

    def _lives(self, fit: ModeFit, supply_v: Uncertain | None) -> list[KpiRecord]:
        """By energy and by charge."""
        out: list[KpiRecord] = []
        if self.battery is None:
            return out
        for rate in self.battery.rates_hz:
            line, at = self._line(fit), f"{fit.at}/r={rate:g}"
            flags = list(line.flags)
            if rate > max(fit.rates_hz):
                flags.append(EXTRAPOLATED)
            if fit.r_max_hz is not None and rate > fit.r_max_hz:
                flags.append(BEYOND)
            loads = [(ENERGY, line.at(rate)), *([(CHARGE, line.at(rate) / supply_v)] if supply_v is not None else [])]
            for kpi, load in loads:
                life = battery_life(
                    load, kpi=kpi, battery=self.battery, at=at, captures=fit.captures, terms=self.terms, draws=self.draws, flags=flags
                )
                out.append(life)
        return out

    def _pulse(self, fit: ModeFit, own: Sequence[CaptureResult], supply_v: Uncertain, battery: Battery) -> list[KpiRecord]:
        """At the shortest time that a peak was taken over."""
        peaks = [(c.estimates[kpi].nominal, kpi, c) for c in own for kpi in c.estimates if kpi.startswith("power.peak[")]
        _, peak, capture = max(peaks, key=lambda one: one[0], default=(0.0, "", None))
        peak_w = None if capture is None else self.terms.adopt(capture.estimates[peak].value)
        keys = fit.captures if capture is None else (capture.key,)
        found = pulse_voltage(
            peak_w,
            supply_v,
            battery=battery,
            least_v=self.supply_min_v,
            at=fit.at,
            peak=peak,
            captures=keys,
            terms=self.terms,
            draws=self.draws,
        )
        return [] if found is None else [found]

    def _harvested(self, fit: ModeFit, own: Sequence[CaptureResult]) -> list[KpiRecord]:
        if self.harvester is None:
            return []
        given, rest = self.harvester, (self.terms, self.draws)
        rate = neutral_rate(
            self._line(fit), harvester=given, at=fit.at, r_max_hz=fit.r_max_hz, captures=fit.captures, terms=rest[0], draws=rest[1]
        )
        event = closure.pooled(own, energy_kind(fit.mode), terms=self.terms)
        if event is None:
            return [rate]
        least = buffer(event[0], harvester=given, at=fit.at, captures=event[2], n=event[1], terms=rest[0], draws=rest[1])
        return [rate, *([least] if least is not None else [])]
