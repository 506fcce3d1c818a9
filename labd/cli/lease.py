"""`labd lease`: reserve the bench for a while."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from labd.cli.bench_option import connected
from labd.cli.json_option import Json, print_json
from labd.cli.queue import when
from labd.cli.store_option import Store
from labd.client.connection import answer
from labd.client.generated.api.queue import get_lease, give_back_lease, take_lease
from labd.client.generated.models.lease_body import LeaseBody
from labd.config.quantity import TIME, QuantityError, read_quantity
from labd.errors import FileError


def register(app: typer.Typer) -> None:
    app.command("lease")(lease)


def lease(
    context: typer.Context,
    length: Annotated[str | None, typer.Argument(help='How long, such as "2 h"; left out, who has it.')] = None,
    store: Store = None,
    purpose: Annotated[str, typer.Option("--for", help="What for.")] = "",
    give_back: Annotated[bool, typer.Option("--give-back", help="End your lease.")] = False,
    force: Annotated[bool, typer.Option("--force", help="With --give-back: somebody else's too; everybody is told.")] = False,
    as_json: Json = False,
) -> None:
    """Reserve the bench: until the lease ends, by itself or given back, only your own jobs begin."""
    with connected(context, store) as daemon:
        if give_back:
            answer(give_back_lease.sync_detailed(client=daemon.client, force=force))
        elif length is not None:
            until_ns = time.time_ns() + round(_seconds(length) * 1e9)
            answer(take_lease.sync_detailed(client=daemon.client, body=LeaseBody(until_ns=until_ns, purpose=purpose)))
        held = answer(get_lease.sync_detailed(client=daemon.client))
    if as_json:
        print_json(held and held.to_dict())
    elif held is None:
        print("the bench is free")
    else:
        print(f"reserved by {held.who} until {when(held.until_ns)}{f' for {held.purpose}' if held.purpose else ''}")


def _seconds(text: str) -> float:
    try:
        return read_quantity(text, TIME).value
    except QuantityError as error:
        raise FileError("labd lease", "LENGTH", str(error)) from error
