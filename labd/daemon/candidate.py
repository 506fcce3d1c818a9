"""One candidate of a search on its bench: built, its memory, its accuracy, then its energy; given up as soon as it cannot meet a target."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from labd.accuracy.dataset import Dataset
from labd.accuracy.measure import Measurement
from labd.accuracy.session import Session, Subject, as_document, open_session
from labd.analyse.run import analyse_run
from labd.analyse.wording import section
from labd.bench.control import RunControl
from labd.bench.runner import Rules
from labd.bench_file import Bench, Plan
from labd.daemon import run as running
from labd.daemon.accuracy import task_of
from labd.daemon.around import Surroundings
from labd.daemon.flashing import flash
from labd.daemon.guarding import guarded
from labd.daemon.opened import open_bench
from labd.daemon.run import RunOutcome, RunRequest, first_of
from labd.dut.device import Device
from labd.errors import DataLost, DutFailure, FileError, InstrumentFailure, SafetyRefusal, StoreError
from labd.kpi.targets import Answer, Conformity
from labd.kpi.task import TaskResult
from labd.records import KpiRecord, OperatingPoint
from labd.search.builders import Builder, Candidate, build
from labd.search.contract import TargetBoard
from labd.search.errors import BuilderFailure, CandidateRefused
from labd.search.figures import accuracy, answers, measured, memory, share_right, targets
from labd.search.files import Asked, bench_of, plan_of
from labd.search.folder import Folder, builds
from labd.search.order import shuffled
from labd.search.outcome import Outcome, Settings, State
from labd.search.use_case import UseCase
from labd.store.catalogue import Catalogue
from labd.store.folder import write_whole
from labd.store.jsonform import dump, from_json, load
from labd.store.rows import RunState

NOT_RUN = "its builder made a program for a virtual board, and this bench has a real one, which takes an image (kind of the platform)"
TRIES = 2  # of a capture, or of a candidate whose bench or board failed: what fails twice is not given a third chance
FAILURES = (DutFailure, InstrumentFailure, DataLost, FileError)  # of a candidate that was built: it may be the only one that has them

log = logging.getLogger(__name__)


def builder_of(use_case: UseCase, name: str) -> Builder:
    """Of a platform."""
    platform = use_case.platforms[name]
    depends = tuple(use_case.beside(one).resolve() for one in platform.depends)  # the builder runs in another folder than labd
    return Builder(platform.builder, use_case.path.parent.resolve(), depends, platform.build_time)


@dataclass(frozen=True, slots=True)
class Measuring:
    """What every candidate of a platform is measured with. job: of the queue, empty without a daemon."""

    use_case: UseCase
    platform: str
    bench: Bench
    dataset: Dataset
    folder: Folder
    around: Surroundings
    control: RunControl
    job: str = ""

    async def candidate(self, number: int, settings: Settings) -> Outcome:
        """Raises LabdError of every kind that says nothing of the candidate: no safe bench, a full disk, interrupted."""
        blank = Outcome(self.platform, number, settings, State.FAILED)
        try:
            made = await self._built(settings)
        except CandidateRefused as error:
            return replace(blank, state=State.STOPPED, why=str(error))
        except BuilderFailure as error:
            return replace(blank, why=str(error))
        if made.file("program") is not None and not self.bench.is_virtual:
            return replace(blank, model=made.model, why=NOT_RUN)
        asked = Asked(self.use_case, self.platform, number, settings, made)
        size = made.answer.size
        assert size is not None  # the contract's
        figures = {"memory": memory(size.flash + size.ram, made.model, of=size.of)}
        start = replace(blank, model=made.model, figures=figures, notes=made.answer.messages)
        if why := too_bad(self.use_case, figures):
            return replace(start, state=State.STOPPED, why=why)
        folder = self.folder.candidate(self.platform, number)
        try:
            bench = bench_of(asked, self.bench, folder)
            plan = plan_of(asked, bench, folder)
        except FileError as error:  # such as a clock at which it cannot keep up
            return replace(start, state=State.STOPPED, why=str(error))
        return await self._tried(start, bench, plan, made.file("image"))

    async def again(self, outcome: Outcome) -> Outcome:
        """Its energy and latency once more, from other noise; it gives the answers that it gave."""
        made = await self._built(outcome.settings)
        asked = Asked(self.use_case, self.platform, outcome.number, outcome.settings, made, repeat=outcome.repeat + 1)
        folder = self.folder.candidate(self.platform, outcome.number, asked.repeat)
        bench = bench_of(asked, self.bench, folder)
        kept = {name: outcome.figures[name] for name in ("memory", "accuracy") if name in outcome.figures}
        start = replace(outcome, figures=kept, run_id="", repeat=asked.repeat)
        await self._flashed(made.file("image"), folder, tries=TRIES)
        return await self._run(start, bench, plan_of(asked, bench, folder))

    async def _built(self, settings: Settings) -> Candidate:
        platform, board = self.use_case.platforms[self.platform], self.bench.board
        builder = builder_of(self.use_case, self.platform)
        target = TargetBoard(
            name=board.name, kind=platform.kind, clock_hz=settings.clock_hz or board.clock, supply_v=settings.supply_v or board.supply
        )
        return await build(builder, settings.parameters, target, cache=builds(self.around.catalogue.folder))

    async def _flashed(self, image: Path | None, folder: Path, *, tries: int = 1) -> None:
        """Every time: nothing tells reliably what is on a board that others can reach."""
        if image is None:
            return
        for left in reversed(range(tries)):
            try:
                await flash(image, self.bench, self.around.guard, folder)
                return
            except (DutFailure, InstrumentFailure) as error:
                log.warning("%s: %s", folder, error)
                if not left:
                    raise

    async def _tried(self, start: Outcome, bench: Bench, plan: Plan, image: Path | None) -> Outcome:
        """What its files ask of the bench is no other the second time: then it is tried once."""
        for left in reversed(range(TRIES)):
            try:
                await self._flashed(image, self.folder.candidate(self.platform, start.number))
                scored = await asyncio.to_thread(self._scored_before, start)
                if scored is None:
                    scored = await self._scored(start, bench, plan, last=not left)
                    await asyncio.to_thread(self._keep_scored, scored)
                return scored if scored.state is State.STOPPED else await self._run(scored, bench, plan)
            except FAILURES as error:
                log.warning("%s: %s", start.name, error)
                if not left or isinstance(error, FileError):
                    return replace(start, state=State.FAILED, why=str(error))
        raise AssertionError("the last try returns")

    def _scored_before(self, start: Outcome) -> Outcome | None:
        """What an earlier try, or an earlier process, has come to before its run; None where none has. Blocking. Raises StoreError."""
        path = self._scored_file(start)
        try:
            kept = from_json(Outcome, load(path.read_text("utf-8"), str(path)))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{path}: cannot be read: {error}") from error
        return kept if (kept.settings.key, kept.model) == (start.settings.key, start.model) else None

    def _keep_scored(self, scored: Outcome) -> None:
        write_whole(self._scored_file(scored), dump(scored) + "\n")

    def _scored_file(self, outcome: Outcome) -> Path:
        return self.folder.candidate(self.platform, outcome.number) / "scored.json"

    async def _scored(self, start: Outcome, bench: Bench, plan: Plan, *, last: bool) -> Outcome:
        """With its accuracy: of the first part of the data set where even the best that this leaves possible is too bad, else of all.
        last: where this fails the candidate has, and its accuracy run is not gone on with."""
        with ExitStack() as held:
            begun: list[tuple[Session, Subject]] = []
            try:
                async with guarded(bench, self.around.guard) as hangs, open_bench(bench, seed=plan.seed) as opened:
                    hangs.opened = opened
                    await opened.station.interlock.power_up(bench.board.supply, opened.lines)
                    device = opened.board.device
                    if device.extended:
                        await device.set_workload(start.model, activity=round(plan.activity * 100), seed=plan.seed)
                    subject = self._subject(bench, device, start)
                    dataset = shuffled(self.dataset, seed=self.use_case.search.seed)
                    session = held.enter_context(open_session(self.around.catalogue.folder, subject, dataset, fresh=False))
                    begun.append((session, subject))
                    found = await self._answered(start, device, dataset, session)
                return await self._judged(start, found, session, subject)  # the board is off: this may take a while
            except (*FAILURES, SafetyRefusal) as error:
                for session, subject in begun:
                    if last or isinstance(error, SafetyRefusal):
                        _end(session, subject, start.model, None, stopped=str(error))
                raise

    def _subject(self, bench: Bench, device: Device, start: Outcome) -> Subject:
        data, of = self.dataset, self.folder.tag(self.platform, start.number)
        return Subject(bench.name, bench.board.name, device.identity, data.name, data.sha256, len(data.samples), of)

    async def _answered(self, start: Outcome, device: Device, dataset: Dataset, session: Session) -> Outcome | None:
        """The whole data set is sent; the candidate where its first part is already too bad."""
        for part in self._parts(session):
            await Measurement(device, replace(dataset, samples=dataset.samples[:part]), session).run(lambda _: None)
            if part < len(dataset.samples):
                found = share_right(self.use_case, session.done, start.model)
                if found is None:  # a metric that is no share; of so few samples it is soon computed
                    task = await task_of(session, start.model)
                    found = accuracy(self.use_case, task.records if task else (), start.model)
                figures = {**start.figures, **({"accuracy": found} if found else {})}
                if why := too_bad(self.use_case, figures):
                    why = f"{why}, after {part} samples"
                    return replace(start, figures=figures, accuracy_id=session.id, samples=part, state=State.STOPPED, why=why)
        return None

    async def _judged(self, start: Outcome, stopped: Outcome | None, session: Session, subject: Subject) -> Outcome:
        """By all its answers, where it was not stopped before."""
        if stopped is not None:
            _end(session, subject, start.model, None, stopped=stopped.why)
            return stopped
        task = await task_of(session, start.model)
        found, samples = accuracy(self.use_case, task.records if task else (), start.model), len(self.dataset.samples)
        figures = {**start.figures, **({"accuracy": found} if found else {})}
        why = too_bad(self.use_case, figures)
        _end(session, subject, start.model, task, stopped=why)
        scored = replace(start, figures=figures, accuracy_id=session.id, samples=samples)
        return replace(scored, state=State.STOPPED, why=f"{why}, after {samples} samples") if why else scored

    def _parts(self, session: Session) -> list[int]:
        """Numbers of samples after which it is looked at; one that was broken off has been looked at before."""
        every, first = len(self.dataset.samples), self.use_case.search.first_part
        early = "accuracy" in self.use_case.limits and len(session.done) <= first < every
        return [first, every] if early else [every]

    async def _run(self, start: Outcome, bench: Bench, plan: Plan) -> Outcome:
        """A run of it that has ended well is not made again: a process that was killed had no time to keep what came of it."""
        tag = self.folder.tag(self.platform, start.number)
        run_id = await self.around.catalogue.do(partial(_made, tag, bench, plan))
        if run_id:
            made = await asyncio.to_thread(_analysed, self.around.catalogue.folder, run_id)
            if (kept := await self._with(start, plan, made)).state is State.MEASURED:
                return kept
        request = RunRequest(bench, plan, rules=Rules(retries=TRIES - 1), job=self.job, tags=(tag,))
        return await self._with(start, plan, await running.run(request, self.around, self.control))

    async def _with(self, start: Outcome, plan: Plan, outcome: RunOutcome) -> Outcome:
        """With the figures of its run."""
        model, supply_v = plan.models[0], plan.supply[0]
        point = OperatingPoint(start.settings.mode, self.use_case.rate_hz, supply_v, model)
        found = await asyncio.to_thread(measured, self.use_case, outcome.records, point, outcome.series)
        figures = {**start.figures, **found}
        ended = replace(start, figures=figures, run_id=outcome.run_id)
        lost = f"captures failed: {first_of(outcome.failed)}" if outcome.failed else ""
        if lacking := lacks(self.use_case, figures):
            return replace(ended, state=State.FAILED, why=lost or lacking)
        return replace(ended, state=State.MEASURED, why="", notes=(*start.notes, *([lost] if lost else [])))


def _made(tag: str, bench: Bench, plan: Plan, catalogue: Catalogue) -> str:
    """The newest run with this tag that has ended well, of the same board and plan file (measured once more, a candidate has others); empty
    where there is none."""
    for run in catalogue.runs.newest(state=RunState.FINISHED, tag=tag):
        board_sha256 = section(run.bench_effective, "board").get("sha256")
        if (run.plan_sha256, board_sha256) == (plan.sha256, bench.board.sha256):
            return run.id
    return ""


def _analysed(store: Path, run_id: str) -> RunOutcome:
    """What an ended run came to, from its traces. Blocking. Raises StoreError."""
    with Catalogue.open_read_only(store) as catalogue:
        analysis = analyse_run(catalogue, run_id)
    return RunOutcome(run_id, store, analysis.records, (), running.series_of(analysis))


def lacks(use_case: UseCase, figures: Mapping[str, KpiRecord]) -> str:
    """Which objective has no value, and why; empty where all have one."""
    for name in use_case.objectives:
        record = figures.get(name)
        if record is None or record.value is None:
            return f"no {name.replace('_', ' ')}: {', '.join(record.flags) if record else 'the run has no such figure'}"
    return ""


def too_bad(use_case: UseCase, figures: Mapping[str, KpiRecord]) -> str:
    """Why a candidate is given up: a figure that misses its target with all that its interval leaves possible. Empty: it is not."""
    known = {name: answer for name, answer in answers(use_case, figures).items() if name in figures}
    return "; ".join(
        f"misses {targets(use_case)[name].name}" for name, answer in known.items() if _misses(figures[name], answer, use_case, name)
    )


def _misses(record: KpiRecord, answer: Conformity, use_case: UseCase, name: str) -> bool:
    """The whole 95 % interval on the wrong side."""
    if answer.answer is not Answer.MISSED:
        return False
    target = targets(use_case)[name]
    best = record.high if target.least else record.low
    return best is not None and not target.met_by(best)


def _end(session: Session, subject: Subject, model: str, task: TaskResult | None, *, stopped: str) -> None:
    """stopped: why it is of the first part only."""
    latencies: Sequence[float] = [one.latency_s for one in session.done if one.latency_s is not None]
    told: dict[str, Any] = {
        "score": None,
        "latency_s": sum(latencies) / len(latencies) if latencies else None,
        "inputs": sum(len(one.results) for one in session.done),
        "verified": sum(one.verified for one in session.done),
        "model": model,
        "task": task,
        **({"stopped": stopped} if stopped else {}),
    }
    session.end(as_document(subject, told))
