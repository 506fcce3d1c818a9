"""`labd bench off BENCH` and `labd bench resume BENCH`: the emergency stop, whatever labd is doing on the bench, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labd.cli.json_option import Json
from labd.cli.stop_first import FirstWord
from labd.cli.store_option import Store

app = typer.Typer(no_args_is_help=True, help="What is done to a bench beside its runs.")


def register(parent: typer.Typer) -> None:
    parent.add_typer(app, name="bench")


@app.command("off")
def off(
    context: typer.Context, bench: Annotated[Path, typer.Argument(help="Bench file.")], store: Store = None, as_json: Json = False
) -> None:
    """Switch every output of BENCH off, now, and verify it: through its guard where one serves, else by this command itself.

    Needs no daemon, and works while one hangs; where an instrument takes one client only, the process that holds it is ended first. A
    daemon that serves BENCH ends its run and pauses its queue. Until `labd bench resume` nothing is switched on again.
    """
    first = FirstWord(bench)
    from labd.cli.stopping import stop

    stop(bench, store, _named(context), as_json=as_json, first=first)


@app.command("resume")
def resume(
    context: typer.Context, bench: Annotated[Path, typer.Argument(help="Bench file.")], store: Store = None, as_json: Json = False
) -> None:
    """Let BENCH be used again after `labd bench off`: a daemon that serves it goes on with its queue."""
    from labd.cli.stopping import let_go_on

    let_go_on(bench, store, _named(context), as_json=as_json)


def _named(context: typer.Context) -> tuple[str | None, Path | None]:
    """What --bench and --ca say."""
    root = context.find_root()
    return root.obj, root.params.get("ca")
