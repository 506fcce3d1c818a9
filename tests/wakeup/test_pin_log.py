"""Whose edges the emulator's pin log holds: every one of an event's, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.wakeup.__main__ import DISCARDED, EVENTS, Found
from benchmarks.wakeup.pin_log import EDGES, Account, PinEvent, PinLog, accounted


def event(t_ns: int) -> list[tuple[int, str]]:
    return [(t_ns + k, edge) for k, edge in enumerate(EDGES)]


def test_an_event_is_a_trigger_with_four_edges_of_the_marker() -> None:
    assert accounted([*event(10), *event(50)]) == Account((PinEvent(10, 11, 12, 13, 14), PinEvent(50, 51, 52, 53, 54)), ())


@pytest.mark.parametrize("stray", ["TRIG 1", "MARK 1", "MARK 0", "BOOT 0"])
@pytest.mark.parametrize("at", range(11))
def test_no_edge_too_many_goes_by_unseen(stray: str, at: int) -> None:
    edges = [*event(10), *event(50)]
    edges.insert(at, (0, stray))
    found = accounted(edges)
    assert 5 * len(found.events) + len(found.strays) == 11
    assert found.strays


@pytest.mark.parametrize("at", range(10))
def test_no_edge_too_few_goes_by_unseen(at: int) -> None:
    edges = [*event(10), *event(50)]
    del edges[at]
    found = accounted(edges)
    assert len(found.events) == 1
    assert len(found.strays) == 4


def test_a_log_is_read_on_from_where_it_was_left(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    path.write_text("1 BOOT 0\n")
    log = PinLog(path)
    assert log.read().strays == ("BOOT 0",)
    with path.open("a") as more:
        more.writelines(f"{t_ns} {edge}\n" for t_ns, edge in event(5))
    assert log.read() == accounted(event(5))
    log.close()


def test_strays_and_events_that_are_not_there_fall_short() -> None:
    found, whole = Found(), accounted([edge for k in range(EVENTS + DISCARDED) for edge in event(10 * k)])
    found.take(0, whole)
    assert found.failures() == []
    found.take(1, Account(whole.events[1:], ("MARK 0",)))
    stray, short = found.failures()
    assert "1 edges in the pin log" in stray
    assert "capture 1: 10" in short
