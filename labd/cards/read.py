"""Cards from the text of their files. Pure."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from labd.cards.kinds import KINDS, AnyCard
from labd.config.document import Source, parse_section, parse_toml
from labd.config.effective import effective_section
from labd.config.problems import did_you_mean, file_error
from labd.config.quantity import shown
from labd.config.section import Wrong


def card_of(source: Source) -> AnyCard:
    """The card a text describes. Raises FileError with every problem, one line each."""
    card = parse_section(source, KINDS[kind_of(source)])
    card._source = source
    return card


def card_from(text: str, name: str) -> AnyCard:
    """name: what errors call it. Raises FileError."""
    return card_of(Source(Path(name), text, hashlib.sha256(text.encode()).hexdigest()))


def kind_of(source: Source) -> str:
    """What its key `card` says. Raises FileError where it says nothing that labd knows, or is not TOML."""
    said: Any = parse_toml(source).get("card")
    if isinstance(said, str) and said in KINDS:
        return said
    kinds = ", ".join(f'"{kind}"' for kind in KINDS)
    near = did_you_mean(said, KINDS) if isinstance(said, str) else ""
    text = (
        f"this key is required: the kind of card, one of {kinds}" if said is None else f"expected one of {kinds}, got {shown(said)}{near}"
    )
    raise file_error(str(source.path), [Wrong("card", text)])


def stored(card: AnyCard) -> dict[str, Any]:
    """A card as a run keeps it and as results show it: JSON data under the file's keys, quantities in SI with their unit; and the SHA-256
    of its file."""
    return {**effective_section(card), "sha256_of_file": card.sha256}
