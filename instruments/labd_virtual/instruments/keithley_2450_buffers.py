"""Reading buffers of a 2450 family instrument: named stores of readings, filled once or in a ring, read without being emptied."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from labd_virtual.front_end import Floats, Instants
from labd_virtual.scpi_errors import ScpiError

STANDARD_MOST, COMPACT_MOST, LEAST = 6_875_000, 27_500_000, 10  # 2461-901-01 p. 6-167
DEFAULT_NAMES = ("defbuffer1", "defbuffer2")
FULL_EVENT = (4915, "Attempting to store past capacity of reading buffer")
_STATUS_DIGITIZER, _STATUS_GROUP = 2, 256  # origin (2: digitizer) and start-of-group bits of a sense reading (2461-901-01 p. 6-11)


@dataclass(frozen=True, slots=True)
class Readings:
    """Rows of a buffer: seconds since the instrument's zero, readings, source values, status bits; all [n]."""

    at_s: Floats
    values: Floats
    source: Floats
    status: Floats

    def __len__(self) -> int:
        return len(self.at_s)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A run of equidistant samples not yet converted; edges [n + 1] come from `edges(first, count)`."""

    first: int
    count: int
    convert: Callable[[int, int], Readings]

    def part(self, skip: int, count: int) -> Stretch:
        return Stretch(self.first + skip, count, self.convert)


def empty() -> Readings:
    none = np.zeros(0)
    return Readings(none, none, none, none)


def joined(parts: list[Readings]) -> Readings:
    if not parts:
        return empty()
    return Readings(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("at_s", "values", "source", "status")))


@dataclass(slots=True)
class Buffer:
    """One reading buffer. once: a full one discards what comes (and says so once, event 4915); else the oldest are overwritten.

    Samples wait as stretches until somebody reads them: a ring that turns for hours costs nothing.
    """

    name: str
    capacity: int
    once: bool
    _done: Readings = field(default_factory=empty)
    _waiting: list[Stretch] = field(default_factory=list)
    _dropped: int = 0
    overflowed: bool = False
    zero_s: float | None = None

    @property
    def stored(self) -> int:
        return len(self._done) + sum(s.count for s in self._waiting)

    @property
    def first_index(self) -> int:
        """:TRACe:ACTual:STARt? - 1 unless a ring has turned."""
        return self._dropped % self.capacity + 1 if self.stored else 0

    @property
    def last_index(self) -> int:
        """:TRACe:ACTual:END?"""
        return (self._dropped + self.stored - 1) % self.capacity + 1 if self.stored else 0

    def clear(self) -> None:
        self._done, self._waiting, self._dropped, self.overflowed, self.zero_s = empty(), [], 0, False, None

    def add(self, stretch: Stretch) -> bool:
        """Store what fits; True when readings were discarded for the first time since the buffer was cleared."""
        if self.once:
            room = self.capacity - self.stored
            lost = stretch.count > room
            if room > 0:
                self._waiting.append(stretch.part(0, min(room, stretch.count)))
            news, self.overflowed = lost and not self.overflowed, self.overflowed or lost
            return news
        self._waiting.append(stretch)
        self._drop(self.stored - self.capacity)
        return False

    def add_readings(self, readings: Readings) -> bool:
        """Store readings that are converted already."""
        return self.add(Stretch(0, len(readings), lambda first, count: _slice(readings, first, first + count)))

    def read(self, start: int, end: int) -> Readings:
        """Rows start..end, counted from 1 by place in the buffer. Raises ScpiError(-222) outside what is stored."""
        if not 1 <= start <= end or end > self.stored:
            raise ScpiError(-222)
        self._convert()
        order = np.arange(self.stored)
        if self._dropped:  # place p of a turned ring holds the reading that was stored there last
            order = (np.arange(self.capacity) - self._dropped) % self.capacity
        picked = order[start - 1 : end]
        done = self._done
        return Readings(done.at_s[picked], done.values[picked], done.source[picked], done.status[picked])

    def origin_s(self) -> float:
        """The time that RELative counts from: the first reading stored since the buffer was cleared."""
        if self.zero_s is None:
            self._convert()
            self.zero_s = float(self._done.at_s[0]) if len(self._done) else 0.0
        return self.zero_s

    def resize(self, capacity: int) -> None:
        self.clear()
        self.capacity = capacity

    def _drop(self, surplus: int) -> None:
        if surplus <= 0:
            return
        if self.zero_s is None:
            self.zero_s = self._first_s()
        self._dropped += surplus
        kept = min(surplus, len(self._done))
        self._done = _slice(self._done, kept, len(self._done))
        surplus -= kept
        while surplus > 0:
            head = self._waiting[0]
            if head.count > surplus:
                self._waiting[0] = head.part(surplus, head.count - surplus)
                return
            surplus -= head.count
            self._waiting.pop(0)

    def _first_s(self) -> float:
        if len(self._done):
            return float(self._done.at_s[0])
        head = self._waiting[0]
        return float(head.convert(head.first, 1).at_s[0])

    def _convert(self) -> None:
        if self._waiting:
            self._done = joined([self._done, *(s.convert(s.first, s.count) for s in self._waiting)])
            self._waiting = []


def _slice(readings: Readings, start: int, end: int) -> Readings:
    return Readings(readings.at_s[start:end], readings.values[start:end], readings.source[start:end], readings.status[start:end])


def status_bits(count: int, *, digitized: bool) -> Floats:
    """Status column of a group of `count` readings."""
    bits = np.full(count, float(_STATUS_DIGITIZER if digitized else 0))
    if count:
        bits[0] += _STATUS_GROUP
    return bits


@dataclass(slots=True)
class Buffers:
    """All buffers of the instrument. short: those that are made hold a part of what they were asked to hold."""

    by_name: dict[str, Buffer] = field(default_factory=dict)
    short: bool = False

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """*RST deletes user buffers."""
        self.by_name = {name: Buffer(name, 100_000, once=False) for name in DEFAULT_NAMES}

    def named(self, name: str | None) -> Buffer:
        """Raises ScpiError(-224) for a buffer that does not exist."""
        found = self.by_name.get(name or DEFAULT_NAMES[0])
        if found is None:
            raise ScpiError(-224)
        return found

    def make(self, name: str, size: int, style: str) -> None:
        """Raises ScpiError(-221) when the name is taken, -225 when memory is."""
        if name in self.by_name:
            raise ScpiError(-221)
        most = COMPACT_MOST if style == "COMP" else STANDARD_MOST
        if size + sum(b.capacity for b in self.by_name.values()) > most:
            raise ScpiError(-225, "Out of memory")
        self.by_name[name] = Buffer(name, max(1, size // 100) if self.short else size, once=True)

    def delete(self, name: str) -> None:
        if name in DEFAULT_NAMES:
            raise ScpiError(-221)
        self.named(name)
        del self.by_name[name]


Span = tuple[Instants, Instants]
