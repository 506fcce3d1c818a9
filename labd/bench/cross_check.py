"""The power analyzer's part of a run: steady means of power on one plateau, for the closure test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from labd.bench.acquire import Rig, Sink, Taken, as_block, enter, prepare
from labd.bench.expand import UPDATE_S, CapturePlan
from labd.bench.station import Tool
from labd.errors import DataLost, InstrumentFailure
from labd.records import OperatingPoint
from labd_instruments.contract import ListsRanges, MeanSetup, Measures, Reading

MARGIN_S = 5.0
LOOKS = 4  # an update
MISSED_UPDATES = 20  # without a new reading: the analyzer does not update


async def cross_check(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """Readings over whole periods of the plateau, one an update, on fixed ranges that hold the peak.

    Raises InstrumentFailure when the analyzer leaves a range by itself or stops updating, DutFailure, DataLost for missed inferences.
    """
    tool = rig.station.tools[plan.instrument]
    driver = tool.driver
    if not isinstance(driver, Measures):
        raise InstrumentFailure(f"{tool.spec.name}: {tool.spec.driver} gives no steady means; it cannot cross-check")
    await prepare(rig, plan)
    clock = rig.station.clock
    volt, ampere = ranges(tool, plan.point, rig.board.peak_a)
    acquisition = await tool.call(driver.configure_mean, MeanSetup(UPDATE_S, ampere, volt))
    await tool.call(driver.zero)
    await sink.begin(acquisition)
    count = round(plan.duration_s / UPDATE_S)
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, _plateau(rig, plan))
        await _next(rig, tool, driver)  # began before the plateau
        readings = [await _next(rig, tool, driver) for _ in range(count)]
        await tool.call(tool.driver.check_errors, "steady means")
    await sink.write(as_block(readings, acquisition), stretch=0, trigger=False)
    return Taken(acquisition, len(readings), served=plan.events, readings=tuple(readings))


async def _next(rig: Rig, tool: Tool, driver: Measures) -> Reading:
    """The reading of the next update."""
    clock = rig.station.clock
    looks = 1 if clock.stepped else LOOKS  # in real time a look takes time itself: one an update would soon miss some
    for _ in range(MISSED_UPDATES * looks):
        await clock.sleep(UPDATE_S / looks)
        reading = await tool.call(driver.read_mean)
        if reading is not None:
            return reading
    raise InstrumentFailure(f"{tool.spec.name}: no new reading in {MISSED_UPDATES * UPDATE_S:g} s; is its update rate {UPDATE_S:g} s?")


@asynccontextmanager
async def _plateau(rig: Rig, plan: CapturePlan) -> AsyncIterator[None]:
    """The operating point from its start to its end; paced by the DUT above rate 0. Raises DataLost when it missed inferences."""
    if not plan.events:
        async with rig.device.resting(rig.settle_s + plan.duration_s + MARGIN_S):
            yield
        return
    extra = round((rig.settle_s + MARGIN_S) * plan.point.rate_hz)
    async with rig.device.paced(plan.events + extra, round(1e6 / plan.point.rate_hz)) as done:
        yield
    if done[0].missed:
        raise DataLost(f"{plan.key}: the board missed {done[0].missed} deadlines; the plateau was not steady")


def ranges(tool: Tool, point: OperatingPoint, peak_a: float) -> tuple[float, float]:
    """Lowest voltage range that holds the supply, lowest current range whose peak, crest factor times the range, holds the board's.

    Raises InstrumentFailure when none does, or when the instrument does not tell its ranges.
    """
    driver = tool.driver
    if not isinstance(driver, ListsRanges):
        raise InstrumentFailure(f"{tool.spec.name}: {tool.spec.driver} does not tell its ranges; it cannot cross-check")
    volt = next((r for r in driver.voltage_ranges_v if r >= point.supply_v), None)
    ampere = next((r for r in driver.current_ranges_a if driver.crest_factor * r >= peak_a), None)
    if volt is None or ampere is None:
        raise InstrumentFailure(f"{tool.spec.name}: no range holds {point.supply_v:g} V and a peak of {peak_a:g} A")
    return volt, ampere
