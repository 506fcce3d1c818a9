"""Where the figures that a plan aims at stand, by what a sweep has found so far, and from which captures each is known."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labd.kpi.aims import Aim, Part, Seen, Standing, moot, standing
from labd.kpi.capture import CaptureResult
from labd.kpi.closure import window_energy
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.mode_fit import ModeFit
from labd.kpi.pooled import energy_kind
from labd.kpi.scatter import random_variance
from labd.kpi.sweep import SweepResult
from labd.records import KpiRecord, Role

ENERGY, FLOOR, SLOPE, BREAK_EVEN = "energy_per_inference", "floor_power", "incremental_energy", "break_even"
FIGURES: Mapping[str, str] = {
    ENERGY: "pooled.energy_per_inference",
    FLOOR: "fit.floor_power",
    SLOPE: "fit.incremental_energy",
    BREAK_EVEN: "break_even_rate",
}
ANSWERS = ("wins at every reachable rate", "never wins")  # ends of what is said where two modes do not cross


def standings(aims: Sequence[Aim], sweep: SweepResult, captures: Sequence[CaptureResult], *, seed: int) -> list[Standing]:
    """One for each figure that an aim is about: energies at the highest rate of each mode, floors and slopes of each mode, and the
    break-even rate of each pair of them. One that cannot be had says why."""
    found = _Found(sweep, captures, Draws(seed, "aims"))
    return [one for aim in aims for one in found.of(aim)]


@dataclass(frozen=True, slots=True)
class _Found:
    sweep: SweepResult
    captures: Sequence[CaptureResult]
    draws: Draws

    def of(self, aim: Aim) -> Iterator[Standing]:
        wanted = FIGURES[aim.figure]
        known = {key: estimate for key, estimate in self.sweep.estimates.items() if estimate.id.startswith(wanted)}
        for estimate in self._highest(known) if aim.figure == ENERGY else known.values():
            yield standing(aim, estimate, self._parts(aim.figure, estimate), self.draws)
        for record in self.sweep.records:
            if record.id.startswith(wanted) and record.value is None and f"{record.id}@{record.at}" not in known:
                yield _without(aim, record)

    def _highest(self, known: Mapping[str, Estimate]) -> list[Estimate]:
        """Of each mode the energy at its highest rate."""
        points = {capture.point.key: capture.point for capture in self.captures}
        best: dict[tuple[object, ...], Estimate] = {}
        for estimate in known.values():
            point = points[estimate.at]
            there = best.setdefault((point.mode, point.supply_v, point.model), estimate)
            if points[there.at].rate_hz < point.rate_hz:
                best[point.mode, point.supply_v, point.model] = estimate
        return list(best.values())

    def _parts(self, figure: str, estimate: Estimate) -> list[Part]:
        """Relative derivatives by floor and slope of the lines that it is computed from."""
        value = abs(estimate.nominal)
        if not value:
            return []
        if figure == ENERGY:
            return [Part(1 / value, 0.0, tuple(self._energies(estimate)))]
        fits = {fit.at: fit for fit in self.sweep.fits}
        if figure in (FLOOR, SLOPE):
            floor, slope = (1 / value, 0.0) if figure == FLOOR else (0.0, 1 / value)
            return [Part(floor, slope, tuple(self._seen(fits[estimate.at])), estimate.at)]
        names, _, suffix = estimate.at.partition("/")
        first, second = (fits[f"{name}{f'/{suffix}' if suffix else ''}"] for name in names.split("|"))
        apart = float(second.line.slope.nominal_value - first.line.slope.nominal_value)
        by_floor, by_slope = 1 / (apart * value), estimate.nominal / (apart * value)
        return [
            Part(by_floor, by_slope, tuple(self._seen(first)), first.at),
            Part(-by_floor, -by_slope, tuple(self._seen(second)), second.at),
        ]

    def _energies(self, estimate: Estimate) -> Iterator[Seen]:
        for capture in self.captures:
            own = capture.estimates.get(energy_kind(capture.point.mode))
            if own is not None and capture.point.key == estimate.at:
                yield Seen(capture.key, 1.0, 0.0, random_variance(own.value))

    def _seen(self, fit: ModeFit) -> Iterator[Seen]:
        """What each capture behind a fit tells: its floor; mean power at a rate, or where that is composed what rises above the quiet level
        of the same capture; or the energy of single events."""
        for capture in self.captures:
            if capture.key not in fit.captures:
                continue
            rate_hz, estimates = capture.point.rate_hz, capture.estimates
            if capture.role is Role.FLOOR:
                yield Seen(capture.key, 1.0, 0.0, random_variance(estimates["power.floor"].value))
            elif capture.role is Role.EVENT:
                yield Seen(capture.key, 0.0, 1.0, random_variance(estimates[window_energy(capture.point.mode)].value))
            elif fit.composed and "excess_power" in estimates:
                yield Seen(capture.key, 0.0, rate_hz, random_variance(estimates["excess_power"].value))
            else:
                yield Seen(capture.key, 1.0, rate_hz, random_variance(estimates["power.mean"].value))


def _without(aim: Aim, record: KpiRecord) -> Standing:
    """A break-even that is none by what was measured is an answer; what else has no value cannot be had."""
    why = record.flags[0]
    if aim.figure == BREAK_EVEN and why.endswith(ANSWERS):
        return moot(aim, record.id, record.at, why)
    return Standing(aim, record.id, record.at, math.inf, math.inf, why, (), math.inf)
