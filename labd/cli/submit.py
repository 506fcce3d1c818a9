"""`labd submit PLAN`: a plan into the queue of a daemon."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.bench_option import connected
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.cli.watch import watched
from labd.client.connection import answer
from labd.client.generated.api.queue import submit_job
from labd.client.generated.models.after_failure import AfterFailure
from labd.client.generated.models.job_body import JobBody
from labd.config.document import read_source


def register(app: typer.Typer) -> None:
    app.command("submit")(submit)


def submit(
    context: typer.Context,
    plan: Annotated[Path, typer.Argument(help="Plan file.")],
    store: Store = None,
    priority: Annotated[int, typer.Option("--priority", min=-100, max=100, help="Higher goes first.")] = 0,
    at: Annotated[datetime | None, typer.Option("--at", help="Not before this time of this machine's clock.")] = None,
    every: Annotated[str, typer.Option("--every", help='Again and again: five cron fields, such as "0 2 * * *"; needs --zone.')] = "",
    zone: Annotated[str, typer.Option("--zone", help="Time zone of --every, such as Europe/Berlin.")] = "",
    after_failure: Annotated[
        AfterFailure, typer.Option("--after-failure", help="When a capture has failed for good.")
    ] = AfterFailure.CONTINUE,
    retries: Annotated[int, typer.Option("--retries", min=0, max=10, help="Of a failed capture.")] = 0,
    attended: Annotated[bool, typer.Option("--attended", help="Somebody stays with the bench.")] = False,
    note: Annotated[str, typer.Option("--note", help="A word about it.")] = "",
    tag: Annotated[list[str] | None, typer.Option("--tag", help="Of its run; may be given several times.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has ended; the exit code is that of its run.")] = False,
    as_json: Json = False,
) -> int:
    """Put PLAN into the daemon's queue; the daemon checks it against its bench first. Prints the job's id."""
    body = JobBody(
        plan_text=read_source(plan).text,
        priority=priority,
        not_before_ns=None if at is None else round(at.astimezone().timestamp() * 1e9),
        recurrence=every,
        zone=zone,
        after_failure=AfterFailure(after_failure),
        retries=retries,
        attended=attended,
        note=note,
        tags=tag or [],
    )
    with connected(context, store) as daemon:
        job = answer(submit_job.sync_detailed(client=daemon.client, body=body))
        if as_json:
            print_json(job.to_dict())
        else:
            print(job.id)
        return watched(daemon, job.id, quiet=as_json) if wait else 0
