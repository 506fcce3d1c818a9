"""All captures of a run in, what they say about the modes out: rate fits, closures, break-even, battery life."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from labd.kpi import closure
from labd.kpi.battery import battery_life
from labd.kpi.break_even import BEYOND, EXTRAPOLATED, ModeLine, break_even, with_detector
from labd.kpi.capture import CaptureResult
from labd.kpi.composed import COMPOSED_OF_EVENTS, Composition, at_rates, compose
from labd.kpi.draws import Draws
from labd.kpi.estimate import TERM_UNKNOWN, Estimate, budget, published, withheld
from labd.kpi.inputs import AnalyzerReadings, Battery, Detector
from labd.kpi.rate_model import Line, NeedsRateZeroError, fit_line
from labd.kpi.terms import Terms, Uncertain, parts, unknown_terms
from labd.records import KpiRecord, Mode, Provenance, Role

NEEDS_RATE_ZERO = "needs rate 0"
COMPOSED = "composed: floor + excess over the quiet level of the same capture"
_CURVE_POINTS = 48


@dataclass(frozen=True, slots=True)
class ModeFit:
    """One mode's line with the points it rests on, for tables and plots.

    rates_hz, powers_w, u_w: the points. curve: (rate, power, low, high) on a logarithmic grid up to r_max_hz. composed: see COMPOSED,
    or COMPOSED_OF_EVENTS among the flags of the line.
    """

    at: str
    mode: Mode
    rates_hz: tuple[float, ...]
    powers_w: tuple[float, ...]
    u_w: tuple[float, ...]
    line: Line
    r_max_hz: float | None
    composed: bool
    captures: tuple[str, ...]
    curve: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class SweepResult:
    """records: to publish. estimates: `id@at` -> value with its correlations. fits: one a mode. problems: one line each."""

    records: tuple[KpiRecord, ...]
    estimates: Mapping[str, Estimate]
    fits: tuple[ModeFit, ...]
    problems: tuple[str, ...]


def analyse_sweep(
    captures: Sequence[CaptureResult],
    *,
    detector: Detector,
    battery: Battery | None,
    seed: int,
    analyzer: Sequence[AnalyzerReadings] = (),
    rates_hz: Sequence[float] = (),
) -> SweepResult:
    """Compare the modes of each combination of supply, model and settings among `captures`. The errors that captures share join by name,
    whoever analysed them. rates_hz: what the plan asks for; a mode without captures at rates is composed there from floor and events.

    Figures that cannot be had are withheld with the reason; nothing is raised for what was measured."""
    terms, draws = Terms(), Draws(seed, "sweep")
    records: list[KpiRecord] = []
    fits: list[ModeFit] = []
    estimates: dict[str, Estimate] = {}
    groups = _groups(captures)
    for name, members in groups.items():
        suffix = f"/{name}" if len(groups) > 1 else ""
        mine = _modes(members, suffix, rates_hz, terms=terms, draws=draws, records=records, estimates=estimates)
        fits += mine
        for first, second in itertools.combinations(sorted(mine, key=lambda f: list(Mode).index(f.mode)), 2):
            records.append(_break_even(first, second, suffix, detector=detector, terms=terms, draws=draws, estimates=estimates))
        if battery is not None:
            records += _lives(mine, battery, detector=detector, terms=terms, draws=draws)
    records += [closure.power_analyzer(captures, readings, terms=terms, draws=draws) for readings in analyzer]
    problems = [f"{r.id} at {r.at}: {closure.DISAGREE}" for r in records if closure.DISAGREE in r.flags]
    flags = {c.key: c.flags for c in captures}
    return SweepResult(tuple(_told(record, flags) for record in records), estimates, tuple(fits), tuple(problems))


def _told(record: KpiRecord, flags: Mapping[str, tuple[str, ...]]) -> KpiRecord:
    """With the flags of the captures it rests on."""
    more = itertools.chain.from_iterable(flags.get(key, ()) for key in record.captures)
    return replace(record, flags=tuple(dict.fromkeys((*record.flags, *more))))


def _groups(captures: Sequence[CaptureResult]) -> dict[str, list[CaptureResult]]:
    """Captures by everything of their operating point but mode and rate."""
    out: dict[str, list[CaptureResult]] = {}
    for c in captures:
        settings = "".join(f"/{k}={v}" for k, v in sorted(c.point.settings.items()))
        out.setdefault(f"v={c.point.supply_v:g}/{c.point.model}{settings}", []).append(c)
    return out


def _modes(
    members: Sequence[CaptureResult],
    suffix: str,
    rates_hz: Sequence[float],
    *,
    terms: Terms,
    draws: Draws,
    records: list[KpiRecord],
    estimates: dict[str, Estimate],
) -> list[ModeFit]:
    fits = []
    for mode in Mode:
        own = [c for c in members if c.point.mode == mode]
        if not own:
            continue
        at = f"{mode}{suffix}"
        found = None if _measured_at_rates(own) else compose(own, mode, terms=terms)
        if isinstance(found, Composition):
            fit: ModeFit | str = _composed(found, own, at, rates_hz, mode=mode, terms=terms, draws=draws)
            records += at_rates(found, own, rates_hz, draws=draws)
        else:
            fit = found or _fit(own, at, mode, terms=terms, draws=draws)
        if isinstance(fit, str):
            records += [
                withheld(kpi, at, reason=fit, captures=[c.key for c in own]) for kpi in ("fit.floor_power", "fit.incremental_energy")
            ]
        else:
            fits.append(fit)
            _publish_fit(fit, draws=draws, records=records, estimates=estimates)
            _close_slope(fit, own, terms=terms, draws=draws, records=records)
        if mode.is_event:
            records.append(closure.phases(own, at, mode, terms=terms, draws=draws))
    return fits


def _fit(own: Sequence[CaptureResult], at: str, mode: Mode, *, terms: Terms, draws: Draws) -> ModeFit | str:
    """The fit of one mode, or the reason why there is none."""
    floors = [c for c in own if c.role == Role.FLOOR and "power.floor" in c.estimates]
    means = [c for c in own if c.role == Role.MEAN and c.point.rate_hz > 0 and "power.mean" in c.estimates]
    if not floors:
        return NEEDS_RATE_ZERO
    base = _bracketed(floors, at, terms=terms)
    composed = any(_must_compose(c, floors[0]) for c in means)
    points: list[tuple[float, Uncertain]] = [(0.0, base)]
    points += [(_rate(c), _power(c, floors[0], base=base, terms=terms)) for c in means]
    try:
        line = fit_line([r for r, _ in points], [p for _, p in points])
    except NeedsRateZeroError:
        return NEEDS_RATE_ZERO
    except ValueError:
        return "needs two rates or more"
    r_max = _largest_rate(own)
    return ModeFit(
        at=at,
        mode=mode,
        rates_hz=tuple(r for r, _ in points),
        powers_w=tuple(float(p.nominal_value) for _, p in points),
        u_w=tuple(Estimate("power", at, p, 1).u for _, p in points),
        line=line,
        r_max_hz=r_max,
        composed=composed,
        captures=tuple(c.key for c in (*floors, *means)),
        curve=_curve(line, max(r for r, _ in points), r_max, draws=draws),
    )


def _bracketed(floors: Sequence[CaptureResult], at: str, *, terms: Terms) -> Uncertain:
    """The floor from its repeats. Repeats that differ by more than their scatter bracket a drift (temperature, zero): between them it can
    have been anywhere, a rectangular error of half their range. Their own Type A errors, far smaller, know nothing of it."""
    values = [terms.adopt(c.estimates["power.floor"].value) for c in floors]
    mean: Uncertain = sum(values) / len(values)
    nominal = [float(v.nominal_value) for v in values]
    scatter = math.hypot(*(_random_u(v) for v in values))
    half_range = (max(nominal) - min(nominal)) / 2
    return mean + terms.limit(f"{at}:floor drift", half_range) if half_range > scatter else mean


def _random_u(value: Uncertain) -> float:
    return math.hypot(*(c * v.tag.unit_u for v, c in parts(value) if v.tag.kind == "A"))


def _measured_at_rates(own: Sequence[CaptureResult]) -> bool:
    return any(c.role == Role.MEAN and c.point.rate_hz > 0 for c in own)


def _composed(
    found: Composition, own: Sequence[CaptureResult], at: str, rates_hz: Sequence[float], *, mode: Mode, terms: Terms, draws: Draws
) -> ModeFit:
    """Its points: the floors as measured, and the plan's rates as composed."""
    floors = [terms.adopt(c.estimates["power.floor"].value) for c in own if c.role == Role.FLOOR and "power.floor" in c.estimates]
    above = sorted(r for r in rates_hz if r > 0)
    points = [*((0.0, p) for p in floors), *((r, found.line.at(r)) for r in above)]
    r_max = _largest_rate(own)
    return ModeFit(
        at=at,
        mode=mode,
        rates_hz=tuple(r for r, _ in points),
        powers_w=tuple(float(p.nominal_value) for _, p in points),
        u_w=tuple(Estimate("power", at, p, 1).u for _, p in points),
        line=found.line,
        r_max_hz=r_max,
        composed=True,
        captures=found.captures,
        curve=_curve(found.line, above[-1], r_max, draws=draws) if above else (),
    )


