"""The family's TRACe and FORMat commands: making, filling and reading buffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import numpy as np

from labd_virtual.front_end import Floats
from labd_virtual.instruments.keithley_2450_buffers import DEFAULT_NAMES, LEAST, Buffer, Buffers, Readings
from labd_virtual.instruments.keithley_2450_events import BUFFER_EMPTY, EPOCH, Events
from labd_virtual.instruments.keithley_2450_meter import Meter
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import indefinite_block
from labd_virtual.scpi_params import Choice, Integer, Text, Word, keyword_matches
from labd_virtual.scpi_tree import Call, CommandTree

ELEMENTS = (
    "DATE", "FORMatted", "FRACtional", "READing", "RELative", "SEConds", "SOURce", "SOURFORMatted", "SOURSTATus", "SOURUNIT",
    "STATus", "TIME", "TSTamp", "UNIT", "EXTRa",
)  # fmt: skip
STATISTICS: Mapping[str, Callable[[Floats], Any]] = {
    "AVERage": np.mean, "MAXimum": np.max, "MINimum": np.min, "PK2Pk": np.ptp, "STDDev": partial(np.std, ddof=1),
}  # fmt: skip
BINARY_ELEMENTS = ("READing", "RELative", "SOURce", "EXTRa")
# 2461-901-01 p. 6-160.
_BAD_ELEMENT = (1133, "Parameter 4, Syntax error, expected valid name parameters")


class Trace:
    """Declares the commands; `latest` serves READ?, FETCh? and MEASure?."""

    def __init__(self, tree: CommandTree, buffers: Buffers, meter: Meter, events: Events) -> None:
        self._buffers, self._meter, self._events = buffers, meter, events
        self.reset()
        name, optional_name = Text(), Text(optional=True)
        words = [Word(optional=True)] * 14
        tree.add("TRACe:MAKE", self._make, name, Integer(LEAST, 27_500_000), Choice("STANdard|COMPact|FULL", optional=True))
        tree.add("TRACe:DELete", lambda c: buffers.delete(c[0]), name)
        tree.add("TRACe:CLEar", self._clear, optional_name)
        tree.add("TRACe:POINts", lambda c: buffers.named(c[1]).resize(c[0]), Integer(LEAST, 27_500_000), optional_name)
        tree.query("TRACe:POINts", lambda c: str(buffers.named(c[0]).capacity), optional_name)
        tree.add("TRACe:FILL:MODE", self._fill, Choice("ONCE|CONTinuous"), optional_name)
        tree.query("TRACe:FILL:MODE", lambda c: "ONCE" if buffers.named(c[0]).once else "CONT", optional_name)
        tree.query("TRACe:ACTual", lambda c: str(buffers.named(c[0]).stored), optional_name)
        tree.query("TRACe:ACTual:STARt", lambda c: str(buffers.named(c[0]).first_index), optional_name)
        tree.query("TRACe:ACTual:END", lambda c: str(buffers.named(c[0]).last_index), optional_name)
        tree.query("TRACe:DATA", self._data, Integer(1), Integer(1), optional_name, *words)
        for word, statistic in STATISTICS.items():
            tree.query(f"TRACe:STATistics:{word}", partial(self._statistic, statistic), optional_name)
        tree.add("FORMat[:DATA]", lambda c: setattr(self, "_format", c[0]), Choice("ASCii|REAL|SREal"))
        tree.query("FORMat[:DATA]", lambda _: self._format)
        tree.add("FORMat:BORDer", lambda c: setattr(self, "_order", c[0]), Choice("NORMal|SWAPped"))
        tree.query("FORMat:BORDer", lambda _: self._order)
        tree.add("FORMat:ASCii:PRECision", lambda c: setattr(self, "_precision", c[0]), Integer(0, 16))
        tree.query("FORMat:ASCii:PRECision", lambda _: str(self._precision))

    def reset(self) -> None:
        self._format, self._order, self._precision = "ASC", "SWAP", 0

    def latest(self, call: Call) -> str:
        """The newest reading of a buffer, always ASCII. Raises ScpiError(-230) when it is empty."""
        buffer = self._buffers.named(call[0])
        if not buffer.stored:
            raise ScpiError(-230)
        place = buffer.last_index
        return self._ascii(buffer, buffer.read(place, place), _elements(call.values[1:], ELEMENTS))

    def _statistic(self, statistic: Callable[[Floats], Any], call: Call) -> str:
        """Of all readings in a buffer. Raises ScpiError(-230) when there are fewer than it needs."""
        buffer = self._buffers.named(call[0])
        least = 2 if statistic is STATISTICS["STDDev"] else 1
        if buffer.stored < least:
            raise ScpiError(-230)
        return f"{float(statistic(buffer.read(1, buffer.stored).values)):.6E}"

    def _make(self, call: Call) -> None:
        self._buffers.make(call[0], call[1], call[2] or "STAN")

    def _clear(self, call: Call) -> None:
        self._buffers.named(call[0]).clear()
        self._events.note(BUFFER_EMPTY)

    def _fill(self, call: Call) -> None:
        """Changing the fill mode clears the buffer."""
        buffer = self._buffers.named(call[1])
        buffer.once = call[0] == "ONCE"
        buffer.clear()

    def _data(self, call: Call) -> str | bytes:
        binary = self._format != "ASC"
        elements = _elements(call.values[3:], BINARY_ELEMENTS if binary else ELEMENTS)
        buffer = self._buffers.named(call[2] or DEFAULT_NAMES[0])
        rows = buffer.read(call[0], call[1])
        if not binary:
            return self._ascii(buffer, rows, elements)
        table = np.column_stack([_numeric(element, buffer, rows) for element in elements])
        kind = ("<" if self._order == "SWAP" else ">") + ("f4" if self._format == "SRE" else "f8")
        return indefinite_block(table.astype(kind).tobytes())

    def _ascii(self, buffer: Buffer, rows: Readings, elements: tuple[str, ...]) -> str:
        digits = self._precision - 1 if self._precision else 6
        columns = [self._text(element, buffer, rows, digits) for element in elements]
        return ",".join(cell for row in zip(*columns, strict=True) for cell in row)

    def _text(self, element: str, buffer: Buffer, rows: Readings, digits: int) -> list[str]:
        unit = {"CURR": "Amp DC", "VOLT": "Volt DC"}[self._meter.function]
        if element == "UNIT":
            return [unit] * len(rows)
        if element == "SOURUNIT":
            return ["Volt DC"] * len(rows)
        if element in ("STATus", "SOURSTATus"):
            return [str(int(v)) for v in (rows.status if element == "STATus" else np.zeros(len(rows)))]
        if element in ("DATE", "TIME", "TSTamp"):
            form = {"DATE": "%m/%d/%Y", "TIME": "%H:%M:%S", "TSTamp": "%m/%d/%Y %H:%M:%S.%f"}[element]
            return [(EPOCH + timedelta(seconds=float(t))).strftime(form) for t in rows.at_s]
        if element == "SEConds":
            return [str(int(EPOCH.timestamp() + t)) for t in rows.at_s]
        return [f"{v:.{digits}E}" for v in _numeric(element, buffer, rows)]


def _elements(words: tuple[str | None, ...], legal: tuple[str, ...]) -> tuple[str, ...]:
    chosen = []
    for word in words:
        if word is None:
            continue
        found = next((e for e in legal if keyword_matches(e, word)), None)
        if found is None:
            raise ScpiError(*_BAD_ELEMENT)
        chosen.append(found)
    return tuple(chosen) or ("READing",)


def _numeric(element: str, buffer: Buffer, rows: Readings) -> Floats:
    if element == "RELative":
        return rows.at_s - buffer.origin_s()
    if element in ("SOURce", "SOURFORMatted"):
        return rows.source
    if element == "FRACtional":
        return rows.at_s % 1.0
    if element == "EXTRa":
        return np.zeros(len(rows))
    return rows.values
