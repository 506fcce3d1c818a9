"""Laps placed by the ends of their bursts: as far off as they say, under wander that is drawn anew each time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from labd.segment.burst_ends import Awake, place_by_ends
from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.edges import EdgeSeries

WANDER = 500e-6
WALK = WANDER / np.sqrt(8 / np.pi)
BURSTS, LASTS_US, FIRST_US, APART_RECORDS = 12, 15_000.0, 13_000.0, 110_000.0
U_RATE, U_END, U_BEGIN = 5e-6, 0.05, 0.1
RATE = 0.1  # records a microsecond


@dataclass(frozen=True, slots=True)
class Drawn:
    """opens, closes, awake: what the capture shows. laps: counter (us), one column. true: their places. rate: in each burst."""

    opens: ClockMap
    closes: ClockMap
    awake: Awake
    laps: FloatArray
    true: FloatArray
    rate: FloatArray


def drawn(rng: np.random.Generator, *, walk: float = WALK, told: bool = True, u_alike: float = 0.0) -> Drawn:
    """All bursts of a capture show their first step by the same 2 records too early."""
    at = np.append(np.linspace(0.1, 0.9, BURSTS), 1.0)
    walked = np.cumsum(rng.standard_normal(BURSTS + 1) * np.sqrt(np.diff(at, prepend=0.0))) * walk
    rate, mean = RATE * (1 + walked), RATE * (1 + rng.uniform(-0.02, 0.02))
    rate = rate * (mean / RATE)
    ends = at[:-1] * APART_RECORDS
    until: FloatArray = np.arange(1, BURSTS + 1, dtype=np.float64) * (2 * LASTS_US)
    seen = ends + rng.normal(0, U_END, BURSTS) + rng.normal(0, u_alike)
    begins = ends - rate[:-1] * LASTS_US - 2.0 + rng.normal(0, U_BEGIN, BURSTS)
    awake = Awake(
        until - LASTS_US,
        until,
        EdgeSeries(begins if told else np.full(BURSTS, np.nan), np.full(BURSTS, U_BEGIN)),
        EdgeSeries(seen, np.full(BURSTS, U_END)),
        u_alike,
    )

    def signature(x0: float, y0: float, own: float) -> ClockMap:
        return ClockMap(x0, y0, own * (1 + rng.normal(0, U_RATE)), 0.0, 0.0, (U_RATE * own) ** 2, (x0 - 1e4, x0 + 1e4))

    opens, closes = signature(0.0, 0.0, mean), signature(3e5, APART_RECORDS, float(rate[-1]))
    return Drawn(opens, closes, awake, (until - FIRST_US)[:, None], ends - rate[:-1] * FIRST_US, rate[:-1])


def placed(one: Drawn) -> tuple[EdgeSeries, ClockMap]:
    (series,), clock = place_by_ends(one.opens, one.closes, one.awake, one.laps, wander=WANDER)
    return series, clock


@pytest.mark.parametrize(("told", "u_alike"), [(True, 0.0), (False, 0.0), (True, 0.5)])
def test_laps_scatter_as_they_say(told: bool, u_alike: float) -> None:
    rng = np.random.default_rng(1)
    off = []
    for _ in range(80):
        one = drawn(rng, told=told, u_alike=u_alike)
        series, _ = placed(one)
        off.append((series.x - one.true) / series.u)
    assert 0.85 < float(np.std(off)) < 1.2


def test_what_the_lengths_are_not_known_to_is_not_believed() -> None:
    """Lengths ten times as uncertain as the rate's own way tell nothing of it, however well their uncertainty is dressed."""
    rng = np.random.default_rng(2)
    sharp, dull = [], []
    for _ in range(20):
        one = drawn(rng)
        sharp.append(float(placed(one)[0].u.mean()))
        rough = EdgeSeries(one.awake.begins.x + rng.normal(0, 5.0, BURSTS), np.full(BURSTS, 5.0))
        dull.append(float(placed(replace(one, awake=replace(one.awake, begins=rough)))[0].u.mean()))
    blind = float(np.mean([placed(drawn(rng, told=False))[0].u.mean() for _ in range(20)]))
    assert np.mean(sharp) < 0.85 * np.mean(dull)
    assert 0.9 * blind < np.mean(dull) < 1.1 * blind


def test_a_burst_without_a_step_is_known_less_well_than_its_neighbours() -> None:
    rng = np.random.default_rng(3)
    one = drawn(rng)
    begins = replace(one.awake.begins, x=np.where(np.arange(BURSTS) == 5, np.nan, one.awake.begins.x))
    series, _ = placed(replace(one, awake=replace(one.awake, begins=begins)))
    every, _ = placed(one)
    assert series.u[5] > 1.02 * every.u[5]
    assert series.u[5] > max(series.u[4], series.u[6])


def test_a_length_that_a_glitch_spoiled_is_left_out() -> None:
    rng = np.random.default_rng(4)
    one = drawn(rng, walk=WALK / 10)
    begins = replace(one.awake.begins, x=one.awake.begins.x + np.where(np.arange(BURSTS) == 7, 2.5, 0.0))
    spoiled, _ = placed(replace(one, awake=replace(one.awake, begins=begins)))
    assert np.abs(spoiled.x - one.true).max() < 0.5


def test_one_length_alone_tells_nothing_and_harms_nothing() -> None:
    one = drawn(np.random.default_rng(5))
    begins = replace(one.awake.begins, x=np.where(np.arange(BURSTS) == 3, one.awake.begins.x, np.nan))
    series, _ = placed(replace(one, awake=replace(one.awake, begins=begins)))
    none, _ = placed(replace(one, awake=replace(one.awake, begins=replace(begins, x=np.full(BURSTS, np.nan)))))
    assert series.x == pytest.approx(none.x, abs=1e-6)
    assert series.u == pytest.approx(none.u, rel=1e-6)


def test_the_clock_has_the_mean_rate_of_all_bursts_and_spans_one() -> None:
    rng = np.random.default_rng(6)
    off = []
    for _ in range(60):
        one = drawn(rng)
        _, clock = placed(one)
        off.append((clock.rate / float(one.rate.mean()) - 1) / clock.u_rate)
        assert clock.span[1] - clock.span[0] == FIRST_US
    assert 0.7 < float(np.std(off)) < 1.2
