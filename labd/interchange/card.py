"""A card of what somebody else's file says, as the text of its TOML file: figures stand in `given`, each with source and provenance."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from labd.interchange.foreign import Foreign, ForeignFigure

LONGEST = 400  # characters of one text: a file is no place to hide one


def card_text(foreign: Foreign) -> str:
    """TOML that `labd.cards` reads as a card of the kind that `foreign` names."""
    head = {"name": foreign.name, "source": foreign.source, "notes": foreign.notes, **foreign.facts}
    lines = ["schema = 1", f"card = {quoted(foreign.card)}"]
    lines += [f"{key} = {quoted(text)}" for key, text in head.items() if text or key == "name"]
    for figure in foreign.figures:
        lines += ["", "[[given]]", *_given(figure)]
    return "\n".join(lines) + "\n"


def _given(figure: ForeignFigure) -> Iterator[str]:
    yield f"id = {quoted(figure.id)}"
    for key in ("value", "least", "most", "u"):
        if (number := getattr(figure, key)) is not None:
            yield f"{key} = {float(number)!r}"
    yield f"unit = {quoted(figure.unit)}"
    for key in ("scope", "model", "precision", "conditions"):
        if text := getattr(figure, key):
            yield f"{key} = {quoted(text)}"
    if figure.batch is not None:
        yield f"batch = {figure.batch}"
    if figure.clock_hz is not None:
        yield f'clock = "{figure.clock_hz!r} Hz"'
    yield f"source = {quoted(figure.source)}"
    yield f'provenance = "{figure.provenance}"'


def quoted(text: str) -> str:
    """A TOML basic string (TOML 1.0, string): JSON's escapes, and DEL, which TOML does not take as it is. One line, cut where too long;
    what is no Unicode is replaced."""
    one_line = re.sub(r"\s+", " ", text.encode("utf-8", "replace").decode("utf-8")).strip()
    cut = one_line if len(one_line) <= LONGEST else f"{one_line[: LONGEST - 3]}..."
    return json.dumps(cut or "-", ensure_ascii=False).replace("\x7f", "\\u007f")
