"""An accuracy run on a bench: power, the DUT, the data set, the score."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labd.accuracy.dataset import Dataset
from labd.accuracy.measure import Measurement, Progress
from labd.accuracy.score import Prediction, Score, score
from labd.accuracy.session import Session, Subject, as_document, open_session
from labd.bench_file import Bench
from labd.daemon.around import Surroundings
from labd.daemon.commands import alone
from labd.daemon.guarding import guarded
from labd.daemon.opened import OpenBench, load_bench, open_bench
from labd.daemon.stopping import stoppable
from labd.kpi.task import TaskResult, task_kpis
from labd.stream.session import InstrumentSession

SCORING_S = 600.0  # resampling some thousand predictions on a slow host


@dataclass(frozen=True, slots=True)
class AccuracyOutcome:
    """score None: nothing to score by. latency_s: mean by the DUT's counter, None where it has none. verified: of so many inputs the upload
    was read back. reboots: survived by this process."""

    id: str
    folder: Path
    subject: Subject
    score: Score | None
    latency_s: float | None
    inputs: int
    verified: int
    resumed: int
    reboots: int


@dataclass(frozen=True, slots=True)
class AccuracyRequest:
    """fresh: begin anew where an earlier run was broken off. verify_every: see `Measurement`. model: its name in plans,
    where the board tells another."""

    bench: Path
    dataset: Dataset
    store: Path | None = None
    fresh: bool = False
    verify_every: int = 0
    model: str = ""


async def run_accuracy(request: AccuracyRequest, *, show: Callable[[Progress], None], stop: asyncio.Event) -> AccuracyOutcome:
    """`stop` ends it early: outputs off, Interrupted raised; the same request goes on with it. Raises LabdError of every kind."""
    bench = load_bench(request.bench)
    async with alone(bench, request.store) as around:
        return await stoppable(_work(request, bench, around, show), stop)


async def _work(request: AccuracyRequest, bench: Bench, around: Surroundings, show: Callable[[Progress], None]) -> AccuracyOutcome:
    async with guarded(bench, around.guard) as hangs, open_bench(bench) as opened:
        hangs.opened = opened
        await opened.station.interlock.power_up(bench.board.supply, opened.lines)
        subject = _subject(request.dataset, bench, opened)
        with open_session(around.catalogue.folder, subject, request.dataset, fresh=request.fresh) as session:
            resumed = len(session.done)
            measurement = Measurement(opened.board.device, request.dataset, session, verify_every=request.verify_every)
            await measurement.run(show)
            model = request.model or subject.dut.model
            async with InstrumentSession("task figures") as thread:
                task = await thread.call(_task, session, model, deadline_s=SCORING_S)
            return _ended(session, subject, resumed, measurement.reboots, task={"model": model, "task": task})


def _subject(dataset: Dataset, bench: Bench, opened: OpenBench) -> Subject:
    return Subject(bench.name, bench.board.name, opened.board.device.identity, dataset.name, dataset.sha256, len(dataset.samples))


def _task(session: Session, model: str) -> TaskResult | None:
    """Task KPIs of what has a label; None where nothing has."""
    known = [one.prediction for one in session.done]
    labels, scores = zip(*((p.label, p.scores) for p in known if p.label is not None), strict=True) if _labelled(known) else ((), ())
    return task_kpis(labels, scores, at=model)


def _labelled(predictions: Sequence[Prediction]) -> bool:
    return any(one.label is not None for one in predictions)


def _ended(session: Session, subject: Subject, resumed: int, reboots: int, *, task: Mapping[str, object]) -> AccuracyOutcome:
    found = score([one.prediction for one in session.done], model=subject.dut.model)
    latencies = [one.latency_s for one in session.done if one.latency_s is not None]
    latency_s = sum(latencies) / len(latencies) if latencies else None
    inputs, verified = (sum(of) for of in ((len(one.results) for one in session.done), (one.verified for one in session.done)))
    told = {"score": found, "latency_s": latency_s, "inputs": inputs, "verified": verified, "reboots": reboots, **task}
    session.end(as_document(subject, told))
    return AccuracyOutcome(session.id, session.folder, subject, found, latency_s, inputs, verified, resumed, reboots)
