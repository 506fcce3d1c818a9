"""How the timeline's evidence judges: intervals of a normal and a uniform error together, and which coverages are compatible with 95 %."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.timeline.verdict import Aligned, Coverage, Draws


@pytest.mark.parametrize(("u", "limits"), [(1.0, ()), (1.0, (0.5,)), (1.0, (3.0, 0.3)), (0.2, (7.0, 2.0)), (0.0, (2.0,))])
def test_a_stated_interval_holds_95_percent_of_what_is_drawn(u: float, limits: tuple[float, ...]) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, 1, 400_000) * u + sum(rng.uniform(-1, 1, 400_000) * limit for limit in limits)
    assert float(np.mean(np.abs(drawn) <= Draws(5).half_width(u, *limits))) == pytest.approx(0.95, abs=0.004)


def counted(covered: int, *, both: bool = True) -> Coverage:
    return Coverage(both=both, covered=covered, total=500)


def test_a_coverage_is_compatible_within_its_binomial_interval() -> None:
    fewest, most = counted(475).allowed
    rng = np.random.default_rng(2)
    drawn = rng.binomial(500, 0.95, 200_000)
    assert float(np.mean(drawn < fewest)) < 0.005 < float(np.mean(drawn <= fewest))
    assert float(np.mean(drawn > most)) < 0.005 < float(np.mean(drawn >= most))
    assert [counted(k).compatible for k in (fewest - 1, fewest, most, most + 1)] == [False, True, True, False]
    assert counted(500, both=False).compatible
    assert not counted(fewest - 1, both=False).compatible


def test_a_capture_that_could_not_be_aligned_counts_as_outside() -> None:
    aligned = Aligned("any", 1.0, judged_at_instants=False, worst_on_samples=[0.5, 0.9, 1.1], failed=["no signature"])
    assert aligned.captures == 4
    assert aligned.within == 0.5
    assert math.isfinite(aligned.within)
