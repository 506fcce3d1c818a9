"""`labd replay`: a run out of the store to a server, once more."""

from __future__ import annotations

import asyncio
import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.config.quantity import TIME, QuantityError, read_quantity
from labd.daemon.opened import load_bench
from labd.daemon.replaying import replayed
from labd.errors import FileError
from labd.influx.replay import Raw, Sent


class To(enum.StrEnum):
    INFLUX = "influx"


def register(app: typer.Typer) -> None:
    app.command("replay")(replay)


def replay(
    run: Run,
    bench: Annotated[Path, typer.Argument(help="Bench file whose [influx] says where to.")],
    to: Annotated[To, typer.Option("--to", help="What the run is sent to.")] = To.INFLUX,
    store: Store = None,
    capture: Annotated[int | None, typer.Option("--capture", help="Single samples of the capture at this place in the run.")] = None,
    stretch: Annotated[int, typer.Option("--stretch", help="With --capture: which contiguous stretch.")] = 0,
    begin: Annotated[str | None, typer.Option("--from", help='With --capture: an instant of the stretch, such as "0.2 s".')] = None,
    end: Annotated[str | None, typer.Option("--until", help='With --capture: a later one, such as "250 ms".')] = None,
    as_json: Json = False,
) -> None:
    """Send a run from the store once more: what was dropped while the server was away, or was measured before there was one.

    Points that are there already are overwritten with themselves. With --capture, --from and --until a window of single samples is sent
    instead, as measurement `sample`.
    """
    raw = _window(capture, stretch, begin, end)
    found = load_bench(bench)

    def show(sent: Sent) -> None:
        if not as_json and sys.stderr.isatty():
            print(f"\r{sent.points} points", end="", file=sys.stderr, flush=True)

    async def work(stop: asyncio.Event) -> Sent:
        return await replayed(found, store, run, raw=raw, show=show)

    sent = with_signals(work)
    if as_json:
        print_json({"to": to, "points": sent.points, "rejected": sent.rejected})
    else:
        refused = f", {sent.rejected} refused" if sent.rejected else ""
        print(f"{sent.points} points sent to {found.influx and found.influx.url}{refused}")


def _window(capture: int | None, stretch: int, begin: str | None, end: str | None) -> Raw | None:
    if capture is None and begin is None and end is None:
        return None
    if capture is None or begin is None or end is None:
        raise FileError("labd replay", "--capture", "single samples need --capture, --from and --until")
    return Raw(capture, stretch, _seconds("--from", begin), _seconds("--until", end))


def _seconds(option: str, text: str) -> float:
    try:
        return read_quantity(text, TIME).value
    except QuantityError as error:
        raise FileError("labd replay", option, str(error)) from error
