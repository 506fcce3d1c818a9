"""Readings of a B2900A: their six elements, the formats they are sent in, and the trace buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import definite_block

ELEMENTS = ("VOLT", "CURR", "RES", "TIME", "STAT", "SOUR")  # always in this order (B2900 SCPI Command Reference)
LARGEST = 100_000
NOTHING = 9.91e37
INFINITE = 9.9e37
Table = NDArray[np.float64]  # [readings, 6]


def empty() -> Table:
    return np.zeros((0, len(ELEMENTS)))


@dataclass(slots=True)
class Format:
    """FORMat: the data's own (ASC, REAL,32 or REAL,64), the byte order, the elements of :FETCh?, :READ?, :MEASure? and :TRACe:DATA?."""

    data: str = "ASC"
    border: str = "NORM"
    elements: tuple[str, ...] = ELEMENTS

    def sent(self, table: Table, elements: Sequence[str] | None = None) -> str | bytes:
        """Rows one after the other; nothing at all is one "not a number" (p. 4-17 of the reference)."""
        chosen = [ELEMENTS.index(e) for e in ELEMENTS if e in (self.elements if elements is None else elements)]
        values = table[:, chosen].ravel() if len(table) else np.full(len(chosen), np.nan)
        if self.data == "ASC":
            return ",".join(_text(v) for v in values)
        order = ">" if self.border == "NORM" else "<"
        return definite_block(values.astype(f"{order}f{'4' if self.data == 'REAL,32' else '8'}").tobytes())


def _text(value: float) -> str:
    if np.isnan(value):
        value = NOTHING
    elif np.isinf(value):
        value = np.copysign(INFINITE, value)
    return f"{value:+.6E}"


@dataclass(slots=True)
class Trace:
    """The trace buffer. Filling up ends the feeding without an error (p. 4-147)."""

    size: int = LARGEST
    feed: str = "SENS"
    control: str = "NEV"
    stamps: str = "ABS"
    table: Table = field(default_factory=empty)

    def add(self, rows: Table) -> None:
        if self.control != "NEXT":
            return
        self.table = np.concatenate([self.table, rows[: self.size - len(self.table)]])
        if len(self.table) >= self.size:
            self.control = "NEV"

    def require_idle(self) -> None:
        """Raises ScpiError(-221) where CLEar, FEED and POINts have no effect: the manual says "can be used" for NEVer only."""
        if self.control != "NEV":
            raise ScpiError(-221)

    def read(self, offset: int, size: int | None) -> Table:
        """From `offset` on, time stamps from the first reading (ABS) or from the one before (DELT)."""
        table = self.table.copy()
        at = ELEMENTS.index("TIME")
        if len(table):
            since = table[:, at] - table[0, at]
            table[:, at] = np.diff(since, prepend=0.0) if self.stamps == "DELT" else since
        return table[offset : None if size is None else offset + size]
