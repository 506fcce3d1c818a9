"""Phases of the board while it is measured, as far as its marker tells them; pure. The windows of the analysis are the record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.live.envelope import edges_of
from labd.records import MarkStyle, Mode, Phase
from labd.stream.feed import FeedBlock
from labd_instruments.block import BlockFlag

SWING_V = 0.3  # a marker that has moved less shows nothing
MOST = 500  # of one block, and kept for a viewer that comes late: more than can be drawn
MARKER = "marker"  # away from rest, for a reason that cannot be told yet


@dataclass(frozen=True, slots=True)
class Shown:
    """A phase, or `marker`. start_ns, end_ns: on the instrument's axis of its stretch, end_ns None while it lasts."""

    phase: str
    start_ns: int
    end_ns: int | None
    stretch: int


@dataclass(frozen=True, slots=True)
class Cycle:
    """What begins at each edge of a marker, counted from rest; empty: rest, or what no edge bounds. high_at_rest: its level there."""

    names: tuple[str, ...]
    high_at_rest: bool = False


def cycle_of(marks: MarkStyle, mode: Mode) -> Cycle:
    """By docs/reference/dut-marks.md. Pulses are not paired: the board may have given an odd number of them before the capture."""
    match marks:
        case MarkStyle.PHASES if mode.is_event:
            return Cycle((Phase.LOAD, Phase.WAKE, Phase.INFER, ""))
        case MarkStyle.GATE | MarkStyle.PHASES:
            return Cycle((Phase.INFER, ""))
        case MarkStyle.PULSES:
            return Cycle((MARKER, ""), high_at_rest=True)
        case MarkStyle.TEXT:
            return Cycle((MARKER, ""))


class PhaseTrack:
    """Of one capture; holds the level and the place in the cycle from block to block."""

    def __init__(self, cycle: Cycle) -> None:
        self._cycle = cycle
        self._line = _Line()
        self._next = (-1, 0)  # stretch and first sample of a block that joins on
        self._edges: int | None = None  # since rest, None before the level is known
        self._names = cycle.names
        self._open: Shown | None = None
        self._ended: list[Shown] = []

    def add(self, item: FeedBlock) -> None:
        """A block without a marker says nothing."""
        marker = item.block.marker
        if (item.stretch, item.first) != self._next:
            self._begin(item)
        self._next = (item.stretch, item.first + len(item.block))
        if marker is None or not len(marker):
            return
        before, levels = self._line.levels(marker)
        if levels is None:
            return
        if self._edges is None:
            self._know(bool(levels[0]) if before is None else before)
        at = edges_of(levels, before)
        self._pass(len(at[:-MOST]))
        for index in at[-MOST:].tolist():
            self._edge(item.block.t0_ns + index * item.block.dt_ns, item.stretch)

    def taken(self) -> list[Shown]:
        """Those that ended since the last time, and the one that goes on."""
        taken, self._ended = self._ended, []
        return taken if self._open is None else [*taken, self._open]

    def _begin(self, item: FeedBlock) -> None:
        """A cycle begins with the capture and at each trigger; in a gap nobody counted, so that one of more than two edges is lost."""
        self._line.interrupted()
        whole = item.first == 0 and (item.trigger or item.stretch == 0) and BlockFlag.GAP_BEFORE not in item.block.flags
        self._names = self._cycle.names if whole or len(self._cycle.names) == 2 else (MARKER, "")
        self._edges, self._open = None, None

    def _know(self, level: bool) -> None:  # noqa: FBT001  a level
        self._edges = 0
        if level != self._cycle.high_at_rest:  # the first edges came before the record
            self._edges = 1
            self._names = self._names if len(self._names) == 2 else (MARKER, "")

    def _pass(self, count: int) -> None:
        if count:
            self._edges = (self._edges or 0) + count
            self._open = None

    def _edge(self, t_ns: int, stretch: int) -> None:
        if self._open is not None:
            self._ended.append(Shown(self._open.phase, self._open.start_ns, t_ns, stretch))
        count = self._edges or 0
        name = self._names[count % len(self._names)]
        self._open = Shown(name, t_ns, None, stretch) if name else None
        self._edges = count + 1


class _Line:
    """A level that is recorded as a voltage: high above the middle of what it has been."""

    def __init__(self) -> None:
        self._low = np.inf
        self._high = -np.inf
        self._last_v: float | None = None

    def interrupted(self) -> None:
        self._last_v = None

    def levels(self, volts: NDArray[np.float32]) -> tuple[bool | None, NDArray[np.bool_] | None]:
        """The level before the first sample (None: nothing was recorded before it), and those of the samples (None: it never moved yet)."""
        self._low, self._high = min(self._low, float(np.min(volts))), max(self._high, float(np.max(volts)))
        last_v, self._last_v = self._last_v, float(volts[-1])
        if not self._high - self._low > SWING_V:
            return None, None
        middle = (self._low + self._high) / 2
        found: NDArray[np.bool_] = volts > middle
        return None if last_v is None else last_v > middle, found
