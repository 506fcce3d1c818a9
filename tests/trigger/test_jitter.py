"""Jitter and missed deadlines as a report says them."""

from __future__ import annotations

from labd.trigger.firing import Firing, Footing, Missed
from labd.trigger.jitter import jitter

FOOTING = Footing(real_time=False, scheduler="SCHED_OTHER", memory="memory not locked", timer="timer slack 1 ns")


def fired(late_us: int, missed: Missed | None = None) -> Firing:
    return Firing(10_000_000, 10_000_000 + late_us * 1000, 10_000_000 + late_us * 1000 + 5000, missed)


def test_mean_p99_and_worst_are_of_what_was_fired() -> None:
    found = jitter([fired(us) for us in range(1, 201)] + [fired(90_000, Missed.SKIPPED)], 201, 1_000_000)
    assert (found.planned, found.fired, found.missed) == (201, 200, 1)
    assert found.mean_s is not None
    assert abs(found.mean_s - 100.5e-6) < 1e-12
    assert found.p99_s is not None
    assert abs(found.p99_s - 198e-6) < 1e-12
    assert found.worst_s is not None
    assert abs(found.worst_s - 200e-6) < 1e-12


def test_every_kind_of_missed_deadline_is_counted_and_said() -> None:
    firings = [fired(2), fired(1500, Missed.LATE), fired(0, Missed.SKIPPED), fired(0, Missed.SKIPPED), fired(3, Missed.NOT_TAKEN)]
    found = jitter(firings, 5, 1_000_000, FOOTING)
    assert (found.fired, found.late, found.skipped, found.not_taken) == (2, 1, 2, 1)
    assert "fired 2 of 5" in found.text
    assert "missed deadlines: 4 (1 late, 2 skipped, 1 not taken)" in found.text
    assert "SCHED_OTHER, memory not locked" in found.text


def test_a_percentile_of_few_is_not_printed() -> None:
    found = jitter([fired(1)] * 99, 99, 1_000_000)
    assert found.p99_s is None
    assert "p99 needs n >= 100" in found.text


def test_nothing_fired_has_no_jitter() -> None:
    found = jitter([], 3, 1_000_000)
    assert (found.mean_s, found.worst_s, found.longest_call_s) == (None, None, None)
    assert found.text == "fired 0 of 3; missed deadlines: 0"
