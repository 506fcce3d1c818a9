"""`labd runs`: what was run, newest first."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labd.cli.store_option import Store
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow, RunRow

PIPED_WIDTH = 240  # a table that goes into a file or a pipe is not cut


def register(app: typer.Typer) -> None:
    app.command("runs")(runs)


def runs(
    store: Store = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many, the newest ones.")] = 20,
) -> None:
    """List the runs of a store with what became of them."""
    with Catalogue.open_read_only(store) as catalogue:
        rows = [(run, catalogue.captures.of(run.id)) for run in catalogue.runs.newest(limit=limit)]
        folder = catalogue.folder
    if not rows:
        print(f"no runs in {folder}")
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    console.print(table(rows))


def table(rows: Sequence[tuple[RunRow, list[CaptureRow]]]) -> Table:
    """One line a run."""
    found = Table()
    for name in ("run", "state", "bench", "plan", "started (UTC)", "captures", "error"):
        found.add_column(name, no_wrap=name == "run", overflow="fold")
    for run, captures in rows:
        cells = (run.id, str(run.state), run.bench_name, run.plan_name, started(run.created_ns), done(captures), run.error)
        found.add_row(*(Text(cell) for cell in cells))  # Text: what users named is never markup
    return found


def started(created_ns: int) -> str:
    return f"{datetime.datetime.fromtimestamp(created_ns // 1_000_000_000, datetime.UTC):%Y-%m-%d %H:%M:%S}"


def done(captures: Sequence[CaptureRow]) -> str:
    """`21/24`, and how many failed."""
    finished = sum(row.state is CaptureState.FINISHED for row in captures)
    failed = sum(row.state in (CaptureState.FAILED, CaptureState.INTERRUPTED) for row in captures)
    return f"{finished}/{len(captures)}" + (f", {failed} failed" if failed else "")
