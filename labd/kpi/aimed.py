"""Where the figures that a plan aims at stand, by what a sweep has found so far."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from labd.kpi.aims import Aim, Standing, moot, standing
from labd.kpi.capture import CaptureResult
from labd.kpi.draws import Draws
from labd.kpi.sweep import SweepResult
from labd.records import KpiRecord, OperatingPoint

ENERGY, FLOOR, SLOPE, BREAK_EVEN = "energy_per_inference", "floor_power", "incremental_energy", "break_even"
FIGURES: Mapping[str, str] = {
    ENERGY: "pooled.energy_per_inference",
    FLOOR: "fit.floor_power",
    SLOPE: "fit.incremental_energy",
    BREAK_EVEN: "break_even_rate",
}
ANSWERS = ("wins at every reachable rate", "never wins")  # ends of what is said where two modes do not cross


def standings(aims: Sequence[Aim], sweep: SweepResult, captures: Sequence[CaptureResult], *, seed: int) -> list[Standing]:
    """One for each figure that an aim is about: energies at the highest rate of each mode, floors and slopes of each mode, and the
    break-even rate of each pair of them. One that cannot be had says why."""
    draws = Draws(seed, "aims")
    points = {capture.point.key: capture.point for capture in captures}
    return [one for aim in aims for one in _of_aim(aim, sweep, points, draws)]


def _of_aim(aim: Aim, sweep: SweepResult, points: Mapping[str, OperatingPoint], draws: Draws) -> Iterator[Standing]:
    known = {key: estimate for key, estimate in sweep.estimates.items() if estimate.id.startswith(FIGURES[aim.figure])}
    if aim.figure == ENERGY:
        best: dict[tuple[object, ...], str] = {}
        for key, estimate in known.items():
            point = points[estimate.at]
            whose = (point.mode, point.supply_v, point.model)
            if whose not in best or points[known[best[whose]].at].rate_hz < point.rate_hz:
                best[whose] = key
        known = {key: known[key] for key in best.values()}
    for estimate in known.values():
        yield standing(aim, estimate, draws)
    yield from (_without(aim, record) for record in sweep.records if _is_withheld(record, aim, known))


def _is_withheld(record: KpiRecord, aim: Aim, known: Mapping[str, object]) -> bool:
    return record.id.startswith(FIGURES[aim.figure]) and record.value is None and f"{record.id}@{record.at}" not in known


def _without(aim: Aim, record: KpiRecord) -> Standing:
    """A break-even that is none by what was measured is an answer; what else has no value cannot be had."""
    why = record.flags[0]
    if aim.figure == BREAK_EVEN and why.endswith(ANSWERS):
        return moot(aim, record.id, record.at, why)
    return Standing(aim, record.id, record.at, math.inf, math.inf, why, {}, math.inf)
