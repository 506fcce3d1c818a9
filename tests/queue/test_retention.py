"""What the store may use of the disk, and which runs go when it is too much."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from labd.bench_file.server import StorageSection
from labd.daemon import housekeeping as keeping
from labd.errors import StoreError, WrongState
from labd.queue.retention import DAY_NS, Keeping, check_space, delete_run, sweep
from labd.store.archive import TRANSFER
from labd.store.catalogue import Catalogue
from labd.store.jobs import NewJob
from labd.store.reserve import RESERVE
from labd.store.rows import NewRun, RunState
from labd.store.session import CatalogueSession

T = TypeVar("T")

NOW_NS = 1_795_444_200_000_000_000
SIZE = 1000


def stored(catalogue: Catalogue, *, days_old: float, state: RunState = RunState.FINISHED, tags: tuple[str, ...] = ()) -> str:
    """A run with a trace of SIZE bytes."""
    run = catalogue.runs.create(NewRun("b", "", "p", ""), [], now_ns=NOW_NS - round(days_old * DAY_NS)).id
    catalogue.runs.annotate(run, add_tags=tags)
    if state is not RunState.RUNNING:
        catalogue.runs.end(run, state)
    folder = catalogue.folder / "traces" / run
    folder.mkdir(parents=True)
    (folder / "0000-floor.parquet").write_bytes(b"x" * SIZE)
    return run


@pytest.fixture
async def session(tmp_path: Path) -> AsyncIterator[CatalogueSession]:
    async with CatalogueSession(tmp_path) as found:
        yield found


def left(catalogue: Catalogue) -> set[str]:
    """Runs with their traces."""
    runs = set(catalogue.runs.ids())
    assert runs == {path.name for path in (catalogue.folder / "traces").iterdir()}
    return runs


def without_rows(folder: Path, name: str, *, hours_old: float) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "0000-mean.arrows").write_bytes(b"x")
    changed_ns = NOW_NS - round(hours_old * 3600e9)
    os.utime(path, ns=(changed_ns, changed_ns))
    return path


async def test_runs_go_by_age(session: CatalogueSession) -> None:
    old, young = await session.do(lambda c: (stored(c, days_old=31), stored(c, days_old=29)))
    assert await sweep(session, Keeping(quota=None, keep_days=30), now_ns=NOW_NS) == [old]
    assert await session.do(left) == {young}


async def test_beyond_the_quota_the_oldest_go_until_it_fits(session: CatalogueSession) -> None:
    runs = await session.do(lambda c: [stored(c, days_old=days) for days in (4, 3, 2, 1)])
    assert await sweep(session, Keeping(quota=2 * SIZE, keep_days=None), now_ns=NOW_NS) == runs[:2]
    assert await sweep(session, Keeping(quota=2 * SIZE, keep_days=None), now_ns=NOW_NS) == []


async def test_what_is_tagged_keep_runs_or_is_needed_by_a_job_stays(session: CatalogueSession) -> None:
    def made(c: Catalogue) -> list[str]:
        kept = stored(c, days_old=40, tags=("keep",))
        running = stored(c, days_old=40, state=RunState.RUNNING)
        needed, resumed = (stored(c, days_old=40, state=RunState.INTERRUPTED) for _ in range(2))
        c.jobs.begin(c.jobs.submit(NewJob("p", "", run_id=resumed)).id)
        c.jobs.submit(NewJob("p", "", run_id=needed))
        return [kept, running, needed, resumed, stored(c, days_old=40, tags=("paper",))]

    *stay, gone = await session.do(made)
    assert await sweep(session, Keeping(quota=0, keep_days=1), now_ns=NOW_NS) == [gone]
    assert await session.do(left) == set(stay)


async def test_a_folder_that_no_run_knows_goes_when_it_is_old(session: CatalogueSession) -> None:
    run = await session.do(lambda c: stored(c, days_old=1))
    old, young = (without_rows(session.folder / "traces", name, hours_old=age) for name, age in (("old", 1.1), ("young", 0.9)))
    await sweep(session, Keeping(quota=None, keep_days=None), now_ns=NOW_NS)
    assert not old.exists()
    assert (young / "0000-mean.arrows").exists()  # an import under way has its folder before its rows
    assert (session.folder / "traces" / run).exists()


async def test_traces_that_another_process_makes_while_the_store_is_swept_stay(tmp_path: Path) -> None:
    """As old as they may be: the folders are looked at before the runs are."""

    class Beside(CatalogueSession):
        async def do(self, work: Callable[[Catalogue], T]) -> T:
            found = await super().do(work)
            without_rows(self.folder / "traces", "made-meanwhile", hours_old=30)
            return found

    async with Beside(tmp_path) as session:
        await sweep(session, Keeping(quota=None, keep_days=None), now_ns=NOW_NS)
        assert (tmp_path / "traces/made-meanwhile").exists()


async def test_transfers_that_nobody_ended_are_cleared_by_their_age(session: CatalogueSession) -> None:
    folder = session.folder / TRANSFER
    old, young = (without_rows(folder, name, hours_old=age) for name, age in (("import-1", 2), ("import-2", 0.5)))
    for name, of in (("in-1.labd.zip", old), ("in-2.labd.zip", young)):
        (folder / name).write_bytes(b"x")
        os.utime(folder / name, ns=(of.stat().st_mtime_ns, of.stat().st_mtime_ns))
    await sweep(session, Keeping(quota=None, keep_days=None), now_ns=NOW_NS)
    assert {path.name for path in folder.iterdir()} == {"import-2", "in-2.labd.zip"}


async def test_a_run_that_goes_on_is_not_deleted(session: CatalogueSession) -> None:
    run = await session.do(lambda c: stored(c, days_old=1, state=RunState.RUNNING))
    with pytest.raises(WrongState, match="is going on"):
        await session.do(lambda c: delete_run(c, run))
    assert await session.do(left) == {run}


def test_a_capture_that_needs_more_than_is_free_is_refused_with_both_figures(tmp_path: Path) -> None:
    check_space(tmp_path, 0, 0)
    with pytest.raises(StoreError, match=r"free, the capture needs up to 1e\+09 GB and storage.least_free keeps 5 GB"):
        check_space(tmp_path, 10**18, 5 * 10**9)


async def test_housekeeping_sweeps_and_takes_the_reserve_again(tmp_path: Path) -> None:
    async with CatalogueSession(tmp_path) as session:
        gone = await session.do(lambda c: stored(c, days_old=10))
        (tmp_path / RESERVE).unlink()
        task = asyncio.create_task(keeping.housekeeping(session, StorageSection.model_validate({"keep_days": 5})))
        async with asyncio.timeout(20):
            while not (tmp_path / RESERVE).exists():  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait((task,))
        assert gone not in await session.do(left)
