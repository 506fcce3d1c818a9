"""A log that runs beside the body of a capture: its blocks go to the sink, checked against the bench's limits on their way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from labd.bench import setups
from labd.bench.expand import CapturePlan
from labd.bench.rig import Rig
from labd.bench.station import Tool
from labd.errors import DataLost, InstrumentFailure
from labd.stream.pump import Pump, pumping
from labd.stream.trip import Trip, TripLimits
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition, StreamEnd, Streams
from labd_instruments.errors import InstrumentError, LostSamplesError

READ_S = 4.0  # one read of a stream: the link's time-out is 2 s, plus a busy host


class Sink(Protocol):
    """Where blocks go. `stretch` counts contiguous stretches from 0; `trigger` tells that time 0 of the block's axis is a trigger."""

    async def begin(self, acquisition: Acquisition) -> None: ...

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None: ...


class Discarded:
    """A sink that keeps nothing."""

    async def begin(self, acquisition: Acquisition) -> None: ...

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None: ...


def trip(rig: Rig, acquisition: Acquisition, supply_v: float) -> Trip:
    """The bench's limits in the samples of one capture. supply_v: what is set, which stands for a voltage that is not recorded."""
    limits = rig.station.limits
    allowed = TripLimits(limits.voltage_v, limits.current_a, limits.power_w, limits.inrush_a, limits.inrush_s, limits.where)
    constant_v = None if "voltage" in acquisition.columns else supply_v
    return Trip(allowed, full_scale_a=acquisition.current_range_a, constant_v=constant_v)


@dataclass(slots=True)
class Recording:
    end: StreamEnd


@asynccontextmanager
async def running_log(rig: Rig, plan: CapturePlan, sink: Sink, acquisition: Acquisition, *, stretch: int = 0) -> AsyncIterator[Recording]:
    """A running log whose blocks go to the sink; the body waits, the log's end is known after it. stretch: where its records go.

    Raises DataLost, and SafetyRefusal for a block beyond the bench's limits.
    """
    meter = rig.station.meter
    driver = streams(meter)
    recording = Recording(StreamEnd(0, 0.0, "", 0))
    await meter.call(driver.start_stream)
    try:
        async with (
            pumping(meter.session, driver.read_block, deadline_s=READ_S, check=trip(rig, acquisition, plan.point.supply_v)) as pump,
            _beside(_drain(pump, sink, stretch)),
        ):
            yield recording
            if late_s := setups.able(meter).late_s:
                await rig.station.clock.sleep(late_s)
            pump.stop()
    except InstrumentError as error:
        text = meter.named(str(error))
        raise DataLost(text) if isinstance(error, LostSamplesError) else InstrumentFailure(text) from error
    recording.end = await meter.call(driver.stop_stream)
    await meter.call(meter.driver.check_errors, "its log")
    if recording.end.missing:
        raise DataLost(f"{meter.spec.name}: {recording.end.missing} records are missing from its log")


@asynccontextmanager
async def _beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run `work` beside the body and wait for its end; a failure of either ends the other and is raised as it is, not as a group."""
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work, name="drain")
            try:
                yield
            except BaseException:
                task.cancel()
                raise
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _drain(pump: Pump, sink: Sink, stretch: int) -> None:
    async for block in pump:
        await sink.write(block, stretch=stretch, trigger=False)


def streams(meter: Tool) -> Streams:
    driver = meter.driver
    if not isinstance(driver, Streams):
        raise InstrumentFailure(f"{meter.spec.name}: {meter.spec.driver} has no gap-free log")
    return driver
