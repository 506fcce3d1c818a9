"""An accuracy run on a bench: power, the DUT, the data set, the score."""

from __future__ import annotations

import asyncio
import json
import math
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from labd.accuracy.dataset import Dataset
from labd.accuracy.kept import kept_dataset
from labd.accuracy.measure import Measurement, Progress
from labd.accuracy.score import Score, score
from labd.accuracy.session import Session, Subject, as_document, has_ended, open_session
from labd.bench.control import RunControl
from labd.bench_file import Bench
from labd.bench_file.run_facts import firmware_sha256
from labd.config.problems import did_you_mean
from labd.daemon.around import Surroundings
from labd.daemon.commands import alone
from labd.daemon.guarding import guarded
from labd.daemon.opened import OpenBench, load_bench, open_bench
from labd.daemon.stopping import stoppable
from labd.errors import FileError
from labd.kpi.share import Z95
from labd.kpi.task import TaskResult, task_kpis
from labd.store.jobs import JobRow
from labd.store.jsonform import from_json
from labd.stream.news import News, NewsKind
from labd.stream.session import InstrumentSession

SCORING_S = 600.0  # resampling some thousand predictions on a slow host
READING_S = 600.0  # a data set of gigabytes, from a slow disk
TELL_S = 0.5  # between two words of how far a job is


@dataclass(frozen=True, slots=True)
class AccuracyOutcome:
    """score None: nothing to score by. latency_s: mean by the DUT's counter, None where it has none; latency_u95_s: half its interval of
    95 %, None where the board file has no counter_limit. verified: of so many inputs the upload was read back. reboots: survived by this
    process."""

    id: str
    folder: Path
    subject: Subject
    score: Score | None
    latency_s: float | None
    latency_u95_s: float | None
    inputs: int
    verified: int
    resumed: int
    reboots: int


@dataclass(frozen=True, slots=True)
class AccuracyRequest:
    """fresh: begin anew where an earlier run was broken off. verify_every: see `Measurement`. model: its name in plans,
    where the board tells another. begun: id of the session to go on with, and of no other."""

    bench: Path
    dataset: Dataset
    store: Path | None = None
    fresh: bool = False
    verify_every: int = 0
    model: str = ""
    begun: str = ""


@dataclass(frozen=True, slots=True)
class AccuracyAsked:
    """What a job of the queue is to do, see AccuracyRequest. dataset: id of a kept one."""

    dataset: str
    model: str = ""
    fresh: bool = False
    verify_every: int = 0


async def run_accuracy(request: AccuracyRequest, *, show: Callable[[Progress], None], stop: asyncio.Event) -> AccuracyOutcome:
    """`stop` ends it early: outputs off, Interrupted raised; the same request goes on with it. Raises LabdError of every kind."""
    bench = load_bench(request.bench)
    refuse_other_inputs(bench, request.dataset)
    refuse_other_model(bench, request.model)
    async with alone(bench, request.store) as around:
        return await stoppable(_work(request, bench, around, show, _nobody), stop)


async def accuracy_job(job: JobRow, bench: Bench, around: Surroundings, control: RunControl) -> None:
    """What a job of the queue asks for; it goes on with what an earlier process, or its own first attempt, has made. Raises LabdError."""
    asked = from_json(AccuracyAsked, json.loads(job.asked))
    folder = around.catalogue.folder
    if job.made and has_ended(folder, job.made):  # what ended it came between the result and the end of the job
        return
    async with InstrumentSession("data set") as disk:
        dataset = await disk.call(partial(kept_dataset, folder, asked.dataset), deadline_s=READING_S)
    refuse_other_inputs(bench, dataset)
    refuse_other_model(bench, asked.model)
    request = AccuracyRequest(bench.path, dataset, folder, asked.fresh, asked.verify_every, asked.model, job.made)
    told_s = -math.inf

    def show(progress: Progress) -> None:
        nonlocal told_s
        if progress.done < progress.of and time.monotonic() - told_s < TELL_S:
            return
        told_s = time.monotonic()
        text = f"{dataset.name}: {progress.done} of {progress.of} samples"
        data = {"done": progress.done, "of": progress.of, "reboots": progress.reboots}
        around.news.publish(News(time.time_ns(), NewsKind.NOTICE, text, job=job.id, data=data))

    async def begun(session: Session) -> None:
        await around.catalogue.do(lambda catalogue: catalogue.jobs.learn(job.id, made=session.id))

    await stoppable(_work(request, bench, around, show, begun), control.stop, why=lambda: control.reason)


