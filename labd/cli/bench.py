"""`labd bench off BENCH`: the emergency stop, whatever labd is doing on the bench."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.json_option import Json, print_json
from labd.daemon.guarding import off_beside
from labd.daemon.opened import load_bench
from labd.errors import OutputNotVerifiedOff
from labd.guard.wire import OffResult

app = typer.Typer(no_args_is_help=True, help="What is done to a bench beside its runs.")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="bench")


@app.command("off")
def off(bench: Annotated[Path, typer.Argument(help="Bench file.")], as_json: Json = False) -> None:
    """Switch every output of BENCH off, now, and verify it: through its guard where one serves, else by this command itself.

    Needs no daemon, and works while one hangs; where an instrument takes one client only, the process that holds it is ended first.
    """
    found = load_bench(bench)
    results = asyncio.run(off_beside(found))
    if as_json:
        print_json(results)
    elif not results:
        print(f"{found.name} is virtual: it has no outputs but while labd runs it")
    else:
        for result in results:
            print(told(result))
    bad = [result.source for result in results if not result.off]
    if bad:
        raise OutputNotVerifiedOff(f"{', '.join(bad)}: not verified off; cut the supply by hand")


def told(result: OffResult) -> str:
    seen = {True: ", board discharged", False: ", board NOT discharged", None: ", discharge not verified"}[result.discharged]
    how = f"off{seen}" if result.off else "NOT OFF"
    return f"{result.source}: {how} after {result.took_s:.2f} s{f': {result.text}' if result.text else ''}"
