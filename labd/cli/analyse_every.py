"""`labd analyse --all`: every run that has ended, on this machine or on a cluster, and its figures as a dataset."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path

import typer
from rich.console import Console
from rich.progress import track

from labd.analyse import dataset
from labd.analyse.many import Hands, RunFigures, ended, in_processes, on_cluster, one_by_one
from labd.client.connection import Connection, answer
from labd.client.generated.api.runs import analyse_run, list_runs
from labd.client.generated.models.run_state import RunState as StateThere
from labd.store.catalogue import Catalogue

SHOWN = 10
LISTED = 1000  # runs that a daemon lists at once


@dataclass(frozen=True, slots=True)
class EveryRun:
    """Which runs, where their figures go, and who computes."""

    tag: str | None = None
    bench: str | None = None
    to: Path | None = None
    anew: bool = False
    processes: int = 1
    dask: str | None = None


@dataclass(slots=True)
class Whole:
    """runs: analysed now; skipped: in the dataset already. differing: a line for each run whose stored figures are not reproduced, failed:
    for each that has none. problems: how many things could not be had."""

    runs: int = 0
    skipped: int = 0
    figures: int = 0
    problems: int = 0
    differing: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    dataset: Path | None = None

    def add(self, run_id: str, *, figures: int, differences: int, stored: int, problems: int) -> None:
        self.runs += 1
        self.figures += figures
        self.problems += problems
        if differences:
            self.differing.append(f"{run_id}: {differences} of {stored} stored figures differ; labd analyse {run_id} tells which")


def analyse_every(store: Path | None, wanted: EveryRun) -> Whole:
    """Raises StoreError, NotFound; a run that cannot be analysed is told and does not keep the others from it."""
    with Catalogue.open_read_only(store) as catalogue:
        folder = catalogue.folder.resolve()
        every = ended(catalogue, tag=wanted.tag, bench=wanted.bench)
    left = [run for run in every if wanted.anew or wanted.to is None or not dataset.holds(wanted.to, run)]
    whole = Whole(skipped=len(every) - len(left), dataset=wanted.to)
    found = _hands(wanted)(folder, [run.id for run in left])
    console = Console(stderr=True)
    for figures in track(found, "analysing", total=len(left), console=console, transient=True, disable=not console.is_terminal):
        _take(whole, figures, wanted.to)
    return whole


def _hands(wanted: EveryRun) -> Hands:
    if wanted.dask is not None and wanted.processes > 1:
        raise typer.BadParameter("--dask and --processes exclude each other: the cluster has its own processes")
    if wanted.dask is not None:
        return on_cluster(wanted.dask)
    return one_by_one if wanted.processes == 1 else in_processes(wanted.processes)


def _take(whole: Whole, figures: RunFigures, to: Path | None) -> None:
    if figures.error:
        whole.failed.append(f"{figures.id}: {figures.error}")
        return
    counts = {"figures": len(figures.records), "differences": len(figures.differences), "problems": len(figures.problems)}
    whole.add(figures.id, stored=figures.stored, **counts)
    if to is not None:
        dataset.write(to, figures)


def analyse_every_there(daemon: Connection, wanted: EveryRun) -> Whole:
    """The daemon's process that computes does one after the other, beside its bench's work."""
    if wanted.to is not None or wanted.dask is not None or wanted.processes > 1:
        raise typer.BadParameter("--to, --processes and --dask need the store on this machine: labd --bench HOST archive RUN, labd import")
    whole = Whole()
    with daemon:
        every = answer(list_runs.sync_detailed(client=daemon.client, limit=LISTED, tag=wanted.tag))
        if len(every) == LISTED:
            print(f"labd: warning: {daemon.url} lists the newest {LISTED} runs; older ones are not among these", file=sys.stderr)
        for run in every:
            if run.state == StateThere.RUNNING or wanted.bench not in (None, run.bench_name):
                continue
            found = answer(analyse_run.sync_detailed(run.id, client=daemon.client))
            whole.add(run.id, figures=found.figures, differences=len(found.differences), stored=found.stored, problems=len(found.problems))
    return whole


def tell_every(whole: Whole) -> None:
    for line in whole.failed:
        print(f"labd: {line}", file=sys.stderr)
    skipped = f", {whole.skipped} were in {whole.dataset} already" if whole.skipped else ""
    print(f"{whole.figures} figures of {whole.runs} runs{skipped}")
    if whole.problems:
        print(f"{whole.problems} things could not be had; the reports of the runs say which")
    if whole.differing:
        print(f"does not hold: {len(whole.differing)} runs have stored figures that are not reproduced")
        for line in whole.differing[:SHOWN]:
            print(f"  {line}")
    elif whole.runs:
        print("holds: all stored figures are reproduced")
    if whole.failed:
        print(f"{len(whole.failed)} runs could not be analysed")
    if whole.dataset is not None:
        print(f"dataset: {whole.dataset}")
