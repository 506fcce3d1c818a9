"""An accuracy run on a bench: power, the DUT, the data set, the score."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from labd.accuracy.dataset import Dataset
from labd.accuracy.measure import Measurement, Progress
from labd.accuracy.score import Score, score
from labd.accuracy.session import Session, Subject, as_document, open_session
from labd.bench_file import Bench
from labd.daemon.around import Surroundings
from labd.daemon.commands import alone
from labd.daemon.guarding import guarded
from labd.daemon.opened import OpenBench, load_bench, open_bench
from labd.daemon.stopping import stoppable


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
    """fresh: begin anew where an earlier run was broken off. verify_every: see `Measurement`."""

    bench: Path
    dataset: Dataset
    store: Path | None = None
    fresh: bool = False
    verify_every: int = 0


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
            return _ended(session, subject, resumed, measurement.reboots)


def _subject(dataset: Dataset, bench: Bench, opened: OpenBench) -> Subject:
    return Subject(bench.name, bench.board.name, opened.board.device.identity, dataset.name, dataset.sha256, len(dataset.samples))


def _ended(session: Session, subject: Subject, resumed: int, reboots: int) -> AccuracyOutcome:
    found = score([one.prediction for one in session.done], model=subject.dut.model)
    latencies = [one.latency_s for one in session.done if one.latency_s is not None]
    latency_s = sum(latencies) / len(latencies) if latencies else None
    inputs, verified = (sum(of) for of in ((len(one.results) for one in session.done), (one.verified for one in session.done)))
    session.end(as_document(subject, {"score": found, "latency_s": latency_s, "inputs": inputs, "verified": verified, "reboots": reboots}))
    return AccuracyOutcome(session.id, session.folder, subject, found, latency_s, inputs, verified, resumed, reboots)
