"""Mean power over rate per mode, its straight line, and the rates at which two modes need the same power, out of a run's figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from labd.kpi.break_even import EXTRAPOLATED
from labd.kpi.inputs import Detector
from labd.kpi.mode_fit import ModeFit
from labd.kpi.terms import Uncertain, parts
from labd.records import KpiRecord, Mode, OperatingPoint, Role
from labd.report.data import BreakEven, Outcome, RateCurve, RateFit, RatePoint, curve_key

ALWAYS, NEVER = "wins at every reachable rate", "never wins"
NORMAL_FACTOR = 1.96
AT_REST = ("power.sleep", "power.idle")  # what event captures and floors both see


@dataclass(frozen=True, slots=True)
class Figures:
    """The records of a run by id and place. Of several with one id and place (repeats of a capture) the first by its captures that has a
    value stands there, in whatever order they were taken. Rest power is that of a floor capture before any other: its range resolves the
    rest, that of bursts need not; without one, that with the narrowest interval. The others stand at the key of their capture, so that no
    figure hides another."""

    first: Mapping[tuple[str, str], KpiRecord]
    more: Mapping[tuple[str, str], tuple[KpiRecord, ...]]

    @classmethod
    def of(cls, records: Iterable[KpiRecord]) -> Figures:
        groups: dict[tuple[str, str], list[KpiRecord]] = {}
        for record in records:
            groups.setdefault((record.id, record.at), []).append(record)
        first, more = {}, {}
        for where, group in groups.items():
            first[where], *rest = sorted(group, key=_rank)
            if rest:
                more[where] = tuple(replace(r, at=_elsewhere(r, k)) for k, r in enumerate(rest, start=2))
        return cls(first, more)

    def get(self, kpi: str, at: str) -> KpiRecord | None:
        return self.first.get((kpi, at))

    def every(self) -> tuple[KpiRecord, ...]:
        return (*self.first.values(), *(record for group in self.more.values() for record in group))


def _rank(record: KpiRecord) -> tuple[bool, bool, float, list[tuple[int, str]]]:
    """The least stands where the figure is looked for. Captures by number: 10 comes after 9."""
    width = math.inf if record.low is None or record.high is None else record.high - record.low
    narrow = width if record.id in AT_REST and not _of_floor(record) else 0.0
    return record.value is None, not _of_floor(record), narrow, [(len(key), key) for key in record.captures]


def _of_floor(record: KpiRecord) -> bool:
    return any(f"/{Role.FLOOR}/" in key for key in record.captures)


def _elsewhere(record: KpiRecord, number: int) -> str:
    return record.captures[0] if len(record.captures) == 1 else f"{record.at}#{number}"


def keys(points: Sequence[OperatingPoint]) -> dict[str, str]:
    """Operating point's key -> key of its curve, as the fits name it: the mode alone, unless supply, model or settings vary."""
    several = len({curve_key(p).removeprefix(str(p.mode)) for p in points}) > 1
    return {p.key: curve_key(p) if several else str(p.mode) for p in points}


def curves(points: Sequence[OperatingPoint], figures: Figures, fits: Sequence[ModeFit]) -> list[RateCurve]:
    """One curve a mode and combination, ascending in rate. fits: empty where the run was not analysed (its bands then are too wide)."""
    by_key = keys(points)
    fitted = {fit.at: fit for fit in fits}
    found = []
    for key in dict.fromkeys(by_key.values()):
        own = sorted((p for p in points if by_key[p.key] == key), key=lambda p: p.rate_hz)
        dots = tuple(dot for p in own for dot in rate_points(p, figures))
        fit = fitted.get(key)
        largest = figures.get("largest_rate", key)
        r_max_hz = fit.r_max_hz if fit else largest.value if largest else None
        found.append(RateCurve(key, own[0].mode, dots, rate_fit(key, figures, fit, dots), r_max_hz, largest))
    return found


def rate_points(point: OperatingPoint, figures: Figures) -> list[RatePoint]:
    """Mean power at one operating point (at rate 0 the floor), at the rate that was achieved; a dot for each repeat."""
    kpi = "power.floor" if point.rate_hz == 0 else "power.mean"
    achieved = figures.get("inference_rate", point.key)
    rate = point.rate_hz if point.rate_hz == 0 or achieved is None or achieved.value is None else achieved.value
    first = figures.get(kpi, point.key)
    found = [] if first is None else [first, *figures.more.get((kpi, point.key), ())]
    return [RatePoint(rate, record) for record in found]


