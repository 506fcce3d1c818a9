"""`labd drivers`: which instruments labd drives, and what that rests on."""

from __future__ import annotations

from typing import Annotated

import typer

from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.client.connection import Connection, answer
from labd.client.generated.api.bench import drivers as drivers_there
from labd.store.jsonform import from_json
from labd_instruments.loader import DriverInfo, available
from labd_instruments.unsupported import UNSUPPORTED

UNTRIED = "*"


def register(app: typer.Typer) -> None:
    app.command("drivers")(drivers)


def drivers(
    context: typer.Context,
    options: Annotated[bool, typer.Option("--options", help="Also list each driver's options.")] = False,
    as_json: Json = False,
) -> None:
    """List the drivers, or those of the daemon named with --bench, with what they can do and how well their commands are evidenced.

    Instruments that have none, because too little is known of them, follow with what is lacking.
    """
    daemon = named(context)
    found = available() if daemon is None else _there(daemon)
    if as_json:
        print_json(found)
        return
    for info in found:
        print(f"{info.name}: {info.title}")
        print(f"    roles: {', '.join(info.roles)}; can: {', '.join(info.capabilities)}; commands: {info.evidence}")
        if info.on_the_wire:
            print(f"    tried with its virtual instrument over {', '.join(info.on_the_wire)}{UNTRIED if info.against_a_double else ''}")
        for one in info.options if options else ():
            choices = f" (one of {', '.join(map(str, one.choices))})" if one.choices else ""
            print(f"    option {one.name} = {one.default!r}: {one.sentence}{choices}")
    for instrument in UNSUPPORTED:
        print(f"no driver: {instrument.name}: {instrument.lacking}")
    doubles = sorted({name for info in found for name in info.against_a_double}, reverse=True)
    if doubles:
        print(f"{UNTRIED} {' and '.join(doubles)} are not tried on the wire: only their link is, against a double of its library")


def _there(daemon: Connection) -> list[DriverInfo]:
    with daemon:
        return [from_json(DriverInfo, one.to_dict()) for one in answer(drivers_there.sync_detailed(client=daemon.client))]
