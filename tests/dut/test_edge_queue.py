"""Edges are read in order, and what is missing is told where it is missing."""

from __future__ import annotations

import pytest

from labd.dut.edge_queue import KEPT, EdgeQueue
from labd.dut.errors import LineFailure
from labd.dut.lines import Edge
from labd.errors import DataLost


def edge(number: int) -> Edge:
    return Edge(number % 2 == 0, number, number)


async def test_edges_are_read_in_their_order_then_the_line_has_ended() -> None:
    queue = EdgeQueue("READY")
    for number in range(3):
        queue.put(edge(number))
    queue.end(LineFailure("READY: closed"))
    reading = queue.read()
    assert [(await anext(reading)).t_ns for _ in range(3)] == [0, 1, 2]
    with pytest.raises(LineFailure, match="READY: closed"):
        await anext(reading)


async def test_a_gap_is_told_in_its_place_and_reading_goes_on_behind_it() -> None:
    queue = EdgeQueue("READY")
    queue.put(edge(0))
    queue.lost("7 edges were lost")
    queue.put(edge(8))
    reading = queue.read()
    assert (await anext(reading)).t_ns == 0
    with pytest.raises(DataLost, match="READY: 7 edges were lost"):
        await anext(reading)
    assert (await anext(queue.read())).t_ns == 8


async def test_what_nobody_reads_in_time_is_counted() -> None:
    queue = EdgeQueue("READY")
    for number in range(KEPT + 5):
        queue.put(edge(number))
    with pytest.raises(DataLost, match="READY: 5 edges came that nobody read in time"):
        await anext(queue.read())
    assert (await anext(queue.read())).t_ns == 5


async def test_a_gap_that_nobody_reads_of_in_time_is_not_forgotten() -> None:
    queue = EdgeQueue("READY")
    queue.lost("7 edges were lost")
    for number in range(KEPT + 2):
        queue.put(edge(number))
    with pytest.raises(DataLost, match=r"READY: 2 edges came that nobody read in time .*; edges were lost in 1 places"):
        await anext(queue.read())
    assert (await anext(queue.read())).t_ns == 2


async def test_a_gap_is_no_edge() -> None:
    queue = EdgeQueue("READY")
    queue.lost("7 edges were lost")
    for number in range(KEPT):
        queue.put(edge(number))
    with pytest.raises(DataLost, match=r"^READY: edges were lost in 1 places that nobody read of in time$"):
        await anext(queue.read())
