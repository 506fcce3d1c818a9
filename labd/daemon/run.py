"""Measures one plan on one bench, then analyses it: the way of every run, with a daemon around it or without."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from labd import bench_file, logs
from labd.analyse.aims import kept
from labd.analyse.run import Analysis, store_analysis
from labd.analyse.wording import section
from labd.bench.control import RunControl
from labd.bench.cross_check import check_cross_checks
from labd.bench.expand import CapturePlan, Method, expand
from labd.bench.firmware import check_firmware
from labd.bench.journal import Journal
from labd.bench.range_rules import check_ranges
from labd.bench.recorder import Recordings
from labd.bench.runner import BrokenOff, Progress, Rules, Work, run_captures, told_of_pace
from labd.bench.station import not_reached, unassured
from labd.bench_file import Bench, Plan
from labd.bench_file import station as translate
from labd.bench_file.run_facts import capture_plan, instruments, new_run, planned, with_self_test
from labd.daemon.aiming import Aiming
from labd.daemon.around import Surroundings
from labd.daemon.check import declared
from labd.daemon.figures import figures_as_they_come
from labd.daemon.guarding import guarded
from labd.daemon.opened import OpenBench, open_bench, rig_of
from labd.daemon.stopping import stoppable
from labd.errors import FileError, InstrumentFailure, Interrupted, LabdError
from labd.queue.retention import check_space
from labd.records import CaptureState, KpiRecord
from labd.store import self_tests
from labd.store.catalogue import Catalogue
from labd.store.jsonform import from_json
from labd.store.rows import RunRow, RunState
from labd.stream.news import NewsKind
from labd_instruments import loader
from labd_instruments.contract import Identity

BYTES_A_SAMPLE = 24  # of a trace while it is recorded: stretch, index, three floats; its final file is smaller
FINEST_DT_S = 20e-6
BACK_S = 30.0  # for an instrument that was lost to be reached again, where its capture may be made again
AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run. resume: id of an interrupted run of this plan, whose finished captures are kept. job: its job in the queue.

    notes, tags: a person's words about the run to come. record: a folder for what passes over the links of the instruments.
    """

    bench: Bench
    plan: Plan
    resume: str = ""
    rules: Rules = field(default_factory=Rules)
    job: str = ""
    notes: str = ""
    tags: tuple[str, ...] = ()
    record: Path | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run came to. failed: captures that failed, one line each. series: by operating point and KPI, one value an event."""

    run_id: str
    store: Path
    records: tuple[KpiRecord, ...]
    failed: tuple[str, ...]
    series: Mapping[tuple[str, str], Sequence[float]]


async def run(request: RunRequest, around: Surroundings, control: RunControl) -> RunOutcome:
    """Measure and analyse. Raises LabdError of every kind; the run is in the catalogue from its first moment on.

    The caller holds the bench (`sole_use`). control ends it early: outputs off, Interrupted raised, what was captured is stored.
    """
    bench_file.check_plan(request.bench, request.plan)
    how = method(request.bench)
    bench_file.check_trigger(request.bench, request.plan, streams=how.stream)
    plans = expand(translate.wanted(request.plan, request.bench.board), how, longest_event_s=request.bench.board.longest_event)
    bench_file.check_aim(request.plan, plans)
    row, todo = await _begun(request, plans, around)
    journal = Journal(around.catalogue, around.news, row.id, job=request.job)
    kind = NewsKind.RUN_RESUMED if request.resume else NewsKind.RUN_STARTED
    captures = [{"key": p.key, "order": p.order, "role": str(p.role), "duration_s": p.duration_s, "todo": p in todo} for p in plans]
    await journal.tell(kind, f"{request.plan.name} on {request.bench.name}", captures=captures)
    with logs.about(run=row.id):
        aiming = await _aiming(request, around, journal, row.id)
        return await _carried_out(_Going(request, around, control, journal, row.id, aiming), todo)


async def _aiming(request: RunRequest, around: Surroundings, journal: Journal, run_id: str) -> Aiming | None:
    """A run that is gone on with has spent what it kept, and where its process died what its captures took at least."""
    if request.plan.aim is None:
        return None
    row, rows = await around.catalogue.do(lambda catalogue: (catalogue.runs.get(run_id), catalogue.captures.of(run_id)))
    least_s = sum(float(one.plan["duration_s"]) for one in rows if one.state is CaptureState.FINISHED)
    return Aiming(request.plan.aim, around, journal, run_id, request.plan.seed, max(kept(row).spent_s, least_s))


async def _carried_out(going: _Going, todo: list[CapturePlan]) -> RunOutcome:
    control = going.control
    try:
        analysis, failed = await stoppable(going.all(todo), control.stop, why=lambda: control.reason)
    except BaseException as error:
        interrupted = isinstance(error, Interrupted | asyncio.CancelledError | KeyboardInterrupt)
        state = RunState.INTERRUPTED if interrupted else RunState.FAILED
        await going.ended(state, (control.reason if interrupted else "") or str(error) or type(error).__name__)
        raise
    await going.ended(RunState.FAILED if failed else RunState.FINISHED, first_of(failed))
    return RunOutcome(going.run_id, going.around.catalogue.folder, analysis.records, tuple(failed), series_of(analysis))


def series_of(analysis: Analysis) -> dict[tuple[str, str], list[float]]:
    """Repeats of an operating point one after the other."""
    found: dict[tuple[str, str], list[float]] = {}
    for result in analysis.captures:
        for kpi, values in result.per_event.items():
            found.setdefault((result.point.key, kpi), []).extend(values)
    return found


def first_of(errors: Sequence[str]) -> str:
    """The first error and how many more there are, each of which its own capture keeps; empty for none."""
    return errors[0] + (f" (+{len(errors) - 1} more)" if len(errors) > 1 else "") if errors else ""


async def _begun(request: RunRequest, plans: list[CapturePlan], around: Surroundings) -> tuple[RunRow, list[CapturePlan]]:
    """The run's row, and the captures that it still lacks. Raises FileError where a run to resume was of other files."""
    if not request.resume:
        row = await around.catalogue.do(partial(_created, request, plans))
        return row, plans
    row = await around.catalogue.do(lambda catalogue: catalogue.runs.get(request.resume))
    if request.plan.aim is not None:  # what was decided on its way stands in the catalogue alone
        plans = [capture_plan(one) for one in await around.catalogue.do(lambda catalogue: catalogue.captures.of(row.id))]
    for what, path, then, now in (
        ("bench", request.bench.path, row.bench_sha256, request.bench.sha256),
        ("board", request.bench.board.path, section(row.bench_effective, "board").get("sha256"), request.bench.board.sha256),
        ("plan", request.plan.path, row.plan_sha256, request.plan.sha256),
    ):
        if then != now:
            raise FileError(str(path), "", f"the {what} file is not the one that run {row.id} began with; submit the plan anew")
    todo = set(await around.catalogue.do(lambda catalogue: catalogue.runs.reopen(row.id)))
    return row, [plan for plan in plans if plan.key in todo]


