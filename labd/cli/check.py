"""`labd check BENCH`: what works on a bench and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from labd.bench.finding import Finding
from labd.cli.bench_option import named
from labd.cli.held import holder, refuse_another_bench
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.store_option import Store
from labd.client.connection import Connection, answer
from labd.client.generated.api.bench import check_bench as check_bench_there
from labd.daemon.commands import check_bench
from labd.errors import FileError, SafetyRefusal
from labd.store.lock import BenchBusy

SIGNS = {True: "[green]ok[/]  ", False: "[red]FAIL[/]", None: "[yellow]-[/]   "}


def register(app: typer.Typer) -> None:
    app.command("check")(check)


def check(
    context: typer.Context,
    bench: Annotated[Path, typer.Argument(help="Bench file.")],
    store: Store = None,
    as_json: Json = False,
    hold: Annotated[bool, typer.Option("--hold", help="Keep the instruments open for other VISA clients until Ctrl-C.")] = False,
) -> int:
    """Open every instrument and link of BENCH, test sense leads, back-feed and lines, and say what works.

    Where a daemon serves BENCH, or one is named with --bench, the daemon does it.
    """
    findings: list[Finding] = []

    def show(finding: Finding) -> None:
        findings.append(finding)
        if not as_json:
            show_finding(finding)

    async def work(stop: asyncio.Event) -> bool:
        return await check_bench(bench, store=store, show=show, stop=stop, hold=hold)

    def ask(daemon: Connection) -> None:
        for one in answer(check_bench_there.sync_detailed(client=daemon.client)):
            show(Finding(**one.to_dict()))

    there = named(context)
    if there is not None:
        if hold:
            raise FileError("--hold", "", "a daemon holds its bench for nobody; instruments can be held on the bench's own machine only")
        with there:
            refuse_another_bench(there, bench)
            ask(there)
    else:
        try:
            with_signals(work)
        except BenchBusy as busy:
            with holder(bench, store, busy) as daemon:
                ask(daemon)
    if as_json:
        print_json(findings)
    return verdict(findings)


def show_finding(finding: Finding) -> None:
    Console(highlight=False).print(f"{SIGNS[finding.ok]} {escape(f'{finding.what}: {finding.text}')}", soft_wrap=True)


def verdict(findings: Iterable[Finding]) -> int:
    """The exit code."""
    return SafetyRefusal.exit_code if any(finding.ok is False for finding in findings) else 0