def refuse_other_inputs(bench: Bench, dataset: Dataset) -> None:
    """Raises FileError before anything is switched on, where the board file knows what its inputs are."""
    wanted = bench.board.input_size
    if wanted is not None and wanted != dataset.input_size:
        raise FileError(
            str(dataset.labels or dataset.folder),
            "",
            f"its inputs have {dataset.input_size} bytes, and {bench.board.path} says input_size = {wanted}: "
            "is it the data set of this model?",
        )


def refuse_other_model(bench: Bench, model: str) -> None:
    """Raises FileError for a name that no plan of this bench can have: its figures would stand beside no run."""
    if model and model not in bench.board.models:
        near = did_you_mean(model, bench.board.models)
        raise FileError(str(bench.board.path), "models", f"this board has no model {model!r}, which the accuracy is asked for{near}")


async def _nobody(_: Session) -> None:
    """Nobody asks which session it is before it has ended."""


async def _work(
    request: AccuracyRequest,
    bench: Bench,
    around: Surroundings,
    show: Callable[[Progress], None],
    begun: Callable[[Session], Awaitable[None]],
) -> AccuracyOutcome:
    async with guarded(bench, around.guard) as hangs, open_bench(bench) as opened:
        hangs.opened = opened
        await opened.station.interlock.power_up(bench.board.supply, opened.lines)
        subject = _subject(request, bench, opened)
        with open_session(around.catalogue.folder, subject, request.dataset, fresh=request.fresh, begun=request.begun) as session:
            await begun(session)
            resumed = len(session.done)
            measurement = Measurement(opened.board.device, request.dataset, session, verify_every=request.verify_every)
            await measurement.run(show)
    # the board is off: seconds of resampling are no reason to keep it powered, and the guard's beat need not share a processor with them
    model = request.model or subject.dut.model
    task = await task_of(session, model)
    outcome = _outcome(session, subject, resumed, measurement.reboots, counter_limit=bench.board.counter_limit)
    told = {name: getattr(outcome, name) for name in ("score", "latency_s", "latency_u95_s", "inputs", "verified", "reboots")}
    session.end(as_document(subject, told | {"model": model, "task": task}))
    return outcome


def _subject(request: AccuracyRequest, bench: Bench, opened: OpenBench) -> Subject:
    return Subject(
        bench.name,
        bench.board.name,
        opened.board.device.identity,
        request.dataset.name,
        request.dataset.sha256,
        len(request.dataset.samples),
        model=request.model,
        firmware_sha256=firmware_sha256() if bench.is_virtual else "",
    )


async def task_of(session: Session, model: str) -> TaskResult | None:
    """Task KPIs of what has a label; None where nothing has."""
    known = [one.prediction for one in session.done if one.label is not None]
    labels, scores = [one.label for one in known if one.label is not None], [one.scores for one in known]
    async with InstrumentSession("task figures") as thread:
        return await thread.call(partial(task_kpis, labels, scores, at=model), deadline_s=SCORING_S)


def _outcome(session: Session, subject: Subject, resumed: int, reboots: int, *, counter_limit: float | None) -> AccuracyOutcome:
    found = score([one.prediction for one in session.done], model=subject.dut.model)
    latencies = [one.latency_s for one in session.done if one.latency_s is not None]
    latency_s = statistics.fmean(latencies) if latencies else None
    inputs, verified = (sum(of) for of in ((len(one.results) for one in session.done), (one.verified for one in session.done)))
    u95_s = _u95(latencies, counter_limit)
    return AccuracyOutcome(session.id, session.folder, subject, found, latency_s, u95_s, inputs, verified, resumed, reboots)


def _u95(latencies: Sequence[float], counter_limit: float | None) -> float | None:
    """Half the 95 % interval of their mean: its repeatability, and the counter's limit of error as a rectangle (JCGM 100:2008, 4.3.7)."""
    if counter_limit is None or len(latencies) < 2:
        return None
    mean = statistics.fmean(latencies)
    repeatability = statistics.stdev(latencies, mean) / math.sqrt(len(latencies))
    return Z95 * math.hypot(repeatability, mean * counter_limit / math.sqrt(3))
