"""How well the figures that a plan aims at are known so far, and what the next second of measuring is best spent on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.floors import DRIFT
from labd.kpi.scatter import random_dof, without_random
from labd.kpi.terms import parts, unknown_terms

COVERAGE = 1.96  # of a normal error, where no draws say better
LEAST_DOF = 10.0  # effective degrees of freedom under which a scatter that came out small by chance ends nothing
FLOORS = 4  # of a mode, from which their drift is what no time takes away
LEAST_CAPTURES = 3  # events of one capture do not tell what the next one would have found
STEP = 0.01  # of the time that a place has: a prediction of days takes no more steps than one of minutes
LONGEST_S = 100 * 86400.0  # of a prediction


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure by its key in a plan (`energy_per_inference` ...) and the largest half-width of its 95 % interval, as a share of it."""

    figure: str
    relative: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What one capture tells of a line floor + slope x: its value is one * floor + by * slope, with this variance by its scatter."""

    capture: str
    one: float
    by: float
    variance: float


@dataclass(frozen=True, slots=True)
class Part:
    """A line that a figure depends on: relative derivatives of the figure by floor and slope, and the captures that tell them. at: the
    mode, as its errors are named."""

    floor: float
    slope: float
    seen: tuple[Seen, ...]
    at: str = ""

    @property
    def drift(self) -> str:
        """Name of the error that few floors leave, who cannot tell drift from scatter. Empty where there are enough."""
        return f"{self.at}:{DRIFT}" if self.at and 0 < len(self._floors) < FLOORS else ""

    def restless(self, relative_u: float) -> Part:
        """With floors that scatter by a drift of this relative standard uncertainty of the figure: more of them tell more of it."""
        floors = self._floors
        more = len(floors) * (relative_u / self.floor) ** 2 if self.floor else 0.0
        return replace(self, seen=tuple(replace(one, variance=one.variance + more) if one in floors else one for one in self.seen))

    @property
    def _floors(self) -> list[Seen]:
        return [one for one in self.seen if one.one and not one.by]


@dataclass(frozen=True, slots=True)
class Standing:
    """One figure that an aim is about. half_width, lasting: relative half-width of its 95 % interval now, and what of it no measuring time
    takes away. largest: name of the largest error that lasts, empty where there is none. parts: the lines that it is computed from.
    dof: effective degrees of freedom of the scatter. moot: why there is no such figure."""

    aim: Aim
    id: str
    at: str
    half_width: float
    lasting: float
    largest: str
    parts: tuple[Part, ...]
    dof: float
    moot: str = ""

    @property
    def met(self) -> bool:
        return bool(self.moot) or (self.half_width <= self.aim.relative and self.dof >= LEAST_DOF and self.captures >= LEAST_CAPTURES)

    @property
    def captures(self) -> int:
        """Behind that line of it which is known from the fewest."""
        return min((len(part.seen) for part in self.parts), default=LEAST_CAPTURES)

    @property
    def impossible(self) -> bool:
        """With all the time there is, these instruments do not get there."""
        return not self.moot and not self.met and self.lasting >= self.aim.relative

    @property
    def allowed(self) -> float:
        """Relative variance, times the square of the coverage factor, that is left for scatter."""
        return max(self.aim.relative**2 - self.lasting**2, 0.0)


def moot(aim: Aim, kpi: str, at: str, why: str) -> Standing:
    return Standing(aim, kpi, at, math.inf, 0.0, "", (), math.inf, why)


def standing(aim: Aim, estimate: Estimate, lines: Sequence[Part], draws: Draws) -> Standing:
    """Of an estimate with its correlations. A value of 0 has no relative uncertainty, and an unknown error no end: both stand as
    infinite."""
    value, nominal = estimate.value, abs(estimate.nominal)
    if nominal == 0 or unknown_terms(value):
        unknown = ", ".join(unknown_terms(value)) or "a value of 0"
        return Standing(aim, estimate.id, estimate.at, math.inf, math.inf, unknown, (), math.inf)
    passing = {part.drift for part in lines} - {""}
    lasts = [(v.tag, abs(c) * v.tag.unit_u) for v, c in parts(value) if v.tag.kind != "A" and v.tag.name not in passing]
    lasting = without_random(value) - sum(c * v for v, c in parts(value) if v.tag.name in passing)
    drifts = {v.tag.name: abs(c) * v.tag.unit_u / nominal for v, c in parts(value) if v.tag.name in passing}
    return Standing(
        aim,
        estimate.id,
        estimate.at,
        draws.half_width(value) / nominal,
        draws.half_width(lasting) / nominal if lasts else 0.0,
        max(lasts, key=lambda one: one[1])[0].name if lasts else "",
        tuple(part.restless(drifts[part.drift]) if part.drift in drifts else part for part in lines),
        random_dof(value),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where measuring time can be spent: captures of one kind at one operating point. captures: key to length, s, of those made.
    piece_s: the least that can be spent there."""

    name: str
    captures: Mapping[str, float]
    piece_s: float

    @property
    def seconds(self) -> float:
        return sum(self.captures.values())


