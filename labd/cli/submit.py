"""`labd submit PLAN` and `labd edit JOB`: a plan into the queue of a daemon, and what is asked of it while it waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from labd.bench_file.cards import with_cards
from labd.cli.bench_option import connected
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.cli.watch import watched
from labd.client.connection import answer
from labd.client.generated.api.queue import edit_job, get_job, submit_job
from labd.client.generated.models.after_failure import AfterFailure
from labd.client.generated.models.job_body import JobBody
from labd.client.generated.models.job_changes import JobChanges
from labd.config.document import read_source
from labd.errors import FileError

Priority = typer.Option("--priority", min=-100, max=100, help="Higher goes first.")
At = typer.Option("--at", help="Not before this time of this machine's clock.")
Every = typer.Option("--every", help='Again and again: five cron fields, such as "0 2 * * *"; needs --zone.')
Zone = typer.Option("--zone", help="Time zone of --every, such as Europe/Berlin.")
After = typer.Option("--after-failure", help="When a capture has failed for good.")
Retries = typer.Option("--retries", min=0, max=10, help="Of a failed capture.")
Note = typer.Option("--note", help="A word about it.")
Tags = typer.Option("--tag", help="Of its run; may be given several times.")


def register(app: typer.Typer) -> None:
    app.command("submit")(submit)
    app.command("edit")(edit)


def submit(
    context: typer.Context,
    plan: Annotated[Path, typer.Argument(help="Plan file.")],
    store: Store = None,
    priority: Annotated[int, Priority] = 0,
    at: Annotated[datetime | None, At] = None,
    every: Annotated[str, Every] = "",
    zone: Annotated[str, Zone] = "",
    after_failure: Annotated[AfterFailure, After] = AfterFailure.CONTINUE,
    retries: Annotated[int, Retries] = 0,
    attended: Annotated[bool, typer.Option("--attended", help="Somebody stays with the bench.")] = False,
    note: Annotated[str, Note] = "",
    tag: Annotated[list[str] | None, Tags] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it has ended; the exit code is that of its run.")] = False,
    as_json: Json = False,
) -> int:
    """Put PLAN into the daemon's queue; the daemon checks it against its bench first. Prints the job's id."""
    body = JobBody(
        plan_text=with_cards(read_source(plan).text, plan),
        priority=priority,
        not_before_ns=None if at is None else _ns(at),
        recurrence=every,
        zone=zone,
        after_failure=AfterFailure(after_failure),
        retries=retries,
        attended=attended,
        note=note,
        tags=tag or [],
    )
    with connected(context, store) as daemon:
        with by_its_name(plan):
            job = answer(submit_job.sync_detailed(client=daemon.client, body=body))
        if not as_json:
            print(job.id, flush=True)
        code = watched(daemon, job.id, quiet=as_json, told=not as_json) if wait else 0
        if as_json:
            print_json(answer(get_job.sync_detailed(job.id, client=daemon.client)).to_dict())
        return code


def edit(
    context: typer.Context,
    job: Annotated[str, typer.Argument(help="A waiting job, by its id in `labd queue`.")],
    store: Store = None,
    plan: Annotated[Path | None, typer.Option("--plan", help="Plan file, in place of the job's; checked like a new one.")] = None,
    priority: Annotated[int | None, Priority] = None,
    at: Annotated[
        str | None, typer.Option("--at", help='Not before this time of this machine\'s clock, such as "2026-11-27 02:00"; "" for none.')
    ] = None,
    every: Annotated[str | None, Every] = None,
    zone: Annotated[str | None, Zone] = None,
    after_failure: Annotated[AfterFailure | None, After] = None,
    retries: Annotated[int | None, Retries] = None,
    attended: Annotated[bool | None, typer.Option("--attended/--unattended", help="Whether somebody stays with the bench.")] = None,
    note: Annotated[str | None, Note] = None,
    tag: Annotated[list[str] | None, Tags] = None,
    as_json: Json = False,
) -> None:
    """Change a waiting job: what is given is put in place of what it has, the rest stays."""
    given: dict[str, Any] = {
        "plan_text": None if plan is None else with_cards(read_source(plan).text, plan),
        "priority": priority,
        "recurrence": every,
        "zone": zone,
        "after_failure": None if after_failure is None else AfterFailure(after_failure),
        "retries": retries,
        "attended": attended,
        "note": note,
        "tags": tag,
    }
    changes = JobChanges(**{name: value for name, value in given.items() if value is not None})
    if at is not None:
        changes.not_before_ns = _ns(_time(at)) if at else None  # None takes the start time away, what is not set leaves it
    with connected(context, store) as daemon, by_its_name(plan):
        row = answer(edit_job.sync_detailed(job, client=daemon.client, body=changes))
    if as_json:
        print_json(row.to_dict())
    else:
        print(f"{row.id}: {row.state}")


@contextmanager
def by_its_name(plan: Path | None) -> Iterator[None]:
    """What the daemon finds wrong with a plan, whose text alone it has, as errors of the file that it stands in."""
    try:
        yield
    except FileError as error:
        if plan is None:
            raise
        raise FileError(str(plan), "", named(error.problems[0]), tuple(f"{plan}: {named(one)}" for one in error.problems)) from error


def named(problem: str) -> str:
    return problem.removeprefix("plan: ")


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise FileError("labd edit", "--at", f'{text!r} is no time; give one such as "2026-11-27 02:00", or "" for none') from error


def _ns(at: datetime) -> int:
    return round(at.astimezone().timestamp() * 1e9)
