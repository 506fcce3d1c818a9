"""Error terms as shared variables: one unit variable an instrument, range and kind of error, found by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

from uncertainties import UFloat, ufloat

from labd.kpi.inputs import MeterTerms
from labd.kpi.trace import Moments

Uncertain: TypeAlias = UFloat | Any  # an AffineScalarFunc of `uncertainties`: value and sensitivities to shared variables


@dataclass(frozen=True, slots=True)
class Term:
    """One cause of error, the tag of its unit variable.

    kind "A" or "B". distribution "rectangular" (unit variable on -1..1), "normal" or "t" (unit standard deviation and scale), "unknown".
    """

    name: str
    kind: str
    distribution: str
    dof: float | None = None

    @property
    def unit_u(self) -> float:
        """Standard uncertainty of the unit variable; 0 for an unknown term, which no figure may take for a known one."""
        return {"rectangular": 1 / math.sqrt(3), "unknown": 0.0}.get(self.distribution, 1.0)


class Terms:
    """The unit variables of a run by name. Estimates made elsewhere (another process, another capture) join by `adopt`."""

    def __init__(self) -> None:
        self._variables: dict[str, Any] = {}

    def unit(self, term: Term) -> Any:
        """The variable of a term; the same object for the same name. Raises ValueError when a name is used for two different terms."""
        found = self._variables.setdefault(term.name, ufloat(0.0, term.unit_u or 1.0, tag=term))
        if found.tag != term:
            raise ValueError(f"{term.name} is {found.tag}, it cannot also be {term}")
        return found

    def limit(self, name: str, half_width: float | None) -> Any:
        """A rectangular error of +-half_width; an unknown one where half_width is None; 0 where there is none."""
        if half_width is None:
            return self.unit(Term(name + " (unknown)", "B", "unknown"))
        return half_width * self.unit(Term(name, "B", "rectangular")) if half_width else 0.0

    def standard(self, name: str, u: float | None) -> Any:
        """A rectangular error of standard uncertainty u; an unknown one where u is None."""
        return self.limit(name, None if u is None else u * math.sqrt(3))

    def random(self, name: str, u: float, *, dof: float) -> Any:
        """A Type A error of its own: Student's t scaled by u."""
        return u * self.unit(Term(name, "A", "t", dof)) if u else 0.0

    def adopt(self, value: Uncertain) -> Uncertain:
        """The same value and sensitivities, on this registry's variables."""
        return value.nominal_value + sum(float(c) * self.unit(v.tag) for v, c in parts(value))


def parts(value: Uncertain) -> list[tuple[Any, float]]:
    """Variables and sensitivities, in the order of the variables' names (deterministic); zero sensitivities are left out."""
    if isinstance(value, float | int):
        return []
    return sorted(((v, float(c)) for v, c in value.derivatives.items() if c), key=lambda vc: str(vc[0].tag.name))


def unknown_terms(value: Uncertain) -> tuple[str, ...]:
    """Names of the unknown terms that move this value; those that cancelled are not among them."""
    if isinstance(value, float | int):
        return ()
    floor = 1e-9 * max(abs(value.nominal_value), 1e-30)
    return tuple(v.tag.name for v, c in parts(value) if v.tag.distribution == "unknown" and abs(c) > floor)


def power_like(terms: Terms, meter: MeterTerms, *, moments: Moments, timed: bool) -> Uncertain:
    """A linear functional of power with all instrument errors. moments: the functional applied to each column (see Moments).

    timed: the functional is an energy, hence proportional to the record length and to the timebase's error.
    """
    name, wide = meter.instrument, meter.widen
    value: Uncertain = moments.power(meter.series_ohm)
    nominal = float(value)
    for r, term in enumerate(meter.current):
        label = f"{name}:current[{term.full_scale_a:g} A]"
        value += _scaled(terms, f"{label}.gain", term.gain, factor=float(moments.vi[r]) * wide)
        value += _scaled(terms, f"{label}.offset", term.offset_a, factor=float(moments.v[r]) * wide)
    source = _voltage_label(meter)
    value += _scaled(terms, f"{source}.gain", meter.voltage_gain, factor=float(moments.vi.sum()) * wide)
    value += _scaled(terms, f"{source}.offset", meter.voltage_offset_v, factor=float(moments.i.sum()) * wide)
    value += _scaled(terms, f"{source}.spread", meter.voltage_spread_v, factor=float(moments.i.sum()))
    value += _scaled(terms, f"{name}:burden_voltage", meter.burden_half_ohm, factor=moments.i2)
    value += moments.i2 * terms.standard(f"{name}:lead", meter.u_lead_ohm)
    value += float(moments.v.sum()) * past_the_dut(terms, meter)
    return value + timebase(terms, meter, nominal) if timed else value


