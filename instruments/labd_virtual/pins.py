"""The board's two pins, TRIG (driven from outside) and MARK (driven by the firmware), with every edge they made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from labd_virtual.clock import BoardClock
from labd_virtual.contract import Edge

_KEEP_EDGES = 200_000


class Track:
    """One pin's edges and the running integral of its voltage at each."""

    def __init__(self, horizon_ns: int) -> None:
        self._horizon_ns = horizon_ns
        self._count = 1
        self._t = np.zeros(256, dtype=np.int64)
        self._volt = np.zeros(256)
        self._integral = np.zeros(256)
        self.level = 0

    def set(self, t_ns: int, level: int, volt: float) -> bool:
        """True when this was an edge."""
        if level == self.level:
            return False
        if self._count == len(self._t):
            self._make_room(t_ns)
        k = self._count
        self._t[k], self._volt[k] = t_ns, volt
        self._integral[k] = self._integral[k - 1] + self._volt[k - 1] * float(t_ns - self._t[k - 1]) * 1e-9
        self._count += 1
        self.level = level
        return True

    @property
    def changed_ns(self) -> int:
        """When it had its last edge."""
        return int(self._t[self._count - 1])

    def edges(self, start_ns: int, end_ns: int) -> list[Edge]:
        first, last = np.searchsorted(self._t[1 : self._count], [start_ns, end_ns], side="left") + 1
        # Levels alternate, and the last one is known.
        return [Edge(int(self._t[k]), self.level ^ ((self._count - 1 - k) & 1)) for k in range(int(first), int(last))]

    def integral(self, t_ns: NDArray[np.int64], late_ns: tuple[int, int] = (0, 0)) -> NDArray[np.float64]:
        """late_ns: by how much rising and falling edges are seen late; their order is kept."""
        k = np.searchsorted(self._t[: self._count], t_ns, side="right") - 1
        result: NDArray[np.float64] = self._integral[k] + self._volt[k] * (t_ns - self._t[k]) * 1e-9
        if any(late_ns):
            times, volts = self._t[1 : self._count], self._volt[1 : self._count]
            high = volts > 0
            for edges, by_ns, sign in ((times[high], late_ns[0], -1), (times[~high], late_ns[1], 1)):
                result += sign * float(np.max(volts, initial=0.0)) * 1e-9 * (_since(edges, t_ns) - _since(edges, t_ns - by_ns))
        return result

    def _make_room(self, now_ns: int) -> None:
        """Forget edges older than the horizon once there are many, else grow."""
        gone = min(int(np.searchsorted(self._t[: self._count], now_ns - self._horizon_ns)) - 1, self._count - _KEEP_EDGES)
        if gone > self._count // 4:
            for array in (self._t, self._volt, self._integral):
                array[: self._count - gone] = array[gone : self._count].copy()
            self._count -= gone
            return
        self._t, self._volt, self._integral = (np.concatenate([a, np.zeros_like(a)]) for a in (self._t, self._volt, self._integral))


def _since(edges: NDArray[np.int64], t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sum over all edges before each instant of the time since, ns."""
    before = np.searchsorted(edges, t_ns)
    found: NDArray[np.int64] = before * t_ns - np.concatenate(([0], np.cumsum(edges)))[before]
    return found


class BoardPins:
    """`contract.Pins`. on_trig is called with TRIG's new level, on_lines when what is driven from outside changes."""

    def __init__(self, clock: BoardClock, *, io_level_v: float, horizon_s: float) -> None:
        self._clock = clock
        self._io_level_v = io_level_v
        self._tracks = {name: Track(round(horizon_s * 1e9)) for name in ("TRIG", "MARK")}
        self.on_trig: Callable[[int], None] = lambda _level: None
        self.on_lines: Callable[[], None] = lambda: None

    def edges(self, pin: str, start_ns: int, end_ns: int) -> list[Edge]:
        self._clock.touch()
        return self._track(pin).edges(start_ns, end_ns)

    def level_integral(self, pin: str, t_ns: NDArray[np.int64], *, late_ns: tuple[int, int] = (0, 0)) -> NDArray[np.float64]:
        self._clock.touch()
        return self._track(pin).integral(t_ns, late_ns)

    def drive(self, pin: str, level: int) -> None:
        self._clock.touch()
        if pin != "TRIG":
            raise ValueError(f"{pin} is an output of the board; only TRIG can be driven")
        if self._set(pin, level):
            self.on_lines()
            self.on_trig(self.level(pin))

    def set_mark(self, level: int) -> None:
        """The firmware's side of MARK."""
        self._set("MARK", level)

    def level(self, pin: str) -> int:
        return self._track(pin).level

    def changed_ns(self, pin: str) -> int:
        """When the pin had its last edge."""
        return self._track(pin).changed_ns

    def _set(self, pin: str, level: int) -> bool:
        level = 1 if level else 0
        return self._tracks[pin].set(self._clock.now_ns(), level, level * self._io_level_v)

    def _track(self, pin: str) -> Track:
        track = self._tracks.get(pin)
        if track is None:
            raise ValueError(f"the board has no pin {pin!r}; there are {', '.join(self._tracks)}")
        return track
