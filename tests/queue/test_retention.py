"""What the store may use of the disk, and which runs go when it is too much."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labd.bench_file.server import StorageSection
from labd.daemon import housekeeping as keeping
from labd.errors import StoreError, WrongState
from labd.queue.retention import DAY_NS, check_space, delete_run, sweep
from labd.queue.scheduler import Scheduler
from labd.store.catalogue import Catalogue
from labd.store.reserve import RESERVE
from labd.store.rows import NewRun, RunState
from labd.store.session import CatalogueSession

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
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue.open(tmp_path)


def left(catalogue: Catalogue) -> set[str]:
    """Runs with their traces."""
    runs = {run.id for run in catalogue.runs.newest(limit=100)}
    assert runs == {path.name for path in (catalogue.folder / "traces").iterdir()}
    return runs


def test_runs_go_by_age(catalogue: Catalogue) -> None:
    old, young = stored(catalogue, days_old=31), stored(catalogue, days_old=29)
    assert sweep(catalogue, quota=None, keep_days=30, now_ns=NOW_NS) == [old]
    assert left(catalogue) == {young}


def test_beyond_the_quota_the_oldest_go_until_it_fits(catalogue: Catalogue) -> None:
    runs = [stored(catalogue, days_old=days) for days in (4, 3, 2, 1)]
    assert sweep(catalogue, quota=2 * SIZE, keep_days=None, now_ns=NOW_NS) == runs[:2]
    assert sweep(catalogue, quota=2 * SIZE, keep_days=None, now_ns=NOW_NS) == []


def test_what_is_tagged_keep_runs_or_is_needed_by_a_job_stays(catalogue: Catalogue) -> None:
    kept = stored(catalogue, days_old=40, tags=("keep",))
    running = stored(catalogue, days_old=40, state=RunState.RUNNING)
    needed = stored(catalogue, days_old=40, state=RunState.INTERRUPTED)
    gone = stored(catalogue, days_old=40, tags=("paper",))
    assert sweep(catalogue, quota=0, keep_days=1, now_ns=NOW_NS, busy=frozenset({needed})) == [gone]
    assert left(catalogue) == {kept, running, needed}


def test_a_folder_that_no_run_knows_goes(catalogue: Catalogue) -> None:
    run = stored(catalogue, days_old=1)
    (catalogue.folder / "traces" / "half-deleted").mkdir()
    sweep(catalogue, quota=None, keep_days=None, now_ns=NOW_NS)
    assert left(catalogue) == {run}


def test_a_run_that_goes_on_is_not_deleted(catalogue: Catalogue) -> None:
    run = stored(catalogue, days_old=1, state=RunState.RUNNING)
    with pytest.raises(WrongState, match="is going on"):
        delete_run(catalogue, run)
    assert left(catalogue) == {run}


def test_a_capture_that_needs_more_than_is_free_is_refused_with_both_figures(tmp_path: Path) -> None:
    check_space(tmp_path, 0, 0)
    with pytest.raises(StoreError, match=r"free, the capture needs up to 1e\+09 GB and storage.least_free keeps 5 GB"):
        check_space(tmp_path, 10**18, 5 * 10**9)


async def test_housekeeping_sweeps_and_takes_the_reserve_again(tmp_path: Path) -> None:
    async with CatalogueSession(tmp_path) as session:
        gone = await session.do(lambda c: stored(c, days_old=10))
        (tmp_path / RESERVE).unlink()
        scheduler = Scheduler(session, bench="b", run=never, news=None)  # type: ignore[arg-type]  # nothing is submitted
        task = asyncio.create_task(keeping.housekeeping(session, StorageSection.model_validate({"keep_days": 5}), scheduler))
        async with asyncio.timeout(20):
            while not (tmp_path / RESERVE).exists():  # noqa: ASYNC110  it tells nobody
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait((task,))
        assert gone not in await session.do(left)


async def never(*_: object) -> None:
    raise AssertionError
