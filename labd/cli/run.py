"""`labd run BENCH PLAN`: measure, with progress and a safe Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from labd.analyse.report import report_of
from labd.bench.expand import CapturePlan
from labd.bench.progress import TimeLeft
from labd.cli.show import prints_unicode
from labd.cli.store_option import Store
from labd.daemon import RunOutcome, run_plan
from labd.report import text

T = TypeVar("T")


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    plan: Annotated[Path, typer.Argument(help="Plan file.")],
    store: Store = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> int:
    """Measure what PLAN asks for on BENCH. Ctrl-C or SIGTERM ends it safely: outputs off, captures so far kept."""
    outcome = measured(bench, plan, store=store, quiet=quiet)
    return 4 if outcome.failed else 0


def measured(bench: Path, plan: Path, *, store: Path | None, quiet: bool) -> RunOutcome:
    """Run a plan with a progress bar on standard error, then print its table."""
    console = Console(stderr=True)
    with Watching(console, quiet=quiet) as progress:
        outcome = with_signals(lambda stop: run_plan(bench, plan, store=store, progress=progress, stop=stop))
    if not quiet:
        print(text.render(report_of(outcome.store, outcome.run_id), ascii_only=not prints_unicode()))
    print(f"run {outcome.run_id}")
    return outcome


def with_signals(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run `work` in an event loop; SIGINT, SIGTERM and SIGHUP (a terminal that closes) set its event, ordinary code does the stopping."""

    async def main() -> T:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        return await work(stop)

    return asyncio.run(main())


class Watching:
    """A progress bar with the time left; lines for what a person must see."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._console = console
        self._bar = Bar(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._left: TimeLeft | None = None

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *error: object) -> None:
        if self._task is not None:
            self._bar.stop()

    def run_started(self, run_id: str, plans: list[CapturePlan]) -> None:
        self._task = self._bar.add_task(run_id, total=len(plans), left="")
        self._left = TimeLeft(plans)

    def capture_started(self, plan: CapturePlan) -> None:
        if self._task is not None:
            self._bar.start()  # not before: what fails until here is one line
            self._bar.update(self._task, description=plan.key)

    def capture_ended(self, plan: CapturePlan, error: str) -> None:
        if error:
            self._bar.console.print(Text(f"labd: failed: {plan.key}: {error}"), soft_wrap=True)
        if self._left is not None:
            self._left.ended(plan)
        if self._task is not None:
            self._bar.update(self._task, advance=1, left=_left(self._left.seconds() if self._left else None))

    def note(self, text: str) -> None:
        if self._task is not None:
            self._bar.update(self._task, description=text, left="")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left"
