"""The rate at which two modes need the same mean power, with Fieller's interval."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labd.kpi.draws import Draws
from labd.kpi.inputs import Detector
from labd.kpi.rate_model import Line
from labd.kpi.terms import Terms, Uncertain, parts
from labd.records import Mode

NOT_RESOLVED = "not resolved"
EXTRAPOLATED = "extrapolated"
BEYOND = "beyond r_max"
WINS, NEVER_WINS = "wins at every reachable rate", "never wins"  # ends of what is said where two modes do not cross


@dataclass(frozen=True, slots=True)
class ModeLine:
    """A mode's line (detector not included), its largest reachable rate (None = unknown) and the largest rate measured."""

    mode: Mode
    line: Line
    r_max_hz: float | None
    measured_hz: float


@dataclass(frozen=True, slots=True)
class BreakEven:
    """value, low, high in hertz, None where there is none; why: flags that say so. rate: the ratio with its correlations."""

    value: float | None
    low: float | None
    high: float | None
    u: float | None
    rate: Uncertain
    flags: tuple[str, ...]
    note: str


def with_detector(mode: Mode, line: Line, *, detector: Detector, terms: Terms) -> Line:
    """Add what decides that an event happened: P_event = P_floor + P_detector + (r + r_false) E. Always-on modes need none."""
    if not mode.is_event:
        return line
    power = detector.power_w + terms.limit("detector:power", detector.power_half_width_w)
    false = detector.false_wake_hz + terms.limit("detector:false_wakes", detector.false_wake_half_width_hz)
    return Line(line.floor + power + false * line.slope, line.slope, line.chi2_per_dof, line.dof, line.flags)


def break_even(first: ModeLine, second: ModeLine, *, detector: Detector, terms: Terms, draws: Draws) -> BreakEven:
    """Where `second` (the mode that rests deeper) stops needing less power than `first`.

    With n = floor1 - floor2 and d = slope2 - slope1 the difference at rate r is n - r d; the interval holds the rates at which it is
    compatible with 0 (Fieller). The coverage factor is taken from Supplement 1 draws of the difference at the break-even itself.
    """
    a, b = (with_detector(m.mode, m.line, detector=detector, terms=terms) for m in (first, second))
    n, d = a.floor - b.floor, b.slope - a.slope
    flags = list(dict.fromkeys((*first.line.flags, *second.line.flags)))
    note = _note(detector)
    reach = min((m.r_max_hz for m in (first, second) if m.r_max_hz is not None), default=None)
    name = "event-based" if first.mode == Mode.ALWAYS_ON else str(second.mode)
    far = n - (reach if reach is not None else 1e9) * d
    verdict = _verdict(n, far, name=name, draws=draws)
    rate = n / d
    if verdict:
        return BreakEven(None, None, None, None, rate, (verdict, *flags), note)
    limits = fieller(n, d, factor=coverage(n, d, draws))
    value = float(n.nominal_value / d.nominal_value)
    if limits is None or value <= 0:
        return BreakEven(None, None, None, None, rate, (NOT_RESOLVED, *flags), note)
    if value > min(first.measured_hz, second.measured_hz):
        flags.append(EXTRAPOLATED)
    if reach is not None and value > reach:
        flags.append(BEYOND)
    return BreakEven(value, limits[0], limits[1], _u(rate), rate, tuple(flags), note)


def _verdict(near: Uncertain, far: Uncertain, *, name: str, draws: Draws) -> str:
    """One mode wins from rate 0 to the largest reachable rate when the difference at both ends has the same certain sign."""
    ends = [(v.nominal_value, draws.half_width(v)) for v in (near, far)]
    if all(v - half > 0 for v, half in ends):
        return f"{name} {WINS}"
    return f"{name} {NEVER_WINS}" if all(v + half < 0 for v, half in ends) else ""


def fieller(n: Uncertain, d: Uncertain, *, factor: float) -> tuple[float, float] | None:
    """Interval of n/d at coverage factor `factor`, None where it is unbounded (metrology note 2.3; Fieller 1954)."""
    n0, d0 = float(n.nominal_value), float(d.nominal_value)
    v_n, v_d, c = _covariance(n, n), _covariance(d, d), _covariance(n, d)
    k2 = factor * factor
    a, b, e = d0 * d0 - k2 * v_d, n0 * d0 - k2 * c, n0 * n0 - k2 * v_n
    inside = b * b - a * e
    if a <= 0 or inside < 0:
        return None
    root = math.sqrt(inside)
    return (b - root) / a, (b + root) / a


def coverage(n: Uncertain, d: Uncertain, draws: Draws) -> float:
    """Coverage factor of 95 % for `fieller`, from draws of n - r d at the ratio r itself."""
    difference = n - float(n.nominal_value / d.nominal_value) * d
    u = _u(difference)
    return draws.half_width(difference) / u if u > 0 else 1.96


def _covariance(x: Uncertain, y: Uncertain) -> float:
    other = {v.tag.name: c for v, c in parts(y)}
    return float(sum(c * other.get(v.tag.name, 0.0) * v.tag.unit_u**2 for v, c in parts(x)))


def _u(x: Uncertain) -> float:
    return math.sqrt(_covariance(x, x))


def _note(detector: Detector) -> str:
    return f"detector {detector.kind}: {detector.power_w:.3g} W, {detector.false_wake_hz:.3g} false wakes/s"
