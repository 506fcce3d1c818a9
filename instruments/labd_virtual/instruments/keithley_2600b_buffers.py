"""Reading buffers of a virtual 2600B: rows of readings, and runs of readings under way that fill them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from labd_virtual.front_end import Floats, Instants
from labd_virtual.instruments.keithley_2600b_lua import Thing, TspError, Value
from labd_virtual.instruments.keithley_2600b_things import Attributes

NO_READING = 9.91e37  # 2600BS-901-01 Rev. C p. 7-167, Rev. F p. 9-231
CAPACITY = 60_000  # with timestamps, SPEC-2602B Rev. B p. 11
_SUBTABLES = ("readings", "timestamps", "statuses")


@dataclass(frozen=True, slots=True)
class Rows:
    """Readings, their starts in board time, their status bits; all [n]."""

    values: Floats
    starts_ns: Instants
    statuses: Floats

    def __len__(self) -> int:
        return len(self.values)


def no_rows() -> Rows:
    return Rows(np.zeros(0), np.zeros(0, np.int64), np.zeros(0))


def joined(first: Rows, second: Rows) -> Rows:
    return Rows(
        np.concatenate([first.values, second.values]),
        np.concatenate([first.starts_ns, second.starts_ns]),
        np.concatenate([first.statuses, second.statuses]),
    )


@dataclass(slots=True)
class Run:
    """Readings under way. starts_ns: of all that are due. convert: columns of readings first..last by kind (`i`, `v`).

    count: how many of them will ever come, which an abort makes fewer.
    """

    starts_ns: Instants
    aperture_ns: int
    convert: Callable[[int, int], dict[str, Rows]]
    buffers: dict[str, Buffer]
    count: int
    done: int = 0

    @property
    def end_ns(self) -> int:
        return int(self.starts_ns[self.count - 1]) + self.aperture_ns if self.count else int(self.starts_ns[0])

    def ended(self, now_ns: int) -> bool:
        return now_ns >= self.end_ns

    def ready(self, now_ns: int) -> int:
        return min(self.count, int(np.searchsorted(self.starts_ns + self.aperture_ns, now_ns, side="right")))

    def advance(self, now_ns: int) -> None:
        """Put what has come into the buffers."""
        ready = self.ready(now_ns)
        if ready > self.done:
            columns = self.convert(self.done, ready)
            for kind, buffer in self.buffers.items():
                buffer.add(columns[kind])
            self.done = ready

    def stop(self, now_ns: int) -> None:
        self.count = self.ready(now_ns)


class Buffer(Attributes):
    """`smuX.nvbufferY`. Settings change only while it is empty (Rev. F p. 9-23: error 5032); a full one takes no more."""

    def __init__(self, name: str, before: Callable[[], None]) -> None:
        super().__init__(name)
        self._before = before
        self._rows = no_rows()
        self.pending = 0
        self.appends, self.stamped, self.sourced = False, True, False
        for setting, field in (("appendmode", "appends"), ("collecttimestamps", "stamped"), ("collectsourcevalues", "sourced")):
            self.choice(setting, *self._setting(field), values=(0, 1))
        self.shown("n", lambda: float(len(self.rows)))
        self.shown("capacity", lambda: float(CAPACITY))
        self.action("clear", self.clear)
        for sub in _SUBTABLES:
            self.constant(sub, Subtable(self, sub))

    def _setting(self, field: str) -> tuple[Callable[[], float], Callable[[int], None]]:
        def write(value: int) -> None:
            if len(self.rows):
                raise TspError(5032, "Cannot change this setting unless buffer is cleared")
            setattr(self, field, bool(value))

        return (lambda: float(getattr(self, field))), write

    @property
    def rows(self) -> Rows:
        self._before()
        return self._rows

    def clear(self) -> None:
        self._before()
        self._rows = no_rows()

    def begin(self) -> None:
        """Rev. B p. 7-209: cleared before readings unless it appends."""
        if not self.appends:
            self.clear()

    def add(self, rows: Rows) -> None:
        room = CAPACITY - len(self._rows)
        self._rows = joined(self._rows, Rows(rows.values[:room], rows.starts_ns[:room], rows.statuses[:room]))

    def read(self, key: Value) -> Value:
        if isinstance(key, float):
            return Subtable(self, "readings").read(key)
        return super().read(key)

    def column(self, sub: str) -> Floats:
        rows = self.rows
        if sub == "readings":
            return rows.values
        if sub == "statuses":
            return rows.statuses
        if not self.stamped or not len(rows):
            return np.zeros(0)
        stamps: Floats = np.round((rows.starts_ns - rows.starts_ns[0]) * 1e-9, 6)  # whole microseconds: SPEC-2602B Rev. B p. 11
        return stamps


class Subtable(Thing):
    """`buffer.readings` and the like, by number."""

    def __init__(self, buffer: Buffer, sub: str) -> None:
        self.buffer, self.sub = buffer, sub

    def read(self, key: Value) -> Value:
        column = self.buffer.column(self.sub)
        if isinstance(key, float) and 1 <= key <= len(column):
            return float(column[int(key) - 1])
        return None

    def write(self, key: Value, value: Value) -> None:
        raise TspError(-286, f"TSP Runtime error at line 1: cannot set reading {key} to {value}")
