"""Figures of others that the store keeps: taken in as cards, and set beside the measured ones of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labd.analyse.entries import entries_of_runs
from labd.cards.read import card_from, stored
from labd.errors import FileError
from labd.interchange.card import card_text
from labd.interchange.foreign import Added
from labd.interchange.kinds import Kind, read_foreign, recognised
from labd.report.beside import beside
from labd.report.data import Beside
from labd.report.entries import Entry, of_card
from labd.store import imported
from labd.store.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class ImportedCard:
    """id: empty where it is not kept. kind: of the file it was taken from, as the id begins. card: as a run stores one."""

    id: str
    text: str
    card: Mapping[str, Any]


def take_in(files: Mapping[str, bytes], kind: Kind | None, asked: Added, *, store: Path | None) -> tuple[Kind, list[ImportedCard]]:
    """Cards of what the files tell, kept in the store unless that is None. Raises FileError before anything is kept, StoreError."""
    known = kind or recognised(files)
    texts = [(one.name, card_text(one)) for one in read_foreign(files, known, asked)]
    read = [stored(card_from(text, name)) for name, text in texts]
    ids = [imported.keep(store, str(known), name, text) if store else "" for name, text in texts]
    return known, [ImportedCard(card_id, text, card) for card_id, (_, text), card in zip(ids, texts, read, strict=True)]


def imported_cards(store: Path) -> list[ImportedCard]:
    """Everything that is kept. A file that somebody changed into no card is passed over. Raises StoreError."""
    found = []
    for one in imported.kept(store):
        try:
            found.append(ImportedCard(one.id, one.text, stored(card_from(one.text, one.id))))
        except FileError:
            continue
    return found


def others_of(cards: Mapping[str, Any], kept: list[ImportedCard]) -> list[Entry]:
    """Lines of figures of others that a run's own cards give, and that the store keeps."""
    own = [cards.get("hardware", {}), *cards.get("model", {}).values()]
    return [entry for card in (*own, *(one.card for one in kept)) if card for entry in of_card(card) if entry.figures]


def beside_of(catalogue: Catalogue, run_id: str) -> tuple[Beside, ...]:
    """A run's figures beside those of others: of the same net, or of one that nobody names. Raises NotFound, StoreError."""
    entries = entries_of_runs(catalogue, [run_id])
    nets = {net.lower() for entry in entries for net in (entry.net, entry.model_name) if net}
    others = others_of(catalogue.runs.get(run_id).cards, imported_cards(catalogue.folder))
    return beside(entries, [other for other in others if not other.net or other.net.lower() in nets])
