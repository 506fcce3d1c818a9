"""The chip's own clock: how far it is off, how it wanders, and its counter, which may stand still while the chip sleeps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from labd_virtual.wander import SINE, Wander


@dataclass(frozen=True, slots=True)
class Oscillator:
    """Runs by 1 + error in the mean; its rate wanders by `wander` from its lowest to its highest, in the way of `path`, one period in
    period_s, of which phase_rad have passed at time 0."""

    error: float
    wander: float = 0.0
    period_s: float = 1.0
    phase_rad: float = 0.0
    path: Wander = SINE

    def elapsed_ns(self, t_ns: float) -> float:
        """Its own time at board time t_ns, from board time 0 on."""
        return (1 + self.error) * (t_ns + self._strayed_ns(t_ns))

    def when_ns(self, own_ns: float) -> float:
        """Board time at which its own time is own_ns."""
        mean_ns = own_ns / (1 + self.error)
        t_ns = mean_ns
        for _ in range(4 if self.wander else 0):  # each step leaves a share `wander` of what was wrong
            t_ns = mean_ns - self._strayed_ns(t_ns)
        return t_ns

    def rate(self, t_ns: float) -> float:
        return (1 + self.error) * (1 + self.wander * self.path.rate(self._share(t_ns)))

    def _strayed_ns(self, t_ns: float) -> float:
        if not self.wander:
            return 0.0
        return self.wander * self.period_s * 1e9 * (self.path.strayed(self._share(t_ns)) - self.path.strayed(self._share(0.0)))

    def _share(self, t_ns: float) -> float:
        return t_ns * 1e-9 / self.period_s + self.phase_rad / math.tau


class Counter:
    """Counts an oscillator's time while it runs. Nothing that a timer does depends on it: those have a slow clock that never stops."""

    def __init__(self, oscillator: Oscillator) -> None:
        self.oscillator = oscillator
        self._before_ns = 0.0  # to be added to the oscillator's own time
        self._stopped_ns: float | None = None  # its reading while it stands still

    def reading_ns(self, t_ns: int) -> float:
        return self._before_ns + self.oscillator.elapsed_ns(t_ns) if self._stopped_ns is None else self._stopped_ns

    def stop(self, t_ns: int) -> None:
        self._stopped_ns = self.reading_ns(t_ns)

    def go(self, t_ns: int) -> None:
        """From where it stopped; no change where it runs."""
        if self._stopped_ns is not None:
            self._before_ns = self._stopped_ns - self.oscillator.elapsed_ns(t_ns)
            self._stopped_ns = None

    def replace(self, oscillator: Oscillator, t_ns: int) -> None:
        """Another oscillator counts from where this one is."""
        reading_ns = self.reading_ns(t_ns)
        self.oscillator, self._before_ns = oscillator, reading_ns - oscillator.elapsed_ns(t_ns)
