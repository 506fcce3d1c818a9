"""What a search came to, as data: every candidate with its figures, which of them meet the targets, and the front. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labd.kpi.targets import Answer, Conformity, Target
from labd.search.figures import answers, targets
from labd.search.front import better_first, front
from labd.search.outcome import Outcome, State
from labd.search.use_case import UseCase

RESULT_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Judged:
    """answers: by target, of these figures. meets: every target with confidence, once more too where it was measured once more; None where
    there is none or one is open. front: not dominated beyond the
    intervals, among its platform's and among all; by_values: nor by the values alone, among all."""

    outcome: Outcome
    answers: Mapping[str, Conformity]
    meets: bool | None
    front_of_platform: bool
    front: bool
    by_values: bool


@dataclass(frozen=True, slots=True)
class PlatformResult:
    """Numbers of candidates. front: names of candidates, best in the first objective first. best: meets every target and is best in the
    first objective; empty where none is known to meet them."""

    bench: str
    candidates: int
    measured: int
    stopped: int
    failed: int
    front: tuple[str, ...]
    best: str


@dataclass(frozen=True, slots=True)
class Result:
    """again: the best candidate measured once more, None where that was not asked for or none meets the targets. rate_hz: of the events."""

    schema: int
    id: str
    name: str
    description: str
    use_case_sha256: str
    dataset: str
    samples: int
    rate_hz: float
    statistics: str
    method: str
    seed: int
    objectives: tuple[str, ...]
    targets: Mapping[str, Target]
    platforms: Mapping[str, PlatformResult]
    candidates: tuple[Judged, ...]
    front: tuple[str, ...]
    best: str
    again: Judged | None

    def of(self, name: str) -> Judged:
        return next(one for one in self.candidates if one.outcome.name == name)


def document(
    use_case: UseCase, search_id: str, outcomes: Sequence[Outcome], *, benches: Mapping[str, str], dataset: str, samples: int
) -> Result:
    """benches: names by platform. outcomes: as far as it has come."""
    first = [one for one in outcomes if not one.repeat]
    whole = front(first, use_case.objectives)
    over_all, of_platform = {one.name for one in whole.points}, set[str]()
    platforms = {}
    for name in use_case.platforms:
        mine = [one for one in first if one.platform == name]
        points = front(mine, use_case.objectives).points
        of_platform |= {one.name for one in points}
        best = best_of(use_case, [one for one in outcomes if one.platform == name])
        states = [one.state for one in mine]
        measured, stopped, failed = (states.count(state) for state in (State.MEASURED, State.STOPPED, State.FAILED))
        named = tuple(one.name for one in points)
        platforms[name] = PlatformResult(benches[name], len(mine), measured, stopped, failed, named, best.name if best else "")

    out = refuted(use_case, outcomes)

    def judged(one: Outcome) -> Judged:
        found = answers(use_case, one.figures)
        last = out.get(one.name, one)
        return Judged(
            one, found, _meets(last, answers(use_case, last.figures)), one.name in of_platform, one.name in over_all, one.name in whole.best
        )

    best = best_of(use_case, outcomes)
    again = next((one for one in outcomes if best and one.repeat and one.name == best.name), None)
    return Result(
        schema=RESULT_SCHEMA,
        id=search_id,
        name=use_case.name,
        description=use_case.description,
        use_case_sha256=use_case.sha256,
        dataset=dataset,
        samples=samples,
        rate_hz=use_case.rate_hz,
        statistics="Poisson" if use_case.poisson else "periodic",
        method=use_case.search.method,
        seed=use_case.search.seed,
        objectives=use_case.objectives,
        targets=targets(use_case),
        platforms=platforms,
        candidates=tuple(judged(one) for one in sorted(first, key=lambda one: (one.platform, one.number))),
        front=tuple(one.name for one in whole.points),
        best=best.name if best else "",
        again=judged(again) if again else None,
    )


def best_of(use_case: UseCase, outcomes: Sequence[Outcome]) -> Outcome | None:
    """The best in the first objective of those that meet every target with confidence, once more too where they were measured once more;
    None where there is none. One that could not be measured once more stands as it was."""
    objective = use_case.objectives[0]
    out = refuted(use_case, outcomes)
    meeting = [
        one
        for one in outcomes
        if not one.repeat and one.name not in out and one.value(objective) is not None and _meets(one, answers(use_case, one.figures))
    ]
    return min(meeting, key=lambda one: (better_first(one.figures[objective], objective), one.name), default=None)


def refuted(use_case: UseCase, outcomes: Sequence[Outcome]) -> dict[str, Outcome]:
    """Those measured once more that then did not meet every target with confidence, by name: as they were measured then."""
    again = [one for one in outcomes if one.repeat and one.state is State.MEASURED]
    return {one.name: one for one in again if not _meets(one, answers(use_case, one.figures))}


def _meets(outcome: Outcome, found: Mapping[str, Conformity]) -> bool | None:
    """One that was given up, or failed, does not; without targets everything that was measured does."""
    if outcome.state is not State.MEASURED:
        return False
    each = {one.answer for one in found.values()}
    if Answer.MISSED in each:
        return False
    return True if each <= {Answer.MET} else None
