"""Battery life at a rate, as an interval, or as a lower bound where the power may be zero."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from labd.kpi.draws import Draws
from labd.kpi.estimate import METHOD_S1, TERM_UNKNOWN, budget
from labd.kpi.inputs import Battery
from labd.kpi.terms import Terms, Uncertain, parts, unknown_terms
from labd.records import KpiRecord, Provenance

YEAR_S = 365.25 * 86400


def battery_life(
    power: Uncertain, *, battery: Battery, at: str, captures: Sequence[str], terms: Terms, draws: Draws, flags: Sequence[str]
) -> KpiRecord:
    """t = eta E / (P + eta P_self), metrology note 2.6, with E = capacity times voltage and P_self = E times self-discharge. Where the 95 %
    interval of P reaches 0 the life is only `> low`."""
    unknown = unknown_terms(power)
    factors = (
        ("battery:usable", battery.usable, battery.usable_half_width),
        ("battery:capacity", battery.capacity_ah * 3600, battery.capacity_half_width_ah * 3600),
        ("battery:voltage", battery.voltage_v, battery.voltage_half_width_v),
        ("battery:self_discharge", battery.self_discharge_per_year / YEAR_S, battery.self_discharge_half_width_per_year / YEAR_S),
    )
    errors = [terms.limit(name, half_width) for name, _, half_width in factors]
    usable, capacity, voltage, lost = (value + error for (_, value, _), error in zip(factors, errors, strict=True))
    energy = usable * capacity * voltage
    life = energy / (power + energy * lost)
    p = float(power.nominal_value) + draws.errors(power)
    usable, capacity, voltage, lost = (value + draws.errors(error) for (_, value, _), error in zip(factors, errors, strict=True))
    energy = usable * capacity * voltage
    load = p + energy * lost
    lasts = (p > 0) & (load > 0)
    lives = np.where(lasts, energy / np.where(lasts, load, 1.0), np.inf)
    open_end = float(np.quantile(p, 0.025)) <= 0
    low = float(np.quantile(lives, 0.025, method="lower"))
    high = None if open_end else float(np.quantile(lives, 0.975, method="lower"))
    reasons = list(flags)
    if unknown:
        reasons.append(TERM_UNKNOWN)
    elif open_end:
        reasons.append(f"> {low:.4g} s: the power's interval reaches 0")
    return KpiRecord(
        id="battery_life",
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
