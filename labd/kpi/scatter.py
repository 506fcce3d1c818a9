"""The Type A part of a value: what scatters, apart from the errors that its figures share."""

from __future__ import annotations

import math
from collections.abc import Sequence

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


def typical_dof(values: Sequence[Uncertain]) -> float:
    """Harmonic mean of the effective degrees of freedom (JCGM 100:2008, G.4.1) of the values' Type A parts: their variances are estimates
    too. An error that is small beside the others of its value says next to nothing, however few degrees of freedom it has."""
    inverse = [_inverse_dof(one) for one in values if random_variance(one)]
    return len(inverse) / total if (total := sum(inverse)) else math.inf


def _inverse_dof(value: Uncertain) -> float:
    whole = random_variance(value)
    own = [((c * v.tag.unit_u) ** 2, float(v.tag.dof)) for v, c in parts(value) if v.tag.kind == "A"]
    return float(sum(variance**2 / dof for variance, dof in own) / whole**2)
