from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from labd.kpi.distributions import (
    binomial_cdf,
    chi2_tail,
    f_tail,
    incomplete_beta,
    order_statistic_ranks,
    smallest_n_for_quantile,
    student_cdf,
    student_quantile,
)


@settings(max_examples=80, deadline=None)
@given(st.floats(0.001, 0.999), st.floats(0.8, 500))
def test_student_quantiles_agree_with_scipy(p: float, dof: float) -> None:
    assert student_quantile(p, dof) == pytest.approx(stats.t.ppf(p, dof), rel=1e-8, abs=1e-10)


@settings(max_examples=80, deadline=None)
@given(st.floats(0.01, 200), st.floats(1, 60))
def test_chi_squared_tails_agree_with_scipy(x: float, dof: float) -> None:
    assert chi2_tail(x, dof) == pytest.approx(stats.chi2.sf(x, dof), rel=1e-8, abs=1e-13)


@settings(max_examples=60, deadline=None)
@given(st.floats(0.01, 50), st.integers(1, 12), st.floats(2, 300))
def test_f_tails_agree_with_scipy(f: float, dof1: int, dof2: float) -> None:
    assert f_tail(f, dof1, dof2=dof2) == pytest.approx(stats.f.sf(f, dof1, dof2), rel=1e-7, abs=1e-13)


@settings(max_examples=80, deadline=None)
@given(st.floats(0.3, 50), st.floats(0.3, 50), st.floats(0, 1))
def test_incomplete_beta_agrees_with_scipy(a: float, b: float, x: float) -> None:
    assert incomplete_beta(a, b, x=x) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-8, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.floats(0.01, 0.99), st.integers(-1, 300))
def test_binomial_tails_agree_with_scipy(n: int, p: float, k: int) -> None:
    assert binomial_cdf(k, n, p=p) == pytest.approx(stats.binom.cdf(k, n, p), rel=1e-8, abs=1e-12)


@pytest.mark.parametrize(("p", "n"), [(0.5, 6), (0.95, 59), (0.99, 299)])
def test_a_quantile_needs_its_smallest_number_of_values(p: float, n: int) -> None:
    assert smallest_n_for_quantile(p) == n
    assert order_statistic_ranks(n - 1, p) is None
    assert order_statistic_ranks(n, p) is not None


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 400), st.sampled_from([0.5, 0.95, 0.99]))
def test_order_statistics_hold_the_quantile_with_the_stated_chance(n: int, p: float) -> None:
    ranks = order_statistic_ranks(n, p)
    if ranks is None:
        assert n < smallest_n_for_quantile(p)
        return
    low, high = ranks
    assert 1 <= low < high <= n
    assert stats.binom.cdf(high - 1, n, p) - stats.binom.cdf(low - 1, n, p) >= 0.95 - 1e-12


def test_a_probability_outside_0_to_1_is_refused() -> None:
    with pytest.raises(ValueError, match="probability"):
        student_quantile(1.0, 5)


def test_infinite_degrees_of_freedom_are_the_normal() -> None:
    assert student_quantile(0.975, np.inf) == pytest.approx(1.959964, abs=1e-6)


@pytest.mark.parametrize("dof", [1e6, 1e7, 1.1e7, 1e9, 1e12, 1e14, 1e16, 1e20, 1e30])
def test_many_degrees_of_freedom_are_nearly_the_normal(dof: float) -> None:
    """A budget that a gain dominates has as many: the fourth power of the little that its scatter is."""
    for p in (0.6, 0.975, 0.999):
        assert student_quantile(p, dof) == pytest.approx(stats.norm.ppf(p), rel=5e-5)
    for t in (-3.0, 0.5, 1.96):
        assert student_cdf(t, dof) == pytest.approx(stats.norm.cdf(t), rel=5e-5)
