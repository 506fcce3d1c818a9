"""`labd watch`: what a daemon is doing, as it happens."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from labd.cli.bench_option import connected
from labd.cli.json_option import Json
from labd.cli.store_option import Store
from labd.cli.watching import Watching
from labd.client.connection import Connection, answer
from labd.client.generated.api.queue import get_job
from labd.client.generated.models.job_row import JobRow
from labd.client.generated.models.job_state import JobState
from labd.errors import DutFailure, Interrupted
from labd.stream.news import News, NewsKind

CODES = {
    JobState.FINISHED: 0,
    JobState.FAILED: DutFailure.exit_code,
    JobState.INTERRUPTED: Interrupted.exit_code,
    JobState.CANCELLED: Interrupted.exit_code,
}


def register(app: typer.Typer) -> None:
    app.command("watch")(watch)


def watch(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(help="Job to watch until it has ended; left out, everything until Ctrl-C.")] = None,
    store: Store = None,
    as_json: Json = False,
) -> int:
    """Show progress and news of the daemon's runs."""
    with connected(context, store) as daemon:
        return watched(daemon, job, as_json=as_json)


def watched(daemon: Connection, job: str | None, *, as_json: bool = False, quiet: bool = False, told: bool = True) -> int:
    """The exit code of the job's run; without a job it goes on until it is interrupted. as_json: a line for each piece of news.
    quiet: without progress. told: its run's id goes to standard output at the end; its error goes to standard error anyway."""
    quiet = quiet or as_json
    with daemon.news() as news, Watching(Console(stderr=True), quiet=quiet) as watching:
        ended = _ended(daemon, job)  # after the news have begun: it cannot end unheard
        while ended is None:
            item = next(news)
            if as_json:
                print(json.dumps(item if isinstance(item, dict) else dataclasses.asdict(item)), flush=True)
            elif not quiet and isinstance(item, News) and job in (None, item.job):
                watching.show(item)
            if isinstance(item, News) and item.kind in (NewsKind.QUEUE, NewsKind.RUN_ENDED):
                ended = _ended(daemon, job)
    if ended.error:
        Console(stderr=True).print(f"labd: {ended.state}: {ended.error}", markup=False, soft_wrap=True)
    if ended.run_id and told and not as_json:
        print(f"run {ended.run_id}")
    return CODES[ended.state]


def until_ended(daemon: Connection, job_id: str, show: Callable[[News], None]) -> JobRow:
    """A job once it has ended; what it tells of how far it is goes to `show`."""
    with daemon.news() as news:
        while (job := answer(get_job.sync_detailed(job_id, client=daemon.client))).state not in CODES:
            for item in news:
                if not isinstance(item, News) or item.job != job_id:
                    continue
                if item.kind is NewsKind.QUEUE:
                    break
                if item.kind is NewsKind.NOTICE:
                    show(item)
    return job


def _ended(daemon: Connection, job: str | None) -> JobRow | None:
    if job is None:
        return None
    found = answer(get_job.sync_detailed(job, client=daemon.client))
    return found if found.state in CODES else None
