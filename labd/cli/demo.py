"""`labd demo`: the main job on a virtual bench, from nothing to a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from labd import resources
from labd.analyse.report import report_of
from labd.cli.json_option import Json, print_json
from labd.cli.report import FILES, write
from labd.cli.run import measured


def register(app: typer.Typer) -> None:
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option("--out", help="Folder for the store and the report.")] = Path("labd-demo"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
    as_json: Json = False,
) -> int:
    """Sweep a virtual board over inference rates in three modes: real drivers, real sockets, real firmware, no hardware."""
    fixtures = resources.path("fixtures")
    outcome = measured(fixtures / "benches/demo.toml", fixtures / "plans/demo.toml", store=out / "store", quiet=quiet or as_json)
    paths = write(report_of(outcome.store, outcome.run_id), out / "report", tuple(FILES))
    if as_json:
        print_json({"run_id": outcome.run_id, "failed": outcome.failed, "store": outcome.store, "report": paths})
    else:
        print("\n".join([f"run {outcome.run_id}", *map(str, paths)]))
        print(f"kept in {outcome.store}; look again: labd report {outcome.run_id} --store {outcome.store}")
    return 4 if outcome.failed else 0
