"""`labd run BENCH PLAN`: measure, with progress and a safe Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console

from labd.analyse.report import report_of
from labd.bench_file.cards import with_cards
from labd.cli.bench_option import named
from labd.cli.held import holder, refuse_another_bench
from labd.cli.json_option import Json, print_json
from labd.cli.show import prints_unicode
from labd.cli.store_option import Store
from labd.cli.watch import watched
from labd.cli.watching import Watching
from labd.client.connection import Connection, answer
from labd.client.generated.api.queue import get_job, submit_job
from labd.client.generated.models.job_body import JobBody
from labd.config.document import read_source
from labd.daemon.commands import run_plan
from labd.daemon.run import RunOutcome
from labd.report import text
from labd.store.lock import BenchBusy

T = TypeVar("T")

STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # those that the system has; the last is Ctrl-Break on Windows


def register(app: typer.Typer) -> None:
    app.command("run")(run)


def run(
    context: typer.Context,
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    plan: Annotated[Path, typer.Argument(help="Plan file.")],
    store: Store = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
    as_json: Json = False,
) -> int:
    """Measure what PLAN asks for on BENCH. Ctrl-C or SIGTERM ends it safely: outputs off, captures so far kept.

    Where a daemon serves BENCH, or one is named with --bench, the plan goes into its queue and is watched until it has ended.
    """
    there = named(context)
    if there is not None:
        with there:
            refuse_another_bench(there, bench)
            return _through(there, plan, quiet=quiet, as_json=as_json)
    try:
        outcome = measured(bench, plan, store=store, quiet=quiet or as_json)
    except BenchBusy as busy:
        with holder(bench, store, busy) as daemon:
            return _through(daemon, plan, quiet=quiet, as_json=as_json)
    if as_json:
        print_json({"run_id": outcome.run_id, "failed": outcome.failed, "store": str(outcome.store)})
    else:
        print(f"run {outcome.run_id}")
    return 4 if outcome.failed else 0


def _through(daemon: Connection, plan: Path, *, quiet: bool, as_json: bool) -> int:
    """The exit code of the job that the plan becomes."""
    job = answer(submit_job.sync_detailed(client=daemon.client, body=JobBody(plan_text=with_cards(read_source(plan).text, plan))))
    code = watched(daemon, job.id, quiet=quiet or as_json, told=not as_json)
    if as_json:
        print_json(answer(get_job.sync_detailed(job.id, client=daemon.client)).to_dict())
    return code


def measured(bench: Path, plan: Path, *, store: Path | None, quiet: bool) -> RunOutcome:
    """Run a plan with a progress bar on standard error, then print its table."""
    console = Console(stderr=True)
    with Watching(console, quiet=quiet) as watching:
        outcome = with_signals(lambda stop: run_plan(bench, plan, store=store, show=watching.show, stop=stop))
    if not quiet:
        print(text.render(report_of(outcome.store, outcome.run_id), ascii_only=not prints_unicode()))
    return outcome


def with_signals(work: Callable[[asyncio.Event], Coroutine[Any, Any, T]]) -> T:
    """Run `work` in an event loop; SIGINT, SIGTERM and SIGHUP (a terminal that closes) set its event, ordinary code does the stopping."""

    async def main() -> T:
        stop = asyncio.Event()
        with _signals_set(stop):
            return await work(stop)

    return asyncio.run(main())


@contextmanager
def _signals_set(stop: asyncio.Event) -> Iterator[None]:
    """By the event loop, which they wake wherever they are taken; Windows' has no such handlers and is woken by plain ones."""
    loop = asyncio.get_running_loop()
    numbers = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    try:
        for number in numbers:
            loop.add_signal_handler(number, stop.set)
    except NotImplementedError:
        pass
    else:
        yield  # the loop takes them away when it is closed
        return
    before = {number: signal.signal(number, lambda _number, _frame: loop.call_soon_threadsafe(stop.set)) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
