"""A run that goes on until the figures that its plan aims at are known well enough: what it measures next, and why it ends."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from labd.analyse.aims import why
from labd.bench.expand import CapturePlan, longer
from labd.bench.journal import Journal
from labd.bench_file.aim import AimSection
from labd.bench_file.run_facts import capture_plan, planned
from labd.daemon.around import Surroundings
from labd.kpi.aims import Advice, Place, Standing
from labd.records import CaptureState, Role
from labd.report.numbers import percent
from labd.store.catalogue import Catalogue
from labd.stream.news import NewsKind

ROUND = 0.5  # of what is lacking is measured before it is looked at again,
GROWTH = 0.5  # and no more than this share of what there is: scatter that is known from little asks for too much
LAST = 0.1  # of what there is: so little is measured at once
LONGEST = 16  # pieces of one capture
TIMED = (Role.FLOOR, Role.MEAN, Role.EVENT)


@dataclass(slots=True)
class Aiming:
    """Of one run. aim: of its plan."""

    aim: AimSection
    around: Surroundings
    journal: Journal
    run_id: str
    seed: int
    spent_s: float = 0.0  # bench time so far
    since_s: float = 0.0

    def begun(self, now_s: float) -> None:
        """The bench is open from now on; now_s: by its clock."""
        self.since_s = now_s

    async def further(self, now_s: float | None = None) -> list[CapturePlan]:
        """Captures to be made next, which are in the catalogue then; none where the run is at its end, and the run's log says why.
        now_s: by the clock of the open bench; None while it is not open."""
        if now_s is not None:
            self.spent_s += now_s - self.since_s
            self.since_s = now_s
        spent_s = self.spent_s
        catalogue = self.around.catalogue
        found = await self.around.worker.figures_so_far(catalogue.folder, self.run_id)
        rows = await catalogue.do(lambda opened: opened.captures.of(self.run_id))
        every = [capture_plan(row) for row in rows]
        made = [one for one, row in zip(every, rows, strict=True) if row.state is CaptureState.FINISHED and row.role in TIMED]
        spots = places(made, self.aim.piece)
        plan = await self.around.worker.advised(found.standings, spots)
        left_s = self.aim.time - spent_s
        chosen = pieces(plan, spots, every, left_s, seed=self.seed)
        if not chosen:
            for text in ends(found.standings, plan, spent_s=spent_s, time_s=self.aim.time):
                self.journal.show(NewsKind.NOTICE, text)  # the report says it by itself
            return []

        def put(opened: Catalogue) -> None:
            opened.runs.extend(self.run_id, [planned(one) for one in chosen])

        await catalogue.do(put)
        text = f"{open_ones(found.standings)}: about {plan.total_s:.0f} s more, {left_s:.0f} s are left"
        self.journal.show(NewsKind.NOTICE, text)
        return chosen


def places(made: Sequence[CapturePlan], piece_s: float) -> list[Place]:
    """Every kind of capture at every operating point that was measured at least once."""
    by_name: dict[str, dict[str, float]] = {}
    shortest: dict[str, float] = {}
    for one in made:
        name = place_of(one)
        by_name.setdefault(name, {})[one.key] = one.duration_s
        shortest[name] = max(piece_s, longer(one, piece_s, repeat=0, order=0).duration_s)
    return [Place(name, captures, shortest[name]) for name, captures in by_name.items()]


def place_of(plan: CapturePlan) -> str:
    return plan.key.rpartition("/")[0]


def pieces(plan: Advice, spots: Sequence[Place], every: Sequence[CapturePlan], left_s: float, *, seed: int) -> list[CapturePlan]:
    """The next round: a part of what is lacking, at each place in captures that are neither too short nor too long, in a random order
    against drift; no longer than what is left of the time. every: capture that the run has, those that failed too: its key is taken."""
    order = 1 + max(one.order for one in every)
    like = {place_of(one): one for one in every}
    shortest = {place.name: place.piece_s for place in spots}
    repeats = {name: 1 + max(one.repeat for one in every if place_of(one) == name) for name in like}
    there_s = sum(place.seconds for place in spots)
    part = 1.0 if plan.total_s <= LAST * there_s else min(ROUND, GROWTH * there_s / max(plan.total_s, 1e-9))
    wanted = {name: max(part * seconds, min(seconds, shortest[name])) for name, seconds in plan.seconds.items()}
    share = min(1.0, left_s / max(sum(wanted.values()), 1e-9))
    chosen: list[CapturePlan] = []
    for name, whole_s in wanted.items():
        piece_s, wanted_s = shortest[name], max(share * whole_s, shortest[name])
        count = max(1, math.ceil(wanted_s / (LONGEST * piece_s)))
        chosen += [longer(like[name], wanted_s / count, repeat=repeats[name] + k, order=0) for k in range(count)]
    random.Random(f"{seed}:{order}").shuffle(chosen)
    kept: list[CapturePlan] = []
    for one in chosen:
        if one.duration_s <= left_s:
            left_s -= one.duration_s
            kept.append(one)
    return [replace(one, order=order + k) for k, one in enumerate(kept)]


def open_ones(standings: Sequence[Standing]) -> str:
    """Which figures are still to be known better."""
    lacking = [one for one in standings if not one.met and not one.impossible]
    return ", ".join(f"{one.id} at {one.at} ± {percent(one.half_width)} of {percent(one.aim.relative)}" for one in lacking[:4])


def ends(standings: Sequence[Standing], plan: Advice, *, spent_s: float, time_s: float) -> list[str]:
    """Why nothing more is measured: a sentence for all where every aim is met, else one for each figure that is not known well enough."""
    if all(one.met for one in standings):
        return [f"every aim is met after {spent_s:.0f} s"]
    more = f"; about {plan.total_s:.0f} s more would do, {spent_s:.0f} s of {time_s:.0f} s are spent"
    return [f"{_missed(one)}{'' if one.impossible else more}" for one in standings if not one.met]


def _missed(one: Standing) -> str:
    known = f" is known to ± {percent(one.half_width)}, {percent(one.aim.relative)} was aimed at" if math.isfinite(one.half_width) else ""
    return f"aim not met: {one.id} at {one.at}{known}: {why(one)}"
