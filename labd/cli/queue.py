"""`labd queue`, `move`, `cancel`, `pause`, `resume`, `abort`: the daemon's jobs."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labd.cli.bench_option import connected
from labd.cli.json_option import Json, print_json
from labd.cli.runs import PIPED_WIDTH
from labd.cli.store_option import Store
from labd.client.connection import answer
from labd.client.generated.api.bench import status as get_status
from labd.client.generated.api.queue import (
    abort_job,
    cancel_job,
    list_jobs,
    move_job,
    pause_job,
    pause_queue,
    resume_job,
    resume_queue,
    run_job_now,
)
from labd.client.generated.api.runs import resume_run
from labd.client.generated.models.abort_body import AbortBody
from labd.client.generated.models.job_row import JobRow
from labd.client.generated.models.move_body import MoveBody
from labd.client.generated.models.place import Place

Job = Annotated[str, typer.Argument(help="Job, by its id in `labd queue`.")]
AnyJob = Annotated[str | None, typer.Argument(help="Job; left out, the whole queue: no further job begins.")]
JobOrRun = Annotated[
    str | None, typer.Argument(metavar="[JOB|RUN]", help="Job, or the id of a run that was ended; left out, the whole queue.")
]
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
        jobs = answer(list_jobs.sync_detailed(client=daemon.client, ended=ended))
        status = answer(get_status.sync_detailed(client=daemon.client)).queue
    if as_json:
        print_json({"jobs": [job.to_dict() for job in jobs], **status.to_dict()})
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    if status.paused:
        console.print(Text(f"the queue is paused: {status.why_paused}"))
    if status.lease is not None:
        console.print(Text(f"reserved by {status.lease.who} until {when(status.lease.until_ns)}"))
    console.print(_table(jobs) if jobs else Text("no jobs"))


def move(
    context: typer.Context,
    job: Job,
    where: Annotated[Place, typer.Argument(help="first, last, or before or after OTHER.")],
    other: Annotated[str | None, typer.Argument(help="Another waiting job.")] = None,
    store: Store = None,
    now: Annotated[bool, typer.Option("--now", help="Next of all, whatever its start time; WHERE is first then.")] = False,
    as_json: Json = False,
) -> None:
    """Change the place of a waiting job."""
    with connected(context, store) as daemon:
        if now:
            done = answer(run_job_now.sync_detailed(job, client=daemon.client))
        else:
            done = answer(move_job.sync_detailed(job, client=daemon.client, body=MoveBody(where=where, other=other)))
    _tell(done, as_json=as_json)


def cancel(context: typer.Context, job: Job, store: Store = None, as_json: Json = False) -> None:
    """Take a waiting job out of the queue."""
    with connected(context, store) as daemon:
        _tell(answer(cancel_job.sync_detailed(job, client=daemon.client)), as_json=as_json)


def pause(context: typer.Context, job: AnyJob = None, store: Store = None, as_json: Json = False) -> None:
    """Pause a running job after its present capture, outputs off; or, without JOB, the queue."""
    with connected(context, store) as daemon:
        if job:
            _tell(answer(pause_job.sync_detailed(job, client=daemon.client)), as_json=as_json)
        else:
            answer(pause_queue.sync_detailed(client=daemon.client))
            _tell(None, as_json=as_json)


def resume(context: typer.Context, job: JobOrRun = None, store: Store = None, as_json: Json = False) -> None:
    """Let a paused job, or the queue, go on; an interrupted or failed job waits again and does what its run lacks, and so does a new job
    for a RUN that `labd run` made."""
    with connected(context, store) as daemon:
        if job and (job == "latest" or "-" in job):  # no id of a job has one
            _tell(answer(resume_run.sync_detailed(job, client=daemon.client)), as_json=as_json)
        elif job:
            _tell(answer(resume_job.sync_detailed(job, client=daemon.client)), as_json=as_json)
        else:
            answer(resume_queue.sync_detailed(client=daemon.client))
            _tell(None, as_json=as_json)


def abort(
    context: typer.Context,
    job: RunningJob = None,
    store: Store = None,
    why: Annotated[str, typer.Option("--why", help="For the record.")] = "aborted",
    as_json: Json = False,
) -> None:
    """End the running job now: outputs off, captures so far kept."""
    with connected(context, store) as daemon:
        running = job or answer(get_status.sync_detailed(client=daemon.client)).queue.job
        if running:
            _tell(answer(abort_job.sync_detailed(running, client=daemon.client, body=AbortBody(why=why))), as_json=as_json)
        else:
            _tell(None, as_json=as_json, otherwise="no job runs")


def _tell(job: JobRow | None, *, as_json: bool, otherwise: str = "") -> None:
    """What became of a job, in a word; None: of no job."""
    if as_json:
        print_json(job and job.to_dict())
    elif job is not None:
        print(f"{job.id}: {job.state}")
    elif otherwise:
        print(otherwise)


def when(t_ns: int | None) -> str:
    """In this machine's time zone."""
    return "" if t_ns is None else f"{datetime.datetime.fromtimestamp(t_ns / 1e9).astimezone():%Y-%m-%d %H:%M}"


def _table(jobs: Iterable[JobRow]) -> Table:
    table = Table()
    for name in ("job", "state", "plan", "priority", "by", "not before", "estimate", "run", "error"):
        table.add_column(name, no_wrap=name in ("job", "run"), overflow="fold")
    for job in jobs:
        state = f"{job.state}, next" if job.urgent else str(job.state)
        again = f" every {job.recurrence} {job.zone}" if job.recurrence else ""
        cells = (job.id, state, job.plan_name, str(job.priority), job.submitted_by, when(job.not_before_ns) + again)
        table.add_row(*(Text(cell) for cell in (*cells, _length(job.estimate_s), job.run_id, job.error)))
    return table


def _length(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds / 60:.0f} min" if seconds > 120 else f"{seconds:.0f} s"