def _must_compose(mean: CaptureResult, floor: CaptureResult) -> bool:
    """A fixed range that holds the peak cannot see the floor: then the floor comes from its own capture."""
    return (mean.instrument, mean.ranges_a) != (floor.instrument, floor.ranges_a) and "excess_power" in mean.estimates


def _power(mean: CaptureResult, floor: CaptureResult, *, base: Uncertain, terms: Terms) -> Uncertain:
    if _must_compose(mean, floor):
        return base + terms.adopt(mean.estimates["excess_power"].value)
    return terms.adopt(mean.estimates["power.mean"].value)


def _rate(mean: CaptureResult) -> float:
    """The achieved rate, not the asked one."""
    found = mean.estimates.get("inference_rate")
    return found.nominal if found else mean.point.rate_hz


def _largest_rate(own: Sequence[CaptureResult]) -> float | None:
    active = [c.estimates["active_time"].nominal for c in own if "active_time" in c.estimates]
    return 1 / (sum(active) / len(active)) if active and sum(active) > 0 else None


def _curve(line: Line, measured: float, r_max: float | None, *, draws: Draws) -> tuple[tuple[float, float, float, float], ...]:
    out = []
    for r in np.geomspace(measured / 1e3, r_max or measured, _CURVE_POINTS).tolist():
        power = line.at(r)
        half = draws.half_width(power)
        out.append((r, float(power.nominal_value), float(power.nominal_value) - half, float(power.nominal_value) + half))
    return tuple(out)


