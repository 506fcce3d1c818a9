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
    """t = eta E / (P + eta P_self), metrology note 2.6. Where the 95 % interval of P reaches 0 the life is only `> low`."""
    unknown = unknown_terms(power)
    share = battery.usable + terms.limit("battery:usable", battery.usable_half_width)
    leak = battery.energy_j * battery.self_discharge_per_year / YEAR_S
    life = battery.energy_j * share / (power + share * leak)
    p = float(power.nominal_value) + draws.errors(power)
    eta = battery.usable + draws.errors(share) if battery.usable_half_width else np.full(draws.size, battery.usable)
    load = p + eta * leak
    lives = np.where(p > 0, battery.energy_j * eta / np.where(p > 0, load, 1.0), np.inf)
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
