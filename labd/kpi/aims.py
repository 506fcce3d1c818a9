"""How well the figures that a plan aims at are known so far, and what the next second of measuring is best spent on. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.terms import Term, Uncertain, parts, unknown_terms

COVERAGE = 1.96  # of a normal error, where no draws say better
LEAST_DOF = 10.0  # effective degrees of freedom under which a scatter that came out small by chance ends nothing
STEP = 0.01  # of the time that a place has: a prediction of days takes no more steps than one of minutes


@dataclass(frozen=True, slots=True)
class Aim:
    """A figure by its key in a plan (`energy_per_inference` ...) and the largest half-width of its 95 % interval, as a share of it."""

    figure: str
    relative: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One figure that an aim is about. half_width, lasting: relative half-width of its 95 % interval now, and what of it no measuring time
    takes away. largest: name of the largest error that lasts, empty where there is none. random: relative variance that each capture's
    scatter gives it, by the capture's key. dof: effective degrees of freedom of the scatter. moot: why there is no such figure."""

    aim: Aim
    id: str
    at: str
    half_width: float
    lasting: float
    largest: str
    random: Mapping[str, float]
    dof: float
    moot: str = ""

    @property
    def met(self) -> bool:
        return bool(self.moot) or (self.half_width <= self.aim.relative and self.dof >= LEAST_DOF)

    @property
    def impossible(self) -> bool:
        """With all the time there is, these instruments do not get there."""
        return not self.moot and not self.met and self.lasting >= self.aim.relative

    @property
    def allowed(self) -> float:
        """Relative variance, times the square of the coverage factor, that is left for scatter."""
        return max(self.aim.relative**2 - self.lasting**2, 0.0)


def moot(aim: Aim, kpi: str, at: str, why: str) -> Standing:
    return Standing(aim, kpi, at, math.inf, 0.0, "", {}, math.inf, why)


def standing(aim: Aim, estimate: Estimate, draws: Draws) -> Standing:
    """Of an estimate with its correlations. A value of 0 has no relative uncertainty, and an unknown error no end: both stand as
    infinite."""
    value, nominal = estimate.value, abs(estimate.nominal)
    if nominal == 0 or unknown_terms(value):
        unknown = ", ".join(unknown_terms(value)) or "a value of 0"
        return Standing(aim, estimate.id, estimate.at, math.inf, math.inf, unknown, {}, math.inf)
    lasts = [(v.tag, abs(c) * v.tag.unit_u) for v, c in parts(value) if v.tag.kind != "A"]
    lasting: Uncertain = value - sum(c * v for v, c in parts(value) if v.tag.kind == "A")
    random: dict[str, float] = {}
    spread: list[tuple[float, float]] = []
    for v, c in parts(value):
        if v.tag.kind == "A":
            variance, key = (c * v.tag.unit_u / nominal) ** 2, capture_of(v.tag)
            random[key] = random.get(key, 0.0) + variance
            spread.append((variance, float(v.tag.dof or math.inf)))
    return Standing(
        aim,
        estimate.id,
        estimate.at,
        draws.half_width(value) / nominal,
        draws.half_width(lasting) / nominal if lasts else 0.0,
        max(lasts, key=lambda one: one[1])[0].name if lasts else "",
        random,
        _effective_dof(spread),
    )


def capture_of(term: Term) -> str:
    """The key of the capture whose scatter a Type A term is: `A:KEY:figure`."""
    return term.name.split(":")[1]


def _effective_dof(spread: Sequence[tuple[float, float]]) -> float:
    """Welch-Satterthwaite (JCGM 100:2008, G.4.1). spread: variance and degrees of freedom of each part."""
    total = sum(variance for variance, _ in spread)
    below = sum(variance**2 / dof for variance, dof in spread)
    return total**2 / below if below else math.inf


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
    """seconds: more at each place that would meet every aim that can be met. Empty: none is left, or time does not help."""

    seconds: Mapping[str, float]

    @property
    def total_s(self) -> float:
        return sum(self.seconds.values())


def advice(standings: Sequence[Standing], places: Sequence[Place]) -> Advice:
    """The fewest seconds that meet every aim, by the scatter seen so far.

    A place that was measured for T leaves T/(T+t) of the variance that it gives to a figure after t more: to first order the weights of a
    best linear estimator need not be looked at again, since the derivative of its variance by them vanishes. Piece by piece the time goes
    where it takes away most of what the figures lack, for each second.
    """
    open_ones = [one for one in standings if not one.met and not one.impossible]
    lacks = [_Lack(one, places) for one in open_ones]
    more = [0.0] * len(places)
    for lack in lacks:
        if lack.believed_too_soon and any(lack.shares):
            k = lack.shares.index(max(lack.shares))
            more[k] = max(more[k], places[k].piece_s)
    while lacking := [lack for lack in lacks if lack.left(places, more) > lack.allowed]:
        steps = [max(place.piece_s, STEP * (place.seconds + t)) for place, t in zip(places, more, strict=True)]
        gains = [_gain(lacking, place, k, more[k], steps[k]) for k, place in enumerate(places)]
        if max(gains, default=0.0) <= 0:
            break
        best = gains.index(max(gains))
        more[best] += steps[best]
    return Advice({place.name: seconds for place, seconds in zip(places, more, strict=True) if seconds})


class _Lack:
    """What a figure that is not known well enough lacks. shares: square of its relative half-width that each place's scatter gives."""

    def __init__(self, one: Standing, places: Sequence[Place]) -> None:
        total = sum(one.random.values())
        # as the interval stands, with the coverage factor of its degrees of freedom
        factor = max(one.half_width**2 - one.lasting**2, 0.0) / total if total and math.isfinite(one.half_width) else COVERAGE**2
        self.shares = [factor * sum(one.random.get(key, 0.0) for key in place.captures) for place in places]
        self.allowed = one.allowed
        self.believed_too_soon = one.half_width <= one.aim.relative

    def left(self, places: Sequence[Place], more: Sequence[float]) -> float:
        return sum(v * p.seconds / (p.seconds + t) for v, p, t in zip(self.shares, places, more, strict=True) if v)


def _gain(lacking: Sequence[_Lack], place: Place, k: int, more_s: float, step_s: float) -> float:
    """What a step more at a place, the k-th, takes away, as a share of what each figure may have, for each second."""
    has_s = place.seconds + more_s
    fewer = place.seconds * (1 / has_s - 1 / (has_s + step_s)) / step_s
    return sum(lack.shares[k] * fewer / lack.allowed for lack in lacking)
