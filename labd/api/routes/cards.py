"""Cards of the deployment pipeline: to fill in, and what is wrong with one."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from labd.cards.disclosure import untold
from labd.cards.read import card_from, stored
from labd.cards.template import template

router = APIRouter(tags=["cards"])

Kind = Literal["task", "dataset", "model", "hardware", "toolchain", "use_case", "setup"]
MOST = 1 << 18  # characters of a card


class CardBody(BaseModel):
    text: str = Field(max_length=MOST, description="of the card's file, TOML")


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
    card = stored(card_from(body.text, "card"))
    return CardCheck(card=card, untold=[Untold(keys=list(one.missing), item=one.asked.item, why=one.asked.why) for one in untold(card)])


class Template(BaseModel):
    text: str


@router.get("/cards/{kind}/template", operation_id="card_template")
async def to_fill_in(kind: Kind) -> Template:
    """A card of a kind to fill in, TOML."""
    return Template(text=template(kind))
