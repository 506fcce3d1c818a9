"""The best estimator that `make coverage` holds labd's intervals against: what it must be right about without labd."""

import math

import numpy as np
import pytest

from benchmarks.coverage import best
from benchmarks.coverage.best import Account, Errors, Limits, half_width, type_a
from benchmarks.coverage.least_time import Crossing, Side, least_time_s
from labd.kpi.type_a import evaluate

LIMITS = Limits({1e-3: (1e-4, 1e-7), 0.1: (2e-4, 1e-5)}, (1e-4, 1e-3), 5e-5, 3e-6, 0.0)


def _event(net_j: float, *, rest_w: float) -> dict[str, object]:
    seconds = 20e-3
    energy_j = net_j + rest_w * seconds
    return {
        "energy_j": energy_j,
        "charge_c": energy_j / 3.0,
        "rest": {"settled_power_w": rest_w},
        "from_ns": 0,
        "recovered_ns": round(seconds * 1e9),
        "awake_ns": 0,
        "asleep_ns": round(seconds * 1e9),
        "load_j": {"infer": net_j},
        "start_ns": 0,
        "end_ns": round(seconds * 1e9),
    }


def _account(rest_w: float, *, scatter: float = 0.0) -> Account:
    rng = np.random.default_rng(1)
    return Account([_event(5e-4 * (1 + scatter * rng.standard_normal()), rest_w=rest_w) for _ in range(400)], (1e-3, 0.1))


def test_one_rectangular_error_has_95_percent_of_its_half_width() -> None:
    errors = Errors(LIMITS, 1)
    assert half_width(errors.unit("one")) == pytest.approx(0.95, abs=0.01)
    assert errors.unit("one") is errors.unit("one")


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_type_a_agrees_with_labds_for_series_that_are_long_enough(rho: float) -> None:
    rng, series = np.random.default_rng(3), [0.0]
    for _ in range(2000):
        series.append(rho * series[-1] + rng.standard_normal())
    u, dof = type_a(np.array(series))
    own = evaluate(np.array(series))
    assert u == pytest.approx(own.u, rel=0.05)
    assert dof == pytest.approx(own.dof, rel=0.1)


def test_the_offset_of_one_range_cancels_above_rest_and_that_of_two_does_not() -> None:
    only_offset = Limits({1e-3: (0.0, 1e-7), 0.1: (0.0, 1e-5)}, (0.0, 0.0), 0.0, 0.0, 0.0)
    idle = best.of_net(Errors(only_offset, 1), _account(rest_w=0.02), scatter=False)
    asleep = best.of_net(Errors(only_offset, 1), _account(rest_w=1e-5), scatter=False)
    assert half_width(idle) < 1e-15
    assert half_width(asleep) == pytest.approx(0.95 * 3.0 * 1e-5 * 20e-3, rel=0.02)


def test_an_edge_costs_the_rest_power_times_its_delay() -> None:
    only_delay = Limits({1e-3: (0.0, 0.0), 0.1: (0.0, 0.0)}, (0.0, 0.0), 0.0, 1e-5, 0.0)
    u_j = float(np.std(best.of_gross(Errors(only_delay, 1), _account(rest_w=0.02))))
    assert u_j == pytest.approx(0.02 * 1e-5 * math.sqrt(2 / 3), rel=0.03)


def test_the_least_time_goes_with_the_variance_that_is_left_and_the_rate() -> None:
    side = Side(_account(rest_w=1e-5, scatter=0.03), 1e-5, 5e-4, 1e-3)
    other = Side(_account(rest_w=3e-3, scatter=0.03), 3e-3, 4e-4, 0.1)
    crossing = Crossing(other, side)

    def seconds(**changes: object) -> float:
        asked = {"top_hz": (30.0, 30.0), "rho": 0.0, "aim": 0.01, "lasting": np.zeros(20_000), **changes}
        return least_time_s(crossing, **asked)  # type: ignore[arg-type]

    assert crossing.rate_hz == pytest.approx((3e-3 - 1e-5) / 1e-4)
    assert seconds(aim=0.005) == pytest.approx(4 * seconds(), rel=1e-6)
    assert seconds(top_hz=(60.0, 60.0)) == pytest.approx(seconds() / 2)
    assert seconds(rho=0.5) == pytest.approx(3 * seconds())
    normal = 0.004 / 1.96 * np.random.default_rng(2).standard_normal(20_000)
    assert seconds(lasting=normal) == pytest.approx(seconds() / (1 - 0.16), rel=0.03)
    rectangular = 0.008 * np.random.default_rng(2).uniform(-1, 1, 20_000)
    assert seconds(lasting=rectangular) > seconds() / (1 - (0.95 * 0.8) ** 2)
    u_hz = math.sqrt(side.energy_variance(0) + other.energy_variance(0)) / 1e-4 * crossing.rate_hz
    events = 30.0 * seconds() / 2  # the two scatter alike: half of the time is for each
    assert 1.96 * u_hz / math.sqrt(events) / crossing.rate_hz == pytest.approx(0.01, rel=0.05)
