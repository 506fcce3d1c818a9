"""What a Joulescope and its package do to whoever does not know it: pieces of a stream as a sprung trap leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

SPRUNG_S = 0.5  # of a stream: from then on a trap is sprung
LOST_IDS, LONG = 640, 10  # ids of a short loss, messages of a long one
TRAPS = {
    "lost": "drops a transfer of current and voltage; only the sample ids jump",
    "lost_voltage": "drops a transfer of one signal, while the ids of the others run on",
    "filled": "puts NaN in the place of what it lost, and the sample ids run on",
    "lost_long": "loses more than its package fills in, and the sample ids run on without a word",
    "twice": "hands on a piece that came already",
    "stalls": "goes on streaming and no sample comes any more",
    "unplugged": "is pulled out while it streams; its samples just end",
    "changes_range": "changes its current range although one was fixed",
    "saturates": "stands at the end of its range, which reads as a current",
    "other_range": "takes every current range without a word and stays on that of 10 A",
    "other_rate": "takes a sampling frequency and has another one then",
    "no_metadata": "tells nothing of its topics, so that nobody knows the codes of its ranges",
    "in_use": "is open in another program",
    "silent": "hangs, and answers no command any more",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """begin: id of the first value. step: ids from value to value."""

    begin: int
    step: int
    data: NDArray[Any]


class Sprung:
    """The trap of one stream. ranges: ampere, ascending."""

    def __init__(self, trap: str, ranges: Sequence[float]) -> None:
        self._trap, self._ranges = trap, ranges
        self._done: dict[str, int] = {}  # messages, by signal, that it has spoilt

    def pieces(self, signal: str, since_s: float, piece: Piece) -> list[tuple[int, NDArray[Any]]]:
        """What is handed on of one message: first ids and values. since_s: when it begins, from the stream's start on."""
        whole = [(piece.begin, piece.data)]
        if since_s < SPRUNG_S or not self._trap:
            return whole
        if self._trap in ("stalls", "unplugged"):
            return []
        if self._trap == "lost_long":
            return self._renumbered(signal, piece)
        if signal == "s/i/range":
            return [(piece.begin, piece.data ^ np.uint8(1))] if self._trap == "changes_range" else whole
        if self._trap == "saturates" and signal == "s/i":
            full = min((one for one in self._ranges if one >= np.abs(piece.data).max()), default=self._ranges[-1])
            return [(piece.begin, np.full_like(piece.data, full))]
        if signal in ("s/i", "s/v") and signal not in self._done:
            self._done[signal] = 1
            return self._once(signal, piece)
        return whole

    def _renumbered(self, signal: str, piece: Piece) -> list[tuple[int, NDArray[Any]]]:
        """What comes after the loss is numbered as if nothing had been."""
        done = self._done.get(signal, 0)
        self._done[signal] = min(done + 1, LONG)
        return [] if done < LONG else [(piece.begin - LONG * len(piece.data) * piece.step, piece.data)]

    def _once(self, signal: str, piece: Piece) -> list[tuple[int, NDArray[Any]]]:
        gap, begin, data = LOST_IDS // piece.step, piece.begin, piece.data
        if self._trap == "lost" or (self._trap == "lost_voltage" and signal == "s/v"):
            return [(begin, data[:gap]), (begin + 2 * gap * piece.step, data[2 * gap :])]
        if self._trap == "filled":
            data[gap : 2 * gap] = np.nan
        return [(begin, data)] * (2 if self._trap == "twice" else 1)
