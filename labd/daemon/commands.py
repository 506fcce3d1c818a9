"""One run, or one check, without a daemon: what `labd run` and `labd check` do where no daemon holds the bench."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from labd import bench_file
from labd.bench.control import RunControl
from labd.bench.finding import Finding
from labd.bench_file import Bench
from labd.daemon import check as checking
from labd.daemon import run as running
from labd.daemon.around import Surroundings, surroundings
from labd.daemon.guarding import guard_of
from labd.daemon.opened import load_bench, sole_use
from labd.daemon.run import RunOutcome, RunRequest
from labd.stream.hub import Hub
from labd.stream.news import News

WATCHED = 4096  # news of a run that wait for a terminal


async def run_plan(
    bench_path: Path,
    plan_path: Path,
    *,
    store: Path | None,
    show: Callable[[News], None],
    stop: asyncio.Event,
    record: Path | None = None,
) -> RunOutcome:
    """Measure one plan on one bench and analyse it. `stop` ends it early: outputs off, Interrupted raised, what was captured is stored.

    show: told what happens. record: a folder for what passes over the links of its instruments. Raises LabdError of every kind.
    """
    bench = load_bench(bench_path)
    plan = bench_file.load_plan(plan_path)
    bench_file.check_plan(bench, plan)
    control = RunControl()
    control.stop = stop
    async with alone(bench, store) as around, _shown(around.news, show):
        await around.catalogue.do(lambda catalogue: catalogue.runs.interrupt_orphans(bench.name))
        return await running.run(RunRequest(bench, plan, record=record), around, control)


async def check_bench(
    path: Path,
    *,
    store: Path | None,
    show: Callable[[Finding], None],
    stop: asyncio.Event,
    hold: bool = False,
    record: Path | None = None,
) -> bool:
    """Test a bench, telling each finding as it comes; True when nothing failed. hold, record: see `checking.check`."""
    bench = load_bench(path)
    async with alone(bench, store) as around:
        return await checking.check(bench, around.guard, around.catalogue, show=show, stop=stop, hold=hold, record=record)


@asynccontextmanager
async def alone(bench: Bench, store: Path | None) -> AsyncIterator[Surroundings]:
    """The bench is this process's only. Raises BenchBusy, StoreError."""
    async with guard_of(bench) as guard, surroundings(store, guard) as around:
        with sole_use(bench, around.catalogue.folder):
            yield around


@asynccontextmanager
async def _shown(news: Hub[News], show: Callable[[News], None]) -> AsyncIterator[None]:
    """Everything that was published is shown before this ends."""
    with news.subscribe("terminal", size=WATCHED) as subscription:

        async def follow() -> None:
            async for item in subscription:
                show(item)

        task = asyncio.create_task(follow(), name="terminal")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))
            for item in subscription.drained():
                show(item)
