"""A search over the platforms of a use case: ask, measure, tell, each step on disk before the next, so that it goes on after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from labd.accuracy.dataset import Dataset, read_dataset
from labd.bench.control import RunControl
from labd.bench_file import Bench
from labd.daemon.around import Surroundings
from labd.daemon.candidate import FAILURES, Measuring, builder_of
from labd.daemon.commands import alone
from labd.daemon.flashing import check_flash, check_probes, recipe_sha256
from labd.daemon.opened import load_bench
from labd.daemon.stopping import stoppable
from labd.errors import DutFailure, OutputNotVerifiedOff, SafetyRefusal
from labd.guard.link import GuardLost, TakenByGuard
from labd.search.builds import contents
from labd.search.errors import BuilderFailure
from labd.search.figures import LESS_IS_BETTER, violations
from labd.search.files import check_files, sent
from labd.search.folder import Basis, Folder, open_search
from labd.search.html import render as render_html
from labd.search.outcome import Outcome, State
from labd.search.result import best_of, document
from labd.search.space import settings_of, space_of
from labd.search.study import Asked, Study
from labd.search.use_case import UseCase
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder
from labd.stream.session import InstrumentSession

STUDY_S = 120.0  # for a disk and a sampler on a slow host
MOST_FAILED = 3  # in a row: then it is no candidate's fault
NOT_ITS_FAULT = (OutputNotVerifiedOff, GuardLost, TakenByGuard)  # of what the protection says: of the source, or of the guard


@dataclass(frozen=True, slots=True)
class Told:
    """One candidate is done. done, of: candidates of its platform. resumed: an earlier process had measured it."""

    outcome: Outcome
    done: int
    of: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """fresh: begin anew where an earlier search was broken off. only: platforms to search, empty: all."""

    use_case: UseCase
    store: Path | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """A use case with what it names: everything fits. basis: what has to be as it was for a search to be gone on with."""

    use_case: UseCase
    benches: dict[str, Bench]
    dataset: Dataset
    basis: Basis


def with_basis(use_case: UseCase, benches: dict[str, Bench], dataset: Dataset) -> Checked:
    """Reads every file of the builders. Raises FileError."""
    files = {"dataset": dataset.sha256}
    for name, bench in benches.items():
        files |= {f"{name}.bench": bench.sha256, f"{name}.board": bench.board.sha256}
        files |= {f"{name}.flash": recipe_sha256(bench)} if bench.flash is not None else {}
        files[f"{name}.builder"] = contents(builder_of(use_case, name).files)
    return Checked(use_case, benches, dataset, Basis(use_case.name, sent(use_case), files))


def checked(use_case: UseCase) -> Checked:
    """Raises FileError for whatever would end the search later: a bench that cannot be read, a plan that it cannot do."""
    benches = {}
    for name, platform in use_case.platforms.items():
        bench = benches[name] = load_bench(use_case.beside(platform.bench))
        space = space_of(platform)
        check_files(use_case, name, bench, (settings_of(choice) for choice in space.listed(seed=1)))
        check_flash(use_case, name, bench)
    check_probes(benches)
    return with_basis(use_case, benches, read_dataset(use_case.beside(use_case.dataset)))


async def search_here(request: SearchRequest, show: Callable[[Told], None], stop: asyncio.Event) -> Folder:
    """On benches that this process holds; those that are apart at once. `stop` ends it: outputs off, Interrupted raised, and the same
    request goes on with it. Raises LabdError of every kind."""
    whole = await asyncio.to_thread(checked, request.use_case)
    folder = await asyncio.to_thread(open_search, request.store or default_folder(), whole.basis, fresh=request.fresh)
    if not folder.ended:
        await stoppable(_everywhere(whole, request.store, folder, show), stop)
    return folder


async def on_one_bench(
    whole: Checked, folder: Folder, around: Surroundings, control: RunControl, *, show: Callable[[Told], None], job: str
) -> None:
    """Every platform of a use case on the one bench that the caller holds. Raises LabdError of every kind."""
    going = {name: Going(whole, name, folder, around, control, show, job) for name in whole.benches}
    await _one_by_one(list(going.values()))
    await _concluded(whole, folder, going)


async def _concluded(whole: Checked, folder: Folder, going: Mapping[str, Going]) -> None:
    """The best is measured once more; where it then does not meet every target, the next best is, until one does or none is left."""
    while whole.use_case.search.confirm:
        outcomes = await asyncio.to_thread(folder.outcomes)
        best = best_of(whole.use_case, outcomes)
        if best is None or any(one.repeat and one.name == best.name for one in outcomes):
            break
        await going[best.platform].confirmed(best)
    await asyncio.to_thread(end, whole, folder)


async def _everywhere(whole: Checked, store: Path | None, folder: Folder, show: Callable[[Told], None]) -> None:
    by_bench: dict[str, list[str]] = {}
    for name, bench in whole.benches.items():
        by_bench.setdefault(bench.name, []).append(name)
    async with AsyncExitStack() as stack:
        around = {name: await stack.enter_async_context(alone(whole.benches[names[0]], store)) for name, names in by_bench.items()}
        for name, one in around.items():
            await one.catalogue.do(partial(_orphans, name))
        going = {
            platform: Going(whole, platform, folder, around[bench], RunControl(), show)
            for bench, names in by_bench.items()
            for platform in names
        }
        await _at_once([_one_by_one([going[platform] for platform in names]) for names in by_bench.values()])
        await _concluded(whole, folder, going)


def _orphans(bench: str, catalogue: Catalogue) -> list[str]:
    return catalogue.runs.interrupt_orphans(bench)


def end(whole: Checked, folder: Folder) -> None:
    """Its result and report. Blocking. Raises StoreError."""
    benches = {name: bench.name for name, bench in whole.benches.items()}
    samples = len(whole.dataset.samples)
    result = document(whole.use_case, folder.id, folder.outcomes(), benches=benches, dataset=whole.dataset.name, samples=samples)
    folder.end(result, render_html(result))


async def _one_by_one(platforms: Sequence[Going]) -> None:
    for one in platforms:
        await one.all()


async def _at_once(works: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Raises the first error alone, as one bench would."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work, name="search")
    except BaseExceptionGroup as group_of:
        raise group_of.exceptions[0] from None


def clears(outcome: Outcome, held: Sequence[Outcome]) -> bool:
    """Whether this one shows that those which failed before it did so by themselves: the board has worked since; the builder has, where
    none of them came as far as the board."""
    if outcome.state is State.FAILED:
        return False
    return bool(outcome.samples) or not any(one.model for one in held)


def _in_a_row(failed: Sequence[Outcome], platform: str) -> str:
    again = "none of them is kept: they are asked for again when the search goes on"
    return f"{len(failed)} candidates in a row failed on {platform}, the last one: {failed[-1].why} ({again})"


@dataclass(frozen=True, slots=True)
class Going:
    """The search on one platform."""

    whole: Checked
    platform: str
    folder: Folder
    around: Surroundings
    control: RunControl
    show: Callable[[Told], None]
    job: str = ""

    @property
    def measuring(self) -> Measuring:
        whole = self.whole
        return Measuring(
            whole.use_case, self.platform, whole.benches[self.platform], whole.dataset, self.folder, self.around, self.control, self.job
        )

    async def all(self) -> None:
        """Until its budget is spent, or its space."""
        use_case, platform = self.whole.use_case, self.whole.use_case.platforms[self.platform]
        budget = min(platform.trials or use_case.search.trials, space_of(platform).size)
        async with InstrumentSession(f"search on {self.platform}") as thread:
            study = await thread.call(self._opened, deadline_s=STUDY_S)
            try:
                await self._spend(budget, study, thread)
            finally:
                await thread.call(study.close, deadline_s=STUDY_S)

    def _opened(self) -> Study:
        use_case = self.whole.use_case
        maximise = [not LESS_IS_BETTER[name] for name in use_case.objectives]
        space = space_of(use_case.platforms[self.platform])
        return Study(self.folder.study(self.platform), space, maximise=maximise, method=use_case.search.method, seed=use_case.search.seed)

    async def _spend(self, budget: int, study: Study, thread: InstrumentSession) -> None:
        """What fails is held back until another candidate shows that it was the candidate: where bench or builder are at fault, it is
        asked for again when the search goes on."""
        done = {one.number: one for one in await asyncio.to_thread(self.folder.outcomes, self.platform) if not one.repeat}
        for count, outcome in enumerate(done.values(), start=1):
            self.show(Told(outcome, count, budget, resumed=True))
        held: list[Outcome] = []
        waiting = await thread.call(study.open_questions, deadline_s=STUDY_S)
        while waiting or len(done) < budget:
            asked = waiting.pop(0) if waiting else await thread.call(study.ask, deadline_s=STUDY_S)
            if asked is None:
                break
            if asked.number in done:
                await thread.call(self._tell, study, done[asked.number], deadline_s=STUDY_S)
                continue
            await self.control.until_going_on()
            outcome = done[asked.number] = await self._measured(asked)
            if outcome.state is State.FAILED:
                self.show(Told(outcome, len(done), budget))
                held.append(outcome)
                if len(held) >= MOST_FAILED:
                    raise DutFailure(_in_a_row(held, self.platform))
                continue
            await self._settle([*held, outcome] if clears(outcome, held) else [outcome], study, thread)
            held = [] if clears(outcome, held) else held
            self.show(Told(outcome, len(done), budget))
        await self._settle(held, study, thread)

    async def _settle(self, outcomes: Sequence[Outcome], study: Study, thread: InstrumentSession) -> None:
        """They are done: neither measured nor asked for again."""
        for one in outcomes:
            await asyncio.to_thread(self.folder.keep, one)
            await thread.call(self._tell, study, one, deadline_s=STUDY_S)

    async def _measured(self, asked: Asked) -> Outcome:
        """Where the board's protection trips the search ends, and this candidate is not switched on again when it goes on."""
        settings = settings_of(asked.choice)
        try:
            return await self.measuring.candidate(asked.number, settings)
        except SafetyRefusal as error:
            if not isinstance(error, NOT_ITS_FAULT):
                tripped = Outcome(self.platform, asked.number, settings, State.FAILED, str(error))
                await asyncio.to_thread(self.folder.keep, tripped)
            raise

    async def confirmed(self, best: Outcome) -> None:
        """Measured once more. A failure is told and no more: what was measured stands."""
        failed = replace(best, state=State.FAILED, figures={}, run_id="", accuracy_id="", samples=0, repeat=best.repeat + 1, notes=())
        try:
            again = await self.measuring.again(best)
        except (*FAILURES, BuilderFailure) as error:
            again = replace(failed, why=str(error))
        except SafetyRefusal as error:
            if not isinstance(error, NOT_ITS_FAULT):
                await asyncio.to_thread(self.folder.keep, replace(failed, why=str(error)))
            raise
        await asyncio.to_thread(self.folder.keep, again)
        self.show(Told(again, 1, 1))

    def _tell(self, study: Study, outcome: Outcome) -> None:
        use_case = self.whole.use_case
        if outcome.state is State.FAILED:
            study.fail(outcome.number)
            return
        values = [outcome.value(name) for name in use_case.objectives]
        known = [value for value in values if value is not None]
        whole = known if outcome.state is State.MEASURED and len(known) == len(values) else None
        study.tell(outcome.number, whole, violations(use_case, outcome.figures))
