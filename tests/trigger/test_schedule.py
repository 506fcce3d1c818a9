"""Instants are planned exactly, and what a file says is taken or refused by its line."""

from __future__ import annotations

import contextlib
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.errors import FileError
from labd.trigger.schedule import LONGEST_S, Arrivals, mean_rate_hz, periodic, poisson, recorded

RATES = st.floats(0.01, 1000.0)
COUNTS = st.integers(1, 500)


@given(RATES, COUNTS)
def test_a_period_does_not_drift(rate_hz: float, count: int) -> None:
    instants = periodic(rate_hz, count)
    assert len(instants) == count
    assert all(abs(t_ns - k * 1e9 / rate_hz) <= 1 for k, t_ns in enumerate(instants, start=1))


@given(RATES, COUNTS, st.integers(0, 2**32))
def test_the_same_seed_gives_the_same_arrivals_in_order(rate_hz: float, count: int, seed: int) -> None:
    instants = poisson(rate_hz, count, seed=seed)
    assert instants == poisson(rate_hz, count, seed=seed)
    assert len(instants) == count
    assert all(a <= b for a, b in itertools.pairwise((0, *instants)))


def test_a_rate_that_the_dead_time_does_not_allow_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at 40 /s arrivals are 0.025 s apart in the mean, less than the dead time of 0.028 s"):
        poisson(40.0, 3, seed=1, dead_s=0.028)


@given(RATES, st.integers(2, 50), st.lists(st.integers(1, 10**6), min_size=50, max_size=50))
def test_recorded_arrivals_keep_their_pattern_at_another_rate(rate_hz: float, count: int, gaps_us: list[int]) -> None:
    instants = tuple(t_us * 1000 for t_us in itertools.accumulate(gaps_us))
    found = Arrivals("recorded", 0, instants).at(rate_hz, count, seed=1, dead_s=0.0)
    assert mean_rate_hz(found) == pytest.approx(rate_hz, rel=1e-6)
    assert all(abs(a / found[-1] - b / instants[count - 1]) < 1e-6 for a, b in zip(found, instants, strict=False))


def test_fewer_recorded_arrivals_than_wanted_are_refused() -> None:
    with pytest.raises(ValueError, match="3 arrivals are wanted, 2 are recorded"):
        Arrivals("recorded", 0, (1, 2)).at(1.0, 3, seed=1, dead_s=0.0)


def test_another_seed_gives_other_arrivals() -> None:
    assert poisson(10.0, 5, seed=1) != poisson(10.0, 5, seed=2)


@pytest.mark.parametrize("dead_s", [0.0, 0.028])
def test_gaps_of_poisson_arrivals_are_exponential_after_a_dead_time(dead_s: float) -> None:
    """The largest distance to the exponential distribution (Kolmogorov-Smirnov) is what a sample of this size has in 99.9 % of cases."""
    rate_hz, count = 20.0, 20_000
    instants = poisson(rate_hz, count, seed=7, dead_s=dead_s)
    gaps_s = sorted((b - a) * 1e-9 - dead_s for a, b in itertools.pairwise((0, *instants)))
    rest_s = 1 / rate_hz - dead_s
    distance = max(abs(1 - math.exp(-gap_s / rest_s) - (k + 0.5) / count) for k, gap_s in enumerate(gaps_s))
    assert gaps_s[0] > -1e-9
    assert distance < 1.95 / math.sqrt(count)


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=50))
def test_recorded_arrivals_come_back_as_they_were_written(gaps_us: list[int]) -> None:
    instants_us = list(itertools.accumulate(gaps_us))
    if instants_us[-1] > LONGEST_S * 1e6:
        instants_us = instants_us[:1]
    text = "# seconds\n\n" + "\n".join(f"{t_us / 1e6:.6f}  # one" for t_us in instants_us)
    assert recorded(text, "arrivals.txt") == tuple(t_us * 1000 for t_us in instants_us)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0.1\nsoon\n", "arrivals.txt: line 2: expected an instant in seconds, from 0 to 2.592e+06, got 'soon'"),
        ("0.1\n\n0.1\n", "arrivals.txt: line 3: expected an instant later than the one before, 0.1 s, got '0.1'"),
        ("-1\n", "line 1: expected an instant in seconds, from 0"),
        ("nan\n", "line 1: expected an instant in seconds"),
        ("inf\n", "line 1: expected an instant in seconds"),
        ("# nothing\n", "arrivals.txt: expected one instant a line"),
    ],
)
def test_a_wrong_line_is_named(text: str, says: str) -> None:
    with pytest.raises(FileError) as caught:
        recorded(text, "arrivals.txt")
    assert says in str(caught.value)


def test_every_wrong_line_is_told() -> None:
    with pytest.raises(FileError) as caught:
        recorded("0.0\n0.3\nabc\n0.2\n0.5 s\n-1\n0.4\n", "arrivals.txt")
    assert [problem.split(":")[1] for problem in caught.value.problems] == [" line 3", " line 4", " line 5", " line 6"]


def test_a_recording_that_begins_at_0_has_one_mean_gap_before_it() -> None:
    assert recorded("0\n0.1\n0.4\n", "a") == (200_000_000, 300_000_000, 600_000_000)
    assert mean_rate_hz(recorded("0\n0.1\n0.4\n", "a")) == pytest.approx(2 / 0.4)
    with pytest.raises(FileError, match="found none after 0"):
        recorded("0.0\n", "a")


@given(st.text(max_size=200))
def test_any_text_is_taken_or_refused_by_name(text: str) -> None:
    with contextlib.suppress(FileError):
        instants = recorded(text, "a")
        assert instants[0] > 0
        assert list(instants) == sorted(set(instants))


def test_the_mean_rate_counts_the_time_before_the_first_arrival() -> None:
    assert mean_rate_hz((500_000_000, 2_000_000_000)) == 1.0
