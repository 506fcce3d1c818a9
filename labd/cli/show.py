"""`labd show RUN`: the result as a table."""

from __future__ import annotations

import sys

import typer

from labd.analyse.report import report_of
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.report import text


def register(app: typer.Typer) -> None:
    app.command("show")(show)


def show(run: Run, store: Store = None) -> None:
    """Print the figures of a run: per mode and rate, the fits, the break-even rates and what to beware of."""
    print(text.render(report_of(store, run), ascii_only=not prints_unicode()), end="")


def prints_unicode() -> bool:
    """Whether standard output can show `±` and `µ`."""
    return "utf" in (sys.stdout.encoding or "").lower()
