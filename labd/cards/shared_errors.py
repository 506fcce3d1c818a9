"""Which errors two figures have in common, so that they are gone from the difference of both. Pure."""

from __future__ import annotations

import math
from functools import cache

from labd.cards.side import Side
from labd.kpi.across import SHARED
from labd.kpi.distributions import student_quantile
from labd.records import BudgetLine, KpiRecord

MOST_DOF = 1000  # the factor is within 0.13 % of the normal's there
_OF_A_RUN = (":lead", *SHARED)  # ends of names
_TOLD = ("detector:", "battery:", "harvester:", "hardware:")  # beginnings: by the plan and the cards, once for the run
_OF_A_SUPPLY = (":voltage.gain", ":source_voltage.gain", ":set_voltage.gain")  # of the range that the supply asks for, which no name tells
_OF_A_POWER = ":power.gain"  # of the range of power, that of voltage times that of current, which no name tells either


def correlation(a: Side, first: KpiRecord, b: Side, second: KpiRecord) -> float:
    """Of the errors of two figures, from -1 to 1, by the terms that both budgets name.

    What is one number for both counts in full: in one run gain of one range, timebase, leads and what the plan or a card tells; between
    runs gain and timebase of a specimen that both were made with. An offset wanders from capture to capture, and nothing says how far; nor
    is a rounding, a delay, a leakage or a burden of some range surely one number. Those correlate by something from 0 to 1, and count by
    the end that makes the difference less sure. Scatter is everybody's own."""
    if not first.u or not second.u:
        return 0.0
    other = {line.name: line for line in second.budget}
    common = [(line, line.u * other[line.name].u) for line in first.budget if line.name in other and line.kind != "A"]
    found = math.fsum(_covariance(a, b, line, product) for line, product in common)
    return max(-1.0, min(1.0, found / (first.u * second.u)))


def half_width(first: KpiRecord, second: KpiRecord, rho: float) -> float:
    """Of the 95 % interval of a difference by the standard uncertainty that is left of both and its effective degrees of freedom (Welch and
    Satterthwaite, JCGM 100:2008, G.4.1: cut to a whole number); 0 where a figure comes without a budget."""
    if not first.u or not second.u or not first.budget or not second.budget:
        return 0.0
    left = max(0.0, first.u**2 + second.u**2 - 2 * rho * first.u * second.u)
    spread = math.fsum(line.u**4 / line.dof for line in (*first.budget, *second.budget) if line.dof is not None)
    dof = max(1.0, left**2 / spread) if spread > 0 else math.inf
    return _factor(int(min(dof, MOST_DOF))) * math.sqrt(left)


@cache
def _factor(dof: int) -> float:
    """Kept, since many sides have thousands of differences and a quantile takes some milliseconds."""
    return student_quantile(0.975, dof)


def _covariance(a: Side, b: Side, line: BudgetLine, product: float) -> float:
    if a.run != b.run and not _is_one_specimen(a, b, line):
        return 0.0
    return product if _is_one_number(a, b, line.name) else min(0.0, product)


def _is_one_specimen(a: Side, b: Side, line: BudgetLine) -> bool:
    name = line.name.partition(":")[0]
    pair = [one for side in (a, b) for one in side.conditions.instruments if one.name == name]
    return len(pair) == 2 and pair[0].is_the_same(pair[1])


def _is_one_number(a: Side, b: Side, name: str) -> bool:
    if name.endswith(_OF_A_POWER) or (name.endswith(_OF_A_SUPPLY) and a.conditions.supply_v != b.conditions.supply_v):
        return False
    if a.run != b.run:
        return name.endswith(SHARED)
    return name.endswith(_OF_A_RUN) or name.startswith(_TOLD)
