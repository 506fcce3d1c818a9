"""A card as a run stores it, with the figures of the model file that it names."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from labd.cards.kinds import AnyCard, ModelCard
from labd.cards.read import stored
from labd.config.problems import file_error
from labd.config.section import Wrong
from labd.errors import NotFound
from labd.models.graph import ModelFigure
from labd.models.read import check_typed, model_figures

OF_FILE = {  # keys of a model card that a file tells: under which id
    "parameters": "model.parameters",
    "macs": "model.macs",
    "neurons": "model.neurons",
    "weight_sparsity": "model.weight_sparsity",
    "largest_activation": "model.max_activation",
}
IN_WORDS = {"structure": "model.layers", "weight_bits": "model.weight_bits", "activation_bits": "model.activation_bits"}
WHOLE = ("parameters", "macs", "neurons", "largest_activation")


def stored_card(card: AnyCard) -> dict[str, Any]:
    """JSON data. Of a model card that names a file, what it leaves out is told by the file, and `of_file` has all that the file tells.

    Raises FileError: no such file, one that cannot be read, or a figure on the card that is another than the file's.
    """
    found = stored(card)
    if not isinstance(card, ModelCard) or not card.file:
        return found
    path = _place(card)
    try:
        figures = model_figures(path)
    except NotFound as error:
        raise file_error(str(card.path), [Wrong("file", str(error))]) from error
    own = {kpi.removeprefix("model."): key for key, kpi in OF_FILE.items()}
    named = [replace(one, id=f"model.{own.get(one.id.removeprefix('model.'), one.id.removeprefix('model.'))}") for one in figures]
    typed = {key: float(value) for key in OF_FILE if (value := getattr(card, key)) is not None}
    check_typed(str(card.path), typed, named, file=str(path))
    told = _told(card, {one.id: one for one in figures})
    listed = [{"id": one.id, "value": one.value, "unit": one.unit, "definition": one.definition} for one in figures]
    of_file = {
        "file": path.name,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "keys": sorted({*told, *typed}),
        "figures": listed,
    }
    return {**found, **told, "of_file": of_file}


def _told(card: ModelCard, figures: dict[str, ModelFigure]) -> dict[str, Any]:
    """What the card leaves out and the file tells, as a card stores it."""
    found: dict[str, Any] = {}
    for key, kpi in OF_FILE.items():
        one = figures.get(kpi)
        if getattr(card, key) is None and one is not None and one.value is not None:
            found[key] = round(one.value) if key in WHOLE else {"value": one.value, "unit": one.unit}
    for key, kpi in IN_WORDS.items():
        one = figures.get(kpi)
        if not getattr(card, key) and one is not None and one.definition:
            found[key] = one.definition.rpartition(": ")[2]
    return found


def _place(card: ModelCard) -> Path:
    """Beside the card; that of a card which was sent as text has no place but an absolute one."""
    path = Path(card.file)
    if path.is_absolute():
        return path
    if not card.path.is_file():
        text = f"a card that was sent to a daemon names its model file by an absolute path, got {card.file!r}"
        raise file_error(str(card.path), [Wrong("file", text)])
    return card.path.parent / path


def with_absolute_file(text: str, card: Path) -> str:
    """The text of a card with the place of its model file written out, as it can be sent. Text that is no card is left as it is."""
    try:
        file = tomllib.loads(text).get("file")
    except ValueError:
        return text
    if not isinstance(file, str) or not file or Path(file).is_absolute():
        return text
    place = json.dumps(str((card.parent / file).resolve()), ensure_ascii=False)
    return re.sub(rf"(?m)^(\s*file\s*=\s*)(['\"]){re.escape(file)}\2", lambda m: m[1] + place, text, count=1)