def _created(request: RunRequest, plans: list[CapturePlan], catalogue: Catalogue) -> RunRow:
    new = replace(new_run(request.bench, request.plan, plans), job=request.job)
    with catalogue.transaction():
        row = catalogue.runs.create(new, [planned(plan) for plan in plans])
        catalogue.runs.annotate(row.id, notes=request.notes, add_tags=request.tags)
        if request.job:
            catalogue.jobs.learn(request.job, run_id=row.id)
    return catalogue.runs.get(row.id)


@dataclass(frozen=True, slots=True)
class _Going:
    """A run under way."""

    request: RunRequest
    around: Surroundings
    control: RunControl
    journal: Journal
    run_id: str
    aiming: Aiming | None = None

    async def all(self, plans: list[CapturePlan]) -> tuple[Analysis, list[str]]:
        if self.aiming is not None and not plans:  # it was ended between two rounds
            plans = await self.aiming.further()
        failed = await self.measured(plans) if plans else []
        self.journal.show(NewsKind.NOTICE, "analysing")
        catalogue = self.around.catalogue
        analysis = await self.around.worker.analyse(catalogue.folder, self.run_id)
        await catalogue.do(lambda opened: store_analysis(opened, analysis))
        self.journal.show(NewsKind.KPIS, f"{len(analysis.records)} figures", count=len(analysis.records), final=True)
        return analysis, failed

    async def ended(self, state: RunState, error: str) -> None:
        """Also where the disk is full: the catalogue has space set aside for this."""
        if self.aiming is not None:
            with contextlib.suppress(LabdError):
                await self.aiming.keep()
        await self.around.catalogue.do(lambda catalogue: catalogue.runs.end(self.run_id, state, error=error))
        with contextlib.suppress(LabdError):  # the state stands; only its announcement is lost
            await self.journal.tell(NewsKind.RUN_ENDED, f"{state}{f': {error}' if error else ''}", state=str(state), error=error)

    async def measured(self, plans: list[CapturePlan]) -> list[str]:
        """Every capture; where the connection to an instrument breaks and a capture may be made again, the bench is left, with its outputs
        off, and opened anew: whatever was programmed is programmed again."""
        around, progress = self.around, Progress(list(plans))
        async with (
            figures_as_they_come(around, self.journal, self.run_id) as captured,
            Recordings(around.worker.finish_trace, around.feed) as recordings,
        ):
            try:
                return await self.captured(recordings, progress, captured)
            finally:
                recordings.afterwards(partial(self.journal.notice, *told_of_pace(progress.behind)))

    async def captured(self, recordings: Recordings, progress: Progress, told: Callable[[CapturePlan], None]) -> list[str]:
        until_s = 0.0
        while True:
            try:
                async with self.opened(recordings) as opened:
                    await self.prepared(opened, progress.plans)
                    return await self.rounds(opened, self.work(opened, recordings, progress, told))
            except BrokenOff as error:
                until_s = time.monotonic() + BACK_S
                await recordings.finish()
                await self.journal.tell(NewsKind.NOTICE, f"outputs off; the bench is opened anew: {error}")
            except InstrumentFailure as error:
                if time.monotonic() >= until_s or not not_reached(error):
                    raise
                await asyncio.sleep(AGAIN_S)

    async def rounds(self, opened: OpenBench, work: Work) -> list[str]:
        """One, or as many as the aims of the plan ask for."""
        if self.aiming is None:
            return await run_captures(work)
        self.aiming.begun(await now_s(opened))
        while True:
            try:
                failed = await run_captures(work)
            except BrokenOff:
                with contextlib.suppress(InstrumentFailure):  # a virtual bench may be gone as well
                    self.aiming.passed(await now_s(opened))
                raise
            self.aiming.passed(await now_s(opened))
            more = await self.aiming.further()
            if not more:
                return failed
            work.progress.plans += more

    def work(self, opened: OpenBench, recordings: Recordings, progress: Progress, captured: Callable[[CapturePlan], None]) -> Work:
        plan = self.request.plan
        return Work(
            rig_of(opened, settle_s=plan.conditions.settle),
            self.around.catalogue,
            recordings,
            self.journal,
            self.control,
            self.run_id,
            progress,
            opened.lines,
            activity=round(plan.activity * 100),
            model_seed=plan.seed,
            warm_up_inferences=plan.captures.warm_up_inferences,
            rules=self.request.rules,
            before=partial(self.before, opened),
            after=captured,
            rested=self.aiming.rested if self.aiming is not None else lambda _seconds: None,
            input=translate.board_input(self.request.bench.board, plan)[0],
        )

    async def prepared(self, opened: OpenBench, plans: list[CapturePlan]) -> None:
        """Powered, with the right firmware on the board, and everything said that a reader of the run must know."""
        bench, plan, station = self.request.bench, self.request.plan, opened.station
        tools = instruments(bench, station.tools)

        def learn(catalogue: Catalogue) -> None:
            tested = self_tests.last(catalogue.folder, bench.name)
            catalogue.runs.learn(self.run_id, instruments=with_self_test(tools, tested))

        await self.around.catalogue.do(learn)
        guard = self.around.guard
        await self.journal.notice(*unassured(station, guard_alive=guard is not None and guard.alive), *bench_file.notices(bench))
        rig = rig_of(opened, settle_s=plan.conditions.settle)
        notices = check_ranges(rig, plans)
        check_cross_checks(rig, plans, plan_file=str(plan.path))
        await station.interlock.power_up(plans[0].point.supply_v, opened.lines)
        told_of_firmware = check_firmware(rig, declared(bench))
        told = translate.board_input(bench.board, plan)[1]
        await self.journal.notice(*notices, *station.interlock.notices, *told_of_firmware, *([told] if told else []))

    @asynccontextmanager
    async def opened(self, recordings: Recordings) -> AsyncIterator[OpenBench]:
        """An open bench under guard; what its way out has to say of its protection is told as well, whatever ended its use."""
        opened: OpenBench | None = None
        bench, request = self.request.bench, self.request
        row = await self.around.catalogue.do(lambda catalogue: catalogue.runs.get(self.run_id))
        met = {name: from_json(Identity, found["identity"]) for name, found in row.instruments.items()}
        patience_s = BACK_S if request.rules.retries else 0.0
        try:
            async with (
                guarded(bench, self.around.guard) as hangs,
                open_bench(bench, seed=request.plan.seed, record=request.record, met=met, patience_s=patience_s) as opened,
            ):
                hangs.opened = opened
                yield opened
        finally:
            if opened is not None:
                recordings.afterwards(partial(self.journal.notice, *opened.station.interlock.notices))

    async def before(self, opened: OpenBench, capture: CapturePlan) -> None:
        """Raises StoreError where the disk has too little for a capture."""
        if self.aiming is not None:
            self.aiming.passed(await now_s(opened))
        least_free = self.request.bench.storage.least_free
        needed = round(BYTES_A_SAMPLE * capture.duration_s / FINEST_DT_S)
        await self.around.catalogue.do(lambda catalogue: check_space(catalogue.folder, needed, least_free))


async def now_s(opened: OpenBench) -> float:
    """By the bench's clock."""
    return await asyncio.to_thread(opened.clock.for_drivers.now_s)


def method(bench: Bench) -> Method:
    info = loader.info(bench.instruments[bench.meter].driver)
    update_s = loader.info(bench.instruments[bench.cross_check].driver).update_s if bench.cross_check else 0.0
    return translate.method(bench, stream="Streams" in info.capabilities, update_s=update_s)
