"""Reading buffers of a DMM6500: rings or fill-once stores whose readings are worked out when somebody reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from labd_virtual.front_end import Floats
from labd_virtual.scpi_errors import ScpiError

DEFAULT_NAMES = ("defbuffer1", "defbuffer2")
DEFAULT_CAPACITY, LEAST = 100_000, 10  # DMM6500-901-01 p. 7-7; 4920 "capacity must be between 10 and ..."
MOST_TOGETHER = 7_080_255  # what a DMM6500 of firmware 1.7.17a says itself, of all buffers together
STATUS_DIGITIZER, STATUS_FRONT, STATUS_GROUP = 4, 8, 256  # origin 2 in bits 1 and 2 is the digitizer (p. 13-184)


@dataclass(frozen=True, slots=True)
class Readings:
    """Rows: seconds since the instrument's zero, values, status bits; all [n]."""

    at_s: Floats
    values: Floats
    status: Floats

    def __len__(self) -> int:
        return len(self.at_s)

    def picked(self, rows: slice | np.ndarray) -> Readings:
        return Readings(self.at_s[rows], self.values[rows], self.status[rows])


class Run(Protocol):
    """Equidistant readings, numbered from 0."""

    def at_s(self, number: int) -> float: ...

    def convert(self, first: int, count: int) -> Readings: ...


@dataclass(slots=True)
class Span:
    """Readings first .. first + count - 1 of a run; worked out once, so that a second look sees the same noise."""

    run: Run
    first: int
    count: int
    _rows: Readings | None = None

    def continues(self, run: Run, first: int) -> bool:
        return self._rows is None and self.run is run and self.first + self.count == first

    def shortened(self, surplus: int) -> None:
        self.first += surplus
        self.count -= surplus
        if self._rows is not None:
            self._rows = self._rows.picked(slice(surplus, None))

    def rows(self) -> Readings:
        if self._rows is None:
            self._rows = self.run.convert(self.first, self.count)
        return self._rows


@dataclass(slots=True)
class Buffer:
    """A place for `capacity` readings. once: a full one discards what comes; else the oldest readings are overwritten.

    discarding: called when the first reading of a run is discarded.
    """

    name: str
    capacity: int = DEFAULT_CAPACITY
    once: bool = False
    discarding: Callable[[], None] = lambda: None
    written: int = 0
    origin_s: float = 0.0
    _spans: deque[Span] = field(default_factory=deque)
    _held: int = 0
    _refused: Run | None = None

    @property
    def stored(self) -> int:
        """:TRACe:ACTual? - it stays at the capacity when the ring has turned."""
        return min(self.written, self.capacity)

    @property
    def first_place(self) -> int:
        turned = self.written > self.capacity
        return self.written % self.capacity + 1 if turned else min(self.written, 1)

    @property
    def last_place(self) -> int:
        return (self.written - 1) % self.capacity + 1 if self.written else 0

    def clear(self) -> None:
        self._spans, self._held, self.written, self.origin_s, self._refused = deque(), 0, 0, 0.0, None

    def resize(self, capacity: int) -> None:
        self.clear()
        self.capacity = capacity

    def add(self, run: Run, first: int, count: int) -> None:
        if self.once and count > self.capacity - self.written:
            count = self.capacity - self.written
            if self._refused is not run:
                self._refused = run
                self.discarding()
        if count <= 0:
            return
        if not self.written:
            self.origin_s = run.at_s(first)
        self._append(run, first, count)
        self.written += count

    def _append(self, run: Run, first: int, count: int) -> None:
        if self._spans and self._spans[-1].continues(run, first):
            self._spans[-1].count += count
        else:
            self._spans.append(Span(run, first, count))
        self._held += count
        while self._held > self.capacity:
            drop = min(self._held - self.capacity, self._spans[0].count)
            self._spans[0].shortened(drop)
            self._held -= drop
            if not self._spans[0].count:
                self._spans.popleft()

    def read(self, start: int, end: int) -> Readings:
        """Readings at the places start .. end, counted from 1. Raises ScpiError(-222) outside what is stored."""
        if not 1 <= start <= end <= self.stored:
            raise ScpiError(-222)
        wanted = (np.arange(start - 1, end) - (self.first_place - 1)) % self.stored  # 0 is the oldest
        oldest, newest = int(wanted.min()), int(wanted.max())
        parts, before, skipped = [], 0, 0
        for span in self._spans:
            if before + span.count <= oldest:
                skipped += span.count
            elif before <= newest:
                parts.append(span.rows())
            before += span.count
        joined = Readings(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("at_s", "values", "status")))
        return joined.picked(wanted - skipped)


class Buffers:
    """All buffers of one instrument."""

    def __init__(self, discarding: Callable[[], None]) -> None:
        self._discarding = discarding
        self.reset()

    def reset(self) -> None:
        self.by_name = {name: Buffer(name, discarding=self._discarding) for name in DEFAULT_NAMES}

    def named(self, name: str | None) -> Buffer:
        """Raises ScpiError(-224) for one that does not exist."""
        found = self.by_name.get(name or DEFAULT_NAMES[0])
        if found is None:
            raise ScpiError(-224)
        return found

    def make(self, name: str, size: int) -> None:
        """A new one fills once (p. 13-188)."""
        if name in self.by_name:
            raise ScpiError(-221)
        self._fits(size)
        self.by_name[name] = Buffer(name, size, once=True, discarding=self._discarding)

    def resize(self, name: str | None, size: int) -> None:
        buffer = self.named(name)
        self._fits(size - buffer.capacity)
        buffer.resize(size)

    def delete(self, name: str) -> None:
        if name in DEFAULT_NAMES:
            raise ScpiError(-221)
        self.named(name)
        del self.by_name[name]

    def _fits(self, more: int) -> None:
        left = MOST_TOGETHER - sum(buffer.capacity for buffer in self.by_name.values())
        if more > left:
            raise ScpiError(4919, f"Available capacity for all reading buffers exceeded, remaining capacity is {left} readings")
