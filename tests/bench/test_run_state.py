"""However the analysis at its end goes, a run has ended afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from labd import bench_file
from labd.analyse.run import Analysis
from labd.analyse.worker import Worker
from labd.bench.control import RunControl
from labd.daemon.around import Surroundings
from labd.daemon.opened import load_bench
from labd.daemon.run import RunRequest, run
from labd.errors import Interrupted, StoreError
from labd.store.rows import RunRow, RunState
from labd.store.session import CatalogueSession
from tests.bench.whole_run import FIXTURES
from tests.cli.bench_apart import write_plan

pytestmark = pytest.mark.compiler


class Failing(Worker):
    async def analyse(self, store: Path, run_id: str) -> Analysis:
        raise StoreError("an estimator's mistake")


class Hanging(Worker):
    """Is in the analysis for ever."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()

    async def analyse(self, store: Path, run_id: str) -> Analysis:
        self.began.set()
        await asyncio.Event().wait()
        raise AssertionError


@asynccontextmanager
async def around(folder: Path, worker: Worker) -> AsyncIterator[Surroundings]:
    async with CatalogueSession(folder / "store") as catalogue, worker:
        yield Surroundings(catalogue, worker)


def request(folder: Path) -> RunRequest:
    plan = bench_file.load_plan(write_plan(folder / "plan.toml", floor_time="1 s"))
    return RunRequest(load_bench(FIXTURES / "benches/demo.toml"), plan)


async def stored(here: Surroundings) -> RunRow:
    (row,) = await here.catalogue.do(lambda catalogue: catalogue.runs.newest(limit=1))
    return row


async def test_an_analysis_that_fails_ends_the_run_as_failed(tmp_path: Path) -> None:
    async with around(tmp_path, Failing()) as here:
        with pytest.raises(StoreError, match="an estimator's mistake"):
            await run(request(tmp_path), here, RunControl())
        row = await stored(here)
    assert row.state is RunState.FAILED
    assert "an estimator's mistake" in row.error


async def test_a_stop_during_the_analysis_is_heard(tmp_path: Path) -> None:
    worker, control = Hanging(), RunControl()
    async with around(tmp_path, worker) as here:
        going = asyncio.create_task(run(request(tmp_path), here, control))
        await asyncio.wait_for(worker.began.wait(), timeout=30)
        control.abort("somebody wants it")
        with pytest.raises(Interrupted, match="somebody wants it"):
            await asyncio.wait_for(going, timeout=30)
        row = await stored(here)
    assert row.state is RunState.INTERRUPTED
    assert row.error == "somebody wants it"
