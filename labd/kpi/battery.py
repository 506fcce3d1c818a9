"""Battery life at a rate, as an interval, or as a lower bound where the load may be zero; and whether a pulse pulls the battery down."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from labd.kpi.draws import Draws
from labd.kpi.estimate import METHOD_S1, TERM_UNKNOWN, Estimate, budget, published, withheld
from labd.kpi.inputs import Battery
from labd.kpi.terms import Terms, Uncertain, parts, unknown_terms
from labd.records import KpiRecord, Provenance

YEAR_S = 365.25 * 86400
ENERGY, CHARGE, PULSE = "battery_life", "battery_life.charge", "battery_pulse_voltage"
_NO_PEAK = "no capture resolves the peak power"


def battery_life(
    load: Uncertain, *, kpi: str, battery: Battery, at: str, captures: Sequence[str], terms: Terms, draws: Draws, flags: Sequence[str]
) -> KpiRecord:
    """By energy (kpi ENERGY, load in watt) t = eta E / (P + eta P_self) with E = capacity times voltage and P_self = E times
    self-discharge; by charge (kpi CHARGE, load in ampere) t = eta Q / (I + eta I_self) alike, for a board that draws one current at any
    voltage (metrology note 2.6). Where the 95 % interval of the load reaches 0 the life is only `> low`."""
    unknown = unknown_terms(load)
    factors = [
        ("battery:usable", battery.usable, battery.usable_half_width),
        ("battery:self_discharge", battery.self_discharge_per_year / YEAR_S, battery.self_discharge_half_width_per_year / YEAR_S),
        ("battery:capacity", battery.capacity_ah * 3600, battery.capacity_half_width_ah * 3600),
    ]
    if kpi == ENERGY:
        factors.append(("battery:voltage", battery.voltage_v, battery.voltage_half_width_v))
    errors = [terms.limit(name, half_width) for name, _, half_width in factors]
    usable, lost, *store = (value + error for (_, value, _), error in zip(factors, errors, strict=True))
    held = math.prod(store, start=usable)
    life = held / (load + held * lost)
    drawn = float(load.nominal_value) + draws.errors(load)
    usable, lost, *store = (value + draws.errors(error) for (_, value, _), error in zip(factors, errors, strict=True))
    held = math.prod(store, start=usable)
    lives = _lives(held, drawn, drawn + held * lost)
    open_end = float(np.quantile(drawn, 0.025)) <= 0
    low = float(np.quantile(lives, 0.025, method="lower"))
    high = None if open_end else float(np.quantile(lives, 0.975, method="lower"))
    reasons = list(flags)
    if unknown:
        reasons.append(TERM_UNKNOWN)
    elif open_end:
        reasons.append(f"> {low:.4g} s: the power's interval reaches 0")
    return KpiRecord(
        id=kpi,
        at=at,
        value=None if open_end and not unknown else float(life.nominal_value),
        unit="s",
        u=None if unknown or open_end else math.sqrt(sum((c * v.tag.unit_u) ** 2 for v, c in parts(life))),
        low=None if unknown else low,
        high=None if unknown else high,
        n=1,
        provenance=Provenance.COMPUTED,
        method=METHOD_S1,
        captures=tuple(captures),
        budget=() if open_end else budget(life),
        flags=tuple(dict.fromkeys(reasons)),
    )


def _lives(held: NDArray[np.float64], drawn: NDArray[np.float64], load: NDArray[np.float64]) -> NDArray[np.float64]:
    lasts = (drawn > 0) & (load > 0)
    found: NDArray[np.float64] = np.where(lasts, held / np.where(lasts, load, 1.0), np.inf)
    return found


def pulse_voltage(
    peak_w: Uncertain | None,
    supply_v: Uncertain,
    *,
    battery: Battery,
    least_v: float | None,
    at: str,
    peak: str,
    captures: Sequence[str],
    terms: Terms,
    draws: Draws,
) -> KpiRecord | None:
    """V = V_battery - I_peak R_internal, with I_peak = P_peak / V_supply (metrology note 2.6); None where the battery's resistance is not
    given. least_v: from here on the board works. peak: id of the peak power, which says over how long it is the mean."""
    if battery.internal_ohm is None:
        return None
    if peak_w is None:
        return withheld(PULSE, at, reason=_NO_PEAK, captures=captures)
    voltage = battery.voltage_v + terms.limit("battery:voltage", battery.voltage_half_width_v)
    resistance = battery.internal_ohm + terms.limit("battery:internal_resistance", battery.internal_half_width_ohm)
    falls_to = voltage - peak_w / supply_v * resistance
    value, half = float(falls_to.nominal_value), draws.half_width(falls_to)
    flags: tuple[str, ...] = ()
    if least_v is not None and value - half < least_v:
        word = "is" if value + half < least_v else "may be"
        flags = (f"{word} below the {least_v:g} V that the board needs",)
    return published(
        Estimate(PULSE, at, falls_to, 1, flags, note=f"at {peak}"), draws=draws, captures=captures, provenance=Provenance.COMPUTED
    )
