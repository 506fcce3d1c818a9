"""What a host sees of a capture on a line: edges of now alone, in turn, and told where some are missing."""

from __future__ import annotations

import pytest

from labd.bench.seen_line import NO_PULSE, Seen, gates, seen
from labd.dut.lines import Edge
from labd.records import HostGates
from labd.trigger.firing import Firing, Missed
from tests.dut.wire import Wire

MS = 10**6


def gate(*at_ms: float) -> list[Edge]:
    """Rises and falls in turn."""
    return [Edge(k % 2 == 0, round(ms * MS), round(ms * MS)) for k, ms in enumerate(at_ms)]


async def test_edges_of_before_are_forgotten_and_those_of_now_are_kept() -> None:
    wire = Wire("MARK")
    wire.drive(active=True)
    wire.lose(3)
    wire.drive(active=False)
    async with seen(wire) as found:
        assert found is not None
        wire.drive(active=True)
        wire.drive(active=False)
    assert [edge.rising for edge in found.edges] == [True, False]
    assert found.lost == ""
    wire.drive(active=True)
    assert len(found.edges) == 2


async def test_a_gap_is_told_and_what_comes_behind_it_is_heard() -> None:
    wire = Wire("MARK")
    async with seen(wire) as found:
        assert found is not None
        wire.drive(active=True)
        wire.lose(2)
        wire.drive(active=False)
    assert found.lost == "MARK: 2 edges were lost"
    assert [edge.rising for edge in found.edges] == [True, False]


async def test_a_line_that_is_lost_ends_the_capture() -> None:
    wire = Wire("MARK")
    with pytest.raises(Exception, match="MARK: closed"):
        async with seen(wire):
            await wire.close()


async def test_without_a_line_nothing_is_seen() -> None:
    async with seen(None) as found:
        assert found is None


def test_gates_lie_on_the_firings_own_axis() -> None:
    late = Firing(20 * MS, 22 * MS, 22 * MS, Missed.LATE)
    firings = [Firing(10 * MS, 10 * MS, 11 * MS), late, Firing(30 * MS, 31 * MS, 31 * MS, Missed.SKIPPED)]
    found = gates(Seen(gate(13, 15, 24, 26.5)), firings)
    assert [pytest.approx(one) for one in found.fired_s] == [(0.0, 1e-3), (12e-3, 12e-3)]
    assert [pytest.approx(one) for one in found.gates_s] == [(3e-3, 3e-3, 5e-3, 5e-3), (14e-3, 14e-3, 16.5e-3, 16.5e-3)]
    assert found.lost == ""


@pytest.mark.parametrize("edges", [gate(1, 2, 3), gate(1, 2)[::-1], [*gate(1, 2), *gate(3, 4)[::-1]]])
def test_edges_that_do_not_alternate_are_no_gates(edges: list[Edge]) -> None:
    assert gates(Seen(edges), [Firing(0, 0, 0)]) == HostGates(((0.0, 0.0),), (), NO_PULSE)
