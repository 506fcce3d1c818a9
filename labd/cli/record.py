"""`labd record BENCH FOLDER`: what passes between labd and each instrument, as files that can be played without it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from labd.bench.finding import Finding
from labd.cli.check import show_finding, verdict
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.store_option import Store
from labd.daemon.commands import check_bench, run_plan
from labd.errors import StoreError


def register(app: typer.Typer) -> None:
    app.command("record")(record)


def record(
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    folder: Annotated[Path, typer.Argument(help="Folder for a file of each instrument.")],
    plan: Annotated[Path | None, typer.Option("--plan", help="Plan file to run meanwhile; left out, the bench is checked.")] = None,
    store: Store = None,
    as_json: Json = False,
) -> int:
    """Check BENCH, or run a plan on it, and write down every exchange with its instruments.

    The files are what labd's tests play in place of an instrument: send them along with a report of something that goes wrong. They hold
    serial numbers and readings, and no passwords. The files are there whatever ends the work.
    """
    findings: list[Finding] = []

    def show(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            show_finding(finding)

    async def work(stop: asyncio.Event) -> int:
        if plan is None:
            await check_bench(bench, store=store, show=show, stop=stop, record=folder)
            return verdict(findings)
        outcome = await run_plan(bench, plan, store=store, show=lambda _: None, stop=stop, record=folder)
        return 4 if outcome.failed else 0

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror or error}") from error
    try:
        return with_signals(work)
    finally:
        written = sorted(folder.glob("*.txt"))
        if as_json:
            print_json(written)
        else:
            print("\n".join(map(str, written)))
