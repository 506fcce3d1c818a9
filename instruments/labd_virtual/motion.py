"""How the supply node moves under constant sources: closed-form solution of its one or two capacitors, and when it meets a threshold."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Circuit:
    """What acts on the node: a current `inflow_a` into it, a conductance `to_emf_s` to the emf, `to_ground_s` to ground, and a
    capacitance, with an optional second one (bulk_f > 0) behind bulk_ohm."""

    emf_v: float
    to_emf_s: float
    to_ground_s: float
    inflow_a: float
    capacitance_f: float
    bulk_f: float
    bulk_ohm: float


@dataclass(frozen=True, slots=True)
class Motion:
    """Drop below the emf of the node and of the bulk capacitor: d(t) = X0 + X1*(1 - exp(-R1 t)) + X2*(1 - exp(-R2 t))."""

    rates: tuple[float, float]
    node: Triple
    bulk: Triple

    def drops_at(self, t_s: float) -> tuple[float, float]:
        e1, e2 = -math.expm1(-self.rates[0] * t_s), -math.expm1(-self.rates[1] * t_s)
        node, bulk = self.node, self.bulk
        return node[0] + node[1] * e1 + node[2] * e2, bulk[0] + bulk[1] * e1 + bulk[2] * e2


def solve(circuit: Circuit, node: float, bulk: float) -> Motion:
    """The motion from the drops `node` and `bulk` (V below the emf) on.

    C d' = G_ground*E - inflow - (G_emf + G_ground) d [- (d - d_bulk)/R_bulk], by eigenvalues; the slow one is taken from the
    determinant so that it does not cancel.
    """
    conductance = circuit.to_emf_s + circuit.to_ground_s
    settled = (circuit.to_ground_s * circuit.emf_v - circuit.inflow_a) / conductance
    decay = conductance / circuit.capacitance_f
    if circuit.bulk_f <= 0:
        return Motion((decay, 1.0), (node, settled - node, 0.0), (node, settled - node, 0.0))
    across = 1 / (circuit.bulk_ohm * circuit.capacitance_f)
    back = 1 / (circuit.bulk_ohm * circuit.bulk_f)
    total = decay + across + back
    fast = (total + math.sqrt((decay + across - back) ** 2 + 4 * across * back)) / 2
    slow = back * decay / fast
    node_slope = decay * (settled - node) + across * (bulk - node)
    bulk_slope = back * (node - bulk)
    return Motion((fast, slow), _parts(node, settled - node, node_slope, fast, slow), _parts(bulk, settled - bulk, bulk_slope, fast, slow))


def _parts(start: float, way: float, slope: float, fast: float, slow: float) -> Triple:
    """X1 + X2 = way and fast*X1 + slow*X2 = slope."""
    return start, (slope - slow * way) / (fast - slow), (fast * way - slope) / (fast - slow)


def crossing_s(x: Triple, rates: tuple[float, float], threshold: float, *, rising: bool) -> float:
    """When x(t) first is at or past the threshold in this direction, inf for never. At the threshold already: only if it moves on."""
    sign = 1.0 if rising else -1.0
    gap, x1, x2 = sign * (threshold - x[0]), sign * x[1], sign * x[2]
    if gap < 0:
        return 0.0
    if gap == 0 and rates[0] * x1 + rates[1] * x2 > 0:
        return 0.0
    if x2 == 0:
        return -math.log1p(-gap / x1) / rates[0] if x1 > gap > 0 else math.inf
    return _crossing_of_two(gap, (x1, x2), rates)


def _crossing_of_two(gap: float, x: tuple[float, float], rates: tuple[float, float]) -> float:
    """Two exponentials have at most one turning point; search for the root before it, then after it."""

    def short_of(t: float) -> float:
        return gap + x[0] * math.expm1(-rates[0] * t) + x[1] * math.expm1(-rates[1] * t)

    last = 60 / min(rates)
    turns = [0.0, last]
    ratio = -(x[0] * rates[0]) / (x[1] * rates[1])
    if ratio > 0:
        turning = math.log(ratio) / (rates[0] - rates[1])
        if 0 < turning < last:
            turns.insert(1, turning)
    for low, high in itertools.pairwise(turns):
        if short_of(high) <= 0:
            return _bisect(short_of, low, high)
    return math.inf


def _bisect(falling: Callable[[float], float], low: float, high: float) -> float:
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return high
