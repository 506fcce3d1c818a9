"""Where the figures that a plan aims at stand, by what a sweep has found so far, and from which captures each is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from labd.kpi.aims import LEAST_DOF, Aim, Part, Seen, Standing, moot, standing
from labd.kpi.break_even import NEVER_WINS, WINS
from labd.kpi.capture import CaptureResult
from labd.kpi.closure import window_energy
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.mode_fit import ModeFit
from labd.kpi.pooled import energy_kind
from labd.kpi.scatter import random_dof, random_variance
from labd.kpi.sweep import SweepResult, group_of
from labd.records import KpiRecord, Mode, OperatingPoint, Role

ENERGY, FLOOR, SLOPE, BREAK_EVEN = "energy_per_inference", "floor_power", "incremental_energy", "break_even"
FIGURES: Mapping[str, str] = {
    ENERGY: "pooled.energy_per_inference",
    FLOOR: "fit.floor_power",
    SLOPE: "fit.incremental_energy",
    BREAK_EVEN: "break_even_rate",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """A capture that the plan of a run asks for, whether it was made or not. error: why it failed, empty where it did not."""

    point: OperatingPoint
    role: Role
    error: str = ""


def standings(
    aims: Sequence[Aim], sweep: SweepResult, captures: Sequence[CaptureResult], asked: Sequence[Asked], *, seed: int
) -> list[Standing]:
    """One for each figure that an aim is about, by what the plan asks for and not by what was found: energies at the highest rate of each
    mode, floors and slopes of each mode, and the break-even rate of each pair of them, for each supply, model and settings. One that cannot
    be had says why. asked: captures of the meter, without starts."""
    found = _Found(sweep, captures, asked, Draws(seed, "aims"))
    return [one for aim in aims for one in found.of(aim)]


@dataclass(frozen=True)
class _Found:
    sweep: SweepResult
    captures: Sequence[CaptureResult]
    asked: Sequence[Asked]
    draws: Draws

    def of(self, aim: Aim) -> Iterator[Standing]:
        for kpi, at, about in self._wanted(aim.figure):
            estimate = self.sweep.estimates.get(f"{kpi}@{at}")
            record = self._withheld.get((kpi.removeprefix("pooled."), at))
            if estimate is not None:
                yield self._as_published(standing(aim, estimate, self._parts(aim.figure, estimate), self.draws))
            elif record is not None and aim.figure == BREAK_EVEN and record.flags[0].endswith((WINS, NEVER_WINS)):
                yield self._no_such_rate(aim, record)
            else:
                why = record.flags[0] if record is not None else self._missing(kpi, about)
                yield Standing(aim, kpi, at, math.inf, math.inf, why, (), math.inf)

    def _as_published(self, one: Standing) -> Standing:
        """By the longer arm of the interval that is published: Fieller's of a break-even reaches further up than down."""
        record = next((r for r in self.sweep.records if (r.id, r.at) == (one.id, one.at) and r.value), None)
        if record is None or record.value is None or record.low is None or record.high is None:
            return one
        arm = max(record.high - record.value, record.value - record.low) / abs(record.value)
        return replace(one, half_width=max(one.half_width, arm))

    def _wanted(self, figure: str) -> Iterator[tuple[str, str, dict[str, list[Asked]]]]:
        """Of each figure its id, where it is, and what is asked for, by the point or the line that it is about."""
        for name, modes in self._groups.items():
            suffix = f"/{name}" if name in self._named else ""
            for mode, own in modes.items():
                if figure == ENERGY:
                    highest = max(own, key=lambda one: (one.role is not Role.FLOOR, one.point.rate_hz)).point
                    there = [one for one in own if one.point == highest and one.role is not Role.FLOOR]
                    yield f"pooled.{energy_kind(mode)}", highest.key, {highest.key: there or own}
                elif figure != BREAK_EVEN:
                    yield FIGURES[figure], f"{mode}{suffix}", {f"{mode}{suffix}": own}
            if figure == BREAK_EVEN:
                for first, second in itertools.combinations(modes, 2):
                    lines = {f"{mode}{suffix}": modes[mode] for mode in (first, second)}
                    yield FIGURES[figure], f"{first}|{second}{suffix}", lines

    @cached_property
    def _groups(self) -> Mapping[str, Mapping[Mode, list[Asked]]]:
        """What is asked for by supply, model and settings, then by mode in the order of modes."""
        found: dict[str, dict[Mode, list[Asked]]] = {}
        for one in sorted(self.asked, key=lambda one: list(Mode).index(one.point.mode)):
            found.setdefault(group_of(one.point), {}).setdefault(one.point.mode, []).append(one)
        return found

    @cached_property
    def _named(self) -> frozenset[str]:
        """Groups whose name stands with their figures: the sweep leaves it out where it has found one alone."""
        found = {group_of(capture.point) for capture in self.captures}
        if len(self._groups) == 1:
            return frozenset()
        return frozenset(self._groups.keys() - found if len(found) == 1 else self._groups)

    @cached_property
    def _withheld(self) -> Mapping[tuple[str, str], KpiRecord]:
        every = itertools.chain(self.sweep.records, *(capture.records for capture in self.captures))
        return {(record.id, record.at): record for record in every if record.value is None and record.flags}

    def _missing(self, kpi: str, about: Mapping[str, Sequence[Asked]]) -> str:
        """Why there is neither a figure nor a record that says why. about: what is asked for, by point or line."""
        made = {capture.point.key for capture in self.captures}
        for where, own in about.items():
            failed = next((one.error for one in own if one.error), "")
            if not made.intersection(one.point.key for one in own):
                return f"no capture of {where} was finished{f': {failed}' if failed else ''}"
            if line := self._withheld.get((FIGURES[FLOOR], where)):
                return f"{where}: {line.flags[0]}"
        return f"no capture tells {kpi}"

    def _parts(self, figure: str, estimate: Estimate) -> list[Part]:
        """Relative derivatives by floor and slope of the lines that it is computed from."""
        value = abs(estimate.nominal)
        if not value:
            return []
        if figure == ENERGY:
            return [Part(1 / value, 0.0, tuple(self._energies(estimate)))]
        if figure in (FLOOR, SLOPE):
            floor, slope = (1 / value, 0.0) if figure == FLOOR else (0.0, 1 / value)
            (fit,) = (fit for fit in self.sweep.fits if fit.at == estimate.at)
            return [Part(floor, slope, tuple(self._seen(fit)), estimate.at)]
        first, second = self._pair(estimate.at)
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

    def _no_such_rate(self, aim: Aim, record: KpiRecord) -> Standing:
        """An answer too, once it does not rest on a scatter that came out small by chance."""
        first, second = self._pair(record.at)
        ends = (first.line.floor - second.line.floor, first.line.slope - second.line.slope)
        dof = min(random_dof(end) for end in ends)
        if dof >= LEAST_DOF:
            return moot(aim, record.id, record.at, record.flags[0])
        parts = [Part(1.0, 1.0, tuple(self._seen(fit))) for fit in (first, second)]
        return Standing(aim, record.id, record.at, 0.0, 0.0, "", tuple(parts), dof)

    def _pair(self, at: str) -> tuple[ModeFit, ModeFit]:
        """The fits of the modes that a break-even rate is of."""
        fits = {fit.at: fit for fit in self.sweep.fits}
        names, _, suffix = at.partition("/")
        first, second = (fits[f"{name}{f'/{suffix}' if suffix else ''}"] for name in names.split("|"))
        return first, second
