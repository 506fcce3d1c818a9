"""`labd check BENCH`: what works on a bench and what does not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from labd.bench.check import Finding
from labd.cli.held import holder
from labd.cli.run import with_signals
from labd.cli.store_option import Store
from labd.daemon.commands import check_bench
from labd.store.lock import BenchBusy

SIGNS = {True: "[green]ok[/]  ", False: "[red]FAIL[/]", None: "[yellow]-[/]   "}


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    store: Store = None,
    hold: Annotated[bool, typer.Option("--hold", help="Keep the instruments open for other VISA clients until Ctrl-C.")] = False,
) -> int:
    """Open every instrument and link of BENCH, test sense leads, back-feed and lines, and say what works."""
    console = Console(highlight=False)

    def show(finding: Finding) -> None:
        console.print(f"{SIGNS[finding.ok]} {escape(f'{finding.what}: {finding.text}')}", soft_wrap=True)

    async def work(stop: asyncio.Event) -> bool:
        return await check_bench(bench, store=store, show=show, stop=stop, hold=hold)

    try:
        return 0 if with_signals(work) else 5
    except BenchBusy as busy:
        with holder(bench, store, busy) as daemon:
            findings = [Finding(**one) for one in daemon.post("bench/check")]
    for finding in findings:
        show(finding)
    return 5 if any(finding.ok is False for finding in findings) else 0
