"""The Type A part of a value: what scatters, apart from the errors that its figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labd.kpi.estimate import budget
from labd.kpi.targets import effective_dof
from labd.kpi.terms import Uncertain, parts


def random_variance(value: Uncertain) -> float:
    return float(sum((c * v.tag.unit_u) ** 2 for v, c in parts(value) if v.tag.kind == "A"))


def without_random(value: Uncertain) -> Uncertain:
    return value - sum(c * v for v, c in parts(value) if v.tag.kind == "A")


def random_times(value: Uncertain, factor: float) -> Uncertain:
    """The same value with its Type A errors scaled."""
    if factor == 1.0:
        return value
    return value + sum((factor - 1.0) * c * v for v, c in parts(value) if v.tag.kind == "A")


def random_dof(value: Uncertain) -> float:
    """Effective degrees of freedom of the Type A part, infinite without one. An error that is small beside the others says next to nothing,
    however few degrees of freedom it has."""
    return effective_dof(budget(value - without_random(value)))


def typical_dof(values: Sequence[Uncertain]) -> float:
    """Harmonic mean of the degrees of freedom of values: their variances are estimates too."""
    inverse = [1 / random_dof(one) for one in values if random_variance(one)]
    return len(inverse) / total if (total := sum(inverse)) else math.inf
