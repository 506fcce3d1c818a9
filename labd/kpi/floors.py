"""The floor of one mode from its repeats."""

from __future__ import annotations

import math
from collections.abc import Sequence

from labd.kpi.capture import CaptureResult
from labd.kpi.scatter import random_variance
from labd.kpi.terms import Terms, Uncertain

DRIFT = "floor drift"  # end of the name of that error, behind the mode's


def bracketed(floors: Sequence[CaptureResult], at: str, *, terms: Terms) -> Uncertain:
    """The floor from its repeats, weighted by their lengths. Repeats that differ by more than their scatter bracket a drift (temperature,
    zero): between them it can have been anywhere, a rectangular error of half their range. Their own Type A errors, far smaller, know
    nothing of it."""
    values = [terms.adopt(c.estimates["power.floor"].value) for c in floors]
    counts = [c.estimates["power.floor"].n for c in floors]
    mean: Uncertain = sum(n / sum(counts) * v for n, v in zip(counts, values, strict=True))
    nominal = [float(v.nominal_value) for v in values]
    scatter = math.sqrt(sum(random_variance(v) for v in values))
    half_range = (max(nominal) - min(nominal)) / 2
    return mean + terms.limit(f"{at}:{DRIFT}", half_range) if half_range > scatter else mean