@dataclass(frozen=True, slots=True)
class Advice:
    """seconds: more at each place that would meet every aim that can be met. Empty: none is left, or time does not help. unknown: of some
    figure nothing tells how long it takes. endless: the search was given up at LONGEST_S."""

    seconds: Mapping[str, float]
    unknown: bool = False
    endless: bool = False

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def advice(standings: Sequence[Standing], places: Sequence[Place]) -> Advice:
    """The fewest seconds that meet every aim, by the scatter seen so far: what a second tells at a place is taken as what it told there
    until now, and a line as fitted best to all of it. Step by step the time goes where it takes away most of what the figures lack, for
    each second.

    Each place takes a number of steps that goes with the logarithm of its time, and a step costs as much as the figures whose lines it
    tells of have places: what the others lack is as it was.
    """
    lacks = [_Lack(one, places) for one in standings if not one.met and not one.impossible]
    more = [0.0] * len(places)
    believed = [lack.best([place.piece_s for place in places]) for lack in lacks if lack.believed_too_soon]
    for k in believed:
        if k is not None:
            more[k] = places[k].piece_s
    at: list[list[_Lack]] = [[lack for lack in lacks if k in lack.places] for k in range(len(places))]
    for k, seconds in enumerate(more):
        for lack in at[k] if seconds else ():
            lack.spend(k, seconds)

    def step(k: int) -> float:
        return max(places[k].piece_s, STEP * (places[k].seconds + more[k]))

    def gain(k: int) -> float:
        return sum(lack.gain(k, step(k)) for lack in at[k] if lack.open)

    gains = [gain(k) for k in range(len(places))]
    while (most := max(gains, default=0.0)) > 0 and sum(more) <= LONGEST_S:
        best = gains.index(most)
        seconds = step(best)
        more[best] += seconds
        touched = [lack for lack in at[best] if lack.open]
        for lack in touched:
            lack.spend(best, seconds)
        for k in {k for lack in touched for k in lack.places}:
            gains[k] = gain(k)
    endless = sum(more) > LONGEST_S
    return Advice(
        {place.name: seconds for place, seconds in zip(places, more, strict=True) if seconds},
        unknown=None in believed or any(not math.isfinite(lack.left) or (lack.open and not endless) for lack in lacks),
        endless=endless,
    )


class _Lack:
    """What a figure that is not known well enough lacks, as the square of its relative half-width. left: what scatter leaves of it.
    allowed: what may be left. places: indices of those where a second tells of it."""

    def __init__(self, one: Standing, places: Sequence[Place]) -> None:
        self._lines = [_Line(part, places) for part in one.parts]
        self.places = frozenset(k for line in self._lines for k in line.told)
        now = sum(line.now for line in self._lines)
        # as the interval stands: with the coverage factor of its degrees of freedom, and whatever widens it
        whole = max(one.half_width**2 - one.lasting**2, 0.0)
        self._factor = whole / now if now and 0 < whole < math.inf else COVERAGE**2
        self.left = self._factor * now
        self.allowed = one.allowed
        self.believed_too_soon = one.half_width <= one.aim.relative

    @property
    def open(self) -> bool:
        """Whether it lacks something that is known to shrink."""
        return self.allowed < self.left < math.inf

    def spend(self, k: int, seconds: float) -> None:
        """More at the k-th place."""
        for line in self._lines:
            line.spend(k, seconds)
        self.left = self._factor * sum(line.now for line in self._lines)

    def gain(self, k: int, step_s: float) -> float:
        """What each second of a step at the k-th place takes away of what is left, in units of what may be."""
        fewer = sum(line.now - line.variance(k, step_s) for line in self._lines if k in line.told)
        return self._factor * fewer / (self.allowed * step_s)

    def best(self, steps: Sequence[float]) -> int | None:
        """The place where a second takes away most; None where it takes away nothing anywhere."""
        gains = {k: self.gain(k, steps[k]) for k in sorted(self.places)}
        best = max(gains, key=lambda k: gains[k] if gains[k] > 0 else 0.0, default=None)
        return best if best is not None and gains[best] > 0 else None


class _Line:
    """The information that all seconds tell of a line, kept as three sums, and the variance of floor * f + slope * s by it. told: of one
    second at each place where it tells something: of the floor alone, of floor and slope, of the slope alone (Fisher information)."""

    def __init__(self, part: Part, places: Sequence[Place]) -> None:
        self._floor, self._slope = part.floor, part.slope
        found = {k: _told(part, place) for k, place in enumerate(places)}
        self.told = {k: told for k, told in found.items() if any(told)}
        self._sums = (0.0, 0.0, 0.0)
        for k in self.told:
            self._sums = self._with(k, places[k].seconds)
        self.now = self.variance()

    def spend(self, k: int, seconds: float) -> None:
        if k in self.told:
            self._sums = self._with(k, seconds)
            self.now = self.variance()

    def variance(self, k: int | None = None, seconds: float = 0.0) -> float:
        """By weighted least squares: the information inverted. k, seconds: as if there were these more."""
        return _inverted(self._floor, self._slope, self._sums if k is None else self._with(k, seconds))

    def _with(self, k: int, seconds: float) -> _Told:
        (a, b, c), (one, both, by) = self._sums, self.told[k]
        return a + one * seconds, b + both * seconds, c + by * seconds


_Told = tuple[float, float, float]


def _told(part: Part, place: Place) -> _Told:
    """By all captures of the place: their variances times their lengths, by length."""
    own = [(seen, place.captures[seen.capture]) for seen in part.seen if seen.capture in place.captures]
    whole_s = sum(length for _, length in own)
    noise = sum(seen.variance * length * length for seen, length in own)
    if not own or noise <= 0:
        return 0.0, 0.0, 0.0
    one, by, each = own[0][0].one, sum(seen.by * length for seen, length in own) / whole_s, whole_s / noise
    return one * one * each, one * by * each, by * by * each


def _inverted(floor: float, slope: float, information: _Told) -> float:
    """Variance of floor * f + slope * s, for f and s of this information."""
    a, b, c = information
    if not b:  # each tells one of the two
        return (floor * floor / a if floor and a else 0.0) + (slope * slope / c if slope and c else 0.0)
    determinant = a * c - b * b
    return (floor * floor * c - 2 * floor * slope * b + slope * slope * a) / determinant if determinant > 0 else math.inf