def voltage_like(terms: Terms, meter: MeterTerms, *, moments: Moments) -> Uncertain:
    """The mean voltage (V) at the point where it is known, with all instrument errors; moments: over the records that it is the mean of."""
    share = float(moments.n.sum())
    nominal = float(moments.v.sum()) / share
    source = _voltage_label(meter)
    value: Uncertain = nominal + _scaled(terms, f"{source}.gain", meter.voltage_gain, factor=nominal * meter.widen)
    value += _scaled(terms, f"{source}.offset", meter.voltage_offset_v, factor=meter.widen)
    return value + _scaled(terms, f"{source}.spread", meter.voltage_spread_v, factor=1.0)


def _voltage_label(meter: MeterTerms) -> str:
    """An instrument that feeds and measures has one voltmeter, whichever of both it reads the voltage for."""
    if meter.voltage_from == "source" and meter.voltage_of != meter.instrument:
        return f"{meter.voltage_of}:source_voltage"
    return f"{meter.instrument}:{'set_voltage' if meter.voltage_from == 'set' else 'voltage'}"


def read_power(terms: Terms, meter: MeterTerms, mean_w: float) -> Uncertain:
    """The mean of readings of power, which have limits of their own. What flows past the DUT is taken off before."""
    name, wide = meter.instrument, meter.widen
    value: Uncertain = mean_w + _scaled(terms, f"{name}:power.gain", meter.power_gain, factor=mean_w * wide)
    return value + _scaled(terms, f"{name}:power.offset", meter.power_offset_w, factor=wide)


def charge_like(terms: Terms, meter: MeterTerms, *, moments: Moments, timed: bool) -> Uncertain:
    """A linear functional of current with all instrument errors; see `power_like`."""
    value: Uncertain = float(moments.i.sum())
    nominal = float(value)
    for r, term in enumerate(meter.current):
        label = f"{meter.instrument}:current[{term.full_scale_a:g} A]"
        value += _scaled(terms, f"{label}.gain", term.gain, factor=float(moments.i[r]) * meter.widen)
        value += _scaled(terms, f"{label}.offset", term.offset_a, factor=float(moments.n[r]) * meter.widen)
    value += float(moments.n.sum()) * past_the_dut(terms, meter)
    return value + timebase(terms, meter, nominal) if timed else value


def past_the_dut(terms: Terms, meter: MeterTerms) -> Uncertain:
    """Current (A) that the meter reads and the DUT does not draw, beyond what is subtracted."""
    leakage = terms.limit(f"{meter.instrument}:leakage", meter.fixture_leakage_a)
    return leakage + terms.limit(f"{meter.instrument}:voltmeter", meter.voltmeter_a)


def timebase(terms: Terms, meter: MeterTerms, nominal: float) -> Uncertain:
    """The timebase's share of a duration or energy of `nominal`."""
    return _scaled(terms, f"{meter.instrument}:timebase", meter.timebase, factor=nominal * meter.widen)


def latency(terms: Terms, meter: MeterTerms, edge: str) -> Uncertain:
    """Systematic delay of a line's edge (start, end, trigger ...), seconds; each kind of edge has its own."""
    return terms.limit(f"{meter.instrument}:latency.{edge}", meter.trigger_latency_s)


def _scaled(terms: Terms, name: str, limit: float | None, *, factor: float) -> Uncertain:
    return factor * terms.limit(name, limit) if factor else 0.0
