"""Cards of what others measured, kept in the store as files: one TOML file each, named by kind, name and content."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from labd.errors import NotFound, StoreError
from labd.store.folder import slug, write_whole

FOLDER = "imported"
ID = re.compile(r"[a-z0-9-]{1,80}")


@dataclass(frozen=True, slots=True)
class ImportedText:
    """A card's text under its id."""

    id: str
    text: str


def keep(store: Path, kind: str, name: str, text: str) -> str:
    """Store a card; returns its id. The same card twice is one. Raises StoreError."""
    found = f"{slug(kind)}-{slug(name, longest=40)}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    folder = store / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{folder}: cannot be made: {error.strerror or error}") from error
    write_whole(folder / f"{found}.toml", text)
    return found


def kept(store: Path) -> list[ImportedText]:
    """All of them, by id. Raises StoreError."""
    try:
        return [ImportedText(path.stem, path.read_text("utf-8")) for path in sorted((store / FOLDER).glob("*.toml"))]
    except (OSError, ValueError) as error:
        raise StoreError(f"{store / FOLDER}: cannot be read: {error}") from error


def forget(store: Path, card_id: str) -> None:
    """Raises NotFound, StoreError."""
    path = store / FOLDER / f"{card_id}.toml"
    if not ID.fullmatch(card_id) or not path.is_file():
        raise NotFound(f"nothing imported is called {card_id!r}; labd imported lists what there is")
    try:
        path.unlink()
    except OSError as error:
        raise StoreError(f"{path}: cannot be deleted: {error.strerror or error}") from error
