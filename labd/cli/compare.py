"""`labd compare RUN RUN`: like figures of runs beside each other, as far as that is fair."""

from __future__ import annotations

import re
import sys
from typing import Annotated

import typer

from labd.analyse.side import compare_runs
from labd.cards.comparison import FairComparison, Verdict
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.client.connection import Connection, answer
from labd.client.generated.api.cards import compare_runs as compare_there
from labd.client.generated.types import UNSET
from labd.config.quantity import VOLTAGE, QuantityError, read_quantity
from labd.errors import FileError
from labd.report import compared
from labd.report.markdown import literal, written
from labd.report.tables import Table
from labd.report.text import aligned, printable
from labd.store.catalogue import Catalogue
from labd.store.jsonform import from_json

_NUMBER = re.compile(r"\s*[+-]?[0-9.]+([eE][+-]?[0-9]+)?\s*")


def register(app: typer.Typer) -> None:
    app.command("compare")(compare)


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(help="Runs: their ids, unambiguous parts of them, or `latest`. One run of several models will do.")
    ],
    model: Annotated[list[str] | None, typer.Option("--model", help="Only this model; may be repeated.")] = None,
    supply: Annotated[
        str | None, typer.Option("--supply", help='Only what was measured at this supply, such as "3 V"; a number alone is in volts.')
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every figure that two sides have, not the main ones alone.")] = False,
    markdown: Annotated[bool, typer.Option("--md", help="As Markdown.")] = False,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show like figures of runs beside each other, and refuse or flag what is not fair, by which rule and why.

    Figures that a rule refuses are not printed. One side is called better only where the 95 % interval of the difference excludes zero.
    Exit code 1 when no two figures may stand beside each other.
    """
    supply_v = None if supply is None else _volts(supply)
    daemon = named(context)
    if daemon is None:
        with Catalogue.open_read_only(store) as catalogue:
            found = compare_runs(catalogue, runs, models=model or (), supply_v=supply_v)
    else:
        found = _there(daemon, runs, model or [], supply_v)
    if as_json:
        print_json(found)
    else:
        print(_markdown(found, every=every) if markdown else _text(found, every=every), end="")
    if found.verdict is Verdict.REFUSED:
        raise typer.Exit(1)


def _volts(text: str) -> float:
    try:
        return read_quantity(f"{text} V" if _NUMBER.fullmatch(text) else text, VOLTAGE).value
    except QuantityError as error:
        raise FileError("labd compare", "--supply", str(error)) from error


def _there(daemon: Connection, runs: list[str], models: list[str], supply_v: float | None) -> FairComparison:
    with daemon:
        asked = UNSET if supply_v is None else supply_v
        response = compare_there.sync_detailed(client=daemon.client, run=runs, model=models or UNSET, supply_v=asked)
        return from_json(FairComparison, answer(response).to_dict())


def _text(found: FairComparison, *, every: bool) -> str:
    lines = [compared.SENTENCES[found.verdict], "", *_aligned(compared.sides(found))]
    for table in compared.tables(found, every=every):
        lines += ["", *_aligned(table)]
    lines += ["", *compared.notes(found)] if found.verdict is not Verdict.REFUSED else []
    lines += ["", *compared.sentences(found)] if found.findings else []
    text = "\n".join(printable(line) for line in lines) + "\n"
    encoding = sys.stdout.encoding or "ascii"
    return text.encode(encoding, "replace").decode(encoding)


def _aligned(table: Table) -> list[str]:
    rows = [table.head, *table.rows]
    widths = [max(len(row[k]) for row in rows) for k in range(len(table.head))]
    return [table.caption, *(aligned((row[0].ljust(widths[0]), *row[1:]), widths) for row in rows)]


def _markdown(found: FairComparison, *, every: bool) -> str:
    parts = [f"**{literal(compared.SENTENCES[found.verdict])}**", written(compared.sides(found))]
    parts += [f"### {literal(table.caption)}\n\n{written(table)}" for table in compared.tables(found, every=every)]
    parts += ["\n".join(f"- {literal(note)}" for note in compared.notes(found))] if found.verdict is not Verdict.REFUSED else []
    table = compared.findings(found)
    parts += [f"### {literal(table.caption)}\n\n{written(table)}"] if table.rows else []
    return "\n\n".join(parts) + "\n"
