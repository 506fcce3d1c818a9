"""What a plan aimed at, and how far its run came: for the log of the run while it goes on, and for its report."""

from __future__ import annotations

import math

from labd.analyse.run import Analysis
from labd.kpi.aimed import standings
from labd.kpi.aims import LEAST_DOF, Standing
from labd.report.data import AimFact, AimsEnd
from labd.report.numbers import percent
from labd.store.jsonform import from_json
from labd.store.rows import RunRow

KEPT = "aimed"  # of what a run keeps beside its expansion


def kept(run: RunRow) -> AimsEnd:
    """How far the run was by its own account; nothing spent where it keeps none."""
    found = run.plan_expanded.get(KEPT)
    return AimsEnd() if found is None else from_json(AimsEnd, found)


def aim_facts(analysis: Analysis) -> tuple[AimFact, ...]:
    """One for each figure that an aim of the plan is about; empty where it has none."""
    setup = analysis.setup
    found = standings(setup.aims, analysis.sweep, analysis.captures, analysis.asked, seed=setup.seed)
    return tuple(AimFact(one.id, one.at, one.aim.relative, _reached(one), one.met, why(one)) for one in found)


def _reached(one: Standing) -> float | None:
    return one.half_width if 0 < one.half_width < math.inf else None


def why(one: Standing) -> str:
    """A clause that says what keeps a figure from being known better, or why there is none; empty for one that is known well enough."""
    if one.moot:
        return one.moot
    if one.met:
        return ""
    if not math.isfinite(one.lasting):
        return one.largest
    if one.impossible:
        return f"no measuring time takes ± {percent(one.lasting)} of it away, most of which is {in_words(one.largest)}"
    if one.half_width <= one.aim.relative:
        return f"known from {one.dof:.2g} degrees of freedom, {LEAST_DOF:.0f} are needed: a scatter of few values is small by chance"
    return "repeatability: more time would take it there"


def in_words(term: str) -> str:
    """A term of a budget as a reader knows it: `smu:current[0.001 A].offset` is the offset of smu in its range of current of 0.001 A."""
    owner, _, rest = term.partition(":")
    quantity, _, range_ = rest.partition("[")
    size, _, kind = range_.partition("].")
    if kind:
        return f"the {kind} of {owner} in its {size} range of {quantity}"
    what, dot, kind = rest.partition(".")
    return f"the {kind} of {owner}'s {what}" if dot else f"{rest} ({owner})" if rest else term
