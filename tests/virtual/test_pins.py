"""The board's pins as the world outside sees them."""

from __future__ import annotations

import numpy as np
import pytest

from labd_virtual.clock import BoardClock, Urgency
from labd_virtual.contract import Edge
from labd_virtual.pins import BoardPins


def advance(clock: BoardClock, t_ns: int) -> None:
    clock.call_at(t_ns, lambda: None, urgency=Urgency.ACTIVE)
    while clock.now_ns() < t_ns:
        assert clock._step()


@pytest.fixture
def rig() -> tuple[BoardClock, BoardPins]:
    clock = BoardClock(stepped=True)
    return clock, BoardPins(clock, io_level_v=3.0, horizon_s=1.0)


def test_edges_are_those_in_the_half_open_interval(rig: tuple[BoardClock, BoardPins]) -> None:
    clock, pins = rig
    for t, level in ((100, 1), (200, 0), (200, 0), (300, 1)):
        advance(clock, t)
        pins.set_mark(level)
    assert pins.edges("MARK", 100, 300) == [Edge(100, 1), Edge(200, 0)]
    assert pins.edges("MARK", 101, 301) == [Edge(200, 0), Edge(300, 1)]
    assert pins.edges("TRIG", 0, 1000) == []


def test_the_level_integral_is_exact(rig: tuple[BoardClock, BoardPins]) -> None:
    clock, pins = rig
    for t, level in ((100, 1), (250, 0), (400, 1)):
        advance(clock, t)
        pins.set_mark(level)
    advance(clock, 500)
    got = pins.level_integral("MARK", np.array([0, 100, 175, 250, 400, 500], dtype=np.int64))
    assert got == pytest.approx(np.array([0, 0, 75, 150, 150, 250]) * 3e-9, rel=1e-12)


@pytest.mark.parametrize(("late_ns", "rises"), [((20, 0), 120), ((-30, 0), 70), ((0, 40), 100), ((10, -5), 110)])
def test_whoever_looks_through_a_level_shifter_sees_each_kind_of_edge_late_by_its_own(
    rig: tuple[BoardClock, BoardPins], late_ns: tuple[int, int], rises: int
) -> None:
    clock, pins = rig
    for t, level in ((100, 1), (250, 0), (400, 1)):
        advance(clock, t)
        pins.set_mark(level)
    advance(clock, 1000)
    seen = pins.level_integral("MARK", np.arange(0, 900, dtype=np.int64), late_ns=late_ns)
    levels = np.diff(seen) / 3e-9
    assert set(levels.round(6).tolist()) == {0.0, 1.0}
    falls = 250 + late_ns[1]
    assert np.flatnonzero(np.diff(levels.round())).tolist() == [rises - 1, falls - 1, 300 + rises - 1]


def test_each_edge_of_trig_reaches_the_chip(rig: tuple[BoardClock, BoardPins]) -> None:
    clock, pins = rig
    seen: list[tuple[int, int]] = []
    pins.on_trig = lambda level: seen.append((clock.now_ns(), level))
    for t, level in ((10, 1), (20, 1), (30, 0), (40, 1)):
        advance(clock, t)
        pins.drive("TRIG", level)
    assert seen == [(10, 1), (30, 0), (40, 1)]


def test_an_output_cannot_be_driven_from_outside(rig: tuple[BoardClock, BoardPins]) -> None:
    with pytest.raises(ValueError, match="output"):
        rig[1].drive("MARK", 1)
    with pytest.raises(ValueError, match="no pin 'PA0'"):
        rig[1].edges("PA0", 0, 1)


def test_old_edges_are_dropped_and_the_rest_keep_level_and_integral(
    rig: tuple[BoardClock, BoardPins], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labd_virtual.pins._KEEP_EDGES", 100)
    clock, pins = rig
    pins._tracks["MARK"]._horizon_ns = 1000
    for k in range(1, 5001):
        advance(clock, 10 * k)
        pins.set_mark(k % 2)
    assert pins.edges("MARK", 49_970, 50_001) == [Edge(49_970, 1), Edge(49_980, 0), Edge(49_990, 1), Edge(50_000, 0)]
    assert len(pins._tracks["MARK"]._t) < 2000
    got = pins.level_integral("MARK", np.array([50_000], dtype=np.int64))
    assert got[0] == pytest.approx(2500 * 10 * 3e-9, rel=1e-9)
