"""How the timeline's evidence judges: intervals of a normal and a uniform error together, and which coverages are compatible with 95 %."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.timeline.verdict import COVERAGES, Aligned, Coverage, Draws


@pytest.mark.parametrize(("u", "limits"), [(1.0, ()), (1.0, (0.5,)), (1.0, (3.0, 0.3)), (0.2, (7.0, 2.0)), (0.0, (2.0,))])
def test_a_stated_interval_holds_95_percent_of_what_is_drawn(u: float, limits: tuple[float, ...]) -> None:
    rng = np.random.default_rng(1)
    drawn = rng.normal(0, 1, 400_000) * u + sum(rng.uniform(-1, 1, 400_000) * limit for limit in limits)
    assert float(np.mean(np.abs(drawn) <= Draws(5).half_width(u, *limits))) == pytest.approx(0.95, abs=0.004)


def counted(covered: int) -> Coverage:
    return Coverage(errors=[0.5] * covered + [1.5] * (500 - covered), half_widths=[1.0] * 500)


def test_a_coverage_is_compatible_within_its_binomial_interval() -> None:
    fewest, most = counted(475).allowed
    rng = np.random.default_rng(2)
    drawn = rng.binomial(500, 0.95, 200_000)
    assert float(np.mean(drawn < fewest)) < 0.005 < float(np.mean(drawn <= fewest))
    assert float(np.mean(drawn > most)) < 0.005 / COVERAGES < float(np.mean(drawn >= most))
    assert [counted(k).compatible for k in (fewest - 1, fewest, most, most + 1)] == [False, True, True, False]


@pytest.mark.parametrize(("times", "padded"), [(0.8, False), (1.0, False), (1.5, True)])
def test_an_interval_wider_than_its_errors_is_padded(times: float, padded: bool) -> None:
    rng = np.random.default_rng(3)
    u = rng.uniform(0.1, 10, 500)
    coverage = Coverage()
    for error, one in zip(rng.normal(0, u).tolist(), u.tolist(), strict=True):
        coverage.add(error=error, half_width=1.96 * times * one)
    assert coverage.padding == pytest.approx(times, rel=0.1)
    assert coverage.padded is padded


def test_blocks_of_captures_join() -> None:
    one, other = (Aligned("any", 1.0, judged_at_instants=False, worst_on_samples=[w], failed=["none"]) for w in (0.5, 2.0))
    one.on_samples.add(error=0.1, half_width=0.2)
    other.on_samples.add(error=0.3, half_width=0.2)
    one.join(other)
    assert one.captures == 4
    assert one.within == 0.25
    assert one.on_samples.share == 0.5


def test_a_capture_that_could_not_be_aligned_counts_as_outside() -> None:
    aligned = Aligned("any", 1.0, judged_at_instants=False, worst_on_samples=[0.5, 0.9, 1.1], failed=["no signature"])
    assert aligned.captures == 4
    assert aligned.within == 0.5
    assert math.isfinite(aligned.within)
