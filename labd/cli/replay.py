"""`labd replay`: a run out of the store to a server, once more."""

from __future__ import annotations

import asyncio
import enum
import sys
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.run import with_signals
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.client.connection import Connection, answer
from labd.client.generated.api.runs import replay_run
from labd.client.generated.models.replay_body import ReplayBody
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
    context: typer.Context,
    run: Run,
    bench: Annotated[Path | None, typer.Argument(help="Bench file whose [influx] says where to; with --bench the daemon's does.")] = None,
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
    there = named(context, within_s=None)
    if there is not None:
        sent, where = _asked(there, run, raw), f"the InfluxDB of {there.url}"
    elif bench is None:
        raise FileError("labd replay", "BENCH", "give the bench file whose [influx] says where to, or a daemon with --bench")
    else:
        sent, where = _from_here(bench, store, run, raw, quiet=as_json), f"the InfluxDB of {bench}"
    if as_json:
        print_json({"to": to, "points": sent.points, "rejected": sent.rejected})
    else:
        print(f"{sent.points} points sent to {where}{f', {sent.rejected} refused' if sent.rejected else ''}")


def _asked(daemon: Connection, run: str, raw: Raw | None) -> Sent:
    body = ReplayBody()
    if raw is not None:
        body = ReplayBody(capture=raw.order, stretch=raw.stretch, from_s=raw.from_s, until_s=raw.to_s)
    with daemon:
        said = answer(replay_run.sync_detailed(run, client=daemon.client, body=body))
    return Sent(said.points, said.rejected)


def _from_here(bench: Path, store: Path | None, run: str, raw: Raw | None, *, quiet: bool) -> Sent:
    found = load_bench(bench)

    def show(sent: Sent) -> None:
        if not quiet and sys.stderr.isatty():
            print(f"\r{sent.points} points", end="", file=sys.stderr, flush=True)

    async def work(stop: asyncio.Event) -> Sent:
        return await replayed(found, store, run, raw=raw, show=show)

    return with_signals(work)


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
