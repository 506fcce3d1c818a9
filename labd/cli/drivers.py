"""`labd drivers`: which instruments labd drives, and what that rests on."""

from __future__ import annotations

import typer
from rich.console import Console
from rich.table import Table

from labd_instruments.loader import available


def register(app: typer.Typer) -> None:
    app.command("drivers")(drivers)


def drivers(options: bool = typer.Option(False, "--options", help="Also list each driver's options.")) -> None:
    """List the drivers with what they can do and how well their commands are evidenced."""
    table = Table("driver", "instrument", "roles", "can", "evidence")
    for info in available():
        table.add_row(info.name, info.title, ", ".join(info.roles), ", ".join(info.capabilities), info.evidence)
    Console().print(table)
    if options:
        for info in available():
            for one in info.options:
                choices = f" (one of {', '.join(map(str, one.choices))})" if one.choices else ""
                print(f"{info.name}: {one.name} = {one.default!r}: {one.sentence}{choices}")
