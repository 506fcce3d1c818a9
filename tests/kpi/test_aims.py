"""What the next second of measuring is spent on, and when it is enough."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.kpi.aims import LEAST_DOF, Aim, Place, Standing, advice, standing
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.terms import Terms

K2 = 1.96**2


def figure(aim: float, *, lasting: float = 0.0, dof: float = 1e6, **random: float) -> Standing:
    """random: variance that each place's one capture gives, by the place's name."""
    half = math.sqrt(lasting**2 + K2 * sum(random.values()))
    return Standing(
        Aim("break_even", aim), "break_even_rate", "a|b", half, lasting, "offset", {f"{k}/0": v for k, v in random.items()}, dof
    )


def places(piece_s: float = 1.0, **seconds: float) -> list[Place]:
    return [Place(name, {f"{name}/0": length}, piece_s) for name, length in seconds.items()]


def left(one: Standing, spots: list[Place], more: dict[str, float]) -> float:
    """Half-width after so many more seconds."""
    random = sum(v * p.seconds / (p.seconds + more.get(p.name, 0.0)) for p in spots for v in [one.random.get(f"{p.name}/0", 0.0)])
    return math.sqrt(one.lasting**2 + K2 * random)


def test_time_goes_where_it_takes_most_away() -> None:
    one = figure(0.01, low=1e-4, high=1e-6)
    found = advice([one], places(low=10.0, high=10.0))
    assert found.seconds["low"] > 20 * found.seconds.get("high", 0.0)
    assert left(one, places(low=10.0, high=10.0), dict(found.seconds)) <= 0.01


@given(
    st.lists(st.tuples(st.floats(1e-8, 1e-3), st.floats(1.0, 100.0)), min_size=1, max_size=5),
    st.floats(1e-3, 1e-1),
)
@settings(deadline=None)
def test_it_is_enough_and_hardly_more_than_the_least_that_could_be(spots: list[tuple[float, float]], aim: float) -> None:
    """Neyman 1934: of variances a/T the least sum for a total time is reached with times in proportion to the roots of a."""
    made = [Place(f"p{k}", {f"p{k}/0": seconds}, seconds / 50) for k, (_, seconds) in enumerate(spots)]
    one = figure(aim, **{f"p{k}": v for k, (v, _) in enumerate(spots)})
    found = advice([one], made)
    assert left(one, made, dict(found.seconds)) <= aim * (1 + 1e-9)
    if not found.seconds:
        return
    spent = sum(place.seconds for place in made)
    each = [math.sqrt(K2 * v * seconds) for v, seconds in spots]
    least = sum(each) ** 2 / aim**2
    begun = sum(
        max(place.seconds - e * sum(each) / aim**2, 0.0) for place, e in zip(made, each, strict=True)
    )  # already more than its share
    assert spent + found.total_s <= 1.05 * (least + begun) + sum(place.piece_s for place in made)


def test_several_figures_are_met_by_the_same_seconds_where_they_share_a_place() -> None:
    spots = places(floor=10.0, top=10.0)
    one, other = figure(0.01, top=1e-4), figure(0.02, floor=1e-4, top=1e-4)
    found = advice([one, other], spots)
    assert all(left(each, spots, dict(found.seconds)) <= each.aim.relative for each in (one, other))
    assert found.total_s < advice([one], spots).total_s + advice([other], spots).total_s


def test_what_cannot_be_met_asks_for_no_time_and_what_is_met_for_none_either() -> None:
    never, met = figure(0.01, lasting=0.02, top=1e-4), figure(0.5, top=1e-4)
    assert (never.impossible, never.met, met.met) == (True, False, True)
    assert advice([never, met], places(top=10.0)).seconds == {}


def test_a_scatter_of_few_values_ends_nothing() -> None:
    """That of three values is small by chance one time in ten."""
    few = figure(0.5, dof=LEAST_DOF - 1, top=1e-4)
    assert not few.met
    assert advice([few], places(top=10.0, low=10.0)).seconds == {"top": 1.0}


def test_a_figure_stands_by_its_own_budget() -> None:
    terms = Terms()
    value = 2.0 + terms.limit("smu:current[0.1 A].offset", 0.02) + terms.limit("smu:timebase", 1e-5)
    value += terms.random("A:m/r=1/mean/0:power.mean", 0.01, dof=30) + terms.random("A:m/r=0/floor/0:power.floor", 0.02, dof=60)
    found = standing(Aim("floor_power", 0.05), Estimate("fit.floor_power", "m", value, 2), Draws(1, "aims"))
    assert found.random == pytest.approx({"m/r=1/mean/0": 0.005**2, "m/r=0/floor/0": 0.01**2})
    assert found.largest == "smu:current[0.1 A].offset"
    assert found.lasting == pytest.approx(0.95 * 0.01, rel=0.02)  # of a rectangular error, 95 % of its half-width
    assert found.half_width == pytest.approx(math.hypot(1.96 * math.hypot(0.005, 0.01), 0.01 / math.sqrt(3) * 1.96), rel=0.05)
    assert found.dof == pytest.approx((0.01**2 + 0.02**2) ** 2 / (0.01**4 / 30 + 0.02**4 / 60))
    assert found.met


def test_an_unknown_term_can_be_met_by_no_time() -> None:
    value = 2.0 + Terms().limit("smu:lead", None)
    found = standing(Aim("floor_power", 0.05), Estimate("fit.floor_power", "m", value, 2), Draws(1, "aims"))
    assert found.impossible
    assert "smu:lead" in found.largest
