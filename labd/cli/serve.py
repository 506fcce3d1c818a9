"""`labd serve BENCH`: the daemon."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from labd import logs
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.store_option import Store
from labd.daemon.serve import ServeOptions
from labd.daemon.serve import serve as serving


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    store: Store = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on, in place of server.host.")] = None,
    port: Annotated[int | None, typer.Option("--port", min=0, max=65535, help="In place of server.port; 0 takes a free one.")] = None,
    as_json: Json = False,
    json_log: Annotated[bool, typer.Option("--json-log/--text-log", help="The log as lines of JSON.")] = not sys.stderr.isatty(),
) -> None:
    """Serve BENCH: run the queue's jobs on it, show it live, answer commands and programs, until Ctrl-C or SIGTERM.

    A stop ends the job under way in order, outputs off; it goes on where it was at the next start. --json prints the URL.
    """

    def ready(url: str) -> None:
        print_json({"url": url}) if as_json else print(f"serving at {url}")
        sys.stdout.flush()

    logs.configure(as_json=json_log, level=min(logging.INFO, logging.getLogger().level or logging.INFO))
    options = ServeOptions(bench, store, host, port)
    with_signals(lambda stop: serving(options, stop, ready))
