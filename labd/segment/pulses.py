"""MLPerf Tiny's timestamp pulses: a falling edge held low, whose hold the CPU spins away before the window that it opens.

The reference firmwares hold for a loop of 100 000 turns, milliseconds that both stock runners charge to the first inference: they count
from falling edge to falling edge. Here a window begins where the first pulse rises again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.segment.edges import QUANTISED_U, EdgeSeries, FloatArray, levels
from labd.segment.errors import MarkOutside, NoMarks, OddEdgeCount

_SHALLOWEST_PULSE = 0.04  # share of a record that a pulse must fill to be told from noise
_BITS = 10  # of a byte on the wire, 8N1


@dataclass(frozen=True, slots=True)
class Pulses:
    """All pulses of a line in order: where they fall and rise again."""

    falling: EdgeSeries
    rising: EdgeSeries

    def __len__(self) -> int:
        return len(self.falling)


@dataclass(frozen=True, slots=True)
class Hold:
    """How long a pulse is held, in records, and the standard uncertainty of that. n: pulses that it was read from."""

    x: float
    u: float
    n: int


@dataclass(frozen=True, slots=True)
class TextFree:
    """The part of each window in which the UART no longer sends what was printed before it. start: where that begins. share: of the window,
    float64 [n]; 0 where the text outlasts the window, which is then to be left out."""

    start: EdgeSeries
    share: FloatArray


def find_pulses(marker: NDArray[np.float32], *, high_v: float, breaks: NDArray[np.intp] | None = None) -> Pulses:
    """Pulses of `marker` (float32 [n], volt, mean over each record), idle high. Raises MarkOutside for one across `breaks`."""
    low, high, noise = levels(marker, high_v)
    share = (marker.astype(np.float64) - low) / (high - low)
    dip = share < 1 - max(_SHALLOWEST_PULSE, 6 * noise)
    change = np.flatnonzero(np.diff(dip.astype(np.int8), prepend=0, append=0))
    first, stop = change[::2], change[1::2]
    if breaks is not None and len(breaks) and any(np.any((breaks > a) & (breaks < b)) for a, b in zip(first, stop, strict=True)):
        raise MarkOutside("the marker stays low from one stretch of the capture to the next")
    return _placed(share, first, stop, noise)


def _placed(share: FloatArray, first: NDArray[np.intp], stop: NDArray[np.intp], noise: float) -> Pulses:
    """The records beside a dip may hold a part of it too small to be told from noise: it counts, and so does their noise."""
    dip = np.concatenate(([0.0], 1 - share, [0.0]))  # of record k at k + 1
    falling, rising = first + 1 - dip[first + 1] - dip[first], stop - 1 + dip[stop] + dip[stop + 1]
    u = np.full(len(first), max(noise * np.sqrt(2), 1e-4))
    alone = stop - first == 1  # the whole pulse inside one record: its length is known, its place only to what is left of the record
    hold = np.minimum(dip[first + 1] + dip[first] + dip[stop + 1], 1.0)[alone]
    middle = first[alone] + 0.5
    falling[alone], rising[alone] = middle - hold / 2, middle + hold / 2
    u[alone] = np.maximum(u[alone], (1 - hold) * QUANTISED_U)
    return Pulses(EdgeSeries(falling.astype(np.float64), u), EdgeSeries(rising.astype(np.float64), u.copy()))


def calibrate_hold(pulses: Pulses) -> Hold:
    """The hold of a board, from pulses that were recorded with both edges: for instruments that tell falling edges only. Raises NoMarks."""
    n = len(pulses)
    if n == 0:
        raise NoMarks("no pulse is recorded that would tell how long the board holds one")
    lengths = pulses.rising.x - pulses.falling.x
    edges = float(np.sqrt(np.mean(pulses.falling.u**2 + pulses.rising.u**2)))
    scatter = float(np.std(lengths, ddof=1)) if n > 1 else edges
    return Hold(float(np.mean(lengths)), max(scatter, edges) / np.sqrt(n), n)


def pairs_of_falls(falls: EdgeSeries, hold: Hold, *, expected: int = 0) -> tuple[EdgeSeries, EdgeSeries, int]:
    """Start and end of each window, and how many early edges belong to none, from falling edges alone (LPM01A's event lines, GPIO edges of
    one direction). Raises OddEdgeCount, MarkOutside for a window shorter than the hold."""
    kept, ignored = last_pairs(falls, expected)
    first, second = kept.take(slice(0, None, 2)), kept.take(slice(1, None, 2))
    start = EdgeSeries(first.x + hold.x, np.hypot(first.u, hold.u))
    if np.any(start.x >= second.x):
        raise MarkOutside(f"two falling edges lie nearer than the hold of {hold.x:.4g} records; they are no window")
    return start, second, ignored


def last_pairs(falls: EdgeSeries, expected: int) -> tuple[EdgeSeries, int]:
    """The falling edges of `expected` windows, which are the last ones (0: all), and how many spurious ones came before: one at boot, one
    for each `timestamp`. Raises OddEdgeCount."""
    ignored = len(falls) - 2 * expected if 0 < 2 * expected < len(falls) else 0
    if (len(falls) - ignored) % 2:
        raise OddEdgeCount(f"the marker shows {len(falls) - ignored} falling edges, windows need pairs")
    return falls.take(slice(ignored, None)), ignored


def text_left_s(lines: list[tuple[float, int]], *, window_s: float, baud: int) -> float:
    """How long after `window_s` a UART still sends what was printed before. lines: when each was printed (s) and its characters with those
    that end it, in order; a buffered UART sends them one after the other, 8N1."""
    free_s = 0.0
    for printed_s, characters in lines:
        free_s = max(free_s, printed_s) + characters * _BITS / baud
    return max(0.0, free_s - window_s)


def text_free(start: EdgeSeries, end: EdgeSeries, *, text_x: float) -> TextFree:
    """text_x: what `text_left_s` gives from the windows' start on, in records. At 9600 baud `m-infer-start-N` takes some 20 ms, which a
    window of many equal inferences does without: its mean power is that of its text-free part."""
    from_x = np.minimum(start.x + text_x, end.x)
    length = end.x - start.x
    share = np.divide(end.x - from_x, length, out=np.zeros(len(length)), where=length > 0)
    return TextFree(EdgeSeries(from_x, start.u), share)
