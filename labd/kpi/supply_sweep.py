"""One mode at several supplies: the capacitance that an inference switches, and how energy and rest power go with the voltage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from uncertainties import umath

from labd.kpi.clock_sweep import Separated
from labd.kpi.draws import Draws
from labd.kpi.estimate import NOT_RESOLVED, Estimate, withheld
from labd.kpi.least_squares import NOT_LINEAR, Fit, fit_linear
from labd.kpi.swept import Swept, at_of, flags_of, freed, lack_of_fit, publish, slope_of, sweeps_of
from labd.kpi.terms import Uncertain
from labd.records import KpiRecord

NO_POWER = "goes with no one power of the supply"
NOT_CV2 = "does not go with the square of the supply"
INCREMENTAL = "of the incremental energy: what does not depend on the clock while it works is in it"
DYNAMIC = "of the energy that depends on the clock"


def over_supply(points: Sequence[Swept], separated: Sequence[Separated], *, draws: Draws) -> list[KpiRecord]:
    """Every mode and clock with two supplies or more (metrology note 2.2): E = C V^2 of an inference, and exponents of E and of the power
    at rest; where clocks were swept as well, of what they tell apart."""
    records: list[KpiRecord] = []
    for _, own in sweeps_of(points, lambda one: replace(one.point, supply_v=0.0)):
        at, keys = at_of(own[0].point, supply=False), _keys([one.captures for one in own])
        volts = [one.supply_v for one in own]
        records += _energy(volts, [one.incremental_j for one in own], at, keys=keys, note=INCREMENTAL, draws=draws)
        records += _exponent("floor", volts, [one.floor_w for one in own], at, keys=keys, draws=draws)
    groups: dict[str, list[Separated]] = {}
    for one in separated:
        groups.setdefault(at_of(one.point.point, supply=False), []).append(one)
    for at, parts in groups.items():
        if len(parts) > 1:
            records += _of_parts(parts, at, draws)
    return records


def _of_parts(parts: Sequence[Separated], at: str, draws: Draws) -> list[KpiRecord]:
    volts, keys = [one.point.supply_v for one in parts], _keys([one.captures for one in parts])
    records = _exponent("static_rest", volts, [one.rest_w for one in parts], at, keys=keys, draws=draws)
    dynamic = [one.dynamic_j for one in parts if one.dynamic_j is not None]
    active = [one.active_w for one in parts if one.active_w is not None]
    if len(dynamic) == len(parts):
        records += _energy(volts, dynamic, at, keys=keys, note=DYNAMIC, draws=draws)
    if len(active) == len(parts):
        records += _exponent("static_active", volts, active, at, keys=keys, draws=draws)
    return records


def _keys(captures: Sequence[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(key for own in captures for key in own))


def _energy(
    volts: Sequence[Uncertain], energies: Sequence[Uncertain], at: str, *, keys: Sequence[str], note: str, draws: Draws
) -> list[KpiRecord]:
    """C = E / V^2 of each supply, and one constant through them: the errors of the voltage are in it."""
    fit = _named(fit_linear(np.ones((len(volts), 1)), [e / (v * v) for e, v in zip(energies, volts, strict=True)]), NOT_CV2)
    capacitance = Estimate("supply_sweep.capacitance", at, fit.coefficients[0], len(volts), fit.flags, note=note)
    lack = lack_of_fit("supply_sweep.chi2_per_dof.capacitance", at, fit, keys)
    exponent = _exponent("energy", volts, energies, at, keys=keys, draws=draws, note=note)
    return [publish(capacitance, captures=keys, draws=draws), lack, *exponent]


def _exponent(
    name: str, volts: Sequence[Uncertain], values: Sequence[Uncertain], at: str, *, keys: Sequence[str], draws: Draws, note: str = ""
) -> list[KpiRecord]:
    """n of y = k V^n: the slope of ln y over ln V, in which a gain that all values share cancels."""
    kpi = f"supply_sweep.exponent.{name}"
    if any(float(y.nominal_value) - draws.half_width(y) <= 0 for y in values):
        return [withheld(kpi, at, reason=NOT_RESOLVED, captures=keys, note="the interval of a value reaches 0")]
    x, y = [umath.log(v) for v in volts], [umath.log(value) for value in values]
    log_v = np.array([float(one.nominal_value) for one in x])
    slope = slope_of(log_v.tolist(), [float(one.nominal_value) for one in y])
    design = np.stack((np.ones(len(log_v)), log_v), axis=1)
    fit = _named(fit_linear(design, [freed(one, slope, v) for one, v in zip(y, x, strict=True)]), NO_POWER)
    exponent = publish(Estimate(kpi, at, fit.coefficients[1], len(volts), flags_of(fit), note=note), captures=keys, draws=draws)
    return [exponent, lack_of_fit(f"supply_sweep.chi2_per_dof.{name}", at, fit, keys)]


def _named(fit: Fit, wrong: str) -> Fit:
    """With what a lack of fit means here."""
    return replace(fit, flags=tuple(wrong if flag == NOT_LINEAR else flag for flag in fit.flags))
