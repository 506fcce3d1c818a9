"""Whether a figure meets a target, and how sure that is.

The confidence is the conformance probability of JCGM 106:2012, 7.2: the chance, given the figure with its uncertainty, that the true value
is on the right side of the limit. A target is met from 95 % on (guarded acceptance, 8.3.2), missed from 5 % down, and open in between. A
limit at the end of a figure's 95 % interval is met with 97.5 %, whatever that interval rests on.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from statistics import NormalDist

from labd.kpi.distributions import student_cdf, student_quantile
from labd.kpi.share import Z95
from labd.records import BudgetLine, KpiRecord, Provenance

CONFIDENT = 0.95
NO_INTERVAL = "no interval"
_NORMAL = NormalDist()
_CLAIMED = (Provenance.DECLARED, Provenance.ESTIMATED)


class Answer(enum.StrEnum):
    MET = "met"
    MISSED = "missed"
    OPEN = "open"  # the uncertainty is larger than the distance to the limit
    UNKNOWN = "unknown"  # nothing that has an interval says it


@dataclass(frozen=True, slots=True)
class Target:
    """name: `max energy per inference`. limit in `unit` (UCUM); least: the value has to reach it, else to stay within it."""

    name: str
    limit: float
    unit: str
    least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Conformity:
    """chance: that the true value meets the target, 0 to 1; None where it cannot be said, and `why` says why."""

    answer: Answer
    chance: float | None = None
    why: str = ""


def conformity(record: KpiRecord | None, target: Target) -> Conformity:
    """Of one figure; None: there is no such figure."""
    if record is None:
        return Conformity(Answer.UNKNOWN, why="no such figure in this run")
    if record.value is None or not math.isfinite(record.value):
        return _bounded(record, target)
    if record.provenance in _CLAIMED and (record.low is None or record.high is None):
        by_value = "would meet" if target.met_by(record.value) else "would miss"
        return Conformity(Answer.UNKNOWN, why=f"{NO_INTERVAL}: {record.provenance}, and {by_value} it at its word")
    chance = chance_of(record, target)
    if chance is None:
        return Conformity(Answer.UNKNOWN, why=_lacks(record))
    return Conformity(_answer(chance), chance)


def _answer(chance: float) -> Answer:
    if chance >= CONFIDENT:
        return Answer.MET
    return Answer.MISSED if chance <= 1 - CONFIDENT else Answer.OPEN


def _bounded(record: KpiRecord, target: Target) -> Conformity:
    """A figure of which one end alone is known can settle a target, with the 97.5 % that an end of a 95 % interval is worth."""
    low, high = record.low, record.high
    if (target.least and low is not None and low >= target.limit) or (not target.least and high is not None and high <= target.limit):
        return Conformity(Answer.MET, 0.975)
    if (target.least and high is not None and high < target.limit) or (not target.least and low is not None and low > target.limit):
        return Conformity(Answer.MISSED, 0.025)
    why = "; ".join(flag.replace("_", " ") for flag in record.flags) or record.note
    return Conformity(Answer.UNKNOWN, why=f"no value: {why}" if why else "no value")


def _lacks(record: KpiRecord) -> str:
    known = next((flag for flag in record.flags if flag.startswith(("instrument term unknown", "one value", "needs more samples"))), "")
    return f"{NO_INTERVAL}: {known}" if known else NO_INTERVAL


def chance_of(record: KpiRecord, target: Target) -> float | None:
    """That the true value meets the target; None without an interval that has a width, except for a count. record.value: a number."""
    value, low, high = record.value, record.low, record.high
    assert value is not None
    if low is None or high is None:
        return None
    if low == high == value:  # a count is certain; of anything else an interval of no width is a scatter that nobody saw
        return float(target.met_by(value)) if record.unit == "By" or record.n == 0 else None
    if record.method.endswith("Wilson") and record.n > 0:
        return share_meets(value, record.n, target)
    if record.budget and record.u:
        return meets(value, (high - low) / 2, effective_dof(record.budget), target)
    upward = target.limit > value
    arm = high - value if upward else value - low
    if arm <= 0:  # the interval ends at the value on this side, as at a share of 1
        return float(target.met_by(value))
    below = _NORMAL.cdf((target.limit - value) / arm * Z95)
    return 1 - below if target.least else below


def meets(value: float, half_width: float, dof: float, target: Target) -> float:
    """Chance under Student's t about `value`, scaled so that 95 % lie within `half_width` (> 0)."""
    factor = student_quantile(0.975, dof)
    t = (target.limit - value) / half_width * factor
    below = _NORMAL.cdf(t) if math.isinf(dof) else student_cdf(t, dof)
    return 1 - below if target.least else below


def share_meets(share: float, n: int, target: Target) -> float:
    """Chance by the score that Wilson's interval inverts: the deviation from the limit over the standard deviation at the limit."""
    limit = target.limit
    if not 0 < limit < 1:
        return float(target.met_by(share))
    above = _NORMAL.cdf((share - limit) / math.sqrt(limit * (1 - limit) / n))
    return above if target.least else 1 - above


def effective_dof(budget: tuple[BudgetLine, ...]) -> float:
    """Welch and Satterthwaite (JCGM 100:2008, G.4.1); terms that several lines share are added with their signs first."""
    sums: dict[str, tuple[float, float | None]] = {}
    for line in budget:
        sums[line.name] = (sums.get(line.name, (0.0, None))[0] + line.u, line.dof)
    total = sum(u * u for u, _ in sums.values())
    spread = sum(u**4 / dof for u, dof in sums.values() if dof is not None and math.isfinite(dof))
    return max(1.0, total * total / spread) if spread > 0 else math.inf
