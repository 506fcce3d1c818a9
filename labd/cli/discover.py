"""`labd discover`: which instruments and serial ports are there, and a bench file to begin with."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from labd.bench_file.proposal import proposed
from labd.cli.json_option import Json, print_json
from labd.errors import FileError
from labd_instruments import discover, loader
from labd_instruments.errors import OutOfRangeError


def register(app: typer.Typer) -> None:
    app.command("discover")(discover_instruments)


def discover_instruments(
    hosts: Annotated[list[str] | None, typer.Argument(metavar="[HOST]...", help="Addresses to try besides: HOST or HOST:PORT.")] = None,
    write: Annotated[Path | None, typer.Option("--write", help="Bench file to propose; it must not be there yet.")] = None,
    as_json: Json = False,
) -> None:
    """Look for instruments on the network (mDNS, VXI-11), on USB and GPIB, and for serial ports; ask each instrument who it is.

    Instruments are asked `*IDN?` and nothing else, and serial ports are not opened. One that serves a single client may be in use.
    """
    if write is not None and write.exists():
        raise FileError(str(write), "", "exists already and is left as it is; give another name")
    console = Console(stderr=True)
    with console.status("listening for instruments"):
        try:
            found = [discover.ask(place) for place in discover.places(hosts or ())]
        except OutOfRangeError as error:
            raise typer.BadParameter(str(error), param_hint="HOST") from error
    ports = discover.ports()
    if as_json:
        print_json({"instruments": [asdict(one) for one in found], "ports": [asdict(port) for port in ports]})
    else:
        _show(found, ports)
    if write is not None:
        roles = {info.name: info.roles for info in loader.available()}
        need_leave = [driver for driver in roles if loader.needs_leave(driver)]
        try:
            write.write_text(proposed(found, ports, roles, name=write.stem, need_leave=need_leave), encoding="utf-8")
        except OSError as error:
            raise FileError(str(write), "", f"cannot be written: {error.strerror or error}") from error
        if not as_json:
            print(f"\nproposed: {write}")


def _show(found: list[discover.Found], ports: list[discover.Port]) -> None:
    console = Console(highlight=False)
    for one in found:
        drivers = ", ".join(one.drivers) or "no driver of labd's"
        text = f"{one.identity}: {drivers}" if one.identity else f"[red]{escape(one.problem)}[/]"
        console.print(f"{escape(one.resource)}: {escape(text) if one.identity else text} ({escape(one.known_by)})", soft_wrap=True)
    if not found:
        console.print("no instrument answered; give its address: labd discover 192.168.1.5")
    for port in ports:
        usb = "" if port.usb == (0, 0) else f", USB {port.usb[0]:04x}:{port.usb[1]:04x}"
        drivers = f": {', '.join(port.drivers)}" if port.drivers else ""
        console.print(f"{escape(port.device)}: {escape(port.description)}{usb}{drivers}", soft_wrap=True)
