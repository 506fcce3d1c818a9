"""`labd report RUN`: the report as files."""

from __future__ import annotations

import enum
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from labd.analyse.report import report_of
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.client.connection import Connection
from labd.errors import StoreError
from labd.report import csv, html, json, markdown, verdict
from labd.report.data import RunReport


class Format(enum.StrEnum):
    HTML = "html"
    MD = "md"
    CSV = "csv"
    JSON = "json"
    ALL = "all"


FILES: dict[Format, tuple[str, Callable[[RunReport], str]]] = {
    Format.HTML: ("report.html", html.render),
    Format.MD: ("report.md", markdown.render),
    Format.CSV: ("kpis.csv", csv.render),
    Format.JSON: ("result.json", json.render),
}


def register(app: typer.Typer) -> None:
    app.command("report")(report)


def report(
    context: typer.Context,
    run: Run,
    store: Store = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the files; left out, one named after the run.")] = None,
    format: Annotated[Format, typer.Option("--format", help="Which file, or all of them.")] = Format.ALL,  # noqa: A002 # the option's name
    as_json: Json = False,
) -> None:
    """Write the report of a run: report.html, report.md, kpis.csv, result.json. Prints the paths; replaces what an earlier one wrote."""
    formats = tuple(FILES) if format is Format.ALL else (format,)
    daemon = named(context)
    if daemon is None:
        found = report_of(store, run)
        none = verdict.nothing(found)
        paths = write(found, out or Path(found.run.run_id), formats)
    else:
        with daemon:
            contents = {wanted: daemon.report(run, wanted) for wanted in formats}
            none = nothing_there(daemon, run)
        paths = [put(out or Path(run), wanted, content) for wanted, content in contents.items()]
    if as_json:
        print_json(paths)
    else:
        for path in paths:
            print(path)
    if none:
        print(f"labd: {none}", file=sys.stderr)


def nothing_there(daemon: Connection, run: str) -> str:
    """The first line of a report without figures, empty where it has some."""
    first = daemon.report(run, "ascii").partition("\n\n")[0].replace("\n", " ")
    return first if first.startswith(verdict.NOTHING) else ""


def write(found: RunReport, folder: Path, formats: Iterable[Format]) -> list[Path]:
    """Write the files into `folder`, made when missing; returns their paths. Raises StoreError when the disk refuses."""
    return [put(folder, wanted, FILES[wanted][1](found)) for wanted in formats]


def put(folder: Path, wanted: Format, content: str) -> Path:
    path = folder / FILES[wanted][0]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8"))  # bytes: CSV keeps its own line ends
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path
