"""What scatters, and from how much it is known."""

import math

import pytest

from labd.kpi.scatter import random_times, random_variance, typical_dof, without_random
from labd.kpi.terms import Terms


def test_degrees_of_freedom_are_those_of_the_errors_that_count() -> None:
    terms = Terms()
    value = 1.0 + terms.random("events", 1e-3, dof=1000) + terms.random("level", 1e-6, dof=3) + terms.limit("gain", 0.1)
    assert typical_dof([value]) == pytest.approx(1000, rel=1e-3)


def test_equal_errors_of_one_value_add_their_degrees_of_freedom() -> None:
    terms = Terms()
    assert typical_dof([terms.random("one", 1.0, dof=8) + terms.random("two", 1.0, dof=8)]) == pytest.approx(16)


def test_values_of_several_captures_have_the_harmonic_mean() -> None:
    terms = Terms()
    assert typical_dof([terms.random("one", 1.0, dof=4), 1.0 + terms.random("two", 5.0, dof=12)]) == pytest.approx(6)


def test_what_does_not_scatter_has_no_end_of_degrees() -> None:
    assert math.isinf(typical_dof([1.0 + Terms().limit("gain", 0.1)]))


def test_scatter_is_scaled_and_taken_away_without_the_rest() -> None:
    terms = Terms()
    value = 2.0 + terms.random("events", 0.5, dof=9) + terms.limit("gain", 0.3)
    assert random_variance(random_times(value, 3.0)) == pytest.approx(2.25)
    assert random_variance(without_random(value)) == 0
    assert without_random(random_times(value, 3.0)).std_dev == pytest.approx(0.3 / math.sqrt(3))
