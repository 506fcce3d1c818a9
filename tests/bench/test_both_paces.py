"""The same captures in real and in stepped time give the same figures: host time never enters the physics."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from benchmarks.accuracy.lab import open_lab, point
from benchmarks.accuracy.truth import CLOCK_ERROR, FAULTLESS, QUIET, STILL
from labd.bench import acquire
from labd.records import Mode, Role
from labd_instruments.block import Block

pytestmark = pytest.mark.compiler
CAPTURES = (
    (Mode.EVENT_SLEEP, 0.0, Role.EVENT, 4),
    (Mode.EVENT_SLEEP, 35.0, Role.MEAN, 16),  # the log outlasts the program by more than all its rests together
    (Mode.ALWAYS_ON, 20.0, Role.MEAN, 8),
)
REST_S = 5e-3  # the shortest between two events: a machine that is held up for longer makes them one, which is told with the figures
MADE_AGAIN = 100
TRIED = 3
FIGURES = (
    "wake_up.wake",
    "wake_up.load",
    "wake_up.total",
    "energy_per_inference.gross",
    "energy_per_inference.net_of_sleep",
    "energy_per_inference.net_of_idle",
    "energy_per_inference.per_event",
    "power.mean",
    "latency.pin.mean",
)


async def _figures(pace: str) -> dict[tuple[str, str], float]:
    found = {}
    async with open_lab(time=pace, board=CLOCK_ERROR | STILL, changes={"unkind": QUIET}, smu=FAULTLESS) as lab:
        for mode, rate, role, events in CAPTURES:
            measured = await lab.measure(point(mode, rate), role, events=events)
            for _ in range(MADE_AGAIN):
                kept = await lab.pace()
                if kept.behind_s < REST_S and not kept.late:
                    break
                measured = await lab.measure(point(mode, rate), role, events=events)
            for record in measured.result.records:
                if record.id in FIGURES and record.value is not None:
                    found[f"{mode}/{rate:g}/{role}", record.id] = record.value
    return found


async def test_real_and_stepped_time_give_the_same_figures() -> None:
    stepped = await _figures("stepped")
    assert len(stepped) >= 12
    for left in reversed(range(TRIED)):  # what a difference in the physics would be is there each time, what a busy host adds is not
        real = await _figures("real")
        assert stepped.keys() == real.keys()
        unlike = {name: (value, real[name]) for name, value in stepped.items() if real[name] != pytest.approx(value, rel=2e-4)}
        if not unlike:
            break
        assert left, unlike


async def test_a_host_that_is_slow_between_two_events_misses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The board gives an event up that is not fired in time; in stepped time none of labd's own work is that time."""
    patience_s = 0.01

    def slow_trip(*_: object) -> Callable[[Block], None]:
        return lambda _block: time.sleep(10 * patience_s)

    monkeypatch.setattr(acquire, "trip", slow_trip)
    async with open_lab(
        time="stepped", board=CLOCK_ERROR | STILL, changes={"unkind": QUIET, "patience_s": patience_s}, smu=FAULTLESS
    ) as lab:
        measured = await lab.measure(point(Mode.EVENT_SLEEP, 0.0), Role.EVENT, events=4)
    assert len([record for record in measured.result.records if record.id == "wake_up.wake" and record.value is not None]) == 1
