"""The Type A part of a value: what scatters, apart from the errors that its figures share."""

from __future__ import annotations

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
    """Harmonic mean of the degrees of freedom of the values' Type A errors: their variances are estimates too."""
    inverse = [1 / float(v.tag.dof) for one in values for v, _ in parts(one) if v.tag.kind == "A"]
    return len(inverse) / sum(inverse) if inverse else float("inf")