def _publish_fit(fit: ModeFit, *, draws: Draws, records: list[KpiRecord], estimates: dict[str, Estimate]) -> None:
    own_words = COMPOSED_OF_EVENTS in fit.line.flags
    flags = (*fit.line.flags, *((COMPOSED,) if fit.composed and not own_words else ()))
    for kpi, value in (("fit.floor_power", fit.line.floor), ("fit.incremental_energy", fit.line.slope)):
        estimate = Estimate(kpi, fit.at, value, len(fit.rates_hz), flags)
        estimates[f"{kpi}@{fit.at}"] = estimate
        records.append(published(estimate, draws=draws, captures=fit.captures, provenance=Provenance.COMPUTED))
    if fit.line.chi2_per_dof is None:
        records.append(withheld("fit.chi2_per_dof", fit.at, reason="no spare points", captures=fit.captures, n=len(fit.rates_hz)))
        return
    records.append(
        KpiRecord(
            id="fit.chi2_per_dof",
            at=fit.at,
            value=fit.line.chi2_per_dof,
            unit="1",
            u=None,
            low=None,
            high=None,
            n=fit.line.dof,
            provenance=Provenance.COMPUTED,
            method="lack of fit",
            captures=fit.captures,
            flags=fit.line.flags,
            note=f"{fit.line.dof} degrees of freedom",
        )
    )


def _close_slope(fit: ModeFit, own: Sequence[CaptureResult], *, terms: Terms, draws: Draws, records: list[KpiRecord]) -> None:
    window = closure.pooled(own, closure.window_energy(fit.mode), terms=terms)
    kpi = "closure.slope_vs_window"
    if COMPOSED_OF_EVENTS in fit.line.flags:
        records.append(withheld(kpi, fit.at, reason="the slope is the window energy", captures=fit.captures))
        return
    if window is None:
        records.append(withheld(kpi, fit.at, reason="no window energy", captures=fit.captures))
        return
    value, n, keys = window
    records.append(closure.difference(kpi, fit.at, fit.line.slope - value, n=n, captures=(*fit.captures, *keys), draws=draws))


def _break_even(
    first: ModeFit, second: ModeFit, suffix: str, *, detector: Detector, terms: Terms, draws: Draws, estimates: dict[str, Estimate]
) -> KpiRecord:
    at = f"{first.mode}|{second.mode}{suffix}"
    pair = [ModeLine(f.mode, f.line, f.r_max_hz, max(f.rates_hz)) for f in (first, second)]
    found = break_even(pair[0], pair[1], detector=detector, terms=terms, draws=draws)
    captures = (*first.captures, *second.captures)
    if found.value is None:
        return withheld("break_even_rate", at, reason=found.flags[0], captures=captures, flags=found.flags[1:], note=found.note)
    unknown = bool(unknown_terms(found.rate))
    flags = (*found.flags, *((TERM_UNKNOWN,) if unknown else ()))
    estimates[f"break_even_rate@{at}"] = Estimate("break_even_rate", at, found.rate, len(captures), flags)
    return KpiRecord(
        id="break_even_rate",
        at=at,
        value=found.value,
        unit="Hz",
        u=None if unknown else found.u,
        low=None if unknown else found.low,
        high=None if unknown else found.high,
        n=len(captures),
        provenance=Provenance.COMPUTED,
        method="Fieller",
        captures=captures,
        budget=budget(found.rate),
        flags=flags,
        note=found.note,
    )


def _lives(fits: Sequence[ModeFit], battery: Battery, *, detector: Detector, terms: Terms, draws: Draws) -> list[KpiRecord]:
    out = []
    for fit in fits:
        line = with_detector(fit.mode, fit.line, detector=detector, terms=terms)
        for rate in battery.rates_hz:
            flags = list(line.flags)
            if rate > max(fit.rates_hz):
                flags.append(EXTRAPOLATED)
            if fit.r_max_hz is not None and rate > fit.r_max_hz:
                flags.append(BEYOND)
            at = f"{fit.at}/r={rate:g}"
            out.append(battery_life(line.at(rate), battery=battery, at=at, captures=fit.captures, terms=terms, draws=draws, flags=flags))
    return out
