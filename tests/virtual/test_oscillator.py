"""The chip's own clock: its error, its wander, and a counter that stands still."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd_virtual.oscillator import Counter, Oscillator
from labd_virtual.spec import BoardSpec
from labd_virtual.wander import SHAPES, wander

SWINGING = Oscillator(0.02, wander=500e-6, period_s=1.5, phase_rad=1.0)


@pytest.mark.parametrize("shape", SHAPES)
@settings(deadline=None)
@given(
    st.floats(-0.05, 0.05), st.floats(0.0, 0.01), st.floats(0.01, 10.0), st.floats(0.0, 6.3), st.integers(0, 3_600_000_000_000)
)  # fmt: skip
def test_its_own_time_and_the_board_s_lead_back(shape: str, error: float, swing: float, period_s: float, phase: float, t_ns: int) -> None:
    clock = Oscillator(error, swing, period_s, phase, wander(shape, np.random.default_rng(1)))
    assert clock.when_ns(clock.elapsed_ns(t_ns)) == pytest.approx(t_ns, abs=0.05)


@pytest.mark.parametrize("shape", SHAPES)
def test_its_time_is_the_sum_of_its_rate(shape: str) -> None:
    clock = replace(SWINGING, path=wander(shape, np.random.default_rng(2)))
    t_ns = np.linspace(0, 4e9, 400_001)
    rates = np.array([clock.rate(t) for t in t_ns])
    summed = float(np.sum((rates[1:] + rates[:-1]) / 2 * np.diff(t_ns)))
    assert clock.elapsed_ns(4e9) == pytest.approx(summed, abs=1.0)


@pytest.mark.parametrize("shape", SHAPES)
def test_its_rate_wanders_by_as_much_as_is_said(shape: str) -> None:
    clock = replace(SWINGING, path=wander(shape, np.random.default_rng(3)))
    rates = [clock.rate(t) for t in np.linspace(0, 1.5e9, 10_001)]
    assert (max(rates) - min(rates)) / 1.02 == pytest.approx(500e-6, rel=1e-2)
    assert clock.elapsed_ns(1.5e9) == pytest.approx(1.02 * 1.5e9, abs=1.0), "a whole period runs by the mean rate"


def test_every_shape_can_be_chosen() -> None:
    named = {field.name: field.metadata for field in fields(BoardSpec)}["clock_wander_shape"]
    assert named["words"] == SHAPES


def test_a_counter_that_stood_still_goes_on_from_there() -> None:
    counter = Counter(SWINGING)
    before = counter.reading_ns(1_000_000_000)
    counter.stop(1_000_000_000)
    assert counter.reading_ns(7_000_000_000) == before
    counter.go(7_000_000_000)
    ran = SWINGING.elapsed_ns(7_500_000_000) - SWINGING.elapsed_ns(7_000_000_000)
    assert counter.reading_ns(7_500_000_000) == pytest.approx(before + ran)


def test_another_oscillator_counts_from_the_same_reading() -> None:
    counter = Counter(SWINGING)
    before = counter.reading_ns(3_000_000_000)
    counter.replace(Oscillator(-0.01), 3_000_000_000)
    assert counter.reading_ns(3_000_000_000) == pytest.approx(before)
    assert counter.reading_ns(4_000_000_000) == pytest.approx(before + 0.99e9)
