"""`labd runs`: what was run, newest first."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.client.connection import Connection, answer
from labd.client.generated.api.runs import list_runs
from labd.client.generated.models.run_state import RunState as StateThere
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import RunState, RunSummary

PIPED_WIDTH = 240  # a table that goes into a file or a pipe is not cut
ERROR_WIDTH = 60  # longer ones go on in the next line


def register(app: typer.Typer) -> None:
    app.command("runs")(runs)


def runs(
    context: typer.Context,
    store: Store = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many, the newest ones.")] = 20,
    tag: Annotated[str | None, typer.Option("--tag", help="Only those tagged so.")] = None,
    state: Annotated[RunState | None, typer.Option("--state", help="Only those in this state.")] = None,
    as_json: Json = False,
) -> None:
    """List the runs of a store, or of the daemon named with --bench, with what became of them."""
    daemon = named(context)
    found, place = _stored(store, limit, tag, state) if daemon is None else _there(daemon, limit, tag, state)
    if as_json:
        print_json(found)
    elif not found:
        print(f"no runs in {place}" if tag is None and state is None else f"no such runs in {place}")
    else:
        console = Console()
        if not console.is_terminal:
            console = Console(width=PIPED_WIDTH)
        console.print(table(found))


def _stored(store: Path | None, limit: int, tag: str | None, state: RunState | None) -> tuple[list[RunSummary], str]:
    with Catalogue.open_read_only(store) as catalogue:
        return catalogue.runs.summaries(limit=limit, tag=tag, state=state), str(catalogue.folder)


def _there(daemon: Connection, limit: int, tag: str | None, state: RunState | None) -> tuple[list[RunSummary], str]:
    with daemon:
        asked = list_runs.sync_detailed(client=daemon.client, limit=limit, tag=tag, state=None if state is None else StateThere(state))
        return [RunSummary(**one.to_dict()) for one in answer(asked)], daemon.url


def table(runs: Sequence[RunSummary]) -> Table:
    """One line a run."""
    found = Table()
    for name in ("run", "state", "bench", "plan", "started (UTC)", "captures", "disclosure", "tags", "error"):
        found.add_column(name, no_wrap=name == "run", overflow="fold", max_width=ERROR_WIDTH if name == "error" else None)
    for run in runs:
        cells = (
            run.id,
            str(run.state),
            run.bench_name,
            run.plan_name,
            started(run.created_ns),
            done(run),
            told(run),
            ", ".join(run.tags),
            run.error,
        )
        found.add_row(*(Text(cell) for cell in cells))  # Text: what users named is never markup
    return found


def started(created_ns: int) -> str:
    return f"{datetime.datetime.fromtimestamp(created_ns // 1_000_000_000, datetime.UTC):%Y-%m-%d %H:%M:%S}"


def told(run: RunSummary) -> str:
    """Whether the deployment pipeline is told; `--json` and the report name what is not."""
    if run.untold is None:
        return ""
    return "complete" if not run.untold else f"{len(run.untold)} keys missing"


def done(run: RunSummary) -> str:
    """`21/24`, and how many failed."""
    failed = run.captures[CaptureState.FAILED] + run.captures[CaptureState.INTERRUPTED]
    return f"{run.captures[CaptureState.FINISHED]}/{sum(run.captures.values())}" + (f", {failed} failed" if failed else "")
