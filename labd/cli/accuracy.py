"""`labd accuracy BENCH DATASET`: how often the DUT is right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from labd.accuracy.dataset import Dataset, read_dataset
from labd.accuracy.listed import AccuracyRun
from labd.accuracy.measure import Progress
from labd.accuracy.score import Score
from labd.accuracy.session import Subject
from labd.cli.bench_option import named
from labd.cli.held import holder, refuse_another_bench
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.send_dataset import send_dataset
from labd.cli.store_option import Store
from labd.cli.watch import CODES, until_ended
from labd.client.connection import Connection, answer
from labd.client.generated.api.accuracy import get_accuracy_run, submit_accuracy
from labd.client.generated.models.accuracy_body import AccuracyBody
from labd.client.generated.models.job_row import JobRow
from labd.daemon.accuracy import AccuracyOutcome, AccuracyRequest, run_accuracy
from labd.errors import FileError
from labd.store.jsonform import from_json
from labd.store.lock import BenchBusy
from labd.stream.news import News


def register(app: typer.Typer) -> None:
    app.command("accuracy")(accuracy)


def accuracy(
    context: typer.Context,
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    dataset: Annotated[Path, typer.Argument(help="Folder of .bin inputs with their y_labels.csv, or that file.")],
    store: Store = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Begin anew where an earlier run was broken off.")] = False,
    verify_every: Annotated[
        int, typer.Option("--verify-every", help="Read every so many uploads back; 0: the first only, and after anything odd.")
    ] = 0,
    model: Annotated[
        str,
        typer.Option("--model", help="What plans call the model, where the board tells another name: its runs then show these figures."),
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> int:
    """Send every sample of DATASET to the board of BENCH and score what it answers: top-1, or AUC where it gives one number.

    What is done is kept: after a crash, a lost board or Ctrl-C the same command goes on where it was.

    Where a daemon serves BENCH, or one is named with --bench, the data set is sent to it, and the work goes into its queue.
    """
    if verify_every < 0:
        raise FileError("--verify-every", "", f"expected 0 or more, got {verify_every}")
    read = read_dataset(dataset)
    body = AccuracyBody(dataset="", model=model or None, fresh=fresh, verify_every=verify_every)
    quiet = quiet or as_json
    there = named(context)
    if there is not None:
        with there:
            refuse_another_bench(there, bench)
            return _through(there, read, body, quiet=quiet, as_json=as_json)
    try:
        outcome = _measured(AccuracyRequest(bench, read, store, fresh, verify_every, model), quiet=quiet)
    except BenchBusy as busy:
        with holder(bench, store, busy) as daemon:
            return _through(daemon, read, body, quiet=quiet, as_json=as_json)
    if as_json:
        print_json(outcome)
    else:
        lines = _lines(outcome.subject, outcome, resumed=outcome.resumed, reboots=outcome.reboots)
        print("\n".join([*lines, str(outcome.folder)]))
    return 0


def _measured(request: AccuracyRequest, *, quiet: bool) -> AccuracyOutcome:
    read = request.dataset
    with _bar(quiet=quiet) as bar:
        task = bar.add_task(read.name, total=len(read.samples))

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, description=f"{read.name}{_of_reboots(progress.reboots)}")

        async def work(stop: asyncio.Event) -> AccuracyOutcome:
            return await run_accuracy(request, show=show, stop=stop)

        return with_signals(work)


def _through(daemon: Connection, dataset: Dataset, body: AccuracyBody, *, quiet: bool, as_json: bool) -> int:
    """The exit code of the job that it becomes."""
    body.dataset = send_dataset(daemon, dataset)
    job_id = answer(submit_accuracy.sync_detailed(client=daemon.client, body=body)).id
    job = _watched(daemon, job_id, dataset, quiet=quiet)
    state, error, made = job.state, job.error, str(job.made)
    run = from_json(AccuracyRun, answer(get_accuracy_run.sync_detailed(made, client=daemon.client)).to_dict()) if made else None
    if as_json:
        print_json({"job": job_id, "state": str(state), "error": error, "accuracy": run})
        return CODES[state]
    if error:
        Console(stderr=True).print(f"labd: {state}: {error}", markup=False, soft_wrap=True)
    if run is not None and run.ended:
        print("\n".join([*_lines(run.subject, run), f"accuracy run {run.id}"]))
    return CODES[state]


def _watched(daemon: Connection, job_id: str, dataset: Dataset, *, quiet: bool) -> JobRow:
    with _bar(quiet=quiet) as bar:
        task = bar.add_task(dataset.name, total=len(dataset.samples))

        def show(item: News) -> None:
            if "done" in item.data:
                told = f"{dataset.name}{_of_reboots(item.data['reboots'])}"
                bar.update(task, completed=item.data["done"], description=told)

        return until_ended(daemon, job_id, show)


def _bar(*, quiet: bool) -> Bar:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bar(*columns, console=console, disable=quiet or not console.is_terminal)


def _of_reboots(count: int) -> str:
    return f", the board rebooted {count} times" if count else ""


def _lines(subject: Subject, found: AccuracyOutcome | AccuracyRun, *, resumed: int = 0, reboots: int = 0) -> list[str]:
    before = f", {resumed} of them made before" if resumed else ""
    lines = [f"{subject.dut.model}: {subject.samples} samples of {subject.dataset}{before}{_of_reboots(reboots)}"]
    if found.score is None:
        lines.append("nothing to score by: the data set tells no class, or all samples are of one and the DUT gives one number")
    else:
        lines += _of_score(found.score)
    if found.latency_s is not None:
        u95_s = found.latency_u95_s
        interval = "no interval: the board file has no counter_limit" if u95_s is None else f"± {u95_s * 1e3:.2g} ms"
        lines.append(f"latency {found.latency_s * 1e3:.4g} ms, mean by the board's counter ({interval})")
    unseen = "" if found.verified == found.inputs else "; what was damaged on its way to another shows in nothing (--verify-every 1)"
    return [*lines, f"{found.verified} of {found.inputs} uploads read back{unseen}"]


def _of_score(score: Score) -> list[str]:
    """In words, and as MLPerf Tiny's submission checker reads it."""
    name = "AUC" if score.metric == "auc" else "top-1"
    gate = "" if score.gate is None else f"; the closed division asks for {score.gate:.4g}: {_of_gate(score)}"
    lines = [f"{name} {score.value:.4g}, 95 % interval {score.low:.4g} to {score.high:.4g}, of {score.n} samples{gate}"]
    if score.ties:
        lines.append(f"{score.ties} samples have several classes with the largest score; the first one counted")
    if score.unlabelled:
        lines.append(f"{score.unlabelled} samples have no class and count for nothing")
    return [*lines, f"AUC = {score.value:.4f}" if score.metric == "auc" else f"Top 1% = {100 * score.value:.2f}"]


def _of_gate(score: Score) -> str:
    """The rule looks at the value alone; whether so many samples can tell is said beside it."""
    assert score.gate is not None
    met = "met" if score.met else "NOT met"
    return f"{met}, by less than the interval can tell" if score.low < score.gate <= score.high else met
