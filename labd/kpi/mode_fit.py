"""The line of one mode: through the means measured at its rates, or composed of its floor and single events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labd.kpi.capture import CaptureResult
from labd.kpi.closure import pooled
from labd.kpi.composed import Composition
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.events import TOO_LONG
from labd.kpi.floors import bracketed
from labd.kpi.rate_model import Line, NeedsRateZeroError, fit_line
from labd.kpi.terms import Terms, Uncertain
from labd.records import Mode, Role

NEEDS_RATE_ZERO = "needs rate 0"
NO_ACTIVE_TIME = "no capture tells the active time"
BELOW_MEASURED = "below a rate that was measured"
COMPOSED = "composed: floor + excess over the quiet level of the same capture"
_CURVE_POINTS = 48


@dataclass(frozen=True, slots=True)
class ModeFit:
    """One mode's line with the points it rests on, for tables and plots.

    rates_hz, powers_w, u_w: the points. curve: (rate, power, low, high) on a logarithmic grid up to r_max_hz. composed: see COMPOSED,
    or COMPOSED_OF_EVENTS among the flags of the line. largest: the largest rate that the mode can serve, r_max_hz with its uncertainty,
    or why it is not known.
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
    largest: Estimate | str = NO_ACTIVE_TIME


def fit_mode(own: Sequence[CaptureResult], at: str, mode: Mode, *, terms: Terms, draws: Draws) -> ModeFit | str:
    """The fit of one mode, or the reason why there is none."""
    floors = [c for c in own if c.role == Role.FLOOR and "power.floor" in c.estimates]
    means = [c for c in own if c.role == Role.MEAN and c.point.rate_hz > 0 and "power.mean" in c.estimates]
    if not floors:
        return NEEDS_RATE_ZERO
    base = bracketed(floors, at, terms=terms)
    composed = any(_must_compose(c, floors[0]) for c in means)
    points: list[tuple[float, Uncertain]] = [(0.0, base)]
    points += [(_rate(c), _power(c, floors[0], base=base, terms=terms)) for c in means]
    try:
        line = fit_line([r for r, _ in points], [p for _, p in points])
    except NeedsRateZeroError:
        return NEEDS_RATE_ZERO
    except ValueError:
        return "needs two rates or more"
    largest = _largest_rate(own, at, terms)
    r_max = None if isinstance(largest, str) else largest.nominal
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
        largest=largest,
    )


def measured_at_rates(own: Sequence[CaptureResult]) -> bool:
    return any(c.role == Role.MEAN and c.point.rate_hz > 0 for c in own)


def composed_fit(
    found: Composition, own: Sequence[CaptureResult], at: str, rates_hz: Sequence[float], *, mode: Mode, terms: Terms, draws: Draws
) -> ModeFit:
    """Its points: the floors as measured, and the plan's rates as composed."""
    floors = [terms.adopt(c.estimates["power.floor"].value) for c in own if c.role == Role.FLOOR and "power.floor" in c.estimates]
    above = sorted(r for r in rates_hz if r > 0)
    points = [*((0.0, p) for p in floors), *((r, found.line.at(r)) for r in above)]
    largest = _largest_rate(own, at, terms)
    r_max = None if isinstance(largest, str) else largest.nominal
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
        largest=largest,
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


def _largest_rate(own: Sequence[CaptureResult], at: str, terms: Terms) -> Estimate | str:
    """One over the active time of one inference, by the captures that tell one, or why there is none. One that is smaller than a rate that
    the mode was seen at is none: the active times behind it are not those of single inferences."""
    found = pooled(own, "active_time", terms=terms)
    if found is None:
        return TOO_LONG if any(TOO_LONG in c.flags for c in own) else NO_ACTIVE_TIME
    active, n, _ = found
    if active.nominal_value <= 0:
        return NO_ACTIVE_TIME
    estimate = Estimate("largest_rate", at, 1 / active, n)
    measured = max((c.estimates["inference_rate"].nominal for c in own if "inference_rate" in c.estimates), default=0.0)
    return BELOW_MEASURED if estimate.nominal < measured else estimate


def _curve(line: Line, measured: float, r_max: float | None, *, draws: Draws) -> tuple[tuple[float, float, float, float], ...]:
    out = []
    for r in np.geomspace(measured / 1e3, r_max or measured, _CURVE_POINTS).tolist():
        power = line.at(r)
        half = draws.half_width(power)
        out.append((r, float(power.nominal_value), float(power.nominal_value) - half, float(power.nominal_value) + half))
    return tuple(out)
