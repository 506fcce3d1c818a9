"""Instants between two signatures: with and without the device's own deadlines, under wander that is drawn anew each time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from labd.segment.clocks import ClockMap, FloatArray
from labd.segment.errors import SignatureUnclear
from labd.segment.timeline import NO_TIES, Ties, Timeline, between, stood_still

LASTS_US, EDGE_US = 1.2e6, 0.03e6
WANDER = 500e-6  # band of a rate that walks as these do, by WALK (standard deviation) over the capture
WALK = WANDER / np.sqrt(8 / np.pi)
U_OFFSET, U_RATE, U_TIE, U_ALIKE = 0.05, 1.5e-6, 0.3, 0.5


@dataclass(frozen=True, slots=True)
class Truth:
    """Records against the counter, and records a microsecond, on a grid."""

    t: FloatArray
    x: FloatArray
    rate: FloatArray

    def at(self, t: FloatArray) -> FloatArray:
        return np.interp(t, self.t, self.x)

    def anchor(self, t: float, rng: np.random.Generator) -> ClockMap:
        """What a signature tells there."""
        x, rate = float(np.interp(t, self.t, self.x)), float(np.interp(t, self.t, self.rate))
        seen = (x + float(rng.normal(0, U_OFFSET)), rate + float(rng.normal(0, U_RATE)))
        return ClockMap(t, *seen, U_OFFSET**2, 0.0, U_RATE**2, (t - EDGE_US, t + EDGE_US))


def walked(rng: np.random.Generator, wander: float) -> Truth:
    """The rate walks at random, by `wander` (standard deviation) over the capture."""
    t = np.linspace(0, LASTS_US, 2001)
    walk = np.concatenate(([0.0], np.cumsum(rng.standard_normal(2000)))) * wander / np.sqrt(2000)
    rate = 0.1 * (1 + rng.uniform(-0.02, 0.02)) * (1 + walk)
    x = np.concatenate(([0.0], np.cumsum((rate[1:] + rate[:-1]) / 2 * np.diff(t))))
    return Truth(t, x, rate)


def line(truth: Truth, rng: np.random.Generator, ties: int, *, shift: float = 0.0) -> Timeline:
    at = np.linspace(0.1e6, LASTS_US - 0.1e6, ties)
    own = Ties(at, truth.at(at) + shift + rng.normal(0, U_TIE, ties), np.full(ties, U_TIE), U_ALIKE)
    ends = truth.anchor(EDGE_US, rng), truth.anchor(LASTS_US - EDGE_US, rng)
    return between(*ends, ties=own if ties else NO_TIES, wander=WANDER)


@pytest.mark.parametrize("ties", [0, 20])
def test_places_scatter_as_they_say_under_a_walk_of_the_given_size(ties: int) -> None:
    rng = np.random.default_rng(3)
    off = []
    for _ in range(150):
        truth = walked(rng, WALK)
        t = rng.uniform(0.1e6, LASTS_US - 0.1e6, 3)
        placed = line(truth, rng, ties, shift=float(rng.normal(0, U_ALIKE))).place(t)
        off.append((placed.x - truth.at(t)) / placed.u)
    assert float(np.std(np.concatenate(off))) == pytest.approx(1.0, abs=0.15)


def test_deadlines_in_between_are_worth_ten_times_the_signatures_alone() -> None:
    rng = np.random.default_rng(4)
    truth = walked(rng, WALK)
    middle = np.array([LASTS_US / 2])
    assert line(truth, rng, 20).place(middle).u[0] < line(truth, rng, 0).place(middle).u[0] / 5


def test_a_calm_clock_is_found_to_be_calm() -> None:
    """The band that is given is a limit: what the capture shows decides."""
    rng = np.random.default_rng(5)
    calm = np.mean([line(walked(rng, WALK / 100), rng, 30).wander for _ in range(10)])
    rough = np.mean([line(walked(rng, WALK), rng, 30).wander for _ in range(10)])
    assert calm < 0.1 * rough


def test_a_tie_that_a_glitch_displaced_is_left_out() -> None:
    rng = np.random.default_rng(6)
    truth = walked(rng, WALK / 10)
    good = line(truth, rng, 20)
    bad = Ties(good.ties.counter_us, good.ties.x + np.where(np.arange(20) == 11, 60.0, 0.0), np.full(20, U_TIE), U_ALIKE)
    found = between(good.opens, good.closes, ties=bad, wander=WANDER)
    assert found.left_out == 1
    assert 11 not in np.searchsorted(good.ties.counter_us, found.ties.counter_us)
    assert found.place(good.ties.counter_us).x == pytest.approx(truth.at(good.ties.counter_us), abs=1.0)


def test_what_displaces_all_deadlines_alike_is_told_and_moves_no_instant_far() -> None:
    rng = np.random.default_rng(7)
    told = []
    for _ in range(20):
        truth = walked(rng, WALK / 10)
        found = line(truth, rng, 20, shift=0.8)
        told.append(found.displaced[0])
        assert found.displaced[1] < U_ALIKE
    assert float(np.mean(told)) == pytest.approx(0.8, abs=0.25)


def test_without_deadlines_nothing_is_said_of_their_displacement() -> None:
    rng = np.random.default_rng(8)
    assert np.isnan(line(walked(rng, WALK), rng, 0).displaced).all()


@pytest.mark.parametrize("ties", [6, 8, 12, 22])
@pytest.mark.parametrize("by", [4.0, 400.0])
def test_few_ties_do_not_hide_the_one_that_a_glitch_displaced(ties: int, by: float) -> None:
    """A scatter that it took part in would be as large as itself."""
    rng = np.random.default_rng(10)
    truth = walked(rng, WALK)
    good = line(truth, rng, ties)
    off = np.where(np.arange(ties) == ties // 2, by, 0.0)
    bad = Ties(good.ties.counter_us, good.ties.x + off, np.full(ties, U_TIE), U_ALIKE)
    found = between(good.opens, good.closes, ties=bad, wander=WANDER)
    assert found.left_out == 1
    assert good.ties.counter_us[ties // 2] not in found.ties.counter_us


def test_ties_that_scatter_more_than_they_say_are_kept() -> None:
    rng = np.random.default_rng(11)
    good = line(walked(rng, WALK), rng, 20)
    rough = Ties(good.ties.counter_us, good.ties.x + rng.normal(0, 6 * U_TIE, 20), np.full(20, U_TIE), U_ALIKE)
    found = between(good.opens, good.closes, ties=rough, wander=WANDER)
    assert found.left_out == 0
    assert sum(times * weight for _, times, weight in found.weighed) > 3


def stopped(truth: Truth, rng: np.random.Generator, for_us: float) -> tuple[ClockMap, ClockMap]:
    """What the signatures tell of a counter that stood still for so long between them."""
    opens, closes = truth.anchor(EDGE_US, rng), truth.anchor(LASTS_US - EDGE_US, rng)
    return opens, replace(closes, x0=closes.x0 - for_us)


def test_a_counter_that_stood_still_between_the_signatures_is_refused() -> None:
    rng = np.random.default_rng(9)
    ends = stopped(walked(rng, WALK), rng, 0.8e6)
    assert stood_still(*ends, wander=WANDER)
    with pytest.raises(SignatureUnclear, match=r"stood still.*500 ppm"):
        between(*ends)


def test_a_short_stand_still_is_told_from_wander() -> None:
    """Of 1.2 s a millisecond and a half, which is more than a rate within its band makes of it and less than its error may be."""
    rng = np.random.default_rng(12)
    for _ in range(50):
        truth = walked(rng, WALK / 2)
        assert not stood_still(*stopped(truth, rng, 0.0), wander=WANDER)
        assert stood_still(*stopped(truth, rng, 1.5e3), wander=WANDER)
        assert not stood_still(*stopped(truth, rng, 0.1e3), wander=WANDER), "as much as this may be wander"
