from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from labd.kpi.draws import Draws
from labd.kpi.estimate import TERM_UNKNOWN, Estimate, published, unit_of
from labd.kpi.inputs import MeterTerms, RangeTerm
from labd.kpi.terms import Term, Terms, power_like, unknown_terms
from labd.kpi.trace import moments
from labd.kpi.type_a import evaluate

METER = MeterTerms("smu", (RangeTerm(0.1, 1e-3, 1e-5),), 5e-4, 1e-3, 5e-5)


def ar1(rng: np.random.Generator, n: int, rho: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    x = rng.standard_normal(n + 40)
    for k in range(1, n + 40):
        x[k] += rho * x[k - 1]
    return x[40:]


@pytest.mark.parametrize(
    ("n", "rho", "low", "high"), [(24, 0.0, 93.5, 97.5), (100, 0.0, 93.5, 97.5), (100, 0.5, 92.0, 97.5), (100, 0.8, 91.0, 97.5)]
)
def test_type_a_covers_correlated_values(n: int, rho: float, low: float, high: float) -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(600):
        found = evaluate(ar1(rng, n, rho))
        hits += abs(found.mean) <= stats.t.ppf(0.975, found.dof) * found.u
    assert low <= hits / 6 <= high


def test_ignoring_correlation_would_halve_the_coverage() -> None:
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        x = ar1(rng, 100, 0.8)
        hits += abs(x.mean()) <= 1.984 * x.std(ddof=1) / 10
    assert hits / 400 < 0.6


def test_white_values_are_not_inflated_for_a_correlation_within_its_own_error() -> None:
    x = np.array([1.0, -1.0, 2.0, -2.0, 1.5, -1.0, 0.5, 0.2])
    found = evaluate(x)
    assert found.factor == 1.0
    assert found.u == pytest.approx(x.std(ddof=1) / math.sqrt(8))
    assert found.dof == 7


def test_equal_values_have_no_scatter_and_one_value_is_refused() -> None:
    assert evaluate(np.full(5, 3.0)).u == 0
    with pytest.raises(ValueError, match="1 values"):
        evaluate(np.array([1.0]))


def test_a_rectangular_error_alone_has_its_own_quantile_and_not_k_equals_2() -> None:
    value = 5.0 + Terms().limit("a", 1.0)
    assert Draws(1, "k").half_width(value) == pytest.approx(0.95, abs=0.006)


@pytest.mark.parametrize("dof", [1.0, 2.5, 4.0, 6.0, 11.0, 23.0, 99.0, 1e6])
def test_a_type_a_error_alone_has_students_quantile(dof: float) -> None:
    value = 5.0 + Terms().random("A:x", 2.0, dof=dof)
    assert Draws(1, "k", size=200_000).half_width(value) == pytest.approx(2 * stats.t.ppf(0.975, dof), rel=0.015)


def test_two_type_a_errors_of_one_value_are_independent() -> None:
    terms = Terms()
    value = terms.random("A:x", 1.0, dof=1e6) + terms.random("A:y", 1.0, dof=1e6)
    assert Draws(1, "k", size=100_000).half_width(value) == pytest.approx(1.96 * math.sqrt(2), rel=0.015)


def test_draws_depend_on_seed_and_name_only() -> None:
    terms = Terms()
    a, b = terms.limit("a", 1.0), terms.limit("b", 2.0)
    first, second = Draws(3, "k"), Draws(3, "k")
    first.half_width(b)
    assert first.half_width(a + b) == second.half_width(a + b)
    assert Draws(4, "k").half_width(a + b) != first.half_width(a + b)


def vector(i: float, v: float, n: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([v * i * n, v * n, i * n, n, i * i * n])


def test_a_shared_gain_cancels_in_a_ratio_but_not_in_an_energy() -> None:
    terms = Terms()
    a = power_like(terms, METER, moments=moments(vector(0.01, 3, 10)), timed=True)
    b = power_like(terms, METER, moments=moments(vector(0.01, 3, 20)), timed=True)
    assert a.std_dev / a.nominal_value > 5e-4
    assert (a / b).std_dev < 1e-12


def test_estimates_made_apart_join_by_name() -> None:
    make = [power_like(Terms(), METER, moments=moments(vector(0.01, 3, 10)), timed=True) for _ in range(2)]
    assert (make[0] - make[1]).std_dev > 0
    run = Terms()
    difference = run.adopt(make[0]) - run.adopt(make[1])
    assert difference.std_dev == pytest.approx(0, abs=1e-18)


def test_sensitivities_are_those_of_the_measurement_equation() -> None:
    terms = Terms()
    value = power_like(terms, METER, moments=moments(vector(0.01, 3, 10)), timed=True)
    lines = {v.tag.name: c for v, c in value.derivatives.items()}
    assert lines["smu:current[0.1 A].gain"] == pytest.approx(0.3 * 1e-3)
    assert lines["smu:current[0.1 A].offset"] == pytest.approx(30 * 1e-5)
    assert lines["smu:voltage.gain"] == pytest.approx(0.3 * 5e-4)
    assert lines["smu:voltage.offset"] == pytest.approx(0.1 * 1e-3)
    assert lines["smu:timebase"] == pytest.approx(0.3 * 5e-5)


def test_an_unknown_term_leaves_no_interval_unless_it_cancels() -> None:
    meter = MeterTerms("smu", (RangeTerm(0.1, None, 1e-5),), 5e-4, 1e-3, 5e-5)
    terms = Terms()
    a = power_like(terms, meter, moments=moments(vector(0.01, 3, 10)), timed=False)
    b = power_like(terms, meter, moments=moments(vector(0.01, 3, 20)), timed=False)
    record = published(Estimate("power.mean", "x", a, 5), draws=Draws(1, "k"), captures=())
    assert record.value is not None
    assert (record.u, record.low, record.high) == (None, None, None)
    assert TERM_UNKNOWN in record.flags
    assert "smu:current[0.1 A].gain" in record.note
    assert unknown_terms(a / b) == ()


def test_a_cold_instrument_widens_its_own_limits_only() -> None:
    cold = MeterTerms("smu", METER.current, 5e-4, 1e-3, 5e-5, widen=3.0)
    plain, wide = (power_like(Terms(), m, moments=moments(vector(0.01, 3, 10)), timed=True) for m in (METER, cold))
    assert wide.std_dev == pytest.approx(3 * plain.std_dev)


def test_a_name_stands_for_one_term() -> None:
    terms = Terms()
    terms.unit(Term("a", "B", "rectangular"))
    with pytest.raises(ValueError, match="cannot also be"):
        terms.unit(Term("a", "A", "t", 3))


def test_the_budget_adds_up_to_u() -> None:
    value = power_like(Terms(), METER, moments=moments(vector(0.01, 3, 10)), timed=True)
    record = published(Estimate("energy_per_inference.gross", "x", value, 5), draws=Draws(1, "k"), captures=("c",))
    assert record.u == pytest.approx(math.sqrt(sum(line.u**2 for line in record.budget)))
    assert [abs(line.u) for line in record.budget] == sorted((abs(line.u) for line in record.budget), reverse=True)


def test_every_kpi_has_a_unit() -> None:
    assert unit_of("power.peak[1ms]") == "W"
    assert unit_of("fit.floor_power") == "W"
    assert unit_of("closure.power_analyzer") == "W"
    assert unit_of("closure.slope_vs_window") == "J"
    assert unit_of("duty_cycle") == "1"
    with pytest.raises(ValueError, match="no unit"):
        unit_of("beauty")
