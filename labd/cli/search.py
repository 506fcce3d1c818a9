"""`labd search USECASE`: which candidate on which platform meets the targets of a use case."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.store_option import Store
from labd.daemon.searching import SearchRequest, Told, search_here
from labd.search import text
from labd.search.folder import REPORT, Folder
from labd.search.use_case import load_use_case


def register(app: typer.Typer) -> None:
    app.command("search")(search)


def search(
    use_case: Annotated[Path, typer.Argument(help="Use-case file.")],
    store: Store = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an earlier search was broken off.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Search the candidates of USECASE on its benches: build, flash, measure; then print the Pareto front and who meets the targets.

    What is done is kept: after a crash or Ctrl-C the same command goes on where it was.
    """
    asked = SearchRequest(load_use_case(use_case), store, fresh)
    with Shown(quiet=quiet or as_json) as shown:

        async def work(stop: asyncio.Event) -> Folder:
            return await search_here(asked, shown.show, stop)

        folder = with_signals(work)
    result = folder.result()
    if as_json:
        print_json(result)
    else:
        print(text.render(result))
        print(folder.path / REPORT)


class Shown:
    """Progress on standard error: a bar for each platform, and a line for each candidate that is done."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, disable=quiet or not self._console.is_terminal)
        self._quiet = quiet
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Shown:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, told: Told) -> None:
        outcome = told.outcome
        if outcome.platform not in self._tasks:
            self._tasks[outcome.platform] = self._bar.add_task(outcome.platform, total=told.of)
        if not outcome.repeat:
            self._bar.update(self._tasks[outcome.platform], completed=told.done)
        if not self._quiet and not told.resumed:
            self._console.print(_line(told), markup=False, highlight=False, soft_wrap=True)


def _line(told: Told) -> str:
    outcome = told.outcome
    figures = ", ".join(f"{text.words(name)} {text.figure(record)}" for name, record in outcome.figures.items())
    what = "again" if outcome.repeat else f"{told.done} of {told.of}"
    return f"{outcome.name} ({what}) [{outcome.settings.key}] {outcome.state}{f': {outcome.why}' if outcome.why else ''}; {figures}"
