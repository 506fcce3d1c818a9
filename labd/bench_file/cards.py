"""Which cards a run carries: a board names its hardware card, a plan the others."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from labd.analyse.model_cards import stored_card, with_absolute_file
from labd.bench_file.board import Board
from labd.cards.kinds import AnyCard
from labd.cards.read import card_from, card_of, stored
from labd.config.document import read_source
from labd.config.problems import file_error
from labd.config.section import Section, Wrong
from labd.config.types import Name, Words

ONE = ("task", "dataset", "use_case", "toolchain", "setup")


class CardsSection(Section):
    """Files of cards, relative to this one, or their texts; `labd cards new KIND` writes one to fill in."""

    task: Words | None = Field(default=None, description="what is to be done")
    dataset: Words | None = Field(default=None, description="what that is measured on")
    use_case: Words | None = Field(default=None, description="targets, and how often something happens")
    toolchain: Words | None = Field(default=None, description="what made the deployed model")
    setup: Words | None = Field(default=None, description="what of the measurement only a person can say")
    model: Mapping[Name, Words] = Field(default_factory=dict, description="one for each model of the plan, by its name there")

    def files(self) -> Iterator[tuple[str, str, str]]:
        """Key, kind and file of each."""
        for kind in ONE:
            if (file := getattr(self, kind)) is not None:
                yield f"cards.{kind}", kind, file
        for name, file in self.model.items():
            yield f"cards.model.{name}", "model", file


def card_at(file: str, kind: str, *, named_in: Path, key: str) -> AnyCard:
    """The card that a key of another file names, or holds: text of more than a line. Raises FileError: no such file, another kind, or what
    is wrong in it."""
    if "\n" in file:
        return _of_kind(card_from(file, f"{named_in}: {key}"), kind, said="this is", named_in=named_in, key=key)
    path = Path(file)
    if not path.is_absolute():
        if not named_in.is_file():
            raise file_error(str(named_in), [Wrong(key, f"a file that was sent to a daemon names cards by absolute paths, got {file!r}")])
        path = named_in.parent / path
    if not path.is_file():
        raise file_error(str(named_in), [Wrong(key, _no_file(path))])
    return _of_kind(card_of(read_source(path)), kind, said=f"{path} is", named_in=named_in, key=key)


def _no_file(path: Path) -> str:
    return f"expected a card, a file, got the folder {path}" if path.is_dir() else f"there is no file {path}"


def _of_kind(card: AnyCard, kind: str, *, said: str, named_in: Path, key: str) -> AnyCard:
    if card.card != kind:
        raise file_error(str(named_in), [Wrong(key, f'expected a card of the kind "{kind}", {said} one of the kind "{card.card}"')])
    return card


def with_cards(text: str, path: Path) -> str:
    """The text of a plan with the texts of its cards in place of their names, as a daemon that has not these files can read it.

    path: of the plan. Text that is no plan is left as it is: the daemon refuses it. Raises FileError: no such file, or a name that is
    written in another way than on the line of its key.
    """
    try:
        named = CardsSection.model_validate(tomllib.loads(text).get("cards", {})).files()
    except ValueError:
        return text
    for file, key in {file: key for key, _, file in named if "\n" not in file}.items():
        at = Path(file) if Path(file).is_absolute() else path.parent / file
        if not at.is_file():
            raise file_error(str(path), [Wrong(key, _no_file(at))])
        card = json.dumps(with_absolute_file(read_source(at).text.rstrip("\n") + "\n", at), ensure_ascii=False)
        text, found = re.subn(rf"(?<==)(\s*)(['\"]){re.escape(file)}\2", lambda m, card=card: m[1] + card, text)  # type: ignore[misc]
        if not found:
            raise file_error(str(path), [Wrong(key, f"expected the name between plain quotes on the key's line, got {file!r}")])
    return text


def cards_of(section: CardsSection, *, plan: Path) -> dict[str, Any]:
    """As a run stores them: by kind, model cards by model. Raises FileError."""
    found: dict[str, Any] = {}
    for key, kind, file in section.files():
        card = stored_card(card_at(file, kind, named_in=plan, key=key))
        if kind == "model":
            found.setdefault("model", {})[key.rpartition(".")[2]] = card
        else:
            found[kind] = card
    return found


def hardware_card(board: Board) -> dict[str, Any]:
    """Of a board that names one, as a run stores it. Raises FileError."""
    if board.card is None:
        return {}
    return {"hardware": stored(card_at(board.card, "hardware", named_in=board.path, key="card"))}
