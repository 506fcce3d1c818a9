"""Maps between clocks: there and back, one after another, and what they say of their own uncertainty."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.segment.clocks import ClockMap, fitted


def drawn(seed: int) -> ClockMap:
    rng = np.random.default_rng(seed)
    x0, y0, rate = rng.uniform(-1e3, 1e3), rng.uniform(-1e6, 1e6), 10 ** rng.uniform(-3, 3)
    return ClockMap(x0, y0, rate, rng.uniform(0, 1), 0.0, rng.uniform(0, 1e-6), (rng.uniform(-100, 0), rng.uniform(1, 100)))


maps = st.integers(0, 1 << 32).map(drawn)
XS = np.linspace(-50.0, 50.0, 7)


@settings(deadline=None)
@given(maps)
def test_a_map_and_its_inverse_lead_back(one: ClockMap) -> None:
    back = one.inverse()
    assert back.at(one.at(XS)) == pytest.approx(XS, abs=1e-6 * (1 + abs(one.y0) / one.rate))
    assert back.u_at(one.at(XS)) == pytest.approx(one.u_at(XS) / one.rate, rel=1e-6, abs=1e-9)
    assert back.inverse().span == pytest.approx(one.span, abs=1e-6 * (1 + abs(one.y0) / one.rate))


@settings(deadline=None)
@given(maps, maps)
def test_two_maps_one_after_the_other_are_one(one: ClockMap, two: ClockMap) -> None:
    both = one.then(two)
    y = one.at(XS)
    assert both.at(XS) == pytest.approx(two.at(y), rel=1e-9, abs=1e-6 * abs(two.rate) * (1 + abs(one.y0) + abs(two.x0)))


def test_the_errors_of_two_maps_add_as_drawn() -> None:
    """Against draws of both lines: the composed uncertainty is their spread."""
    rng = np.random.default_rng(7)
    cov_one, cov_two = np.array([[4.0, 0.1], [0.1, 0.01]]), np.array([[0.09, -0.001], [-0.001, 1e-4]])
    one = ClockMap(10.0, 3.0, 2.0, 4.0, 0.1, 0.01, (0.0, 20.0))
    two = ClockMap(5.0, -1.0, 0.5, 0.09, -0.001, 1e-4, (-30.0, 60.0))
    a, b = rng.multivariate_normal([0, 0], cov_one, 200_000), rng.multivariate_normal([0, 0], cov_two, 200_000)
    for x in (4.0, 10.0, 17.0):
        y = 3.0 + a[:, 0] + (2.0 + a[:, 1]) * (x - 10.0)
        z = -1.0 + b[:, 0] + (0.5 + b[:, 1]) * (y - 5.0)
        said = float(one.then(two).u_at(np.array([x]))[0])
        assert said == pytest.approx(float(z.std()), rel=0.03)


def test_a_composed_map_holds_only_where_both_do() -> None:
    one = ClockMap(0.0, 100.0, 10.0, 0.0, 0.0, 0.0, (0.0, 50.0))
    two = ClockMap(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, (200.0, 400.0))
    assert one.then(two).span == (10.0, 30.0)


@settings(deadline=None)
@given(st.floats(0.0, 1.0), st.floats(0.05, 0.95))
def test_no_wander_within_its_band_leaves_the_limit_that_the_uncertainty_comes_from(turn: float, f: float) -> None:
    """A rate that is high up to some instant and low after it, as far apart as the band is wide, with the mean that the ends show."""
    width, lasts = 500e-6, 2.0
    clock = ClockMap(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, (0.0, lasts), wander=width)
    x = f * lasts
    strayed = width * (min(x, turn * lasts) - turn * x)
    limit = float(clock.u_at(np.array([x]))[0]) * np.sqrt(3)
    assert abs(strayed) <= limit * (1 + 1e-9)
    assert limit == pytest.approx(width * lasts * f * (1 - f)), "and no more than the worst of them takes"


def test_wander_grows_with_the_way_beyond_the_span() -> None:
    clock = ClockMap(0.0, 0.0, 1.0, 0.0, 0.0, 0.0, (0.0, 2.0), wander=500e-6)
    assert clock.u_at(np.array([0.0, 2.0])) == pytest.approx([0.0, 0.0])
    assert clock.u_at(np.array([-1.0, 3.0])) == pytest.approx(np.full(2, 500e-6 / np.sqrt(3)))


def test_a_fitted_line_scatters_as_it_says() -> None:
    rng = np.random.default_rng(11)
    x = np.linspace(0.0, 9.0, 40)
    off, slopes, said = [], [], []
    for _ in range(400):
        clock = fitted(x, 3.0 + 7.0 * x + rng.normal(0, 0.2, len(x)))
        off.append(float(clock.at(np.array([2.0]))[0]) - 17.0)
        slopes.append(clock.rate - 7.0)
        said.append((float(clock.u_at(np.array([2.0]))[0]), clock.u_rate * clock.rate))
    u, u_rate = np.mean(said, axis=0)
    assert np.std(off) == pytest.approx(u, rel=0.12)
    assert np.std(slopes) == pytest.approx(u_rate, rel=0.12)


@pytest.mark.parametrize("x", [[], [1.0], [2.0, 2.0, 2.0]])
def test_instants_that_tie_nothing_together_are_refused(x: list[float]) -> None:
    with pytest.raises(ValueError, match="two at different times are needed"):
        fitted(np.array(x), np.array(x))


def test_a_clock_that_goes_backwards_is_refused() -> None:
    with pytest.raises(ValueError, match="both clocks go forward"):
        fitted(np.array([0.0, 1.0]), np.array([1.0, 0.0]))
