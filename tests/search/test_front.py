"""The Pareto front: who is dominated beyond the intervals, and who only by the values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.search.front import dominates, front, surely_dominates
from labd.search.outcome import Outcome, State
from tests.search.made import outcome

BOTH = ("energy_per_inference", "accuracy")


def names(outcomes: list[Outcome]) -> tuple[list[int], set[int]]:
    found = front(outcomes, BOTH)
    return [one.number for one in found.points], {int(name.partition("/")[2]) for name in found.best}


def at(number: int, energy: float, accuracy: float, *, u: float = 0.0) -> Outcome:
    return outcome(number, energy_per_inference=(energy, u * energy), accuracy=(accuracy, u * accuracy))


def test_who_is_worse_beyond_the_intervals_in_everything_is_dominated() -> None:
    assert names([at(1, 1.0, 0.9, u=0.01), at(2, 2.0, 0.8, u=0.01), at(3, 3.0, 0.95, u=0.01)]) == ([1, 3], {1, 3})


def test_who_is_worse_by_less_than_the_intervals_stays_and_is_not_among_the_best() -> None:
    assert names([at(1, 1.0, 0.9, u=0.1), at(2, 1.05, 0.89, u=0.1)]) == ([1, 2], {1})


def test_worse_beyond_the_interval_in_one_and_equal_in_the_other_is_dominated() -> None:
    same = (0.9, 0.05)
    one = outcome(1, energy_per_inference=(1.0, 0.01), accuracy=same)
    other = outcome(2, energy_per_inference=(1.1, 0.01), accuracy=same)
    assert names([one, other]) == ([1], {1})


def test_two_of_the_same_figures_both_stay() -> None:
    assert names([at(1, 1.0, 0.9), at(2, 1.0, 0.9)]) == ([1, 2], {1, 2})


def test_a_figure_without_an_interval_is_beyond_nothing() -> None:
    unsure = outcome(2, energy_per_inference=(5.0, None), accuracy=(0.1, None))
    assert names([at(1, 1.0, 0.9), unsure]) == ([1, 2], {1})


def test_who_was_stopped_or_lacks_a_figure_is_not_among_them() -> None:
    stopped = outcome(2, state=State.STOPPED, energy_per_inference=(0.1, 0.0), accuracy=(1.0, 0.0))
    assert names([at(1, 1.0, 0.9), stopped, outcome(3, energy_per_inference=(0.1, 0.0))]) == ([1], {1})


figures = st.tuples(st.floats(0.1, 10), st.floats(0.0, 1), st.floats(0.0, 0.3))


@given(st.lists(figures, min_size=1, max_size=12))
def test_the_front_is_never_empty_and_holds_all_that_no_values_dominate(given_figures: list[tuple[float, float, float]]) -> None:
    outcomes = [at(k, energy, accuracy, u=u) for k, (energy, accuracy, u) in enumerate(given_figures)]
    found = front(outcomes, BOTH)
    undominated = {one.name for one in outcomes if not any(dominates(other.figures, one.figures, BOTH) for other in outcomes)}
    assert found.best == undominated
    assert undominated <= {one.name for one in found.points}


@given(figures, figures)
def test_nobody_is_dominated_beyond_the_intervals_who_is_not_dominated(
    one: tuple[float, float, float], other: tuple[float, float, float]
) -> None:
    a, b = (at(k, energy, accuracy, u=u) for k, (energy, accuracy, u) in enumerate((one, other)))
    if surely_dominates(a.figures, b.figures, BOTH):
        assert dominates(a.figures, b.figures, BOTH)


@pytest.mark.parametrize("objective", BOTH)
def test_the_first_objective_gives_the_order(objective: str) -> None:
    found = front([at(1, 1.0, 0.8), at(2, 2.0, 0.9), at(3, 0.5, 0.7)], [objective, *(name for name in BOTH if name != objective)])
    expected = [3, 1, 2] if objective == "energy_per_inference" else [2, 1, 3]
    assert [one.number for one in found.points] == expected
