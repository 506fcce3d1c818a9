"""One mode at several clocks and one supply: what does not depend on the clock, what each cycle takes, and the share of the former."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate, withheld
from labd.kpi.least_squares import Fit, fit_linear
from labd.kpi.swept import Swept, at_of, flags_of, freed, lack_of_fit, publish, slope_of, sweeps_of, without_clock
from labd.kpi.terms import Uncertain
from labd.records import KpiRecord, Mode

NO_TIME = "no capture tells energy and time of an inference"
CLOCK_AS_SET = "clocks as set on the board"


@dataclass(frozen=True, slots=True)
class Separated:
    """One mode at one supply, over its clocks. point: without clock. rest_w, active_w: power that does not depend on the clock;
    dynamic_j: energy of an inference that depends on it; the latter two None where no capture tells energy and time of an inference."""

    point: Swept
    rest_w: Uncertain
    active_w: Uncertain | None
    dynamic_j: Uncertain | None
    captures: tuple[str, ...]


def separate(points: Sequence[Swept], rates_hz: Sequence[float], *, draws: Draws) -> tuple[list[Separated], list[KpiRecord]]:
    """Every mode and supply with two clocks or more (metrology note 2.2): P(f) = P_static + a f of rest and of inferring, and
    E_i = E_dyn + P_static t_i, which is a line over 1/f with t_i = N/f measured."""
    found, records = [], []
    for _, own in sweeps_of([p for p in points if p.point.clock_hz is not None], lambda one: without_clock(one.point)):
        one, more = _separate(own, rates_hz, draws)
        found.append(one)
        records += more
    return found, records


def _separate(own: Sequence[Swept], rates_hz: Sequence[float], draws: Draws) -> tuple[Separated, list[KpiRecord]]:
    shared = replace(own[0], point=without_clock(own[0].point))
    at, keys = at_of(shared.point, supply=True), tuple(key for one in own for key in one.captures)
    clocks = [float(one.point.clock_hz or 0.0) for one in own]
    rest = fit_linear(_line(clocks), [one.floor_w for one in own])
    records = _of_power("rest", rest, at, keys=keys, n=len(own), draws=draws)
    active, dynamic = _active(own, clocks)
    if active is None or dynamic is None:
        ids = ("static_power.active", "energy_per_cycle.active", "dynamic_energy")
        records += [withheld(f"clock_sweep.{name}", at, reason=NO_TIME, captures=keys) for name in ids]
    else:
        records += _of_power("active", active, at, keys=keys, n=len(own), draws=draws)
        estimate = Estimate("clock_sweep.dynamic_energy", at, dynamic.coefficients[0], len(own), flags_of(dynamic))
        records += [publish(estimate, captures=keys, draws=draws), lack_of_fit("clock_sweep.chi2_per_dof.energy", at, dynamic, keys)]
    active_w = None if active is None else active.coefficients[0]
    dynamic_j = None if dynamic is None else dynamic.coefficients[0]
    parts = Separated(shared, rest.coefficients[0], active_w, dynamic_j, keys)
    for one in own:
        for rate in rates_hz:
            records += _shares(parts, one, rate, flags=flags_of(rest), draws=draws)
    return parts, records


def _line(x: Sequence[float]) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.stack((np.ones(len(x)), np.asarray(x, dtype=np.float64)), axis=1)


def _of_power(name: str, fit: Fit, at: str, *, keys: Sequence[str], n: int, draws: Draws) -> list[KpiRecord]:
    flags = flags_of(fit)
    static = Estimate(f"clock_sweep.static_power.{name}", at, fit.coefficients[0], n, flags, note=CLOCK_AS_SET)
    cycle = Estimate(f"clock_sweep.energy_per_cycle.{name}", at, fit.coefficients[1], n, flags, note=CLOCK_AS_SET)
    figures = [publish(one, captures=keys, draws=draws) for one in (static, cycle)]
    return [*figures, lack_of_fit(f"clock_sweep.chi2_per_dof.{name}", at, fit, keys)]


def _active(own: Sequence[Swept], clocks: Sequence[float]) -> tuple[Fit | None, Fit | None]:
    """Power of the inference over the clock, and its energy over its time."""
    energies = [one.gross_j for one in own if one.gross_j is not None]
    times = [one.infer_s for one in own if one.infer_s is not None]
    if len(energies) < len(own) or len(times) < len(own):
        return None, None
    lasts = [float(t.nominal_value) for t in times]
    power = fit_linear(_line(clocks), [e / t for e, t in zip(energies, times, strict=True)])
    slope = slope_of(lasts, [float(e.nominal_value) for e in energies])
    energy = fit_linear(_line(lasts), [freed(e, slope, t) for e, t in zip(energies, times, strict=True)])
    return power, energy


def _shares(parts: Separated, one: Swept, rate: float, *, flags: tuple[str, ...], draws: Draws) -> list[KpiRecord]:
    """Static power over the mean power at a rate: that of rest; and of all that an always-on board does, rest and inferring. In the event
    modes nothing tells what of waking and the tail depends on the clock."""
    mean = one.floor_w + rate * one.incremental_j
    found = {"static_share.rest": parts.rest_w / mean}
    if one.mode is Mode.ALWAYS_ON and parts.active_w is not None and one.infer_s is not None:
        found["static_share.all"] = (parts.rest_w + rate * one.infer_s * (parts.active_w - parts.rest_w)) / mean
    at = replace(one.point, rate_hz=rate).key
    return [publish(Estimate(kpi, at, share, 1, flags), captures=parts.captures, draws=draws) for kpi, share in found.items()]
