"""`labd cards`: cards to fill in, and what is wrong with one that was."""

from __future__ import annotations

import enum
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from labd.analyse.model_cards import stored_card
from labd.cards.disclosure import untold
from labd.cards.kinds import KINDS
from labd.cards.read import card_of
from labd.cards.template import template
from labd.cli.json_option import Json, print_json
from labd.config.document import read_source
from labd.errors import FileError, StoreError

Kind = enum.StrEnum("Kind", {kind.upper(): kind for kind in KINDS})  # type: ignore[misc]  # its members are the kinds


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Cards of the deployment pipeline: task, data set, model, hardware, toolchain, set-up, use case.")
    group.command("new")(new)
    group.command("check")(check)
    app.add_typer(group, name="cards")


def new(
    kind: Annotated[Kind, typer.Argument(help="Which kind of card.")],
    out: Annotated[Path | None, typer.Option("--out", help="File to write; left out, it is printed.")] = None,
    as_json: Json = False,
) -> None:
    """Write a card to fill in: every key with what it means, those that may be left out as comments."""
    text = template(str(kind))
    if out is None:
        if as_json:
            print_json({"kind": str(kind), "text": text})
        else:
            print(text, end="")
        return
    if out.exists():
        raise FileError(str(out), "", "exists already and is left as it is; give another --out")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{out}: cannot be written: {error.strerror or error}") from error
    if as_json:
        print_json({"kind": str(kind), "file": out})
    else:
        print(out)


def check(files: Annotated[list[Path], typer.Argument(help="Files of cards.")], as_json: Json = False) -> None:
    """Say what is wrong with cards, and what of the things that the paper asks for they do not tell."""
    found: list[tuple[Path, dict[str, Any]]] = []
    problems: list[str] = []
    for file in files:
        try:
            found.append((file, stored_card(card_of(read_source(file)))))
        except FileError as error:
            problems += error.problems
    if as_json:
        print_json({"cards": [_answer(file, card) for file, card in found], "problems": problems})
    else:
        for file, card in found:
            missing = untold(card)
            print(f"ok   {file}: {card['card']} card of {card['name']}{f', {len(missing)} things are not told' if missing else ''}")
            for one in missing:
                print(f"     {', '.join(one.missing)}: {one.asked.item}; {one.asked.why}")
    if problems:
        if not as_json:
            for problem in problems:
                print(f"labd: error: {problem}", file=sys.stderr)
        raise typer.Exit(FileError.exit_code)


def _answer(file: Path, card: Mapping[str, Any]) -> dict[str, Any]:
    missing = [{"keys": one.missing, "item": one.asked.item, "why": one.asked.why} for one in untold(card)]
    return {"file": file, "card": card, "untold": missing}
