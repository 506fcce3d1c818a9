"""Checks that every driver makes: who answers, set-up values against limits, records against the time that passed, outputs off."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeVar

from labd_instruments.contract import Instrument, ProtectionLevels
from labd_instruments.errors import InstrumentError, LostSamplesError, OutOfRangeError, OutputNotOffError, ReadBackError

D = TypeVar("D", bound=Instrument)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Clock:
    """Where elapsed time comes from. u_s: how far its reading may be off the instants it is read for (latency included)."""

    name: str
    now_s: Callable[[], float]
    u_s: float


HOST_CLOCK = Clock("host monotonic clock", time.monotonic, 0.25)
"""0.25 s covers a busy host and a slow link; whoever knows better (a virtual bench has its own time) gives another clock."""


def identified(driver: D) -> D:
    """A driver that was just opened, once it has found the instrument that it drives; else its link is closed. Raises as `identify`."""
    try:
        driver.identify()
    except BaseException:
        driver.close()
        raise
    return driver


@contextmanager
def switching_off(name: str) -> Iterator[None]:
    """Whatever keeps an output from being switched off, and seen to be, is an OutputNotOffError. name: of the instrument or resource."""
    try:
        yield
    except OutputNotOffError:
        raise
    except InstrumentError as error:
        raise OutputNotOffError(f"{name}: could not be switched off: {error}") from error


def within(what: str, value: float, *, low: float, high: float, unit: str, limit: str) -> float:
    """The value itself when low <= value <= high. Raises OutOfRangeError naming value, limits and where they were set (`limit`).

    Never clips: 1e-9 of slack only, for values that went through text.
    """
    if not low - 1e-9 * abs(low) <= value <= high + 1e-9 * abs(high):
        raise OutOfRangeError(f"{what} is {value:g} {unit}, allowed is {low:g} to {high:g} {unit} ({limit})")
    return value


def exact(what: str, value: float | None, known: Collection[float], unit: str, who: str = "it") -> float:
    """The one of `known` that is meant, never the next best: within a millionth, for values that went through text. None: automatic.

    Raises OutOfRangeError telling what `who` has.
    """
    for one in known:
        if value is not None and abs(value - one) <= 1e-6 * one:
            return one
    asked = "automatic" if value is None else f"{value:g} {unit}"
    raise OutOfRangeError(f"{what} is {asked}, {who} has {', '.join(f'{one:g}' for one in known)} {unit}")


def same(what: str, wanted: float, got: float, *, tolerance: float) -> float:
    """The read-back value. Raises ReadBackError when it is further than `tolerance` from what was programmed."""
    if not abs(wanted - got) <= tolerance:
        raise ReadBackError(f"{what} was set to {wanted:g} and reads back {got:g}")
    return got


def ceiling_v(name: str, wanted_v: float | None, now_v: float, most_v: float) -> float:
    """The voltage up to which a driver itself holds a source without over-voltage protection: most_v at most, now_v where nothing else is
    wanted. Raises OutOfRangeError."""
    if wanted_v is None:
        return now_v
    if not wanted_v > 0:
        raise OutOfRangeError(f"{name}: over-voltage protection is {wanted_v:g} V, right would be above 0 V")
    return min(wanted_v, most_v)


def accepted_without_limit(name: str, levels: ProtectionLevels, most_a: float, *, accepted: bool, but: str) -> None:
    """A source has no current limit to program and delivers up to most_a: option no_current_limit accepts that. Raises OutOfRangeError."""
    if not accepted and (levels.current_a < most_a or levels.current_trip):
        raise OutOfRangeError(f"{name}: current limit is {levels.current_a:g} A, but {but}; option no_current_limit = true accepts that")


def configured(setup: T | None, name: str, what: Literal["mean", "capture", "stream"]) -> T:
    """What was configured, of the instrument `name`. Raises OutOfRangeError where nothing was."""
    if setup is None:
        raise OutOfRangeError(f"{name}: no {what} is configured; configure_{what} comes first")
    return setup


@dataclass(frozen=True, slots=True)
class RecordCheck:
    """Counts records against elapsed time.

    dt_s: record interval. timebase: fraction by which the instrument's clock may be off. clock: the one that measures elapsed time.

    What it cannot see: losses of up to `tolerance(elapsed)` records, and records invented or doubled by the instrument.
    """

    dt_s: float
    timebase: float
    clock: Clock

    def tolerance(self, elapsed_s: float) -> float:
        """Records that may seem to be missing without any loss: 1 + timebase and host clock over dt."""
        return 1.0 + (self.timebase * elapsed_s + self.clock.u_s) / self.dt_s

    def missing(self, received: int, elapsed_s: float) -> int:
        """Records missing beyond the tolerance; 0 when none can be shown to be."""
        short = elapsed_s / self.dt_s - received
        return max(0, math.ceil(short)) if short > self.tolerance(elapsed_s) else 0

    def require(self, name: str, received: int, elapsed_s: float) -> None:
        """Raises LostSamplesError when records are missing."""
        lost = self.missing(received, elapsed_s)
        if lost:
            expected = received + lost
            raise LostSamplesError(
                f"{name}: {received} records in {elapsed_s:.3f} s by the {self.clock.name}, {expected} were due ({lost} lost)",
                expected=expected,
                received=received,
            )

    def __str__(self) -> str:
        return (
            f"records against the {self.clock.name}; cannot see losses below {self.tolerance(0.0):.0f} records + {self.timebase:g} of all"
        )


def require_points(name: str, what: str, *, expected: int, received: int) -> None:
    """Raises LostSamplesError unless a buffer holds exactly the points that were asked for."""
    if received != expected:
        raise LostSamplesError(f"{name}: {what} holds {received} of {expected} points", expected=expected, received=received)
