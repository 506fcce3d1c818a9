"""`labd watch`: what a daemon is doing, as it happens."""

from __future__ import annotations

import dataclasses
import json
from typing import Annotated

import typer
from rich.console import Console

from labd.cli.bench_option import connected
from labd.cli.json_option import Json
from labd.cli.queue import ENDED
from labd.cli.store_option import Store
from labd.cli.watching import Watching
from labd.client.connection import Connection
from labd.errors import DutFailure, Interrupted
from labd.stream.news import News, NewsKind

CODES = {"finished": 0, "failed": DutFailure.exit_code, "interrupted": Interrupted.exit_code, "cancelled": Interrupted.exit_code}


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


def watched(daemon: Connection, job: str | None, *, as_json: bool = False) -> int:
    """The exit code of the job's run; without a job it goes on until it is interrupted."""
    with daemon.news() as news, Watching(Console(stderr=True), quiet=as_json) as watching:
        ended = _ended(daemon, job)  # after the news have begun: it cannot end unheard
        while ended is None:
            item = next(news)
            if as_json:
                print(json.dumps(item if isinstance(item, dict) else dataclasses.asdict(item)), flush=True)
            elif isinstance(item, News) and job in (None, item.job):
                watching.show(item)
            if isinstance(item, News) and item.kind in (NewsKind.QUEUE, NewsKind.RUN_ENDED):
                ended = _ended(daemon, job)
    if ended["error"] and not as_json:
        Console(stderr=True).print(f"labd: {ended['state']}: {ended['error']}", markup=False, soft_wrap=True)
    if ended["run_id"] and not as_json:
        print(f"run {ended['run_id']}")
    return CODES[str(ended["state"])]


def _ended(daemon: Connection, job: str | None) -> dict[str, str] | None:
    if job is None:
        return None
    found: dict[str, str] = daemon.get(f"jobs/{job}")
    return found if found["state"] in ENDED else None
