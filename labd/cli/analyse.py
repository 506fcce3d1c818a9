"""`labd analyse RUN`: repeat the analysis from the stored traces, and say whether it gives the stored figures."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from labd.analyse.compare import differences, rule
from labd.analyse.environment import environment, versions
from labd.analyse.run import Analysis, analyse_run, store_analysis
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.errors import StoreError
from labd.records import KpiRecord
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState

SHOWN = 10


def register(app: typer.Typer) -> None:
    app.command("analyse")(analyse)


def analyse(
    run: Run,
    store: Store = None,
    store_result: Annotated[bool, typer.Option("--store-result", help="Replace the stored figures by the new ones.")] = False,
) -> None:
    """Compute all figures of a run again from its traces and compare them with the stored ones.

    On the same machine type with the same versions they are the same bit for bit, elsewhere within 1e-6 of the stated standard
    uncertainty. Exit code 1 when they are not.
    """
    with Catalogue.open_read_only(store) as catalogue:
        analysis = analyse_run(catalogue, run)
        stored = catalogue.kpis.of(analysis.run.id)
    for problem in analysis.problems:
        print(f"labd: warning: {problem}", file=sys.stderr)
    print(f"run {analysis.run.id}: {len(analysis.records)} figures from {len(analysis.captures)} captures")
    agrees = compared(analysis, stored)
    if store_result:
        keep(store, analysis)
    if not agrees:
        raise typer.Exit(1)


def compared(analysis: Analysis, stored: list[KpiRecord]) -> bool:
    """Print which rule applies and whether it holds; True also where there is nothing to compare with."""
    if not stored:
        print("no figures are stored for this run; --store-result keeps these")
        return True
    applies = rule((analysis.run.environment, analysis.run.versions), (environment(), versions()))
    found = differences(stored, analysis.records, applies)
    print(f"rule: {applies}")
    if not found:
        print(f"holds: all {len(stored)} stored figures are reproduced")
        return True
    print(f"does not hold: {len(found)} of {len(stored)} stored figures differ")
    for line in found[:SHOWN]:
        print(f"  {line}")
    if len(found) > SHOWN:
        print(f"  and {len(found) - SHOWN} more")
    return False


def keep(store: Store, analysis: Analysis) -> None:
    """Raises StoreError while the run is going on: it stores its figures itself."""
    if analysis.run.state is RunState.RUNNING:
        raise StoreError(f"run {analysis.run.id} is still running; its figures are stored when it ends")
    with Catalogue.open(store) as catalogue:
        store_analysis(catalogue, analysis)
    print("stored")
