"""`labd drivers`: which instruments labd drives, and what that rests on."""

from __future__ import annotations

from typing import Annotated

import typer

from labd.cli.json_option import Json, print_json
from labd_instruments.loader import available


def register(app: typer.Typer) -> None:
    app.command("drivers")(drivers)


def drivers(
    options: Annotated[bool, typer.Option("--options", help="Also list each driver's options.")] = False, as_json: Json = False
) -> None:
    """List the drivers with what they can do and how well their commands are evidenced."""
    if as_json:
        print_json(available())
        return
    for info in available():
        print(f"{info.name}: {info.title}")
        print(f"    roles: {', '.join(info.roles)}; can: {', '.join(info.capabilities)}; commands: {info.evidence}")
        for one in info.options if options else ():
            choices = f" (one of {', '.join(map(str, one.choices))})" if one.choices else ""
            print(f"    option {one.name} = {one.default!r}: {one.sentence}{choices}")
