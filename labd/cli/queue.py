"""`labd queue`, `move`, `cancel`, `pause`, `resume`, `abort`: the daemon's jobs."""

from __future__ import annotations

import datetime
import json
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labd.cli.bench_option import connected
from labd.cli.json_option import Json
from labd.cli.runs import PIPED_WIDTH
from labd.cli.store_option import Store
from labd.store.jobs import Place

ENDED = ("finished", "failed", "interrupted", "cancelled")

Job = Annotated[str, typer.Argument(help="Job, by its id in `labd queue`.")]
AnyJob = Annotated[str | None, typer.Argument(help="Job; left out, the whole queue: no further job begins.")]
RunningJob = Annotated[str | None, typer.Argument(help="Job; left out, the one that runs.")]


def register(app: typer.Typer) -> None:
    for command in (queue, move, cancel, pause, resume, abort):
        app.command(command.__name__)(command)


def queue(
    context: typer.Context,
    store: Store = None,
    ended: Annotated[int, typer.Option("--ended", min=0, help="How many of those that have ended.")] = 5,
    as_json: Json = False,
) -> None:
    """List the job under way, those that wait in their order, and the last that have ended."""
    with connected(context, store) as daemon:
        jobs, status = daemon.get("jobs", ended=ended), daemon.get("status")["queue"]
    if as_json:
        print(json.dumps({"jobs": jobs, **status}))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    if status["paused"]:
        console.print(Text(f"the queue is paused: {status['why_paused']}"))
    if status["lease"]:
        console.print(Text(f"reserved by {status['lease']['who']} until {when(status['lease']['until_ns'])}"))
    console.print(_table(jobs) if jobs else Text("no jobs"))


def move(
    context: typer.Context,
    job: Job,
    where: Annotated[Place, typer.Argument(help="first, last, or before or after OTHER.")],
    other: Annotated[str | None, typer.Argument(help="Another waiting job.")] = None,
    store: Store = None,
    now: Annotated[bool, typer.Option("--now", help="Next of all, whatever its start time; WHERE is first then.")] = False,
) -> None:
    """Change the place of a waiting job."""
    with connected(context, store) as daemon:
        if now:
            daemon.post(f"jobs/{job}/run-now")
        else:
            daemon.post(f"jobs/{job}/move", {"where": where, "other": other})


def cancel(context: typer.Context, job: Job, store: Store = None) -> None:
    """Take a waiting job out of the queue."""
    with connected(context, store) as daemon:
        daemon.delete(f"jobs/{job}")


def pause(context: typer.Context, job: AnyJob = None, store: Store = None) -> None:
    """Pause a running job after its present capture, outputs off; or, without JOB, the queue."""
    with connected(context, store) as daemon:
        daemon.post(f"jobs/{job}/pause" if job else "queue/pause")


def resume(context: typer.Context, job: AnyJob = None, store: Store = None) -> None:
    """Let a paused job, or the queue, go on; an interrupted or failed job waits again and does what its run lacks."""
    with connected(context, store) as daemon:
        daemon.post(f"jobs/{job}/resume" if job else "queue/resume")


def abort(
    context: typer.Context,
    job: RunningJob = None,
    store: Store = None,
    why: Annotated[str, typer.Option("--why", help="For the record.")] = "aborted",
) -> None:
    """End the running job now: outputs off, captures so far kept."""
    with connected(context, store) as daemon:
        running = job or daemon.get("status")["queue"]["job"]
        if not running:
            print("no job runs")
            return
        print(daemon.post(f"jobs/{running}/abort", {"why": why})["state"])


def when(t_ns: int | None) -> str:
    """In this machine's time zone."""
    return "" if t_ns is None else f"{datetime.datetime.fromtimestamp(t_ns / 1e9).astimezone():%Y-%m-%d %H:%M}"


def _table(jobs: list[dict[str, Any]]) -> Table:
    table = Table()
    for name in ("job", "state", "plan", "priority", "by", "not before", "estimate", "run", "error"):
        table.add_column(name, no_wrap=name in ("job", "run"), overflow="fold")
    for job in jobs:
        state = f"{job['state']}, next" if job["urgent"] else job["state"]
        estimate = _length(job["estimate_s"])
        again = f" every {job['recurrence']} {job['zone']}" if job["recurrence"] else ""
        cells = (job["id"], state, job["plan_name"], str(job["priority"]), job["submitted_by"], when(job["not_before_ns"]) + again)
        table.add_row(*(Text(cell) for cell in (*cells, estimate, job["run_id"], job["error"])))
    return table


def _length(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 60:.0f} min" if seconds > 120 else f"{seconds:.0f} s"
