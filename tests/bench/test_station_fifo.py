"""A log whose host is slower than the instrument's FIFO loses records, and the capture says so."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from labd.bench.acquire import acquire
from labd.bench.check import Samples
from labd.bench.expand import CapturePlan
from labd.errors import DataLost
from labd.records import MarkStyle, Mode, OperatingPoint, Role
from labd_instruments.block import Block
from tests.bench.virtual_station import watched

pytestmark = pytest.mark.compiler

FIFO_S = 20
WAIT_S = 10.0


class Arriving(Samples):
    """A sink that tells when the first block is there."""

    def __init__(self) -> None:
        super().__init__()
        self.first = asyncio.Event()

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        await super().write(block, stretch=stretch, trigger=trigger)
        self.first.set()


async def test_a_host_that_is_slower_than_the_fifo_loses_records_and_is_told(tmp_path: Path) -> None:
    async with watched(tmp_path) as bench:
        await bench.station.interlock.power_up(3.0, bench.lines)
        point = OperatingPoint(Mode.ALWAYS_ON, 0.0, 3.0, "dnn")
        plan = CapturePlan("slow host", point, Role.FLOOR, 0, 0, 0, 3.0 * FIFO_S, MarkStyle.GATE, "smu", 0)
        sink = Arriving()
        capture = asyncio.create_task(acquire(bench.rig, plan, sink))
        await asyncio.wait_for(sink.first.wait(), WAIT_S)
        begun_ns = bench.control.ask(op="now")["t_ns"]
        bench.control.ask(op="hang", instrument="smu", on=True)  # nothing is fetched any more, and the capture's time passes
        try:
            passing = bench.rig.station.clock.sleep(2.0 * FIFO_S)
            await asyncio.wait_for(passing, WAIT_S)
            assert bench.control.ask(op="now")["t_ns"] >= begun_ns + FIFO_S * 10**9
        finally:
            bench.control.ask(op="hang", instrument="smu", on=False)
        with pytest.raises(DataLost, match="smu"):
            await asyncio.wait_for(capture, WAIT_S)
        assert DataLost.exit_code == 7
        assert sum(map(len, sink.blocks)) > 0
