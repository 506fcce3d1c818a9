"""The seams inside the virtual bench: the clock, the supply node and the pins, as the personas, the board and the firmware see them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Clock(Protocol):
    """The board's own time in integer nanoseconds since the bench started. Everything virtual shares one."""

    def now_ns(self) -> int: ...

    async def sleep_until(self, t_ns: int) -> None:
        """Return when the clock has reached t_ns (at once if it has). In stepped time the sleeper is what makes time pass."""

    def set_limit(self, owner: str, t_ns: int | None) -> None:
        """Stepped time does not pass t_ns until the owner moves or removes (None) its limit. Real time ignores limits."""

    def freeze(self, owner: str) -> None:
        """Time stands still, real time too, until `thaw`: all that the owner does meanwhile happens at this very instant."""

    def thaw(self, owner: str) -> None: ...

    def call_at(self, t_ns: int, action: Callable[[], None]) -> object:
        """Call `action` when time passes t_ns (now, if that is past); in stepped time this alone makes no time pass."""


@dataclass(frozen=True, slots=True)
class Integrals:
    """Exact running integrals at the boundary plane since the bench started, float64, one value an instant asked for.

    charge: integral of i dt (C). charge_sq: integral of i^2 dt (A^2 s). flux: integral of v dt (V s). energy: integral of v*i dt (J).
    """

    charge: NDArray[np.float64]
    charge_sq: NDArray[np.float64]
    flux: NDArray[np.float64]
    energy: NDArray[np.float64]


class SupplyNode(Protocol):
    """The board's supply terminals (the sense point) as a sourcing instrument drives and measures them.

    The source is an electromotive force behind a resistance (output impedance plus leads; with remote sense working, the leads' drop is
    regulated out and only `resistance_ohm` remains), with a current clamp. All times are board time.
    """

    def drive(self, *, emf_v: float, resistance_ohm: float, clamp_a: float, connected: bool) -> None:
        """From now on. connected False: the output floats (the node discharges through the board only)."""

    def integrals(self, t_ns: NDArray[np.int64]) -> Integrals:
        """At ascending instants, none later than now."""

    def current(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]: ...

    def voltage(self, t_ns: NDArray[np.int64]) -> NDArray[np.float64]: ...

    def clamped_since(self) -> int | None:
        """Board time since which the source's clamp is active, or None."""


@dataclass(frozen=True, slots=True)
class Edge:
    t_ns: int
    level: int


class Pins(Protocol):
    """The board's pins as the world outside sees them. Logic levels; `level_v` gives volts for a voltmeter on a pin."""

    def edges(self, pin: str, start_ns: int, end_ns: int) -> list[Edge]:
        """All edges in [start, end)."""

    def level_integral(self, pin: str, t_ns: NDArray[np.int64], *, late_ns: tuple[int, int] = (0, 0)) -> NDArray[np.float64]:
        """Exact running integral of the pin's voltage (V s) at ascending instants, none later than now. late_ns: by how much rising and
        falling edges come late to who looks, through a level shifter; where that is negative, what it looks at comes late."""

    def drive(self, pin: str, level: int) -> None:
        """Drive an input pin of the board from outside, from now on."""
