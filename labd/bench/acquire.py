"""One capture: the DUT does what the operating point says while the meter records it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from labd.bench.clock import in_steps
from labd.bench.expand import CapturePlan
from labd.bench.ranges import amperes, floor_range, peak_range, range_clamp, voltage_range
from labd.bench.station import Station, Tool
from labd.dut.device import Device
from labd.errors import DataLost, DutFailure, InstrumentFailure
from labd.records import Mode, Role
from labd.stream.pump import Pump, pumping
from labd.stream.trip import Trip, TripLimits
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition, Captures, CaptureSetup, MeanSetup, Measures, Reading, StreamEnd, Streams, StreamSetup
from labd_instruments.errors import InstrumentError, LostSamplesError

READ_S = 4.0  # one read of a stream: the link's time-out is 2 s, plus a busy host
REST_STEP_S = 0.02
IDLE_MARGIN_S = 5.0  # what set-up and tear-down of a floor capture may take in real time
REST_LEAST_S = 0.02  # between triggered events, besides the longest event: the supply recovers and the board sleeps
EVENT_DT_S = 20.48e-6
TRIGGERED_DT_S = 10e-6  # of a meter that digitizes around a trigger only
STREAM_DT_S = 307.2e-6  # three parameters of an N6705C's log; a driver that needs more refuses
POLL_S = 0.002
LEAST_READINGS = 8
READINGS_SHARE = 2  # steady readings may take this many times their apertures


class BrownOut(DutFailure):
    """The source limited its output while the board needed more: the board lost its supply."""


class Sink(Protocol):
    """Where blocks go. `stretch` counts contiguous stretches from 0; `trigger` tells that time 0 of the block's axis is a trigger."""

    async def begin(self, acquisition: Acquisition) -> None: ...

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None: ...


class Discarded:
    """A sink that keeps nothing."""

    async def begin(self, acquisition: Acquisition) -> None: ...

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class BoardFacts:
    """What of the board file the acquisition needs, SI units."""

    longest_event_s: float
    peak_a: float
    sleep_a: float
    time_constant_s: float


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of one capture besides its samples. laps: per event (event, awake, ready, start, end) in us of the DUT's counter.

    served: inferences that the DUT says it made; missed: deadlines it missed. records: samples written.
    """

    acquisition: Acquisition
    records: int
    served: int
    missed: int = 0
    laps: tuple[tuple[float, ...], ...] = ()
    readings: tuple[Reading, ...] = ()
    end: StreamEnd | None = None
    flags: tuple[str, ...] = ()
    counters: dict[str, int] = field(default_factory=dict)


class DeviceHolder(Protocol):
    """Who opens and closes the link to the board."""

    @property
    def device(self) -> Device: ...


@dataclass(frozen=True, slots=True)
class Rig:
    """Everything one capture works with."""

    station: Station
    link: DeviceHolder
    board: BoardFacts
    mains_hz: float
    settle_s: float
    floor_range_a: float | None = None
    largest_u95: float = 0.2

    @property
    def device(self) -> Device:
        """The board as it is connected now; another one after a restart. Raises DutFailure while it is not."""
        return self.link.device


async def acquire(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """Make one capture. Raises InstrumentFailure, DutFailure, DataLost; the station's way out stops what it leaves under way."""
    await prepare(rig, plan)
    meter = rig.station.meter.driver
    if plan.role is Role.FLOOR:
        return await (_floor_logged(rig, plan, sink) if isinstance(meter, Streams) else _floor_read(rig, plan, sink))
    if plan.role is Role.MEAN:
        return await _mean(rig, plan, sink)
    return await _events(rig, plan, sink)


async def prepare(rig: Rig, plan: CapturePlan) -> None:
    """The operating point's mode and marks; a tripped supply is found before anything is measured."""
    await rig.device.set_mode(plan.point.mode, idle_kind=plan.idle_kind)
    await rig.device.set_marks(plan.marks)
    trip = await rig.station.interlock.tripped()
    if trip is not None:
        raise InstrumentFailure(f"{rig.station.source.spec.name}: {trip} is active; the board is not at its operating point")
    await rig.station.clock.sleep(rig.settle_s)


async def _floor_logged(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    meter = rig.station.meter
    setup = StreamSetup(dt_s=STREAM_DT_S, current_range_a=rest_range(rig, plan), voltage_range_v=voltage_range(meter, plan.point.supply_v))
    clock = rig.station.clock
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, rig.device.resting(rig.settle_s + plan.duration_s + IDLE_MARGIN_S))
        await clock.sleep(rig.settle_s)
        acquisition = await meter.call(_streams(meter).configure_stream, setup)
        await sink.begin(acquisition)
        async with _recording(rig, sink, acquisition) as recording:
            await clock.sleep(plan.duration_s)
        end = recording.end
    return Taken(acquisition, end.records, served=0, end=end)


