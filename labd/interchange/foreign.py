"""What somebody else's file says: figures with source and provenance, and how such a file is refused."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from labd.errors import FileError
from labd.records import Provenance

MOST_BYTES = 256 << 20  # of one file: half an hour of 32-bit samples at 20 kHz and more
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class ForeignFigure:
    """One figure in SI. id: a KPI's. unit: UCUM code. u: standard uncertainty; least, most: 95 % interval where a value is given, else
    limits; None where nobody gives them. model: the net that it was taken with. provenance: `declared` by whoever published it,
    `estimated` by a simulator, `computed` by labd from somebody else's samples."""

    id: str
    value: float | None
    unit: str
    source: str
    provenance: Provenance = Provenance.DECLARED
    u: float | None = None
    least: float | None = None
    most: float | None = None
    scope: str = ""
    model: str = ""
    batch: int | None = None
    clock_hz: float | None = None
    precision: str = ""
    conditions: str = ""


@dataclass(frozen=True, slots=True)
class Foreign:
    """One device (or net) of another tool, to become a card. card: its kind, `hardware` or `model`. facts: keys of the card, text."""

    name: str
    figures: tuple[ForeignFigure, ...]
    card: str = "hardware"
    source: str = ""
    notes: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Added:
    """What a person adds to files that do not tell it. clock_hz: of a simulated design, whose files tell cycles. inferences: of each
    window of a trace. meter_limit: limit of error of the meter that took a trace, as a share of its reading."""

    name: str = ""
    model: str = ""
    clock_hz: float | None = None
    inferences: int | None = None
    meter_limit: float | None = None


def text_of(file: str, data: bytes) -> str:
    """Raises FileError for what is no UTF-8 text."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise FileError(file, f"line {line}", f"expected UTF-8 text, got byte 0x{data[error.start]:02x}") from error


def number(text: object, *, file: str, key: str, least: float | None = 0.0, what: str = "a number") -> float:
    """A finite decimal number, not below `least`. Raises FileError that names file, key, value and what would be right."""
    bound = "" if least is None else f" from {least:g} on"
    if isinstance(text, str):
        value = float(text) if _NUMBER.fullmatch(text.strip()) else math.nan
    else:
        value = float(text) if isinstance(text, int | float) and not isinstance(text, bool) and abs(text) < 1e300 else math.nan
    if not math.isfinite(value) or (least is not None and value < least):
        raise FileError(file, key, f"expected {what}{bound}, got {short(text)}")
    return value


def count(text: object, *, file: str, key: str, what: str = "a whole number") -> int:
    """From 1 on. Raises FileError."""
    value = number(text, file=file, key=key, least=1.0, what=what)
    if value != int(value) or value > 1e15:
        raise FileError(file, key, f"expected {what} from 1 on, got {short(text)}")
    return int(value)


def short(value: object) -> str:
    """A value as an error shows it: in quotes, cut."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
