"""Figures of many runs: one task a run, the same function in this process, in several, or on a Dask cluster."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labd.analyse.compare import LOCKED
from labd.analyse.curves import Figures
from labd.analyse.environment import versions
from labd.analyse.repeat import compare
from labd.analyse.report import composed, ordered
from labd.analyse.run import analyse_run
from labd.errors import LabdError, StoreError
from labd.records import KpiRecord, OperatingPoint
from labd.store.catalogue import Catalogue
from labd.store.folder import CATALOGUE
from labd.store.rows import CaptureRow, RunRow, RunState, RunSummary

AHEAD = 4  # tasks a process or thread that are handed out beyond those under way: memory does not grow with the number of runs
CONNECTS_S = 10.0
MOST_RUNS = 10_000_000
THREADS = "OPENBLAS_NUM_THREADS"

Hands = Callable[[Path, Sequence[str]], Iterator["RunFigures"]]
"""Who analyses: given a store and ids of runs it gives the figures of each, in any order."""


@dataclass(frozen=True, slots=True)
class RunFigures:
    """What came of one run. points: those that the figures are at, composed ones included. records: in the order of the analysis.

    stored, rule, differences: how many figures were stored, how both were compared, and a line for each that differs. problems: what could
    not be had. error: why there are no figures, empty where there are.
    """

    run: RunRow | None
    captures: tuple[CaptureRow, ...] = ()
    points: tuple[OperatingPoint, ...] = ()
    records: tuple[KpiRecord, ...] = ()
    stored: int = 0
    rule: str = ""
    differences: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    error: str = ""
    id: str = ""


def figures_of(store: Path, run_id: str) -> RunFigures:
    """All figures of a stored run, computed anew. Raises nothing for a run that cannot be analysed: what is wrong stands in its result."""
    run: RunRow | None = None
    try:
        with Catalogue.open_read_only(store) as catalogue:
            run = catalogue.runs.get(run_id)
            if run.state is RunState.RUNNING:
                return RunFigures(run, error="the run is still going on", id=run.id)
            captures = tuple(catalogue.captures.of(run.id))
            analysis = analyse_run(catalogue, run.id)
            found = compare(analysis, catalogue.kpis.of(run.id))
    except LabdError as error:
        return RunFigures(run, error=str(error), id=run_id)
    captured = [row.point for row in captures]
    points = ordered([*captured, *composed(captured, Figures.of(analysis.records), analysis.setup.rates_hz)])
    told = (found.stored, found.rule, tuple(found.differences), tuple(found.problems))
    return RunFigures(run, captures, points, analysis.records, *told, id=run.id)


def one_by_one(store: Path, ids: Sequence[str]) -> Iterator[RunFigures]:
    """In this process."""
    for run_id in ids:
        yield figures_of(store, run_id)


def in_processes(count: int) -> Hands:
    """In so many processes of this machine."""

    def hands(store: Path, ids: Sequence[str]) -> Iterator[RunFigures]:
        """Raises StoreError where a process is lost (killed for its memory, say): which run it was at is not known then."""
        pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
        waiting, busy = iter(ids), set[Future[RunFigures]]()
        try:
            with _one_thread_each():
                while True:
                    while len(busy) < AHEAD * count and (run_id := next(waiting, None)) is not None:
                        busy.add(pool.submit(figures_of, store, run_id))
                    if not busy:
                        return
                    done, busy = wait(busy, return_when=FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
        except BrokenProcessPool as error:
            raise StoreError("a process that analyses was ended from outside, for its memory perhaps; take fewer --processes") from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    return hands


def on_cluster(address: str) -> Hands:
    """On an existing Dask cluster whose workers see the store under the same path and have the versions that this process has."""

    def hands(store: Path, ids: Sequence[str]) -> Iterator[RunFigures]:
        """Raises StoreError: no cluster there, no workers, a worker with other versions or without the store."""
        distributed = _distributed()
        try:
            client = distributed.Client(address, timeout=CONNECTS_S, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise StoreError(f"--dask {address}: no scheduler of Dask answers there: {error}") from error
        try:
            _refuse_unfit(client, address, store)
            yield from _gathered(distributed, client, store, ids)
        finally:
            client.close()

    return hands


def _gathered(distributed: Any, client: Any, store: Path, ids: Sequence[str]) -> Iterator[RunFigures]:
    threads = sum(worker["nthreads"] for worker in client.scheduler_info()["workers"].values())
    waiting = iter(ids)
    doing: dict[str, str] = {}

    def submit(run_id: str) -> Any:
        future = client.submit(figures_of, store, run_id, pure=False)
        doing[future.key] = run_id
        return future

    first = [submit(run_id) for _, run_id in zip(range(AHEAD * threads), waiting, strict=False)]
    under_way = distributed.as_completed(first, loop=client.loop)
    for future in under_way:
        run_id = doing.pop(future.key)
        if (error := future.exception()) is not None:  # the worker died of it, or cannot unpickle: that run's, not the others'
            yield RunFigures(None, error=f"{type(error).__name__}: {error}", id=run_id)
        else:
            yield future.result()
        future.release()
        if (following := next(waiting, None)) is not None:
            under_way.add(submit(following))


def _refuse_unfit(client: Any, address: str, store: Path) -> None:
    here = versions()
    there: dict[str, dict[str, str]] = client.run(versions)
    if not there:
        raise StoreError(f"--dask {address}: the cluster has no workers")
    for worker, found in sorted(there.items()):
        other = [f"{name} {found.get(name, 'not installed')} (here {here[name]})" for name in LOCKED if found.get(name) != here[name]]
        if other:
            raise StoreError(f"--dask {address}: worker {worker} would compute other figures, it has {', '.join(other)}")
    seen: dict[str, bool] = client.run(os.path.isfile, str(store / CATALOGUE))
    blind = sorted(worker for worker, sees in seen.items() if not sees)
    if blind:
        raise StoreError(f"--dask {address}: worker {blind[0]} has no {store / CATALOGUE}; the store must lie where all of them see it")


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise StoreError("--dask needs the package distributed: pip install 'labd[dask]'") from error
    return distributed


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started inside compute with one thread: several of them share the cores already."""
    before = os.environ.get(THREADS)
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[THREADS]
        else:
            os.environ[THREADS] = before


def ended(catalogue: Catalogue, *, tag: str | None = None, bench: str | None = None) -> list[RunSummary]:
    """The runs that have ended, oldest first. tag, bench: only those."""
    every = catalogue.runs.summaries(limit=MOST_RUNS, tag=tag)
    return [run for run in reversed(every) if run.state is not RunState.RUNNING and bench in (None, run.bench_name)]
