"""`labd doctor`: whether this machine and a bench file are fit for measuring."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labd.bench.finding import Finding
from labd.cli.bench_option import named
from labd.cli.check import show_finding, verdict
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.client.connection import answer
from labd.client.generated.api.bench import doctor as doctor_there
from labd.daemon.doctor import findings


def register(app: typer.Typer) -> None:
    app.command("doctor")(doctor)


def doctor(
    context: typer.Context,
    bench: Annotated[Path | None, typer.Argument(help="Bench file, to look also at what it names.")] = None,
    store: Store = None,
    as_json: Json = False,
) -> int:
    """Look at this machine, the store and BENCH, without touching an instrument; `labd --bench HOST doctor` looks at a daemon's."""
    daemon = named(context)
    if daemon is None:
        found = findings(store, bench)
    else:
        with daemon:
            found = [Finding(**one.to_dict()) for one in answer(doctor_there.sync_detailed(client=daemon.client))]
    if as_json:
        print_json(found)
    else:
        for finding in found:
            show_finding(finding)
    return verdict(found)
