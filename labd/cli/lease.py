"""`labd lease`: reserve the bench for a while."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from labd.cli.bench_option import connected
from labd.cli.json_option import Json
from labd.cli.queue import when
from labd.cli.store_option import Store
from labd.config.quantity import TIME, QuantityError, read_quantity
from labd.errors import FileError


def register(app: typer.Typer) -> None:
    app.command("lease")(lease)


def lease(
    context: typer.Context,
    length: Annotated[str | None, typer.Argument(help='How long, such as "2 h"; left out, who has it.')] = None,
    store: Store = None,
    purpose: Annotated[str, typer.Option("--for", help="What for.")] = "",
    give_back: Annotated[bool, typer.Option("--give-back", help="End the present lease.")] = False,
    as_json: Json = False,
) -> None:
    """Reserve the bench: until the lease ends, by itself or given back, only your own jobs begin."""
    with connected(context, store) as daemon:
        if give_back:
            daemon.delete("lease")
        elif length is not None:
            until_ns = time.time_ns() + round(_seconds(length) * 1e9)
            daemon.post("lease", {"until_ns": until_ns, "purpose": purpose})
        held = daemon.get("lease")
    if as_json:
        print(json.dumps(held))
    elif held is None:
        print("the bench is free")
    else:
        print(f"reserved by {held['who']} until {when(held['until_ns'])}{purpose_of(held)}")


def _seconds(text: str) -> float:
    try:
        return read_quantity(text, TIME).value
    except QuantityError as error:
        raise FileError("labd lease", "LENGTH", str(error)) from error


def purpose_of(held: dict[str, str]) -> str:
    return f" for {held['purpose']}" if held["purpose"] else ""