async def enter(rig: Rig, stack: AsyncExitStack, program: AbstractAsyncContextManager[object]) -> None:
    """Start a program of the board and stop the clock there: a stepped bench would otherwise have run it to its end before labd acts."""
    await in_steps(rig.station.clock, stack.enter_async_context(program), REST_STEP_S)


async def _floor_read(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """A meter that cannot log: steady readings, each over whole mains periods, on a range that the board must not wake up on."""
    meter = rig.station.meter
    driver = _measures(meter)
    setup = MeanSetup(
        aperture_s=1 / rig.mains_hz, current_range_a=rest_range(rig, plan), voltage_range_v=voltage_range(meter, plan.point.supply_v)
    )
    clock = rig.station.clock
    count = max(LEAST_READINGS, round(plan.duration_s * rig.mains_hz))
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, rig.device.resting(rig.settle_s + READINGS_SHARE * count * setup.aperture_s + IDLE_MARGIN_S))
        await clock.sleep(rig.settle_s)
        acquisition = await meter.call(driver.configure_mean, setup)
        await sink.begin(acquisition)
        try:
            await meter.call(driver.zero)
            readings = [await next_reading(rig, meter, driver) for _ in range(count)]
            await meter.call(meter.driver.check_errors, "steady readings")
        except InstrumentFailure as error:
            await _refuse_fallen_supply(rig, acquisition, cause=error)
            raise
        await _refuse_fallen_supply(rig, acquisition)
        # the rest ends: the board must find a range that lets it draw what it needs
        await meter.call(driver.configure_mean, replace(setup, current_range_a=peak_range(meter, rig.board.peak_a)))
    await sink.write(as_block(readings, acquisition), stretch=0, trigger=False)
    return Taken(acquisition, len(readings), served=0)


async def _refuse_fallen_supply(rig: Rig, acquisition: Acquisition, *, cause: InstrumentFailure | None = None) -> None:
    """Raises BrownOut when the source limits: the board was not at its supply voltage, whatever was read."""
    trip = await rig.station.interlock.tripped()
    if trip is not None:
        raise BrownOut(
            f"brown-out: {trip} is active {on_range(rig.station.meter, acquisition.current_range_a)}; the board lost its supply"
        ) from cause


def on_range(meter: Tool, range_a: float | None) -> str:
    """The range in words, with what it does to the output."""
    if range_a is None:
        return f"on {meter.spec.name}"
    factor = range_clamp(meter)
    clamps = "" if factor is None else f", which limits the output to {amperes(factor * range_a)}"
    return f"on the {amperes(range_a)} range of {meter.spec.name}{clamps}"


def _measures(meter: Tool) -> Measures:
    driver = meter.driver
    if not isinstance(driver, Measures):
        raise InstrumentFailure(f"{meter.spec.name}: {meter.spec.driver} can neither log nor read steady means; it cannot measure a floor")
    return driver


async def next_reading(rig: Rig, meter: Tool, driver: Measures) -> Reading:
    """The next steady reading, waiting for the instrument's update."""
    while (reading := await meter.call(driver.read_mean)) is None:
        await rig.station.clock.sleep(POLL_S)
    return reading


def as_block(readings: Sequence[Reading], acquisition: Acquisition) -> Block:
    return Block(
        seq=0,
        t0_ns=0,
        dt_ns=acquisition.dt_ns,
        current=np.array([r.current_a for r in readings], np.float32),
        voltage=np.array([r.voltage_v for r in readings], np.float32),
    )


