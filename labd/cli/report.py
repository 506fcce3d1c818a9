"""`labd report RUN`: the report as files."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from labd.analyse.report import report_of
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.errors import StoreError
from labd.report import csv, html, json, markdown
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
    run: Run,
    store: Store = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for the files; left out, one named after the run.")] = None,
    format: Annotated[Format, typer.Option("--format", help="Which file, or all of them.")] = Format.ALL,  # noqa: A002 # the option's name
) -> None:
    """Write the report of a run: report.html, report.md, kpis.csv, result.json. Prints the paths; replaces what an earlier one wrote."""
    found = report_of(store, run)
    for path in write(found, out or Path(found.run.run_id), tuple(FILES) if format is Format.ALL else (format,)):
        print(path)


def write_report(store: Path | None, run_id: str, folder: Path) -> list[Path]:
    """Every file of a run's report into `folder`; returns their paths, report.html first."""
    return write(report_of(store, run_id), folder, FILES)


def write(found: RunReport, folder: Path, formats: Iterable[Format]) -> list[Path]:
    """Write the files into `folder`, made when missing; returns their paths. Raises StoreError when the disk refuses."""
    paths = []
    for wanted in formats:
        name, render = FILES[wanted]
        content = render(found)
        path = folder / name
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8"))  # bytes: CSV keeps its own line ends
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
        paths.append(path)
    return paths
