"""`labd export RUN`: traces and figures as files that other programs open."""

from __future__ import annotations

import enum
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import track

from labd.analyse.report import stored_report
from labd.analyse.run import trace_of
from labd.analyse.setup_card import setup_card
from labd.analyse.tasks import interchange
from labd.analyse.traces import TraceFormat, exported_name, index_csv, readme, windows_csv, write_trace
from labd.cards.write import written
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.report import Format, write
from labd.cli.run_argument import Run
from labd.cli.store_option import Store
from labd.errors import NotFound, StoreError
from labd.store import archive
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder
from labd.store.rows import CaptureRow


class Form(enum.StrEnum):
    """What a run is written as."""

    FOLDER = "folder"
    JSON = "json"
    MLPERF_TINY = "mlperf-tiny"


def register(app: typer.Typer) -> None:
    app.command("export")(export)


def export(
    context: typer.Context,
    run: Run,
    store: Store = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to write; left out, one named after the run.")] = None,
    format: Annotated[TraceFormat, typer.Option("--format", help="Of the traces.")] = TraceFormat.PARQUET,  # noqa: A002 # the option's name
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that holds files already.")] = False,
    form: Annotated[
        Form, typer.Option("--as", help="A folder of traces and figures, one JSON of figures, or result lines of MLPerf Tiny.")
    ] = Form.FOLDER,
    model: Annotated[str | None, typer.Option("--model", help="Of the result lines, where a run has several.")] = None,
    as_json: Json = False,
) -> None:
    """Write the traces of a run with a time column, its figures (kpis.csv, result.json), its cards, and a README of columns and units; or,
    with --as, its figures in one file for other programs, which is printed where --out names none.
    """
    daemon = named(context)
    if form is not Form.FOLDER:
        if daemon is None:
            content = interchange(store or default_folder(), run, str(form), model)
        else:
            with daemon:
                content = daemon.exported(run, str(form), model)
        _one_file(out, content, force=force, as_json=as_json)
        return
    if daemon is None:
        folder, traces = _exported(store, run, out, format, force=force)
    else:
        with tempfile.TemporaryDirectory(prefix="labd-") as there:
            with daemon:
                daemon.download(f"runs/{quote(run, safe='')}/archive", Path(there) / "run.zip")
            with Catalogue.open(Path(there)):
                pass
            run_id = archive.read(Path(there) / "run.zip", Path(there))
            folder, traces = _exported(Path(there), run_id, out, format, force=force)
    if as_json:
        print_json({"folder": folder, "traces": traces})
    else:
        print(f"{folder}: {traces} traces, captures.csv, windows.csv, kpis.csv, result.json, bench, board and plan, cards, README.md")


def _one_file(path: Path | None, content: str, *, force: bool, as_json: bool) -> None:
    if path is None:
        print(content, end="")
        return
    if path.exists() and not force:
        raise StoreError(f"{path} is there already and is left as it is; give another --out, or --force to replace it")
    put(path, content)
    print_json({"file": path}) if as_json else print(path)


def _exported(store: Path | None, run: str, out: Path | None, format: TraceFormat, *, force: bool) -> tuple[Path, int]:  # noqa: A002
    """The folder, and how many traces it holds."""
    with Catalogue.open_read_only(store) as catalogue:
        found = catalogue.runs.get(run)
        folder = out or Path(f"{found.id}-export")
        make(folder, force=force)
        rows = [row for row in catalogue.captures.of(found.id) if row.trace]
        kept = write_traces(catalogue, rows, folder / "traces", format)
        windows = [(row, catalogue.captures.windows(found.id, row.key)) for row in kept]
        write(stored_report(catalogue, found.id), folder, (Format.CSV, Format.JSON))
        put_cards(folder / "cards", {**found.cards, "setup": setup_card(found, catalogue.captures.of(found.id))})
    for name, text in (("bench.toml", found.bench_text), ("board.toml", found.board_text), ("plan.toml", found.plan_text)):
        put(folder / name, text)
    put(folder / "windows.csv", windows_csv(windows, format))
    put(folder / "captures.csv", index_csv(kept, format))
    put(folder / "README.md", readme(found.id, format))
    return folder, len(kept)


def put_cards(folder: Path, cards: Mapping[str, Any]) -> None:
    """A file a card, as labd reads them; those of models under the name that the plan gives them."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error
    for kind, card in cards.items():
        several = card.items() if kind == "model" else [("", card)]
        for name, one in several:
            put(folder / f"{kind}{f'-{name}' if name else ''}.toml", written(one))


def make(folder: Path, *, force: bool) -> None:
    """Raises StoreError for a folder that holds something, unless forced, and where none can be made."""
    try:
        if folder.exists() and any(folder.iterdir()) and not force:
            raise StoreError(f"{folder} holds files already and is left as it is; give another --out, or --force to write into it")
        (folder / "traces").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written: {error.strerror or error}") from error


def write_traces(catalogue: Catalogue, rows: Iterable[CaptureRow], folder: Path, kind: TraceFormat) -> list[CaptureRow]:
    """One file a capture; returns those that had a trace. A capture that failed before its first sample has none."""
    kept = []
    console = Console(stderr=True)
    for row in track(list(rows), "exporting traces", console=console, transient=True, disable=not console.is_terminal):
        try:
            trace = trace_of(catalogue, row)
        except NotFound as error:
            if row.samples:
                print(f"labd: warning: {error}", file=sys.stderr)
            continue
        write_trace(trace, folder / exported_name(row, kind), kind)
        kept.append(row)
    return kept


def put(path: Path, content: str) -> None:
    try:
        path.write_bytes(content.encode("utf-8"))
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error
