"""A run that goes on until the figures that its plan aims at are known well enough: what it measures next, and why it ends."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from labd.analyse.aims import KEPT, why
from labd.bench.expand import CapturePlan, longer
from labd.bench.journal import Journal
from labd.bench_file.aim import AimSection
from labd.bench_file.run_facts import capture_plan, planned
from labd.daemon.around import Surroundings
from labd.kpi.aims import Advice, Place, Standing
from labd.records import CaptureState, Role
from labd.report.catalogue import title
from labd.report.data import AimsEnd
from labd.report.numbers import more_time, percents
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.stream.news import NewsKind

ROUND = 0.5  # of what is lacking is measured before it is looked at again,
GROWTH = 0.5  # and no more than this share of what there is: scatter that is known from little asks for too much
LAST = 0.1  # of what there is: so little is measured at once
LONGEST = 16  # pieces of one capture
NAMED = 4  # figures in one line of progress
TIMED = (Role.FLOOR, Role.MEAN, Role.EVENT)


@dataclass(slots=True)
class Aiming:
    """Of one run. aim: of its plan."""

    aim: AimSection
    around: Surroundings
    journal: Journal
    run_id: str
    seed: int
    spent_s: float = 0.0  # bench time so far, without pauses
    since_s: float = 0.0
    end: AimsEnd = field(default_factory=AimsEnd)

    def begun(self, now_s: float) -> None:
        """The bench is open from now on; now_s: by its clock."""
        self.since_s = now_s

    def passed(self, now_s: float) -> None:
        """So far by the clock of the open bench."""
        self.spent_s += now_s - self.since_s
        self.since_s = now_s

    def rested(self, seconds: float) -> None:
        """A pause is nothing that measuring takes."""
        self.since_s += seconds

    async def keep(self) -> None:
        """What was spent, and why nothing more is measured, into the run: it may be gone on with, and has a report."""
        end = replace(self.end, spent_s=self.spent_s, time_s=self.aim.time)

        def put(catalogue: Catalogue) -> None:
            run = catalogue.runs.get(self.run_id)
            catalogue.runs.learn(self.run_id, plan_expanded={**run.plan_expanded, KEPT: to_json(end)})

        await self.around.catalogue.do(put)

    async def further(self) -> list[CapturePlan]:
        """Captures to be made next, which are in the catalogue then; none where the run is at its end, and the run's log says why."""
        catalogue = self.around.catalogue
        found = await self.around.worker.figures_so_far(catalogue.folder, self.run_id)
        rows = await catalogue.do(lambda opened: opened.captures.of(self.run_id))
        every = [capture_plan(row) for row in rows]
        made = [one for one, row in zip(every, rows, strict=True) if row.state is CaptureState.FINISHED and row.role in TIMED]
        spots = places(made, self.aim.piece)
        plan = await self.around.worker.advised(found.standings, spots)
        left_s = self.aim.time - self.spent_s
        finished = [one.duration_s for one, row in zip(every, rows, strict=True) if row.state is CaptureState.FINISHED]
        beside_s = max(0.0, self.spent_s - sum(finished)) / max(1, len(finished))
        chosen = pieces(plan, spots, every, left_s, beside_s=beside_s, seed=self.seed)
        if not chosen:
            self.end = ending(found.standings, plan, spent_s=self.spent_s, time_s=self.aim.time)
            await self.keep()
            await self.journal.notice(*self.end.why)
            return []

        def put(opened: Catalogue) -> None:
            opened.runs.extend(self.run_id, [planned(one) for one in chosen])

        await catalogue.do(put)
        await self.keep()
        text = f"{open_ones(found.standings)}: {more_time(needed_s(plan))}, {left_s:.0f} s are left"
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


def pieces(
    plan: Advice, spots: Sequence[Place], every: Sequence[CapturePlan], left_s: float, *, beside_s: float, seed: int
) -> list[CapturePlan]:
    """The next round: a part of what is lacking, at each place in captures that are neither too short nor too long, in a random order
    against drift; no longer than what is left of the time. every: capture that the run has, those that failed too: its key is taken.
    beside_s: that each capture takes besides its own length, by what the run has seen."""
    order = 1 + max(one.order for one in every)
    like = {place_of(one): one for one in every}
    shortest = {place.name: place.piece_s for place in spots}
    repeats = {name: 1 + max(one.repeat for one in every if place_of(one) == name) for name in like}
    there_s = sum(place.seconds for place in spots)
    part = 1.0 if plan.total_s <= LAST * there_s else min(ROUND, GROWTH * there_s / max(plan.total_s, 1e-9))
    wanted = {name: max(part * seconds, min(seconds, shortest[name])) for name, seconds in plan.seconds.items()}
    share = min(1.0, max(0.0, left_s - beside_s * len(wanted)) / max(sum(wanted.values()), 1e-9))
    chosen: list[CapturePlan] = []
    for name, whole_s in wanted.items():
        piece_s, wanted_s = shortest[name], max(share * whole_s, shortest[name])
        count = max(1, math.ceil(wanted_s / (LONGEST * piece_s)))
        chosen += [longer(like[name], wanted_s / count, repeat=repeats[name] + k, order=0) for k in range(count)]
    random.Random(f"{seed}:{order}").shuffle(chosen)
    kept: list[CapturePlan] = []
    for one in chosen:
        if one.duration_s + beside_s <= left_s:
            left_s -= one.duration_s + beside_s
            kept.append(one)
    return [replace(one, order=order + k) for k, one in enumerate(kept)]


def open_ones(standings: Sequence[Standing]) -> str:
    """Which figures are still to be known better."""
    lacking = [one for one in standings if not one.met and not one.impossible]
    more = f" and {len(lacking) - NAMED} more" if len(lacking) > NAMED else ""
    return "; ".join(f"{name(one)}{known(one)}" for one in lacking[:NAMED]) + more


def name(one: Standing) -> str:
    return f"{title(one.id)}, {one.at.replace('|', ' and ')}"


def known(one: Standing) -> str:
    """How well, and how well it is wanted; empty where it has no interval."""
    if not 0 < one.half_width < math.inf:
        return ""
    reached, wanted = percents(one.half_width, one.aim.relative)
    return f" is known to ± {reached}, wanted ± {wanted}"


def needed_s(plan: Advice) -> float | None:
    """More that would meet what can be met; None where nothing tells how much."""
    return None if plan.unknown else plan.total_s


def ending(standings: Sequence[Standing], plan: Advice, *, spent_s: float, time_s: float) -> AimsEnd:
    """Why nothing more is measured: a sentence for all where every aim is met, else one for each figure that is not known well enough."""
    more_s = needed_s(plan)
    if all(one.met for one in standings):
        return AimsEnd(spent_s, time_s, more_s, (f"every aim is met after {spent_s:.0f} s",))
    more = f"; {more_time(more_s)}, {spent_s:.0f} s of {time_s:.0f} s are spent"
    missed = [one for one in standings if not one.met]
    texts = [f"aim not met: {name(one)}{known(one)}: {why(one)}{'' if one.impossible else more}" for one in missed]
    return AimsEnd(spent_s, time_s, more_s, tuple(texts))
