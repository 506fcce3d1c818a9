"""The power analyzer's part of a run: steady means of power on one plateau, for the closure test."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from labd.bench.acquire import LEAST_READINGS, CaptureUnfit, enter, plateau, prepare
from labd.bench.expand import CapturePlan
from labd.bench.readings import as_block, next_reading
from labd.bench.rig import Rig
from labd.bench.running_log import Sink
from labd.bench.station import Tool
from labd.bench.taken import Taken
from labd.config.quantity import TIME, write_quantity
from labd.errors import DataLost, FileError, InstrumentFailure
from labd.records import OperatingPoint
from labd_instruments import loader
from labd_instruments.contract import Acquisition, ListsRanges, MeanSetup, Measures, Reading

LOOKS = 7  # an update; a meter that tells its updates by the clock is read a look late, at no simple fraction of a second
LATE = 1.5  # an update may be found so many times later than it is said to come: a look late, and slower by the analyzer's own clock


async def cross_check(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """Readings over whole periods of the plateau, one an update, on fixed ranges that hold the peak.

    Raises CaptureUnfit when the analyzer leaves a range by itself or stops updating, and for missed inferences: no figure of the meter
    depends on it, so the run goes on. Raises DutFailure.
    """
    try:
        return await _confirmed(rig, plan, sink)
    except (InstrumentFailure, DataLost) as error:
        raise CaptureUnfit(str(error)) from error


async def _confirmed(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    tool = rig.station.tools[plan.instrument]
    driver = _measures(tool)
    await prepare(rig, plan)
    clock = rig.station.clock
    acquisition = await tool.call(driver.configure_mean, means(rig, plan))
    await tool.call(driver.zero)
    await sink.begin(acquisition)
    update_s = acquisition.dt_ns * 1e-9
    count = round(plan.duration_s / update_s)
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, plateau(rig, plan, lasts_s=LATE * (count + 1) * update_s))
        await _next(rig, tool, driver, acquisition)  # began before the plateau
        readings = [await _next(rig, tool, driver, acquisition) for _ in range(count)]
        await tool.call(tool.driver.check_errors, "steady means")
    await sink.write(as_block(readings, acquisition), stretch=0, trigger=False)
    return Taken(acquisition, len(readings), served=plan.events, readings=tuple(readings))


async def _next(rig: Rig, tool: Tool, driver: Measures, acquisition: Acquisition) -> Reading:
    """The reading of the next update; several looks an update, because a look takes time too and one an update would soon miss some."""
    look_s = acquisition.dt_ns * 1e-9 / LOOKS
    await rig.station.clock.sleep(look_s)
    return await next_reading(rig, tool, driver, acquisition, look_s=look_s)


def check_cross_checks(rig: Rig, plans: Sequence[CapturePlan], *, plan_file: str) -> None:
    """Before a run: whether each plateau can be confirmed by the instrument that is to. Raises FileError."""
    for plan in plans:
        if plan.instrument != rig.station.meter.spec.name:
            _check(rig, plan, plan_file)


def _check(rig: Rig, plan: CapturePlan, plan_file: str) -> None:
    tool = rig.station.tools[plan.instrument]
    try:
        _measures(tool)
        update_s = means(rig, plan).aperture_s
    except InstrumentFailure as error:
        raise FileError(rig.station.limits.where, f"instruments.{tool.spec.name}.driver", str(error)) from error
    if round(plan.duration_s / update_s) < LEAST_READINGS:
        least, got, each = (write_quantity(value, TIME) for value in (LEAST_READINGS * update_s, plan.duration_s, update_s))
        text = f"expected at least {least}, {LEAST_READINGS} readings of {tool.spec.name} ({tool.spec.driver}), one each {each}; got {got}"
        raise FileError(plan_file, "captures.cross_check_time", text)


def means(rig: Rig, plan: CapturePlan) -> MeanSetup:
    """What is asked of the analyzer. Raises InstrumentFailure where none of its ranges will do."""
    tool = rig.station.tools[plan.instrument]
    volt, ampere = ranges(tool, plan.point, rig.board.peak_a)
    return MeanSetup(loader.info(tool.spec.driver).update_s, ampere, volt)


def _measures(tool: Tool) -> Measures:
    if not isinstance(tool.driver, Measures):
        raise InstrumentFailure(f"{tool.spec.name}: {tool.spec.driver} gives no steady means; it cannot cross-check")
    return tool.driver


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
