"""Cards of the deployment pipeline: to fill in, what is wrong with one, what a run has of them, tables of them in the paper's forms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from labd.analyse import side
from labd.analyse.disclosure import disclosure
from labd.analyse.entries import entries_of_runs
from labd.analyse.imported import imported_cards
from labd.analyse.paper_cards import paper_cards
from labd.analyse.setup_card import setup_card
from labd.api.models import RunId
from labd.api.routes.asked import Given
from labd.api.routes.transfer import figures_of_model
from labd.cards.comparison import FairComparison
from labd.cards.disclosure import untold
from labd.cards.read import card_from, stored
from labd.cards.template import template
from labd.errors import FileError
from labd.models.graph import ModelFigure
from labd.report.charts import Asked, ChartForm
from labd.report.choice import wrong_wish
from labd.report.data import Disclosure
from labd.report.entries import Entry, of_card
from labd.report.paper import TableForm, paper_table
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow, RunRow

router = APIRouter(tags=["cards"])

Kind = Literal["task", "dataset", "model", "hardware", "toolchain", "use_case", "setup"]
MOST = 1 << 18  # characters of a card


class CardBody(BaseModel):
    text: str = Field(max_length=MOST, description="of the card's file, TOML")


def _stored_from(text: str, name: str) -> dict[str, Any]:
    """In a thread: a large card takes longer to read than the other clients of the daemon can wait."""
    return stored(card_from(text, name))


def _stored_each(texts: Sequence[str]) -> list[dict[str, Any]]:
    return [_stored_from(text, f"cards[{k}]") for k, text in enumerate(texts)]


class Untold(BaseModel):
    """Something that the paper asks for and a card does not tell. keys: that would tell it."""

    keys: list[str]
    item: str
    why: str


class CardCheck(BaseModel):
    """card: as a run stores it, quantities with their SI value and UCUM unit."""

    card: dict[str, Any]
    untold: list[Untold]


@router.post("/cards/check", operation_id="check_card")
async def check(body: CardBody) -> CardCheck:
    """A card as labd reads it, and what it does not tell; 422 with every problem of one that cannot be read."""
    card = await asyncio.to_thread(_stored_from, body.text, "card")
    return CardCheck(card=card, untold=[Untold(keys=list(one.missing), item=one.asked.item, why=one.asked.why) for one in untold(card)])


class Template(BaseModel):
    text: str


@router.get("/cards/{kind}/template", operation_id="card_template")
async def to_fill_in(kind: Kind) -> Template:
    """A card of a kind to fill in, TOML."""
    return Template(text=template(kind))


class RunCards(BaseModel):
    """cards: by kind, those of models by model, each whole. setup: the set-up card with what the run itself knows. complete: whether all
    that the paper asks for is told; missing: keys of cards that are not; disclosure: by item, those not told with the reason."""

    cards: dict[str, Any]
    setup: dict[str, Any]
    complete: bool
    missing: list[str]
    disclosure: list[Disclosure]


@router.get("/runs/{run_id}/cards", operation_id="run_cards")
async def of_run(run_id: RunId, given: Given) -> RunCards:
    """The deployment pipeline of a run."""

    def stored_there(catalogue: Catalogue) -> tuple[RunRow, list[CaptureRow]]:
        run = catalogue.runs.get(run_id)
        return run, catalogue.captures.of(run.id)

    run, captures = await given.catalogue.read(stored_there)
    found = disclosure(run, captures)
    return RunCards(
        cards=dict(run.cards),
        setup=setup_card(run, captures),
        complete=not any(item.missing for item in found),
        missing=[key for item in found for key in item.keys],
        disclosure=list(found),
    )


class TableBody(BaseModel):
    """Lines stand in this order: cards, what is imported, runs."""

    form: TableForm
    cards: list[Annotated[str, Field(max_length=MOST)]] = Field(default=[], max_length=200, description="texts of files of cards, TOML")
    runs: list[RunId] = Field(default=[], max_length=200)
    imported: bool = Field(default=False, description="add every figure of others that the store keeps")
    paper: bool = Field(default=False, description="begin with the lines of the paper's own table, for its forms 1.2 to 1.5")


class TableAnswer(BaseModel):
    """rows: as long as head each. notes: what to know of the table, and the source of each line."""

    caption: str
    head: list[str]
    rows: list[list[str]]
    notes: list[str]


@router.post("/tables", operation_id="table")
async def table(body: TableBody, given: Given) -> TableAnswer:
    """Cards and runs in one of the forms of the paper: its tables 1.2 to 1.5, or the five figures of the multi-metric approach; `beside`:
    figures of others beside those of runs, with the ratio."""
    printed = await asyncio.to_thread(paper_cards, body.form) if body.paper else []
    entries = [entry for card in (*printed, *await asyncio.to_thread(_stored_each, body.cards)) for entry in of_card(card)]

    def stored_there(catalogue: Catalogue) -> list[Entry]:
        kept = imported_cards(catalogue.folder) if body.imported else []
        others = [entry for one in kept for entry in of_card(one.card)]
        return others + entries_of_runs(catalogue, body.runs)

    made = paper_table(body.form, entries + (await given.catalogue.read(stored_there) if body.runs or body.imported else []))
    rows = [list(row) for row in made.table.rows]
    return TableAnswer(caption=made.table.caption, head=list(made.table.head), rows=rows, notes=list(made.notes))


class ChartBody(BaseModel):
    """energy: kind of it, gross and so on; metric: KPI that accuracy is told by; empty: what most of them have."""

    form: ChartForm
    cards: list[Annotated[str, Field(max_length=MOST)]] = Field(default=[], max_length=200, description="texts of files of cards, TOML")
    runs: list[RunId] = Field(default=[], max_length=50)
    energy: str = Field(default="", max_length=80)
    metric: str = Field(default="", max_length=80)
    picture: Literal["none", "svg", "html"] = "none"


class ChartTable(BaseModel):
    caption: str
    head: list[str]
    rows: list[list[str]]


class ChartMade(BaseModel):
    title: str
    tables: list[ChartTable]
    notes: list[str]


class ChartsAnswer(BaseModel):
    """picture: an SVG file or an HTML page without scripts, as asked; empty where nothing can be drawn, and the notes say why."""

    charts: list[ChartMade]
    picture: str


@router.post("/charts", operation_id="chart")
async def chart(body: ChartBody, given: Given) -> ChartsAnswer:
    """Cards and runs side by side: Pareto plot, radar, or mean power over rate with the break-even rates across boards."""
    if (wrong := wrong_wish(body.energy, body.metric)) is not None:
        raise FileError("chart", *wrong)
    cards = await asyncio.to_thread(_stored_each, body.cards)
    asked = Asked(body.form, body.energy, body.metric)
    picture = "" if body.picture == "none" else body.picture
    made = await given.worker.chart(given.catalogue.folder, asked, body.runs, cards, picture)
    found = [
        ChartMade(
            title=one.title,
            tables=[ChartTable(caption=t.caption, head=list(t.head), rows=[list(row) for row in t.rows]) for t in one.tables],
            notes=list(one.notes),
        )
        for one in made.charts
    ]
    return ChartsAnswer(charts=found, picture=made.picture)


Ending = Annotated[Literal["onnx", "tflite", "nir", "json"], Query(description="how the file's name ends; json: a result of NeuroBench")]
MODEL_FILE = {
    "requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/models", operation_id="read_model", openapi_extra=MODEL_FILE)
async def model(request: Request, given: Given, ending: Ending) -> list[ModelFigure]:
    """What a model file says: multiply-accumulates, parameters, bits, layers, sparsity, largest activation, footprint. It is not kept."""
    return list(await figures_of_model(given, request.stream(), ending))


@router.get("/compare", operation_id="compare_runs")
async def compare(
    given: Given,
    run: Annotated[list[RunId], Query(min_length=1, max_length=100, description="runs, in the order to show them")],
    model: Annotated[list[str] | None, Query(max_length=100, description="only these models")] = None,
    supply_v: Annotated[float | None, Query(description="only what was measured at this supply, in volts")] = None,
) -> FairComparison:
    """Like figures of runs beside each other, as far as the fairness rules allow, and what the rules found.

    A figure that a rule refuses is not in the answer. 422 where fewer than two models, supplies or runs are left to compare.
    """
    return await given.catalogue.read(lambda c: side.compare_runs(c, run, models=model or (), supply_v=supply_v))