def rate_fit(key: str, figures: Figures, fit: ModeFit | None, dots: Sequence[RatePoint]) -> RateFit | None:
    floor, slope = figures.get("fit.floor_power", key), figures.get("fit.incremental_energy", key)
    if floor is None or slope is None or floor.value is None or slope.value is None:
        return None
    lack = figures.get("fit.chi2_per_dof", key)
    measured = [r for r in (fit.rates_hz if fit else (d.rate_hz for d in dots)) if r > 0]
    return RateFit(
        floor=floor,
        incremental=slope,
        covariance_wj=covariance(fit.line.floor, fit.line.slope) if fit else 0.0,
        coverage_factor=max(coverage_factor(floor), coverage_factor(slope)),
        lack_of_fit=lack.value if lack else None,
        rate_low_hz=min(measured, default=0.0),
        rate_high_hz=max(measured, default=0.0),
    )


def covariance(x: Uncertain, y: Uncertain) -> float:
    """Of two values by the errors they share (GUM, JCGM 100:2008, F.1.2.3)."""
    other = {variable.tag.name: c for variable, c in parts(y)}
    return float(sum(c * other.get(v.tag.name, 0.0) * v.tag.unit_u**2 for v, c in parts(x)))


def coverage_factor(record: KpiRecord) -> float:
    """Half the 95 % interval over the standard uncertainty."""
    if record.low is None or record.high is None or not record.u:
        return NORMAL_FACTOR
    return (record.high - record.low) / 2 / record.u


def break_evens(points: Sequence[OperatingPoint], figures: Figures, detector: Detector) -> list[BreakEven]:
    """Every comparison of two modes. `first` is the one that rests deeper, or where two cross the one that needs less below the rate."""
    by_key = keys(points)
    modes = {by_key[p.key]: p.mode for p in points}
    found = []
    for (kpi, at), record in figures.first.items():
        if kpi == "break_even_rate":
            lighter, deeper = pair(at)
            if lighter in modes and deeper in modes:
                found.append(compared(record, (lighter, deeper), modes=modes, figures=figures, detector=detector))
    return found


def pair(at: str) -> tuple[str, str]:
    """The two curve keys of a comparison: `always_on|event_sleep/v=3/dnn` -> `always_on/v=3/dnn`, `event_sleep/v=3/dnn`."""
    first, _, rest = at.partition("|")
    second, slash, suffix = rest.partition("/")
    return f"{first}{slash}{suffix}", f"{second}{slash}{suffix}"


def compared(
    record: KpiRecord, curves_at: tuple[str, str], *, modes: Mapping[str, Mode], figures: Figures, detector: Detector
) -> BreakEven:
    lighter, deeper = curves_at
    if record.value is None:
        return BreakEven(deeper, lighter, outcome(record), record)
    extrapolated = EXTRAPOLATED in record.flags
    resting = [resting_power(key, modes[key], figures=figures, detector=detector) for key in (deeper, lighter)]
    first, second = (lighter, deeper) if resting[1] < resting[0] else (deeper, lighter)
    return BreakEven(first, second, Outcome.CROSSES, record, extrapolated)


def outcome(record: KpiRecord) -> Outcome:
    """Of a comparison without a rate, by the reason it gives; the deeper-resting mode is the first."""
    if any(flag.endswith(ALWAYS) for flag in record.flags):
        return Outcome.FIRST_ALWAYS
    return Outcome.SECOND_ALWAYS if any(flag.endswith(NEVER) for flag in record.flags) else Outcome.NOT_RESOLVED


def resting_power(key: str, mode: Mode, *, figures: Figures, detector: Detector) -> float:
    """At rate 0, in watt, with what decides that an event happened where the mode needs it."""
    floor, slope = figures.get("fit.floor_power", key), figures.get("fit.incremental_energy", key)
    value = floor.value if floor and floor.value is not None else 0.0
    if not mode.is_event:
        return value
    return value + detector.power_w + detector.false_wake_hz * (slope.value if slope and slope.value is not None else 0.0)
