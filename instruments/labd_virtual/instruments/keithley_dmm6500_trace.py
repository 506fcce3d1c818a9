"""The DMM6500's TRACe and FORMat commands, and how readings are written out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np

from labd_virtual.front_end import Floats
from labd_virtual.instruments.keithley_dmm6500_buffers import DEFAULT_NAMES, LEAST, MOST_TOGETHER, Buffer, Buffers, Readings
from labd_virtual.instruments.keithley_dmm6500_events import BUFFER_EMPTY, EPOCH, Events
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import indefinite_block
from labd_virtual.scpi_params import Choice, Integer, Text, Word, keyword_matches
from labd_virtual.scpi_tree import Call, CommandTree

ELEMENTS = ("DATE", "EXTRa", "FORMatted", "FRACtional", "READing", "RELative", "SEConds", "STATus", "TIME", "TSTamp", "UNIT")
BINARY_ELEMENTS = ("READing", "RELative", "EXTRa")  # p. 13-183
_BAD_ELEMENT = (1133, "Parameter 4, Syntax error, expected valid name parameters")
_STATISTICS: dict[str, Callable[[Floats], float]] = {
    "AVERage": lambda v: float(np.mean(v)),
    "MINimum": lambda v: float(np.min(v)),
    "MAXimum": lambda v: float(np.max(v)),
    "PK2Pk": lambda v: float(np.ptp(v)),
    "STDDev": lambda v: float(np.std(v, ddof=1)) if len(v) > 1 else 0.0,
}
WORDS = [Word(optional=True)] * 14


class Trace:
    """unit: of the active function. trap: `once`, `discards`, `cut_block` or `byte_order`."""

    def __init__(self, tree: CommandTree, buffers: Buffers, events: Events, *, unit: Callable[[], str], trap: str) -> None:
        self._buffers, self._events, self._unit, self._trap = buffers, events, unit, trap
        self.reset()
        self._declare(tree)

    def reset(self) -> None:
        self._format, self._order, self._precision = "ASC", "SWAP", 0

    def _declare(self, tree: CommandTree) -> None:
        buffers, name, of = self._buffers, Text(optional=True), self._buffers.named
        size = Integer(LEAST, MOST_TOGETHER)
        styles = Choice("STANdard|COMPact|FULL|WRITable|FULLWRitable", optional=True)
        tree.add("TRACe:MAKE", lambda c: buffers.make(c[0], c[1]), Text(), size, styles)
        tree.add("TRACe:DELete", lambda c: buffers.delete(c[0]), Text())
        tree.add("TRACe:CLEar", self._clear, name)
        tree.add("TRACe:POINts", lambda c: buffers.resize(c[1], c[0]), size, name)
        tree.query("TRACe:POINts", lambda c: str(of(c[0]).capacity), name)
        tree.add("TRACe:FILL:MODE", self._fill, Choice("CONTinuous|ONCE"), name)
        tree.query("TRACe:FILL:MODE", lambda c: "ONCE" if of(c[0]).once else "CONT", name)
        tree.query("TRACe:ACTual", lambda c: str(of(c[0]).stored), name)
        tree.query("TRACe:ACTual:STARt", lambda c: str(of(c[0]).first_place), name)
        tree.query("TRACe:ACTual:END", lambda c: str(self._last_place(of(c[0]))), name)
        tree.query("TRACe:DATA", self._data, Integer(1), Integer(1), name, *WORDS)
        for keyword, of_values in _STATISTICS.items():
            tree.query(f"TRACe:STATistics:{keyword}", lambda c, f=of_values: self._statistic(c, f), name)  # type: ignore[misc]
        tree.add("FORMat[:DATA]", lambda c: setattr(self, "_format", c[0]), Choice("ASCii|REAL|SREal"))
        tree.query("FORMat[:DATA]", lambda _: self._format)
        tree.add("FORMat:BORDer", self._set_order, Choice("NORMal|SWAPped"))
        tree.query("FORMat:BORDer", lambda _: self._order)
        tree.add("FORMat:ASCii:PRECision", lambda c: setattr(self, "_precision", c[0]), Integer(0, 16))
        tree.query("FORMat:ASCii:PRECision", lambda _: str(self._precision))

    def latest(self, call: Call) -> str | bytes:
        """The newest reading of a buffer, as READ?, FETCh? and MEASure? give it. Raises ScpiError(-230) when it is empty."""
        buffer = self._buffers.named(call[0])
        if not buffer.stored:
            raise ScpiError(-230)
        place = buffer.last_place
        return self._written(buffer, buffer.read(place, place), call.values[1:])

    def _last_place(self, buffer: Buffer) -> int:
        return buffer.last_place - 3 if self._trap == "discards" and buffer.stored > 3 else buffer.last_place

    def _set_order(self, call: Call) -> None:
        self._order = "NORM" if self._trap == "byte_order" else call[0]

    def _clear(self, call: Call) -> None:
        self._buffers.named(call[0]).clear()
        self._events.note(BUFFER_EMPTY)

    def _fill(self, call: Call) -> None:
        """Clears the buffer (p. 13-186)."""
        buffer = self._buffers.named(call[1])
        buffer.once = call[0] == "ONCE" or self._trap == "once"
        buffer.clear()

    def _statistic(self, call: Call, of_values: Callable[[Floats], float]) -> str:
        buffer = self._buffers.named(call[0])
        return f"{of_values(buffer.read(1, buffer.stored).values) if buffer.stored else 0.0:.6E}"

    def _data(self, call: Call) -> str | bytes:
        buffer = self._buffers.named(call[2] or DEFAULT_NAMES[0])
        return self._written(buffer, buffer.read(call[0], call[1]), call.values[3:])

    def _written(self, buffer: Buffer, rows: Readings, words: tuple[str | None, ...]) -> str | bytes:
        binary = self._format != "ASC"
        elements = _elements(words, BINARY_ELEMENTS if binary else ELEMENTS)
        if not binary:
            columns = [self._text(element, buffer, rows) for element in elements]
            return ",".join(cell for row in zip(*columns, strict=True) for cell in row)
        table = np.column_stack([_numeric(element, buffer, rows) for element in elements])
        kind = ("<" if self._order == "SWAP" else ">") + ("f4" if self._format == "SRE" else "f8")
        data = table.astype(kind).tobytes()
        return indefinite_block(data[: len(data) // 2] if self._trap == "cut_block" else data)

    def _text(self, element: str, buffer: Buffer, rows: Readings) -> list[str]:
        if element == "UNIT":
            return [self._unit()] * len(rows)
        if element == "STATus":
            return [str(int(v)) for v in rows.status]
        if element in ("DATE", "TIME", "TSTamp"):
            form = {"DATE": "%m/%d/%Y", "TIME": "%H:%M:%S", "TSTamp": "%m/%d/%Y %H:%M:%S.%f"}[element]
            return [(EPOCH + timedelta(seconds=float(t))).strftime(form) for t in rows.at_s]
        if element == "SEConds":
            return [str(int(EPOCH.timestamp() + t)) for t in rows.at_s]
        digits = self._precision - 1 if self._precision else 9 if element in ("RELative", "FRACtional") else 6
        return [f"{v:.{digits}E}" for v in _numeric(element, buffer, rows)]


def _elements(words: tuple[str | None, ...], legal: tuple[str, ...]) -> tuple[str, ...]:
    chosen = []
    for word in words:
        if word is None:
            continue
        found = next((element for element in legal if keyword_matches(element, word)), None)
        if found is None:
            raise ScpiError(*_BAD_ELEMENT)
        chosen.append(found)
    return tuple(chosen) or ("READing",)


def _numeric(element: str, buffer: Buffer, rows: Readings) -> Floats:
    if element == "RELative":
        return rows.at_s - buffer.origin_s
    if element == "FRACtional":
        return rows.at_s % 1.0
    return np.zeros(len(rows)) if element == "EXTRa" else rows.values
