"""`labd show RUN`: the result as a table."""

from __future__ import annotations

import sys

import typer

from labd.analyse.report import report_of
from labd.cli.bench_option import named
from labd.cli.json_option import Json
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.report import json, text


def register(app: typer.Typer) -> None:
    app.command("show")(show)


def show(context: typer.Context, run: Run, store: Store = None, as_json: Json = False) -> None:
    """Print the figures of a run: per mode and rate, the fits, the break-even rates and what to beware of."""
    daemon = named(context)
    if daemon is None:
        found = report_of(store, run)
        print(json.render(found) if as_json else text.render(found, ascii_only=not prints_unicode()), end="")
        return
    with daemon:
        print(daemon.report(run, "json" if as_json else "text" if prints_unicode() else "ascii"), end="")


def prints_unicode() -> bool:
    """Whether standard output can show `±` and `µ`."""
    return "utf" in (sys.stdout.encoding or "").lower()
