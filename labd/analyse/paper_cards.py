"""The lines of the white paper's own tables, which come with labd as declared cards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labd import resources
from labd.analyse.model_cards import stored_card
from labd.cards.read import card_of
from labd.config.document import read_source
from labd.errors import FileError
from labd.report.paper import TableForm


def paper_files(form: TableForm) -> list[Path]:
    """Files of the cards in the table's order. Raises FileError for a form that the paper prints no table of."""
    if form in (TableForm.MULTI_METRIC, TableForm.BESIDE):
        raise FileError("paper", "", f"the paper prints no {form} table; name cards or runs")
    return sorted((resources.path("fixtures") / "cards" / "paper" / f"table-{form}").glob("*.toml"))


def paper_cards(form: TableForm) -> list[dict[str, Any]]:
    """The same as a run stores them. Raises FileError."""
    return [stored_card(card_of(read_source(file))) for file in paper_files(form)]
