"""The TRACe buffer, the FORMat and the buffer statistics of a virtual Keithley 2400.

Pages are of the "2400 Series SourceMeter User's Manual", 2400S-900-01 Rev. K.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from labd_virtual.front_end import Floats
from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import indefinite_block
from labd_virtual.scpi_params import Choice, Integer, Word, keyword_matches, short_form
from labd_virtual.scpi_tree import Call, Reply

NAN = 9.91e37
ELEMENTS = ("VOLTage", "CURRent", "RESistance", "TIME", "STATus")  # always sent in this order (figure 18-1)
SHORT = tuple(short_form(e) for e in ELEMENTS)
CAPACITY = 2500
BYTES = 20  # of a reading, as :TRACe:FREE? counts them here
STORAGE_ACTIVE = (800, "Illegal with storage active")
ASCII_ONLY = (701, "ASCII only with RS-232")
STATISTICS: Mapping[str, Callable[..., Floats]] = MappingProxyType(
    {"MEAN": np.mean, "SDEV": np.std, "MAX": np.max, "MIN": np.min, "PKPK": np.ptp}
)
Declare = Callable[..., None]


def shown(value: float) -> str:
    """How this family prints a number."""
    return f"{value:+.6E}"


@dataclass(slots=True)
class Buffer:
    """The TRACe buffer. It is battery-backed: neither *RST nor :SYSTem:PRESet touches it (p. 18-21). rows: [n, 5], as `ELEMENTS`."""

    trap: str = ""
    points: int = 100
    active: bool = False
    feed: str = "SENS"
    delta: bool = False
    rows: Floats = field(default_factory=lambda: np.zeros((0, 5)))

    def resize(self, points: int) -> None:
        """Raises ScpiError(800) while storage is active."""
        self.guard()
        if self.trap != "old_size":
            self.points = points

    def guard(self) -> None:
        if self.active:
            raise ScpiError(*STORAGE_ACTIVE)

    def feed_from(self, word: str) -> None:
        """Raises ScpiError(800) while storage is active (p. 18-115)."""
        self.guard()
        self.feed = word

    def clear(self) -> None:
        self.rows = np.zeros((0, 5))

    def control(self, word: str) -> None:
        if word == "NEXT" and not self.active:
            self.clear()  # a new store overwrites the old readings (p. 18-114)
        self.active = word == "NEXT"

    def store(self, rows: Floats) -> None:
        """Fill and stop; what comes when it is full goes by."""
        if self.active:
            self.rows = np.concatenate([self.rows, rows])[: self.points]
            self.active = len(self.rows) < self.points

    def stamped(self) -> Floats:
        """Rows with their time since the first, or since the one before."""
        if not len(self.rows):
            raise ScpiError(-230)
        rows = self.rows.copy()
        at = rows[:, 3] - rows[0, 3]
        rows[:, 3] = np.diff(at, prepend=0.0) if self.delta else at
        return rows


class Trace:
    """Declares the commands, and turns rows into what is sent."""

    def __init__(self, trap: str, buffer: Buffer) -> None:
        self._trap, self._buffer = trap, buffer
        self.reset()

    def reset(self) -> None:
        """What *RST touches: the formats, not the buffer."""
        self.format, self.order, self._statistic = "ASC", "NORM", "MEAN"
        self.elements = ("VOLT", "CURR") if self._trap == "elements" else SHORT

    def sent(self, rows: Floats) -> Reply:
        """Raises ScpiError(-230) when there is nothing."""
        if not len(rows):
            raise ScpiError(-230)
        table = rows[:, [SHORT.index(e) for e in self.elements]]
        if self.format == "ASC":
            return ",".join(shown(v) for v in table.ravel())
        return indefinite_block(table.astype("<f4" if self.order == "SWAP" else ">f4").tobytes())

    def declare(self, add: Declare, query: Declare) -> None:
        buffer = self._buffer
        query("TRACe:DATA", lambda _: self.sent(buffer.stamped()))
        add("TRACe:CLEar", lambda _: buffer.clear())
        query("TRACe:FREE", lambda _: f"{(CAPACITY - len(buffer.rows)) * BYTES}, {len(buffer.rows) * BYTES}")
        add("TRACe:POINts", lambda c: buffer.resize(c[0]), Integer(1, CAPACITY, 100))
        query("TRACe:POINts", lambda _: str(buffer.points))
        query("TRACe:POINts:ACTual", lambda _: str(len(buffer.rows)))
        add("TRACe:FEED", lambda c: buffer.feed_from(c[0]), Choice("SENSe|SENSe1|CALCulate|CALCulate1|CALCulate2"))
        query("TRACe:FEED", lambda _: buffer.feed)
        add("TRACe:FEED:CONTrol", lambda c: buffer.control(c[0]), Choice("NEXT|NEVer"))
        query("TRACe:FEED:CONTrol", lambda _: "NEXT" if buffer.active else "NEV")
        add("TRACe:TSTamp:FORMat", lambda c: setattr(buffer, "delta", c[0] == "DELT"), Choice("ABSolute|DELTa"))
        query("TRACe:TSTamp:FORMat", lambda _: "DELT" if buffer.delta else "ABS")
        add("FORMat[:DATA]", self._set_format, Choice("ASCii|REAL|SREal"), Integer(32, 32, optional=True))
        query("FORMat[:DATA]", lambda _: self.format)
        add("FORMat:BORDer", self._set_order, Choice("NORMal|SWAPped"))
        query("FORMat:BORDer", lambda _: self.order)
        add("FORMat:ELEMents[:SENSe[1]]", self._set_elements, Word(), *[Word(optional=True)] * 4)
        query("FORMat:ELEMents[:SENSe[1]]", lambda _: ",".join(self.elements))
        add("FORMat:SREGister", lambda _: None, Choice("ASCii"))
        query("FORMat:SREGister", lambda _: "ASC")
        add("CALCulate<3-3>:FORMat", self._set_statistic, Choice("MEAN|SDEViation|MAXimum|MINimum|PKPK"))
        query("CALCulate<3-3>:FORMat", lambda _: self._statistic)
        query("CALCulate<3-3>:DATA", self._statistics)

    def _set_format(self, call: Call) -> None:
        if call[0] != "ASC" and self._trap == "ascii_only":
            raise ScpiError(*ASCII_ONLY)
        self.format = "ASC" if call[0] == "ASC" else "SRE"

    def _set_order(self, call: Call) -> None:
        """With the ASCII format selected, SWAPped is simply ignored (p. 18-54)."""
        if self.format != "ASC" and self._trap != "byte_order":
            self.order = call[0]

    def _set_elements(self, call: Call) -> None:
        chosen = [next((short_form(e) for e in ELEMENTS if keyword_matches(e, w)), None) for w in call.values if w is not None]
        if None in chosen:
            raise ScpiError(-224)
        if self._trap != "elements":
            self.elements = tuple(e for e in SHORT if e in chosen)

    def _set_statistic(self, call: Call) -> None:
        self._statistic = call[0]

    def _statistics(self, _: Call) -> str:
        """Of voltage, current, resistance and MATH in the buffer (table 9-1). Raises ScpiError(-230) when it is empty."""
        columns = self._buffer.stamped()[:, :3]
        made = STATISTICS[self._statistic](columns, axis=0)
        known = [NAN if np.any(column >= NAN) else float(value) for value, column in zip(made, columns.T, strict=True)]
        return ",".join(shown(value) for value in (*known, NAN))
