"""All captures of a run in, what they say about the modes out: rate fits, closures, break-even, battery life."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labd.kpi import closure
from labd.kpi.arrivals import random_arrivals
from labd.kpi.break_even import NOT_RESOLVED, ModeLine, break_even
from labd.kpi.capture import CaptureResult
from labd.kpi.clock_sweep import separate
from labd.kpi.composed import COMPOSED_OF_EVENTS, Composition, at_rates, compose
from labd.kpi.draws import Draws
from labd.kpi.estimate import TERM_UNKNOWN, Estimate, budget, published, withheld
from labd.kpi.inputs import AnalyzerReadings, Battery, Detector, Harvester
from labd.kpi.mode_fit import COMPOSED, ModeFit, composed_fit, fit_mode, measured_at_rates
from labd.kpi.pooled import pooled_energies
from labd.kpi.sources import Sources
from labd.kpi.supply_sweep import over_supply
from labd.kpi.swept import Swept, swept
from labd.kpi.terms import Terms, unknown_terms
from labd.kpi.waiting import net_of_idle, no_break_even
from labd.records import KpiRecord, Mode, OperatingPoint, Provenance, Role

STATIC_AND_CLOCKS = "static incl. clocks: a sweep of the clock tells them apart"


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
    harvester: Harvester | None = None,
    analyzer: Sequence[AnalyzerReadings] = (),
    rates_hz: Sequence[float] = (),
    supply_min_v: float | None = None,
) -> SweepResult:
    """Compare the modes of each combination of supply, model and settings among `captures`. The errors that captures share join by name,
    whoever analysed them. rates_hz: what the plan asks for; a mode without captures at rates is composed there from floor and events.
    supply_min_v: the least that the board works at, None where nobody tells.

    Figures that cannot be had are withheld with the reason; nothing is raised for what was measured."""
    terms, draws = Terms(), Draws(seed, "sweep")
    records: list[KpiRecord] = []
    fits: list[ModeFit] = []
    estimates: dict[str, Estimate] = {}
    sources = Sources(battery, harvester, detector, supply_min_v, terms, draws)
    above = [rate for rate in rates_hz if rate > 0]
    points: list[Swept] = []
    groups = _groups(captures)
    for name, own in groups.items():
        suffix = f"/{name}" if len(groups) > 1 else ""
        members, more = net_of_idle(own, terms=terms, draws=draws)
        records += [*more, *no_break_even(members, suffix)]
        mine = _modes(members, suffix, rates_hz, terms=terms, draws=draws, records=records, estimates=estimates)
        fits += mine
        for first, second in itertools.combinations(sorted(mine, key=lambda f: list(Mode).index(f.mode)), 2):
            records.append(_break_even(first, second, suffix, detector=detector, terms=terms, draws=draws, estimates=estimates))
        for energy, keys in pooled_energies(members, terms=terms):
            estimates[f"{energy.id}@{energy.at}"] = energy
            if len(keys) > 1:
                records.append(published(energy, draws=draws, captures=keys, provenance=Provenance.COMPUTED))
        for fit in mine:
            same = [c for c in members if c.point.mode == fit.mode]
            records += sources.records(fit, same)
            if fit.mode.is_event:
                records += random_arrivals(fit, same, above, terms=terms, draws=draws)
            points.append(swept(fit, same, terms=terms))
    separated, more = separate(points, above, draws=draws)
    records += [*more, *over_supply(points, separated, draws=draws)]
    for readings in analyzer:
        other = _composed_at(readings.point, captures, fits)
        records.append(closure.power_analyzer(captures, readings, composed=other, terms=terms, draws=draws))
    problems = [_disagreement(r) for r in records if closure.DISAGREE in r.flags]
    flags = {c.key: c.flags for c in captures}
    records = records if separated else [_static_and_clocks(record) for record in records]
    return SweepResult(tuple(_told(record, flags) for record in records), estimates, tuple(fits), tuple(problems))


def _composed_at(point: OperatingPoint, captures: Sequence[CaptureResult], fits: Sequence[ModeFit]) -> closure.MeanPower | None:
    """Mean power at a point whose mode has no captures at rates."""
    own = {c.key for c in captures if replace(c.point, rate_hz=point.rate_hz) == point}
    for fit in fits:
        if COMPOSED_OF_EVENTS in fit.line.flags and own.intersection(fit.captures):
            return closure.MeanPower(fit.line.at(point.rate_hz), fit.captures, fit.line.flags)
    return None


def _static_and_clocks(record: KpiRecord) -> KpiRecord:
    """What the rate-independent part is made of, where no clock was swept to tell it apart."""
    if record.id != "fit.floor_power" or record.value is None:
        return record
    return replace(record, note="; ".join(filter(None, (STATIC_AND_CLOCKS, record.note))))


def _told(record: KpiRecord, flags: Mapping[str, tuple[str, ...]]) -> KpiRecord:
    """With the flags of the captures it rests on."""
    more = itertools.chain.from_iterable(flags.get(key, ()) for key in record.captures)
    return replace(record, flags=tuple(dict.fromkeys((*record.flags, *more))))


def _disagreement(record: KpiRecord) -> str:
    """Several closures at 95 % each disagree by chance now and then: by how much tells."""
    assert record.value is not None  # what disagrees has an interval
    assert record.low is not None
    assert record.high is not None
    times = abs(record.value) / ((record.high - record.low) / 2)
    return f"{record.id} at {record.at}: {closure.DISAGREE}, by {abs(record.value):.2g} {record.unit}, {times:.1f} times U95"


def _groups(captures: Sequence[CaptureResult]) -> dict[str, list[CaptureResult]]:
    """Captures by everything of their operating point but mode and rate."""
    out: dict[str, list[CaptureResult]] = {}
    for c in captures:
        if c.role is Role.START:  # knows no mode
            continue
        out.setdefault(group_of(c.point), []).append(c)
    return out


def group_of(point: OperatingPoint) -> str:
    """All of an operating point but mode and rate, as figures over the rates name it where there are several."""
    settings = "".join(f"/{k}={v}" for k, v in sorted(point.settings.items()))
    return f"v={point.supply_v:g}/{point.model}{settings}"


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
        found = None if measured_at_rates(own) else compose(own, at, mode=mode, terms=terms)
        if isinstance(found, Composition):
            fit: ModeFit | str = composed_fit(found, own, at, rates_hz, mode=mode, terms=terms, draws=draws)
            records += at_rates(found, own, rates_hz, draws=draws)
        else:
            fit = found or fit_mode(own, at, mode, terms=terms, draws=draws)
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


def _publish_fit(fit: ModeFit, *, draws: Draws, records: list[KpiRecord], estimates: dict[str, Estimate]) -> None:
    own_words = COMPOSED_OF_EVENTS in fit.line.flags
    flags = (*fit.line.flags, *((COMPOSED,) if fit.composed and not own_words else ()))
    for kpi, value in (("fit.floor_power", fit.line.floor), ("fit.incremental_energy", fit.line.slope)):
        estimate = Estimate(kpi, fit.at, value, len(fit.rates_hz), flags)
        estimates[f"{kpi}@{fit.at}"] = estimate
        records.append(published(estimate, draws=draws, captures=fit.captures, provenance=Provenance.COMPUTED))
    if isinstance(fit.largest, str):
        records.append(withheld("largest_rate", fit.at, reason=fit.largest, captures=fit.captures))
    else:
        estimates[f"largest_rate@{fit.at}"] = fit.largest
        records.append(published(fit.largest, draws=draws, captures=fit.captures, provenance=Provenance.COMPUTED))
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
        if found.flags[0] == NOT_RESOLVED:
            estimates[f"break_even_rate@{at}"] = Estimate("break_even_rate", at, found.rate, len(captures), found.flags)
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