async def _mean(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """Whole periods, paced by the DUT: the log begins one period before the first inference and ends one after the last."""
    meter = rig.station.meter
    setup = StreamSetup(dt_s=STREAM_DT_S, current_range_a=None, voltage_range_v=voltage_range(meter, plan.point.supply_v), with_marker=True)
    acquisition = await meter.call(_streams(meter).configure_stream, setup)
    await sink.begin(acquisition)
    period_us = round(1e6 / plan.point.rate_hz)
    async with _recording(rig, sink, acquisition) as recording:
        done = await rig.device.periodic(plan.events, period_us)
    laps = await _laps(rig)
    counters = await rig.device.counters()
    flags: list[str] = []
    if done.missed:
        flags.append(f"{done.missed} deadlines missed")
    return Taken(
        acquisition,
        recording.end.records,
        served=done.served,
        missed=done.missed,
        laps=laps,
        end=recording.end,
        flags=tuple(flags),
        counters=counters,
    )


async def _laps(rig: Rig) -> tuple[tuple[float, ...], ...]:
    """The DUT's own account of each event: event, awake, ready, start, end in us of its counter."""
    return tuple((lap.event_us, lap.awake_us, lap.ready_us, lap.start_us, lap.end_us) for lap in await rig.device.laps())


async def _events(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """One trigger an event: the instrument fires the DUT, its pre-trigger samples show the rest before."""
    meter = rig.station.meter
    driver = meter.driver
    if not isinstance(driver, Captures):
        raise InstrumentFailure(f"{meter.spec.name}: {meter.spec.driver} cannot capture around a trigger")
    setup = _event_setup(rig, plan, meter)
    acquisition = await meter.call(driver.configure_capture, setup)
    await sink.begin(acquisition)
    rest_s = rig.board.longest_event_s + REST_LEAST_S
    check = trip(rig, acquisition)
    records = 0
    async with rig.device.armed(plan.events + 1, timeout_s=10 * rest_s + IDLE_MARGIN_S) as armed:
        for event in range(plan.events):
            await rig.station.clock.sleep(rest_s)
            records += await _one_event(rig, driver, sink, event, check)
        # the board does not go to rest after the last event of a program: one more, which is not kept
        await rig.station.clock.sleep(rest_s)
        await _one_event(rig, driver, Discarded(), plan.events, check)
    if armed.served != plan.events + 1:
        raise DataLost(f"{plan.key}: {plan.events + 1} triggers were fired, the board served {armed.served}; check the trigger line")
    laps = (await _laps(rig))[: plan.events]
    return Taken(acquisition, records, served=plan.events, laps=laps, counters=await rig.device.counters())


async def _one_event(rig: Rig, driver: Captures, sink: Sink, event: int, check: Trip) -> int:
    meter = rig.station.meter
    await meter.call(driver.arm)
    await meter.call(driver.fire)
    while not await meter.call(driver.captured):
        await rig.station.clock.sleep(POLL_S)
    blocks = await meter.call(driver.fetch)
    for block in blocks:
        check(block)
        await sink.write(block, stretch=event, trigger=True)
    return sum(len(block) for block in blocks)


def _event_setup(rig: Rig, plan: CapturePlan, meter: Tool) -> CaptureSetup:
    before_s = max(5 * rig.board.time_constant_s, 0.008)
    after_s = rig.board.longest_event_s + max(10 * rig.board.time_constant_s, 0.008)
    seamless = isinstance(meter.driver, Streams)
    dt_s = EVENT_DT_S if seamless else TRIGGERED_DT_S
    return CaptureSetup(
        dt_s=dt_s,
        points=round((before_s + after_s) / dt_s),
        pretrigger_points=round(before_s / dt_s),
        current_range_a=None if seamless else peak_range(meter, rig.board.peak_a),
        voltage_range_v=voltage_range(meter, plan.point.supply_v),
        fire_dut=True,
        with_marker=seamless,
    )


def trip(rig: Rig, acquisition: Acquisition) -> Trip:
    """The bench's limits in the samples of one capture."""
    limits = rig.station.limits
    allowed = TripLimits(limits.voltage_v, limits.current_a, limits.power_w, limits.inrush_a, limits.inrush_s, limits.where)
    return Trip(allowed, full_scale_a=acquisition.current_range_a)


@dataclass(slots=True)
class _Recording:
    end: StreamEnd


@asynccontextmanager
async def _recording(rig: Rig, sink: Sink, acquisition: Acquisition) -> AsyncIterator[_Recording]:
    """A running log whose blocks go to the sink; the body waits, the log's end is known after it.

    Raises DataLost, and SafetyRefusal for a block beyond the bench's limits.
    """
    meter = rig.station.meter
    driver = _streams(meter)
    recording = _Recording(StreamEnd(0, 0.0, "", 0))
    await meter.call(driver.start_stream)
    try:
        async with (
            pumping(meter.session, driver.read_block, deadline_s=READ_S, check=trip(rig, acquisition)) as pump,
            _beside(_drain(pump, sink)),
        ):
            yield recording
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


async def _drain(pump: Pump, sink: Sink) -> None:
    stretch = 0
    async for block in pump:
        await sink.write(block, stretch=stretch, trigger=False)


def _streams(meter: Tool) -> Streams:
    driver = meter.driver
    if not isinstance(driver, Streams):
        raise InstrumentFailure(f"{meter.spec.name}: {meter.spec.driver} has no gap-free log")
    return driver


def rest_range(rig: Rig, plan: CapturePlan) -> float:
    """Range of a floor capture: the bench file's, else the lowest that holds what the board draws at rest."""
    if rig.floor_range_a is not None:
        return rig.floor_range_a
    if plan.point.mode is Mode.ALWAYS_ON:
        return peak_range(rig.station.meter, rig.board.peak_a)
    return floor_range(rig.station.meter, rig.board.sleep_a)
