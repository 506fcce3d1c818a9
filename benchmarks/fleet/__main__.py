"""`make fleet`: hundreds of stored runs analysed by one process, and by a Dask cluster of this machine: the same figures, bit for bit.

A few of the runs are measured on the virtual bench; the others are traces of the same kind of board from its closed-form power, each with
noise of its own. How the work scales: two workers over all runs, one over a quarter of them.
"""

from __future__ import annotations

import argparse
import asyncio
import filecmp
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from distributed import LocalCluster
from rich.console import Console
from rich.progress import track

from labd import resources
from labd.analyse import dataset
from labd.analyse.many import RunFigures, ended, on_cluster, one_by_one
from labd.daemon import commands
from labd.records import Mode
from labd.store.catalogue import Catalogue
from tests.analyse.stored_run import NOW_NS, captures, make_run

T = TypeVar("T")

RUNS, QUICK_RUNS = 500, 24
SHARE = 4  # one worker does so small a part of the runs
MEASURED = 4  # of them, on the virtual bench
PLAN = """
schema = 1
name = "one of many"
modes = ["always_on", "event_sleep"]
rates = ["0 /s", "10 /s"]
supply = ["3.0 V"]
models = ["dnn"]
seed = {seed}
[captures]
events = 6
floor_time = "200 ms"
event_captures = 0
warm_up_inferences = 1
[conditions]
settle = "20 ms"
[detector]
kind = "host-triggered"
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fleet", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seed", type=int, default=20261127)
    arguments = parser.parse_args()
    began = time.monotonic()
    count = QUICK_RUNS if arguments.quick else RUNS
    with tempfile.TemporaryDirectory(prefix="labd-fleet-") as folder:
        place = Path(folder)
        fill(place / "store", count, seed=arguments.seed)
        with Catalogue.open_read_only(place / "store") as catalogue:
            ids = [run.id for run in ended(catalogue)]
        alone_s = kept(place / "alone", one_by_one(place / "store", ids), len(ids))
        one_s, _ = by_cluster(place, ids[: len(ids) // SHARE], workers=1)
        two_s, cluster = by_cluster(place, ids, workers=2)
        files, other = differing(place / "alone", cluster)
    for name, taken_s, runs in (("one process", alone_s, len(ids)), ("1 worker", one_s, len(ids) // SHARE), ("2 workers", two_s, len(ids))):
        print(f"fleet: {name}: {runs} runs in {taken_s:.1f} s, {runs / taken_s:.2f} a second")
    fine = not other and len(ids) == count
    for name in other[:10]:
        print(f"FALLS SHORT: {name} is not the same file")
    scaling = one_s * SHARE / two_s
    print(
        f"fleet: {len(ids)} runs ({MEASURED} of the virtual bench), {files} files, {len(other)} not the same by a Dask cluster as "
        f"by one process; two workers are {scaling:.2f} times as fast as one and {alone_s / two_s:.2f} times as one process; "
        f"{time.monotonic() - began:.0f} s; {'ok' if fine else 'falls short'}"
    )
    return 0 if fine else 1


def fill(store: Path, count: int, *, seed: int) -> None:
    """A store of so many runs, no two with the same noise."""
    asyncio.run(_measure(store, seed))
    for k in shown(range(count - MEASURED), "making runs", count - MEASURED):
        made = captures((10.0,), (Mode.ALWAYS_ON, Mode.EVENT_SLEEP), seed=seed + k)
        make_run(store, made, now_ns=NOW_NS + k * 3_600_000_000_000, figures=False)


async def _measure(store: Path, seed: int) -> None:
    bench = resources.path("fixtures") / "benches/demo.toml"
    for k in range(MEASURED):
        plan = store.parent / f"plan-{k}.toml"
        plan.write_text(PLAN.format(seed=seed + k), encoding="utf-8")
        outcome = await commands.run_plan(bench, plan, store=store, show=lambda _news: None, stop=asyncio.Event())
        if outcome.failed:
            raise SystemExit(f"fleet: a run of the virtual bench failed: {outcome.failed[0]}")


def kept(folder: Path, found: Iterable[RunFigures], count: int) -> float:
    """Everything into a dataset; returns the time it took, s. A run without figures ends the benchmark."""
    began = time.monotonic()
    for figures in shown(found, folder.name, count):
        if figures.error:
            raise SystemExit(f"fleet: {figures.id}: {figures.error}")
        dataset.write(folder, figures)
    return time.monotonic() - began


def by_cluster(place: Path, ids: Sequence[str], *, workers: int) -> tuple[float, Path]:
    """The time that a cluster of this machine takes for these runs, s, its start apart; and where their dataset is."""
    folder = place / f"workers-{workers}"
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1") as cluster:
        return kept(folder, on_cluster(cluster.scheduler_address)(place / "store", ids), len(ids)), folder


def differing(one: Path, other: Path) -> tuple[int, list[str]]:
    """How many files the first dataset has, and names of those that the other lacks, has beside, or has with other bytes."""
    names = {str(file.relative_to(one)) for file in one.rglob("*.parquet")}
    wrong = sorted(names ^ {str(file.relative_to(other)) for file in other.rglob("*.parquet")})
    _, differ, lost = filecmp.cmpfiles(one, other, sorted(names), shallow=False)
    return len(names), [*wrong, *differ, *lost]


def shown(items: Iterable[T], what: str, count: int) -> Iterable[T]:
    console = Console(stderr=True)
    return track(items, what, total=count, console=console, transient=True, disable=not console.is_terminal)


if __name__ == "__main__":
    sys.exit(main())
