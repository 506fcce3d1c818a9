"""`labd analyse RUN`: repeat the analysis from the stored traces, and say whether it gives the stored figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from labd.analyse.repeat import Comparison, compare, replace_figures
from labd.analyse.run import analyse_run
from labd.cli.analyse_every import EveryRun, analyse_every, analyse_every_there, tell_every
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.run_argument import RUN_HELP
from labd.cli.store_option import Store
from labd.client.connection import answer
from labd.client.generated.api.runs import analyse_run as analyse_there
from labd.store.catalogue import Catalogue

SHOWN = 10


def register(app: typer.Typer) -> None:
    app.command("analyse")(analyse)


def analyse(
    context: typer.Context,
    run: Annotated[str | None, typer.Argument(help=f"{RUN_HELP} Left out with --all.", show_default=False)] = None,
    store: Store = None,
    store_result: Annotated[bool, typer.Option("--store-result", help="Replace the stored figures by the new ones.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All runs of the store that have ended.")] = False,
    tag: Annotated[str | None, typer.Option("--tag", help="With --all: only runs tagged so.")] = None,
    of: Annotated[str | None, typer.Option("--of", help="With --all: only runs of the bench of this name.")] = None,
    to: Annotated[Path | None, typer.Option("--to", help="With --all: a folder for the figures, as a partitioned Parquet dataset.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="With --to: also runs whose figures the dataset has already.")] = False,
    processes: Annotated[int, typer.Option("--processes", min=1, max=1024, help="With --all: processes of this machine.")] = 1,
    dask: Annotated[str | None, typer.Option("--dask", help="With --all: the scheduler of a Dask cluster, HOST:PORT.")] = None,
    as_json: Json = False,
) -> None:
    """Compute all figures of a run again from its traces and compare them with the stored ones.

    On the same machine type with the same versions they are the same bit for bit, elsewhere within 1e-6 of the stated standard
    uncertainty. Exit code 1 when they are not. With --all this is done for every run that has ended, on this machine or on a cluster;
    an archive that is analysed again goes on where it was left.
    """
    daemon = named(context)
    if every:
        wanted = EveryRun(tag, of, to, anew=anew, processes=processes, dask=dask)
        if run is not None or store_result:
            raise typer.BadParameter("--all takes no RUN and stores nothing in the runs themselves; leave out RUN and --store-result")
        whole = analyse_every(store, wanted) if daemon is None else analyse_every_there(daemon, wanted)
        if as_json:
            print_json(whole)
        else:
            tell_every(whole)
        if whole.differing or whole.failed:
            raise typer.Exit(1)
        return
    if run is None:
        raise typer.BadParameter("give a RUN, or --all")
    if daemon is None:
        found = _here(run, store, keep=store_result)
    else:
        with daemon:
            found = Comparison(**answer(analyse_there.sync_detailed(run, client=daemon.client, store=store_result)).to_dict())
    if as_json:
        print_json(found)
    else:
        _tell(found, kept=store_result)
    if found.differences:
        raise typer.Exit(1)


def _here(run: str, store: Path | None, *, keep: bool) -> Comparison:
    with Catalogue.open_read_only(store) as catalogue:
        analysis = analyse_run(catalogue, run)
        found = compare(analysis, catalogue.kpis.of(analysis.run.id))
    if keep:
        with Catalogue.open(store) as catalogue:
            replace_figures(catalogue, analysis)
    return found


def _tell(found: Comparison, *, kept: bool) -> None:
    for problem in found.problems:
        print(f"labd: warning: {problem}", file=sys.stderr)
    print(f"run {found.run}: {found.figures} figures from {found.captures} captures")
    if not found.stored:
        print("no figures were stored for this run" + ("" if kept else "; --store-result keeps these"))
    else:
        print(f"rule: {found.rule}")
        _tell_differences(found)
    if kept:
        print("stored")


def _tell_differences(found: Comparison) -> None:
    if not found.differences:
        print(f"holds: all {found.stored} stored figures are reproduced")
        return
    print(f"does not hold: {len(found.differences)} of {found.stored} stored figures differ")
    for line in found.differences[:SHOWN]:
        print(f"  {line}")
    if len(found.differences) > SHOWN:
        print(f"  and {len(found.differences) - SHOWN} more")
