"""What sweeps of clock and supply rest on: one mode at one clock and supply, out of the captures of its operating points."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labd.kpi.capture import CaptureResult
from labd.kpi.closure import pooled
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate, published, withheld
from labd.kpi.least_squares import Fit
from labd.kpi.mode_fit import ModeFit
from labd.kpi.terms import Terms, Uncertain
from labd.records import CLOCK, KpiRecord, Mode, OperatingPoint, Provenance

TWO_VALUES = "two values: the law is taken, not tested"


@dataclass(frozen=True, slots=True)
class Swept:
    """One mode at one clock and supply. point: any of its operating points, at rate 0. floor_w, incremental_j: of its line over the rates.
    gross_j, infer_s: energy and time of an inference, None where no capture tells both. supply_v: mean over its captures. captures: keys.
    """

    point: OperatingPoint
    floor_w: Uncertain
    incremental_j: Uncertain
    gross_j: Uncertain | None
    infer_s: Uncertain | None
    supply_v: Uncertain
    captures: tuple[str, ...]

    @property
    def mode(self) -> Mode:
        return self.point.mode


def swept(fit: ModeFit, own: Sequence[CaptureResult], *, terms: Terms) -> Swept:
    """own: captures of the mode of `fit` in its group. Where none of them knows a supply voltage it is as the plan has it."""
    supply = pooled(own, "supply_voltage", terms=terms)
    timed = [c for c in own if "energy_per_inference.gross" in c.estimates and _time(c) in c.estimates]
    gross = pooled(timed, "energy_per_inference.gross", terms=terms)
    chosen = [replace(c, estimates={"infer_s": c.estimates[_time(c)]}) for c in timed]
    lasts = pooled(chosen, "infer_s", terms=terms)
    return Swept(
        point=replace(own[0].point, rate_hz=0.0),
        floor_w=fit.line.floor,
        incremental_j=fit.line.slope,
        gross_j=gross[0] if gross else None,
        infer_s=lasts[0] if lasts else None,
        supply_v=supply[0] if supply else own[0].point.supply_v + terms.limit("supply_voltage", None),
        captures=tuple(dict.fromkeys((*fit.captures, *(gross[2] if gross else ())))),
    )


def _time(capture: CaptureResult) -> str:
    return "latency.pin.mean" if "latency.pin.mean" in capture.estimates else "latency.dut_counter.mean"


def sweeps_of(points: Iterable[Swept], same: Callable[[Swept], OperatingPoint]) -> list[tuple[str, list[Swept]]]:
    """Those that `same` makes equal, where there are two or more, with the key of what they share."""
    groups: dict[str, list[Swept]] = {}
    for one in points:
        groups.setdefault(same(one).key, []).append(one)
    return [(key, found) for key, found in groups.items() if len(found) > 1]


def without_clock(point: OperatingPoint) -> OperatingPoint:
    return replace(point, settings={key: value for key, value in point.settings.items() if key != CLOCK})


def at_of(point: OperatingPoint, *, supply: bool) -> str:
    """Place of a figure over a sweep, e.g. `always_on/v=1.8/snn` over clocks and `always_on/snn/clock=48000000` over supplies."""
    extra = [f"{key}={value}" for key, value in sorted(point.settings.items())]
    return "/".join([str(point.mode), *([f"v={point.supply_v:g}"] if supply else []), point.model, *extra])


def publish(estimate: Estimate, *, captures: Sequence[str], draws: Draws) -> KpiRecord:
    return published(estimate, draws=draws, captures=tuple(dict.fromkeys(captures)), provenance=Provenance.COMPUTED)


def lack_of_fit(kpi: str, at: str, fit: Fit, captures: Sequence[str]) -> KpiRecord:
    """Chi-squared per degree of freedom, or why there is none."""
    if fit.chi2_per_dof is None:
        return withheld(kpi, at, reason="no spare points", captures=captures)
    note = f"{fit.dof} degrees of freedom"
    return KpiRecord(
        kpi, at, fit.chi2_per_dof, "1", None, None, None, fit.dof, Provenance.COMPUTED, "lack of fit", tuple(captures), (), fit.flags, note
    )


def flags_of(fit: Fit) -> tuple[str, ...]:
    return fit.flags if fit.dof else (TWO_VALUES,)


def freed(value: Uncertain, slope: float, x: Uncertain) -> Uncertain:
    """A value for a fit over x, with the error of its own x in it (effective variance): exact to first order."""
    return value - slope * (x - float(x.nominal_value))


def slope_of(x: Sequence[float], y: Sequence[float]) -> float:
    """Of a straight line, unweighted: what the errors of x are multiplied by."""
    return float(np.polyfit(np.asarray(x), np.asarray(y), 1)[0])
