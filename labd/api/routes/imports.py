"""Figures of others: taken in from files of other tools, listed, forgotten; and a run for other programs."""

from __future__ import annotations

import base64
import binascii
import enum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from labd.analyse import tasks
from labd.analyse.imported import ImportedCard, imported_cards
from labd.api.models import Body, RunId
from labd.api.routes.asked import Given
from labd.errors import FileError
from labd.interchange.foreign import Added
from labd.interchange.kinds import Kind
from labd.store.imported import forget
from labd.stream.session import InstrumentSession

router = APIRouter(tags=["imports"])
MOST = 1 << 24  # characters of one file, base64
DISK_S = 60.0
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9 ._/()+-]{0,119}$", examples=["results.txt"])]
CardId = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,80}$", examples=["mlperf-tiny-nucleo-0a1b2c3d"])]
Line = Annotated[str, Field(max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")]


class ForeignFile(Body):
    name: FileName
    content: Annotated[str, Field(max_length=MOST, description="base64", examples=["TWVkaWFuIGVuZXJneSBjb3N0IGlzIDEyMy40IHVKL2luZi4K"])]


class ImportBody(Body):
    """Files of one result, and what they do not tell."""

    files: Annotated[list[ForeignFile], Field(min_length=1, max_length=200)]
    kind: Kind | None = Field(default=None, strict=False, description="left out: by what is in them")
    name: Line = Field(default="", description="of the device; left out: as the files name it")
    model: Line = Field(default="", description="the net that the figures hold for, as plans name it; left out: as the files name it")
    clock_hz: float | None = Field(default=None, gt=0, le=1e12, description="of a simulated design")
    inferences: int | None = Field(default=None, ge=1, le=10**9, description="of each window of a trace")
    meter_limit: float | None = Field(default=None, ge=0, le=1, description="limit of error of the meter, as a share of its reading")
    keep: bool = Field(default=True, description="in the store, so that tables and reports show it")


class ImportedOne(BaseModel):
    """id: empty where it is not kept. text: of the card, TOML; card: as a run stores one."""

    id: str
    text: str
    card: dict[str, Any]


class ImportAnswer(BaseModel):
    kind: Kind
    cards: list[ImportedOne]


@router.post("/imports", operation_id="import_figures", status_code=201)
async def take(body: ImportBody, given: Given) -> ImportAnswer:
    """Cards of what files of other tools tell; 422 with file, place and value of what is wrong."""
    files = {file.name: _decoded(file) for file in body.files}
    asked = Added(body.name, body.model, body.clock_hz, body.inferences, body.meter_limit)
    kind, cards = await given.worker.call(tasks.take_in, files, body.kind, asked, given.catalogue.folder if body.keep else None)
    return ImportAnswer(kind=kind, cards=[_shown(card) for card in cards])


def _decoded(file: ForeignFile) -> bytes:
    try:
        return base64.b64decode(file.content, validate=True)
    except (binascii.Error, ValueError) as error:
        raise FileError(file.name, "content", f"expected base64: {error}") from error


def _shown(card: ImportedCard) -> ImportedOne:
    return ImportedOne(id=card.id, text=card.text, card=dict(card.card))


@router.get("/imports", operation_id="list_imports")
async def imports(given: Given) -> list[ImportedOne]:
    """Everything of others that the store keeps, by id."""
    async with InstrumentSession("import") as disk:
        found = await disk.call(imported_cards, given.catalogue.folder, deadline_s=DISK_S)
    return [_shown(card) for card in found]


@router.delete("/imports/{card_id}", operation_id="forget_import", status_code=204)
async def gone(card_id: CardId, given: Given) -> Response:
    """Out of the store, for good."""
    async with InstrumentSession("import") as disk:
        await disk.call(forget, given.catalogue.folder, card_id, deadline_s=DISK_S)
    return Response(status_code=204)


class Interchange(enum.StrEnum):
    """`json`: flat figures after `interchange.schema.json`; `mlperf-tiny`: result lines as its submission checker finds them."""

    JSON = "json"
    MLPERF_TINY = "mlperf-tiny"


TYPES: dict[str, Any] = {"application/json": {}, "text/plain": {}}


@router.get("/runs/{run_id}/interchange", operation_id="export_figures", response_class=Response, responses={200: {"content": TYPES}})
async def export(
    run_id: RunId,
    given: Given,
    form: Annotated[Interchange, Query(alias="format")] = Interchange.JSON,
    model: Annotated[str | None, Query(max_length=80)] = None,
) -> Response:
    """A run for other programs; 409 where nothing in it was measured by MLPerf Tiny's rule."""
    found = await given.catalogue.read(lambda c: c.runs.get(run_id))
    content = await given.worker.call(tasks.interchange, given.catalogue.folder, found.id, str(form), model)
    return Response(content, media_type="application/json" if form is Interchange.JSON else "text/plain")
