"""`labd tables FORM`: cards and runs in the forms of the paper."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from labd.analyse.entries import entries_of_runs
from labd.analyse.imported import imported_cards
from labd.analyse.model_cards import stored_card
from labd.analyse.paper_cards import paper_files
from labd.cards.read import card_of
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.config.document import read_source
from labd.errors import FileError
from labd.report.entries import of_card
from labd.report.markdown import literal, written
from labd.report.paper import PaperTable, TableForm, paper_table
from labd.report.tables import Table
from labd.report.text import aligned, printable
from labd.store.catalogue import Catalogue
from labd.store.folder import default_folder


def register(app: typer.Typer) -> None:
    app.command("tables")(tables)


def tables(
    context: typer.Context,
    form: Annotated[
        TableForm, typer.Argument(help="Which form: the number of the paper's table, multi-metric, or beside.", show_default=False)
    ],
    cards: Annotated[list[Path] | None, typer.Argument(help="Files of cards, or folders of them.", show_default=False)] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", help="A run to add: its id, a part of it, or `latest`; may be repeated.")
    ] = None,
    imported: Annotated[bool, typer.Option("--imported", help="Add everything that `labd import` keeps in the store.")] = False,
    paper: Annotated[bool, typer.Option("--paper", help="Add the lines of the paper's own table.")] = False,
    markdown: Annotated[bool, typer.Option("--md", help="As Markdown.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Print cards and runs in one of the forms of the paper: its tables 1.2 to 1.5, or accuracy, size, energy and speed together; or, as
    `beside`, the figures of others beside those of runs, with the ratio and its interval.
    """
    files = [*(paper_files(form) if paper else ()), *(file for path in cards or () for file in card_files(path))]
    if not files and not run and not imported:
        raise FileError("labd tables", "", "there is nothing to show: name files of cards, --run RUN, or --paper for the paper's own lines")
    found = _made(context, form, files, run or [], store, imported=imported)
    if as_json:
        print_json({"caption": found.table.caption, "head": found.table.head, "rows": found.table.rows, "notes": found.notes})
    else:
        print(_markdown(found) if markdown else _text(found), end="")


def _made(context: typer.Context, form: TableForm, files: list[Path], runs: list[str], store: Path | None, *, imported: bool) -> PaperTable:
    sources = [read_source(file) for file in files]
    read = [stored_card(card_of(source)) for source in sources]  # what is wrong in one is told by its file, whoever makes the table
    daemon = named(context)
    if daemon is not None:
        with daemon:
            answer: dict[str, Any] = daemon.table(form, [source.text for source in sources], runs, imported=imported)
        rows = tuple(tuple(row) for row in answer["rows"])
        return PaperTable(Table(answer["caption"], tuple(answer["head"]), rows), tuple(answer["notes"]))
    kept = [one.card for one in imported_cards(store or default_folder())] if imported else []
    entries = [entry for card in (*read, *kept) for entry in of_card(card)]
    if runs:
        with Catalogue.open_read_only(store) as catalogue:
            entries += entries_of_runs(catalogue, runs)
    return paper_table(form, entries)


def card_files(path: Path) -> list[Path]:
    """The file, or those of a folder in the order of their names."""
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.toml"))
    if not found:
        raise FileError(str(path), "", "this folder holds no card: no file whose name ends in .toml")
    return found


def _text(shown: PaperTable) -> str:
    return in_text([*lines_of(shown.table), "", *shown.notes])


def lines_of(table: Table) -> list[str]:
    """Caption, an empty line, and the rows with their columns under each other."""
    rows = [table.head, *table.rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(table.head))]
    return [table.caption, "", *(aligned((row[0].ljust(widths[0]), *row[1:]), widths) for row in rows)]


def in_text(lines: Iterable[str]) -> str:
    """As standard output can show it."""
    text = "\n".join(printable(line) for line in lines) + "\n"
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _markdown(shown: PaperTable) -> str:
    notes = "\n".join(f"- {literal(note)}" for note in shown.notes)
    return f"### {literal(shown.table.caption)}\n\n{written(shown.table)}\n\n{notes}\n"
