"""What the next second of measuring is spent on, and when it is enough."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.kpi import aims
from labd.kpi.aims import LEAST_DOF, LONGEST_S, Aim, Part, Place, Seen, Standing, advice, standing
from labd.kpi.draws import Draws
from labd.kpi.estimate import Estimate
from labd.kpi.terms import Terms

K2 = 1.96**2


def figure(
    aim: float, *, lasting: float = 0.0, dof: float = 1e6, floor: float = 1.0, slope: float = 0.0, **seen: tuple[float, float, float]
) -> Standing:
    """seen: of each place its one capture, as what it tells of floor and slope and its variance."""
    part = Part(floor, slope, tuple(Seen(f"{name}/0", *one) for name, one in seen.items()))
    rows = np.array([[one, by] for one, by, _ in seen.values()])
    weights = np.diag([1 / variance for _, _, variance in seen.values()])
    by = np.array([floor, slope])
    random = float(by @ np.linalg.pinv(rows.T @ weights @ rows) @ by)
    half = math.sqrt(lasting**2 + K2 * random)
    return Standing(Aim("break_even", aim), "break_even_rate", "a|b", half, lasting, "offset", (part,), dof)


def places(piece_s: float = 1.0, **seconds: float) -> list[Place]:
    return [Place(name, {f"{name}/0": length}, piece_s) for name, length in seconds.items()]


TOP = 30.0  # /s
FLOOR, ABOVE = (1.0, 0.0, 1e-6), (1.0, TOP, 1e-4)


def test_a_line_is_known_best_by_its_ends_and_time_goes_to_the_one_that_scatters() -> None:
    """A middle rate tells of the slope with less leverage for as much scatter a second."""
    one = figure(0.001, floor=1.0, slope=25.0, low=FLOOR, middle=(1.0, 10.0, 1e-4 / 3), top=ABOVE)
    found = advice([one], places(low=10.0, middle=10.0, top=10.0)).seconds
    assert found["top"] > 10 * found.get("middle", 0.0)
    assert found["top"] > 3 * found.get("low", 0.0)


@given(st.floats(1e-8, 1e-4), st.floats(1e-8, 1e-4), st.floats(0.1, 0.9), st.floats(1e-3, 1e-2))
@settings(deadline=None)
def test_it_is_enough_and_hardly_more_than_the_least_that_could_be(low: float, top: float, share: float, aim: float) -> None:
    """Neyman 1934: of variances a/T the least total time is reached with times in proportion to the roots of a."""
    seconds = 10.0
    spots = places(piece_s=0.1, low=seconds, top=seconds)
    one = figure(aim, floor=1.0, slope=share * TOP, low=(1.0, 0.0, low), top=(1.0, TOP, top))
    found = advice([one], spots)
    each = {"low": math.sqrt(K2 * low * seconds) * (1 - share), "top": math.sqrt(K2 * top * seconds) * share}
    least = {name: root * sum(each.values()) / aim**2 for name, root in each.items()}
    spent = {name: seconds + found.seconds.get(name, 0.0) for name in each}
    assert sum(root**2 / spent[name] for name, root in each.items()) <= aim**2 * (1 + 1e-9)
    if found.seconds and all(value > seconds for value in least.values()):
        assert sum(spent.values()) <= 1.03 * sum(least.values()) + 0.2


def test_an_energy_is_known_by_its_own_place_alone() -> None:
    one = figure(0.001, floor=1.0, top=(1.0, 0.0, 1e-5))
    found = advice([one], places(low=10.0, top=10.0)).seconds
    assert set(found) == {"top"}
    assert K2 * 1e-5 * 10.0 / (10.0 + found["top"]) <= 1e-6


def test_several_figures_are_met_by_the_same_seconds_where_they_share_a_place() -> None:
    spots = places(low=10.0, top=10.0)
    one = figure(0.001, floor=0.0, slope=TOP, low=FLOOR, top=ABOVE)
    other = figure(0.001, floor=1.0, slope=TOP, low=FLOOR, top=ABOVE)
    both = advice([one, other], spots).total_s
    assert both < 0.7 * (advice([one], spots).total_s + advice([other], spots).total_s)


def test_what_cannot_be_met_asks_for_no_time_and_what_is_met_for_none_either() -> None:
    never, met = figure(0.01, lasting=0.02, top=(1.0, 0.0, 1e-4)), figure(0.5, a=(1.0, 0.0, 1e-4), b=(1.0, 0.0, 1e-4), c=(1.0, 0.0, 1e-4))
    assert (never.impossible, never.met, met.met) == (True, False, True)
    assert advice([never, met], places(top=10.0)).seconds == {}


def test_a_scatter_of_few_values_ends_nothing() -> None:
    """That of three values is small by chance one time in ten."""
    few = figure(0.5, dof=LEAST_DOF - 1, top=(1.0, 0.0, 1e-4))
    assert not few.met
    assert advice([few], places(top=10.0, low=10.0)).seconds == {"top": 1.0}


def test_a_figure_stands_by_its_own_budget() -> None:
    terms = Terms()
    value = 2.0 + terms.limit("smu:current[0.1 A].offset", 0.02) + terms.limit("smu:timebase", 1e-5)
    value += terms.random("A:m/r=1/mean/0:power.mean", 0.01, dof=30) + terms.random("A:m/r=0/floor/0:power.floor", 0.02, dof=60)
    found = standing(Aim("floor_power", 0.05), Estimate("fit.floor_power", "m", value, 2), [], Draws(1, "aims"))
    assert found.largest == "smu:current[0.1 A].offset"
    assert found.lasting == pytest.approx(0.95 * 0.01, rel=0.02)  # of a rectangular error, 95 % of its half-width
    assert found.half_width == pytest.approx(math.hypot(1.96 * math.hypot(0.005, 0.01), 0.01 / math.sqrt(3) * 1.96), rel=0.05)
    assert found.dof == pytest.approx((0.01**2 + 0.02**2) ** 2 / (0.01**4 / 30 + 0.02**4 / 60))
    assert found.met


def test_an_unknown_term_can_be_met_by_no_time() -> None:
    value = 2.0 + Terms().limit("smu:lead", None)
    found = standing(Aim("floor_power", 0.05), Estimate("fit.floor_power", "m", value, 2), [], Draws(1, "aims"))
    assert found.impossible
    assert "smu:lead" in found.largest


def _floor(*, floors: int, scatter: float, drift: float) -> Standing:
    """A floor of 1 W from so many captures with a drift term between them."""
    terms = Terms()
    value = 1.0 + terms.limit("always_on:floor drift", drift) + terms.limit("smu:gain", 1e-3)
    value = value + sum(terms.random(f"A:{k}", scatter / floors, dof=200) for k in range(floors))
    part = Part(1.0, 0.0, tuple(Seen(f"low/{k}", 1.0, 0.0, scatter**2) for k in range(floors)), "always_on")
    return standing(Aim("floor_power", 0.005), Estimate("fit.floor_power", "always_on", value, floors), [part], Draws(1, "test"))


def test_two_floors_that_differ_make_nothing_impossible_and_ask_for_more_of_them() -> None:
    one = _floor(floors=2, scatter=1e-4, drift=0.02)
    assert not one.impossible
    assert not one.met
    assert one.largest == "smu:gain"
    spot = Place("low", {"low/0": 4.0, "low/1": 4.0}, 4.0)
    assert advice([one], [spot]).seconds["low"] >= 8.0


def test_a_drift_that_many_floors_show_is_what_no_time_takes_away() -> None:
    one = _floor(floors=4, scatter=1e-4, drift=0.02)
    assert one.impossible
    assert one.largest == "always_on:floor drift"


def test_one_capture_is_believed_by_nobody_however_many_events_it_has() -> None:
    terms = Terms()
    seen = [Seen(f"top/{k}", 1.0, 0.0, 1e-10) for k in range(3)]
    estimate = Estimate("pooled.energy_per_inference.gross", "top", 1.0 + terms.random("A", 1e-5, dof=1000), 1000)
    found = [standing(Aim("energy_per_inference", 0.005), estimate, [Part(1.0, 0.0, tuple(seen[:k]))], Draws(1, "test")) for k in (1, 2, 3)]
    assert [one.met for one in found] == [False, False, True]
    assert advice(found[:1], [Place("top", {"top/0": 4.0}, 4.0)]).seconds == {"top": 4.0}


@given(st.lists(st.tuples(st.just(0.0) | st.floats(1e-9, 1e-4), st.floats(0.1, 100.0)), min_size=1, max_size=6), st.floats(1e-4, 1.0))
@settings(deadline=None)
def test_time_is_advised_only_where_a_second_takes_something_away(captures: list[tuple[float, float]], aim: float) -> None:
    """Captures that do not scatter, and places without any, tell nothing."""
    seen = tuple(Seen(f"p{k}/0", 1.0, 0.0, variance) for k, (variance, _) in enumerate(captures))
    spots = [Place(f"p{k}", {f"p{k}/0": seconds}, 1.0) for k, (_, seconds) in enumerate(captures)] + [Place("other", {"other/0": 1.0}, 1.0)]
    half = 1.96 * math.sqrt(sum(variance for variance, _ in captures))
    few = Standing(Aim("energy_per_inference", aim), "e", "m", half, 0.0, "", (Part(1.0, 0.0, seen),), LEAST_DOF - 1)
    found = advice([few], spots)
    assert all(captures[int(name[1:])][0] > 0 for name in found.seconds)
    if not any(variance for variance, _ in captures):
        assert (found.seconds, found.unknown) == ({}, True)
    elif half <= aim:
        assert found.total_s > 0


def test_a_figure_whose_captures_do_not_tell_it_is_not_predictable() -> None:
    """A line of one rate alone."""
    one = figure(0.001, floor=1.0, slope=25.0, top=ABOVE)
    found = advice([one], places(top=10.0))
    assert (found.seconds, found.unknown, found.endless) == ({}, True, False)


def test_a_prediction_ends_at_a_hundred_days() -> None:
    found = advice([figure(1e-7, floor=1.0, top=(1.0, 0.0, 1e-4))], places(top=10.0))
    assert found.endless
    assert not found.unknown
    assert LONGEST_S < found.total_s < 1.02 * LONGEST_S


def test_the_work_of_a_large_plan_goes_with_its_places_and_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each figure lacks is computed anew only where time went to one of its own places."""
    inverted, count = aims._inverted, 0

    def counted(floor: float, slope: float, information: tuple[float, float, float]) -> float:
        nonlocal count
        count += 1
        return inverted(floor, slope, information)

    monkeypatch.setattr(aims, "_inverted", counted)

    def work(groups: int) -> int:
        """Places: five rates of each group, a supply or a model."""
        nonlocal count
        count = 0
        every = [{f"g{k}r{rate}": (1.0, float(rate), 1e-6 * (1 + rate)) for rate in (0, 1, 3, 10, 30)} for k in range(groups)]
        figures = [figure(0.0003, lasting=0.0, dof=1e6, floor=1.0, slope=slope, **seen) for seen in every for slope in (0.0, 25.0)]
        spots = places(**{name: 4.0 for seen in every for name in seen})
        found = advice(figures, spots)
        assert len(spots) == 5 * groups
        assert found.total_s > 50 * groups
        return count

    few, many = work(6), work(30)
    assert many <= 5.5 * few
    assert many < 1_000_000
