"""READY, GO and GATE over wires whose other ends are here."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from labd.dut.errors import NotReady
from labd.dut.handshake import Handshake
from labd.errors import DataLost
from tests.dut.wire import Wire

SOON_S = 0.02
PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class Bench:
    ready: Wire
    go: Wire
    gate: Wire

    @property
    def handshake(self) -> Handshake:
        return Handshake(self.ready, self.go, self.gate)


@pytest.fixture
def bench() -> Bench:
    return Bench(Wire("READY"), Wire("GO"), Wire("GATE"))


async def test_a_dut_that_is_ready_already_is_not_waited_for(bench: Bench) -> None:
    bench.ready.drive(active=True)
    await bench.handshake.wait_ready(timeout_s=PATIENCE_S)


async def test_ready_is_waited_for(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.handshake.wait_ready(timeout_s=PATIENCE_S))
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    bench.ready.drive(active=True)
    await waiting


async def test_a_pulse_of_long_ago_is_not_ready(bench: Bench) -> None:
    bench.ready.drive(active=True)
    bench.ready.drive(active=False)
    with pytest.raises(NotReady, match=r"did not raise READY within 0.02 s"):
        await bench.handshake.wait_ready(timeout_s=SOON_S)


async def test_lost_edges_of_ready_do_not_matter_where_its_level_counts(bench: Bench) -> None:
    bench.ready.lose(3)
    waiting = asyncio.create_task(bench.handshake.wait_ready(timeout_s=PATIENCE_S))
    await asyncio.sleep(0)
    bench.ready.drive(active=True)
    await waiting


async def test_go_is_given_to_a_dut_that_is_ready_and_taken_back_whatever_happens(bench: Bench) -> None:
    bench.ready.drive(active=True)

    async def fails_in_the_middle() -> None:
        async with bench.handshake.going(timeout_s=PATIENCE_S):
            assert bench.go.heard == [True]
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await fails_in_the_middle()
    assert bench.go.heard == [True, False]


async def test_a_dut_that_is_not_ready_gets_no_go(bench: Bench) -> None:
    with pytest.raises(NotReady):
        async with bench.handshake.going(timeout_s=SOON_S):
            pass
    assert bench.go.heard == []


def pulses(bench: Bench, *spans_ns: tuple[int, int]) -> None:
    for start_ns, end_ns in spans_ns:
        bench.gate.drive(active=True, t_ns=start_ns)
        bench.gate.drive(active=False, t_ns=end_ns)


async def test_gates_are_windows_from_edge_to_edge_after_go(bench: Bench) -> None:
    pulses(bench, (10, 20), (1000, 3000), (5000, 5500))
    gates = await bench.handshake.gates(2, since_ns=500, timeout_s=PATIENCE_S)
    assert [(gate.start.t_ns, gate.end.t_ns) for gate in gates] == [(1000, 3000), (5000, 5500)]
    assert gates[0].length_s == pytest.approx(2e-6)


async def test_too_few_gates_say_how_many_there_were(bench: Bench) -> None:
    pulses(bench, (1000, 3000))
    bench.gate.drive(active=True, t_ns=4000)
    with pytest.raises(NotReady, match=r"GATE showed 1 of 2 windows within 0.02 s and then stayed active"):
        await bench.handshake.gates(2, since_ns=0, timeout_s=SOON_S)


async def test_a_gate_with_an_edge_too_few_is_no_window(bench: Bench) -> None:
    pulses(bench, (1000, 3000))
    bench.gate.active = True  # rose without anybody seeing it
    bench.gate.drive(active=False, t_ns=4000)
    with pytest.raises(DataLost, match="GATE fell twice"):
        await bench.handshake.gates(2, since_ns=0, timeout_s=SOON_S)


async def test_lost_edges_of_the_gate_are_told(bench: Bench) -> None:
    bench.gate.lose(4)
    pulses(bench, (1000, 3000))
    with pytest.raises(DataLost, match="GATE: 4 edges were lost"):
        await bench.handshake.gates(1, since_ns=0, timeout_s=PATIENCE_S)
