"""`labd accuracy BENCH DATASET`: how often the DUT is right."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from labd.accuracy.dataset import read_dataset
from labd.accuracy.measure import Progress
from labd.accuracy.score import Score
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.store_option import Store
from labd.daemon.accuracy import AccuracyOutcome, AccuracyRequest, run_accuracy
from labd.errors import FileError


def register(app: typer.Typer) -> None:
    app.command("accuracy")(accuracy)


def accuracy(
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
) -> None:
    """Send every sample of DATASET to the board of BENCH and score what it answers: top-1, or AUC where it gives one number.

    What is done is kept: after a crash, a lost board or Ctrl-C the same command goes on where it was.
    """
    if verify_every < 0:
        raise FileError("--verify-every", "", f"expected 0 or more, got {verify_every}")
    read = read_dataset(dataset)
    with _bar(quiet=quiet or as_json) as bar:
        task = bar.add_task(read.name, total=len(read.samples))

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, description=f"{read.name}{_of_reboots(progress.reboots)}")

        async def work(stop: asyncio.Event) -> AccuracyOutcome:
            return await run_accuracy(AccuracyRequest(bench, read, store, fresh, verify_every, model), show=show, stop=stop)

        outcome = with_signals(work)
    if as_json:
        print_json(outcome)
    else:
        print("\n".join(_lines(outcome)))


def _bar(*, quiet: bool) -> Bar:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bar(*columns, console=console, disable=quiet or not console.is_terminal)


def _of_reboots(count: int) -> str:
    return f", the board rebooted {count} times" if count else ""


def _lines(outcome: AccuracyOutcome) -> list[str]:
    resumed = f", {outcome.resumed} of them made before" if outcome.resumed else ""
    subject = outcome.subject
    lines = [f"{subject.dut.model}: {subject.samples} samples of {subject.dataset}{resumed}{_of_reboots(outcome.reboots)}"]
    if outcome.score is None:
        lines.append("nothing to score by: the data set tells no class, or all samples are of one and the DUT gives one number")
    else:
        lines += _of_score(outcome.score)
    if outcome.latency_s is not None:
        lines.append(f"latency {outcome.latency_s * 1e3:.4g} ms, mean by the board's counter")
    unseen = "" if outcome.verified == outcome.inputs else "; what was damaged on its way to another shows in nothing (--verify-every 1)"
    lines.append(f"{outcome.verified} of {outcome.inputs} uploads read back{unseen}")
    return [*lines, str(outcome.folder)]


def _of_score(score: Score) -> list[str]:
    """In words, and as MLPerf Tiny's submission checker reads it."""
    name = "AUC" if score.metric == "auc" else "top-1"
    gate = "" if score.gate is None else f"; the closed division asks for {score.gate:.4g}: {'met' if score.met else 'NOT met'}"
    lines = [f"{name} {score.value:.4g}, 95 % interval {score.low:.4g} to {score.high:.4g}, of {score.n} samples{gate}"]
    if score.ties:
        lines.append(f"{score.ties} samples have several classes with the largest score; the first one counted")
    if score.unlabelled:
        lines.append(f"{score.unlabelled} samples have no class and count for nothing")
    return [*lines, f"AUC = {score.value:.4f}" if score.metric == "auc" else f"Top 1% = {100 * score.value:.2f}"]
