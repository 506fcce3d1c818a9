"""Waiting behind others, held against a queue that is played event by event."""

from __future__ import annotations

import random

import pytest

from labd.search.waiting import waiting_mean, waiting_quantile, waits_at_most


def played(load: float, *, events: int = 200_000, seed: int = 1) -> list[float]:
    """Waiting times of Poisson events at one server that takes a second for each (Lindley's recursion)."""
    draw, waits, wait = random.Random(seed), [], 0.0
    for _ in range(events):
        waits.append(wait)
        wait = max(0.0, wait + 1.0 - draw.expovariate(load))
    return sorted(waits)


@pytest.mark.parametrize("load", [0.05, 0.3, 0.7])
def test_quantiles_and_mean_are_those_of_a_queue_that_is_played(load: float) -> None:
    waits = played(load)
    assert waiting_mean(service=1.0, load=load) == pytest.approx(sum(waits) / len(waits), rel=0.03, abs=0.002)
    for share in (0.5, 0.95, 0.99):
        assert waiting_quantile(share, service=1.0, load=load) == pytest.approx(waits[int(share * len(waits))], rel=0.03, abs=0.02)


def test_an_event_waits_not_at_all_with_the_chance_that_the_server_is_idle() -> None:
    assert waits_at_most(0.0, 0.3) == pytest.approx(0.7)
    assert waiting_quantile(0.7, service=1.0, load=0.3) == 0.0


def test_time_is_in_the_unit_of_the_service() -> None:
    assert waiting_quantile(0.95, service=2e-3, load=0.5) == pytest.approx(2e-3 * waiting_quantile(0.95, service=1.0, load=0.5))


def test_the_sums_have_digits_left_at_a_high_load() -> None:
    shares = [waits_at_most(t / 2, 0.9) for t in range(60)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.01)
