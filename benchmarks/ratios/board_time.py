"""How much faster than real time a virtual bench runs in stepped time: drivers, sockets, firmware and all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from benchmarks.ratios.figures import Ratio, from_ratios
from labd import bench_file, resources
from labd.bench.acquire import acquire
from labd.bench.expand import CapturePlan
from labd.bench.rig import Rig
from labd.bench.station import open_station
from labd.bench.virtual import BoardTime, virtual_bench
from labd.bench_file import station as translate
from labd.bench_file.virtual import spec as virtual_spec
from labd.daemon.opened import BoardLink
from labd.records import MarkStyle, Mode, OperatingPoint, Role
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition

SWEEPS = 3
RATES_HZ = (2.0, 10.0, 30.0)
EVENTS = 60
MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP)


class Count:
    """A sink that only counts."""

    def __init__(self) -> None:
        self.records = 0

    async def begin(self, acquisition: Acquisition) -> None:
        """Nothing to prepare."""

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        self.records += len(block)


async def board_time() -> list[Ratio]:
    """Seconds of the board for each second of the host."""
    async with _powered_bench() as rig:
        await _sweep(rig)
        ratios = [await _sweep(rig) for _ in range(SWEEPS)]
    what = f"periodic sweep, {len(MODES)} modes, {len(RATES_HZ)} rates, {EVENTS} inferences each"
    return [from_ratios("virtual bench in stepped time", what, against="real time", kind="real time", ratios=ratios)]


async def _sweep(rig: Rig) -> float:
    board = rig.station.clock.for_drivers
    began, board_began = time.perf_counter(), board.now_s()
    for order, (mode, rate) in enumerate((m, r) for m in MODES for r in RATES_HZ):
        point = OperatingPoint(mode, rate, 3.0, "dnn")
        plan = CapturePlan(f"{point.key}/{order}", point, Role.MEAN, 0, order, EVENTS, EVENTS / rate, MarkStyle.GATE, "smu", 1)
        sink = Count()
        await acquire(rig, plan, sink)
        assert sink.records, f"{point.key}: no samples came"
    return (board.now_s() - board_began) / (time.perf_counter() - began)


@asynccontextmanager
async def _powered_bench() -> AsyncIterator[Rig]:
    """The demo's bench with its board powered and its model loaded."""
    fixtures = resources.path("fixtures")
    bench = bench_file.load_bench(fixtures / "benches/demo.toml")
    spec = virtual_spec(bench, seed=1) | {"time": "stepped"}
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(virtual_bench(spec))
        clock = BoardTime(addresses.control, stepped=True)
        stack.callback(clock.close)
        tools = translate.tools(bench, addresses.instruments)
        station = await stack.enter_async_context(open_station(tools, translate.limits(bench), clock))
        link = BoardLink(addresses.uart, bench)
        await station.interlock.power_up(bench.board.supply, [link.line()])
        await link.device.set_workload("dnn", activity=10, seed=1)
        await link.device.infer(1, warmups=3)
        yield Rig(station, link, translate.board_facts(bench), bench.mains, 0.1)
