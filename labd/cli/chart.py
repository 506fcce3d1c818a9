"""`labd chart FORM`: runs and cards side by side, as tables and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from labd.analyse.model_cards import stored_card
from labd.analyse.tasks import chart as made_here
from labd.cards.read import card_of
from labd.cli.bench_option import named
from labd.cli.json_option import Json, print_json
from labd.cli.store_option import Store
from labd.cli.tables import card_files, in_text, lines_of
from labd.config.document import read_source
from labd.errors import FileError, StoreError
from labd.report.charts import Asked, ChartAnswer, ChartForm, ChartText
from labd.report.choice import wrong_wish
from labd.report.tables import Table
from labd.store.folder import default_folder

ENDINGS = (".svg", ".html")


def register(app: typer.Typer) -> None:
    app.command("chart")(chart)


def chart(
    context: typer.Context,
    form: Annotated[ChartForm, typer.Argument(help="Which chart, or all of them.", show_default=False)],
    cards: Annotated[list[Path] | None, typer.Argument(help="Files of cards, or folders of them.", show_default=False)] = None,
    run: Annotated[
        list[str] | None, typer.Option("--run", help="A run to show: its id, a part of it, or `latest`; may be repeated.")
    ] = None,
    energy: Annotated[
        str,
        typer.Option("--energy", help="Kind of energy: gross, per_event, at_rate, net_of_idle, net_of_sleep; left out, what most have."),
    ] = "",
    metric: Annotated[
        str, typer.Option("--metric", help="KPI that accuracy is told by, such as task.balanced_accuracy; left out, what most have.")
    ] = "",
    out: Annotated[Path | None, typer.Option("--out", help="File for the picture, .svg or .html.")] = None,
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Show runs and cards side by side: accuracy against energy and latency, mean power over rate with break-even rates, or a radar.

    Each is printed as a table; --out writes it as a picture, or a page without scripts. What was not measured is drawn hollow.
    """
    files = [file for path in cards or () for file in card_files(path)]
    if not files and not run:
        raise FileError("labd chart", "", "there is nothing to show: name --run RUN once or several times, or files of cards")
    if out is not None and out.suffix not in ENDINGS:
        raise FileError("--out", "", f"expected a file that ends in {' or '.join(ENDINGS)}, got {out}")
    if (wrong := wrong_wish(energy, metric)) is not None:
        raise FileError(f"--{wrong[0]}", "", wrong[1])
    picture = out.suffix[1:] if out else ""
    found = _made(context, Asked(form, energy, metric), files, run or [], picture, store)
    if out is not None:
        _write(out, found)
    if as_json:
        print_json({"charts": found.charts, "file": out})
        return
    lines = [line for one in found.charts for table in one.tables for line in (*lines_of(table), "")]
    notes = dict.fromkeys(note for one in found.charts for note in one.notes)
    print(in_text([*lines, *notes, *([str(out)] if out else [])]), end="")


def _made(context: typer.Context, asked: Asked, files: list[Path], runs: list[str], picture: str, store: Path | None) -> ChartAnswer:
    sources = [read_source(file) for file in files]
    read = [stored_card(card_of(source)) for source in sources]  # what is wrong in one is told by its file, whoever makes the chart
    daemon = named(context)
    if daemon is None:
        return made_here(store or default_folder(), asked, runs, read, picture)
    with daemon:
        given: dict[str, Any] = daemon.chart(
            {
                "form": str(asked.form),
                "energy": asked.energy,
                "metric": asked.metric,
                "cards": [source.text for source in sources],
                "runs": runs,
                "picture": picture or "none",
            }
        )
    return ChartAnswer(tuple(_told(one) for one in given["charts"]), given["picture"])


def _told(one: dict[str, Any]) -> ChartText:
    tables = [Table(t["caption"], tuple(t["head"]), tuple(tuple(row) for row in t["rows"])) for t in one["tables"]]
    return ChartText(one["title"], tuple(tables), tuple(one["notes"]))


def _write(out: Path, found: ChartAnswer) -> None:
    if not found.picture:
        why = "; ".join(one.notes[0] for one in found.charts if one.notes)
        raise FileError("labd chart", "", f"there is nothing to draw: {why}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(found.picture.encode("utf-8"))
    except OSError as error:
        raise StoreError(f"{out}: cannot be written: {error.strerror or error}") from error
