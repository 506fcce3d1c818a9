"""When the DUT is to be fired: instants in nanoseconds from the start of a capture. Pure."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from labd.errors import FileError

NS = 1_000_000_000
LONGEST_S = 30 * 86400.0  # nothing is planned beyond


ArrivalKind = Literal["periodic", "poisson", "recorded"]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """How inferences arrive. recorded_ns: of the kind "recorded", as in the file. late_ns: fired later, one has missed its deadline."""

    kind: ArrivalKind
    late_ns: int
    recorded_ns: tuple[int, ...] = ()

    def at(self, rate_hz: float, count: int, *, seed: int, dead_s: float) -> tuple[int, ...]:
        """`count` instants at a mean rate. dead_s: of Poisson arrivals. Raises ValueError where fewer are recorded."""
        if self.kind == "periodic":
            return periodic(rate_hz, count)
        if self.kind == "poisson":
            return poisson(rate_hz, count, seed=seed, dead_s=dead_s)
        return stretched(self.recorded_ns, rate_hz, count)


def periodic(rate_hz: float, count: int) -> tuple[int, ...]:
    """`count` instants, the first one period after the start. Each is rounded by itself: the period does not drift."""
    return tuple(round(k * NS / rate_hz) for k in range(1, count + 1))


def poisson(rate_hz: float, count: int, *, seed: int, dead_s: float = 0.0) -> tuple[int, ...]:
    """`count` arrivals of a Poisson process at a mean rate, none within dead_s after another: gaps are independent, dead_s and an
    exponential rest. The same seed gives the same arrivals.

    The dead time is that of a board that serves one event at a time: two that merge are one burst, whose inferences cannot be told apart.
    Raises ValueError for a mean gap that is shorter.
    """
    rest_s = 1 / rate_hz - dead_s
    if rest_s < 0:
        raise ValueError(f"at {rate_hz:g} /s arrivals are {1 / rate_hz:g} s apart in the mean, less than the dead time of {dead_s:g} s")
    draw = random.Random(seed)
    sums = itertools.accumulate(dead_s + rest_s * draw.expovariate(1.0) for _ in range(count))
    return tuple(round(t_s * NS) for t_s in sums)


def stretched(instants_ns: Sequence[int], rate_hz: float, count: int) -> tuple[int, ...]:
    """The first `count` of recorded instants, further apart or nearer together, so that their mean rate is rate_hz. Raises ValueError where
    there are fewer."""
    if len(instants_ns) < count:
        raise ValueError(f"{count} arrivals are wanted, {len(instants_ns)} are recorded")
    first = instants_ns[:count]
    factor = mean_rate_hz(first) / rate_hz
    return tuple(round(t_ns * factor) for t_ns in first)


def recorded(text: str, name: str) -> tuple[int, ...]:
    """Arrivals from a file: one instant a line, seconds, ascending; `#` begins a comment. They count from the file's 0, or, where the file
    begins at 0, from one mean gap before its first instant. name: what errors call the file.

    Raises FileError, which names every line that is wrong.
    """
    instants: list[int] = []
    wrong: list[tuple[str, str]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].strip()
        if not words:
            continue
        t_ns = _instant(words)
        if t_ns is None:
            wrong.append((f"line {number}", f"expected an instant in seconds, from 0 to {LONGEST_S:g}, got {words!r}"))
        elif instants and t_ns <= instants[-1]:
            wrong.append((f"line {number}", f"expected an instant later than the one before, {instants[-1] / NS:g} s, got {words!r}"))
        else:
            instants.append(t_ns)
    if wrong:
        raise FileError(name, *wrong[0], tuple(f"{name}: {line}: {text}" for line, text in wrong))
    if not instants or instants == [0]:
        raise FileError(name, "", "expected one instant a line, in seconds from the start, such as 0.25; found none after 0")
    gap_ns = 0 if instants[0] else round(instants[-1] / (len(instants) - 1))
    return tuple(t_ns + gap_ns for t_ns in instants)


def mean_rate_hz(instants_ns: Sequence[int]) -> float:
    """Arrivals by the time that they take, the gap before the first one included."""
    return len(instants_ns) * NS / instants_ns[-1]


def _instant(words: str) -> int | None:
    """ns; None for what is no instant."""
    try:
        t_s = float(words)
    except ValueError:
        return None
    return round(t_s * NS) if 0 <= t_s <= LONGEST_S else None
