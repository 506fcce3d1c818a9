"""`labd search USECASE`: which candidate on which platform meets the targets of a use case."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from labd import bench_file
from labd.accuracy.dataset import read_dataset
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.send_dataset import send_dataset
from labd.cli.store_option import Store
from labd.cli.watch import CODES, until_ended
from labd.client.connection import Connection, answer
from labd.client.generated.api.bench import status
from labd.client.generated.api.searches import get_search, submit_search
from labd.client.generated.models.job_row import JobRow
from labd.client.generated.models.job_state import JobState
from labd.client.generated.models.search_body import SearchBody
from labd.daemon.searching import SearchRequest, Told, search_here
from labd.errors import FileError
from labd.search import text
from labd.search.files import sent
from labd.search.folder import REPORT, Folder
from labd.search.result import Result
from labd.search.use_case import UseCase, load_use_case
from labd.store.jsonform import from_json
from labd.stream.news import News


def register(app: typer.Typer) -> None:
    app.command("search")(search)


def search(
    context: typer.Context,
    use_case: Annotated[Path, typer.Argument(help="Use-case file.")],
    store: Store = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an earlier search was broken off.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> int:
    """Search the candidates of USECASE on its benches: build, score, measure; then print the Pareto front and who meets the targets.

    What is done is kept: after a crash or Ctrl-C the same command goes on where it was. With --bench the platforms that the daemon there
    serves are searched by it, as a job of its queue; its bench file names the builders that it may run.
    """
    asked = load_use_case(use_case)
    there = named(context)
    if there is not None:
        with there:
            return _through(there, asked, fresh=fresh, quiet=quiet or as_json, as_json=as_json)
    with Shown(quiet=quiet or as_json) as shown:

        async def work(stop: asyncio.Event) -> Folder:
            return await search_here(SearchRequest(asked, store, fresh), shown.show, stop)

        folder = with_signals(work)
    result = folder.result()
    if as_json:
        print_json(result)
    else:
        print(text.render(result))
        print(folder.path / REPORT)
    return 0


def _through(daemon: Connection, use_case: UseCase, *, fresh: bool, quiet: bool, as_json: bool) -> int:
    """The exit code of the job that it becomes."""
    platforms = _served(daemon, use_case)
    dataset = send_dataset(daemon, read_dataset(use_case.beside(use_case.dataset)))
    body = SearchBody(use_case_text=sent(use_case), dataset=dataset, platforms=platforms, fresh=fresh)
    job = answer(submit_search.sync_detailed(client=daemon.client, body=body))
    job = _watched(daemon, job.id, quiet=quiet)
    state, error, made = job.state, job.error, str(job.made)
    result = None
    if made and state is JobState.FINISHED:
        result = from_json(Result, answer(get_search.sync_detailed(made, client=daemon.client)).to_dict())
    if as_json:
        print_json({"job": job.id, "state": str(state), "error": error, "search": result})
    elif result is not None:
        print(text.render(result))
    if error and not as_json:
        Console(stderr=True).print(f"labd: {state}: {error}", markup=False, soft_wrap=True)
    return CODES[state]


def _served(daemon: Connection, use_case: UseCase) -> list[str]:
    """Platforms whose bench the daemon serves. Raises FileError where there is none."""
    serves = answer(status.sync_detailed(client=daemon.client)).bench
    benches = {name: bench_file.load_bench(use_case.beside(one.bench)).name for name, one in use_case.platforms.items()}
    found = [name for name, bench in benches.items() if bench == serves]
    if not found:
        named_there = ", ".join(f"{name}: {bench!r}" for name, bench in benches.items())
        raise FileError(
            "--bench", "", f"the daemon at {daemon.url} serves {serves!r}, no platform of {use_case.path} is on it ({named_there})"
        )
    return found


def _watched(daemon: Connection, job_id: str, *, quiet: bool) -> JobRow:
    """What it tells goes to standard error."""
    console = Console(stderr=True)

    def show(item: News) -> None:
        if "candidate" in item.data and not quiet:
            console.print(f"{item.text} ({item.data['done']} of {item.data['of']})", markup=False, highlight=False, soft_wrap=True)

    return until_ended(daemon, job_id, show)


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
