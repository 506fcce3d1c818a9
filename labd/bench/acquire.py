"""One capture: the DUT does what the operating point says while the meter records it."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TypeVar

from labd.bench import setups
from labd.bench.clock import in_steps
from labd.bench.expand import CapturePlan
from labd.bench.host_trigger import fire
from labd.bench.ranges import amperes, peak_range, range_clamp, voltage_range
from labd.bench.readings import POLL_S, Patience, as_block, next_reading, of_power
from labd.bench.rig import Rig
from labd.bench.running_log import Discarded, Sink, running_log, streams, trip
from labd.bench.starts import record_starts
from labd.bench.station import Tool
from labd.bench.supply_state import supply_state
from labd.bench.taken import Taken
from labd.bench.windows import record_windows
from labd.errors import DataLost, DutFailure, InstrumentFailure, LabdError
from labd.records import MarkStyle, Role, SupplyReading
from labd.stream.trip import Trip
from labd.trigger.process import trigger
from labd_instruments.contract import Acquisition, Captures, MeanSetup, Measures, Streams

T = TypeVar("T")

REST_STEP_S = 0.02
IDLE_MARGIN_S = 5.0  # what set-up and tear-down of a floor capture may take in real time
REST_LEAST_S = 0.02  # between triggered events, besides the longest event: the supply recovers and the board sleeps
SUPPLY_READINGS = 3
COUNTER_US = 2**32  # where the board's counter of microseconds wraps
FINE_NS = 20_000  # records up to this see a pulse of 60 us, which the firmware's phases have by themselves
APART_RECORDS = 3
LONGER = 1.02  # readings that take this many times their apertures are counted anew
LEAST_READINGS = 8
READINGS_SHARE = 2  # steady readings may take this many times their apertures


class CaptureUnfit(LabdError):
    """A capture that says nothing of what it was made for: the instrument records too coarsely."""

    exit_code = 3


class BrownOut(DutFailure):
    """The source limited its output while the board needed more: the board lost its supply."""


async def acquire(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """Make one capture. Raises InstrumentFailure, DutFailure, DataLost; the station's way out stops what it leaves under way."""
    if plan.role is Role.START:
        _refuse_energy_build(rig, plan)
        return await record_starts(rig, plan, sink)
    await prepare(rig, plan)
    taken = await _taken(rig, plan, sink)
    if "voltage" in taken.acquisition.columns:
        return taken
    return replace(taken, supply=await read_supply(rig, plan))


def _refuse_energy_build(rig: Rig, plan: CapturePlan) -> None:
    """Raises CaptureUnfit: its pin shows MLPerf Tiny's timestamps and nothing else."""
    if rig.device.identity.build == "energy":
        raise CaptureUnfit(
            f"{plan.key}: an energy build does not show on its pin when it is ready; flash the performance build, or write starts = 0"
        )


async def _taken(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    meter = rig.station.meter.driver
    if plan.role is Role.FLOOR:
        return await (_floor_logged(rig, plan, sink) if isinstance(meter, Streams) else _floor_read(rig, plan, sink))
    if plan.role is Role.MEAN:
        return await (_mean(rig, plan, sink) if isinstance(meter, Streams) else read_plateau(rig, plan, sink))
    return await (_events(rig, plan, sink) if plan.windows is None else record_windows(rig, plan, sink, plan.windows))


async def read_supply(rig: Rig, plan: CapturePlan) -> SupplyReading | None:
    """The voltage at the sense point, by steady readings of the source that feeds the board, which reads no more afterwards: a log behind
    them would hold up whatever it is asked next. None where it gives none."""
    source = rig.station.source
    driver = source.driver
    if not isinstance(driver, Measures):
        return None
    able = setups.able(source)
    range_a = peak_range(source, rig.board.peak_a) if able.fixed_ranges and not able.seamless else None
    setup = MeanSetup(1 / rig.mains_hz, range_a, voltage_range(source, plan.point.supply_v))
    setup = replace(setup, aperture_s=setups.interval_s(source, setup))
    try:
        acquisition = await source.call(driver.configure_mean, setup)
        volts = [(await next_reading(rig, source, driver, acquisition)).voltage_v for _ in range(SUPPLY_READINGS)]
        await source.call(source.driver.check_errors, "the supply voltage")
    finally:
        await source.call(rig.station.interlock.source.halt)
    if "voltage" not in acquisition.columns or not all(map(math.isfinite, volts)):
        return None
    mean_v = sum(volts) / len(volts)
    spread_v = (max(volts) - min(volts)) / 2
    as_set = not able.measures_voltage
    return SupplyReading(source.spec.name, mean_v, spread_v, acquisition.voltage_range_v, acquisition.aperture_s, as_set=as_set)


async def prepare(rig: Rig, plan: CapturePlan) -> None:
    """The operating point's mode and marks, and no signatures, which stock firmware cannot be told; a tripped supply is found before
    anything is measured."""
    if rig.device.extended:
        await rig.device.set_mode(plan.point.mode, idle_kind=plan.idle_kind)
        await rig.device.set_marks(plan.marks)
        await rig.device.set_bracket(None)
    state = await supply_state(rig.station)
    if state is not None:
        raise InstrumentFailure(f"{state}; the board is not at its operating point")
    await rig.station.clock.sleep(rig.settle_s)


async def _floor_logged(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    meter = rig.station.meter
    setup = setups.rest_stream(rig, plan)
    clock = rig.station.clock
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, rig.device.resting(rig.settle_s + plan.duration_s + IDLE_MARGIN_S))
        await clock.sleep(rig.settle_s)
        acquisition = told(await meter.call(streams(meter).configure_stream, setup), setups.REST_S)
        await sink.begin(acquisition)
        async with running_log(rig, plan, sink, acquisition) as recording:
            await clock.sleep(plan.duration_s)
        end = recording.end
    return Taken(acquisition, end.records, served=0, end=end)


async def enter(rig: Rig, stack: AsyncExitStack, program: AbstractAsyncContextManager[T]) -> T:
    """Start a program of the board and stop the clock there: a stepped bench would otherwise have run it to its end before labd acts."""
    return await in_steps(rig.station.clock, stack.enter_async_context(program), REST_STEP_S)


async def _floor_read(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """A meter that cannot log: steady readings, each over whole mains periods, on a range that the board must not wake up on."""
    meter = rig.station.meter
    driver = _measures(meter)
    setup = setups.rest_mean(rig, plan)
    clock = rig.station.clock
    count = max(LEAST_READINGS, round(plan.duration_s / setup.aperture_s))
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, rig.device.resting(rig.settle_s + READINGS_SHARE * count * setup.aperture_s + IDLE_MARGIN_S))
        await clock.sleep(rig.settle_s)
        acquisition = told(await meter.call(driver.configure_mean, setup), 1 / rig.mains_hz)
        await sink.begin(acquisition)
        try:
            await meter.call(driver.zero)
            readings = [await next_reading(rig, meter, driver, acquisition) for _ in range(count)]
            await meter.call(meter.driver.check_errors, "steady readings")
        except InstrumentFailure as error:
            await _refuse_fallen_supply(rig, acquisition, cause=error)
            raise
        await _refuse_fallen_supply(rig, acquisition)
        # the rest ends: the board must find a range that lets it draw what it needs
        await meter.call(driver.configure_mean, replace(setup, current_range_a=setups.awake_range(rig)))
    await sink.write(as_block(readings, acquisition), stretch=0, trigger=False)
    return Taken(acquisition, len(readings), served=0, steady=True, readings=of_power(readings))


async def _refuse_fallen_supply(rig: Rig, acquisition: Acquisition, *, cause: InstrumentFailure | None = None) -> None:
    """Raises BrownOut when the source limits: the board was not at its supply voltage, whatever was read."""
    state = await supply_state(rig.station)
    if state is not None:
        where = on_range(rig.station.meter, acquisition.current_range_a)
        raise BrownOut(f"brown-out: {state}; the capture was {where}") from cause


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


async def _mean(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """Whole periods, paced by the DUT: the log begins one period before the first inference and ends one after the last. Where no line from
    the DUT is in the log, the DUT burns its signature before and after."""
    meter = rig.station.meter
    setup = setups.periods_stream(rig, plan)
    acquisition = told(await meter.call(streams(meter).configure_stream, setup), setups.STREAM_S)
    await sink.begin(acquisition)
    if plan.offsets_ns:
        return await _fired(rig, plan, sink, acquisition)
    period_us = round(1e6 / plan.point.rate_hz)
    bracket = setups.bracket(rig, plan, acquisition)
    await rig.device.set_bracket(bracket)
    async with running_log(rig, plan, sink, acquisition) as recording:
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
        bracket=bracket,
        signatures=done.signatures,
        flags=tuple(flags),
        counters=counters,
    )


async def _fired(rig: Rig, plan: CapturePlan, sink: Sink, acquisition: Acquisition) -> Taken:
    """As `_mean`, fired by this host: the log ends when the board is at rest after the last inference."""
    how = rig.host_trigger
    if how is None:
        raise DutFailure(f"{plan.key}: this bench does not say how the host fires the board")
    async with trigger(how.target().descriptor) as process, running_log(rig, plan, sink, acquisition) as recording:
        fired = await fire(rig.device, how, process, plan, longest_event_s=rig.board.longest_event_s)
        await rig.station.clock.sleep(rig.board.longest_event_s + rig.settle_s)
    return Taken(
        acquisition,
        recording.end.records,
        served=fired.served,
        missed=fired.jitter.missed,
        laps=await _laps(rig),
        end=recording.end,
        flags=fired.flags,
        counters=await rig.device.counters(),
        jitter=fired.jitter,
        host_gates=fired.gates,
    )


async def read_plateau(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """A meter that cannot log: steady readings of a board at work, paced by itself. What moves within a reading is not seen.

    Raises DataLost for missed inferences.
    """
    meter = rig.station.meter
    driver = _measures(meter)
    setup = setups.periods_mean(rig, plan)
    clock = rig.station.clock
    acquisition = await meter.call(driver.configure_mean, setup)
    await meter.call(driver.zero)
    await sink.begin(acquisition)
    dt_s = acquisition.dt_ns * 1e-9
    count = max(LEAST_READINGS, round(plan.duration_s / dt_s))
    check = trip(rig, acquisition, plan.point.supply_v)
    async with AsyncExitStack() as stack, clock.frozen():
        await enter(rig, stack, plateau(rig, plan, lasts_s=READINGS_SHARE * (count + 1) * dt_s))
        await next_reading(rig, meter, driver, acquisition)  # began before the plateau
        readings = [await next_reading(rig, meter, driver, acquisition) for _ in range(count)]
        await meter.call(meter.driver.check_errors, "steady readings")
    block = as_block(readings, acquisition)
    check(block)
    await sink.write(block, stretch=0, trigger=False)
    return Taken(acquisition, len(readings), served=plan.events, steady=True, readings=of_power(readings))


@asynccontextmanager
async def plateau(rig: Rig, plan: CapturePlan, *, lasts_s: float) -> AsyncIterator[None]:
    """The operating point from its start to its end; paced by the DUT above rate 0. Raises DataLost when it missed inferences."""
    lasts_s += rig.settle_s + IDLE_MARGIN_S
    if plan.point.rate_hz == 0:
        async with rig.device.resting(lasts_s):
            yield
        return
    async with rig.device.paced(round(lasts_s * plan.point.rate_hz), round(1e6 / plan.point.rate_hz)) as done:
        yield
    if done[0].missed:
        raise DataLost(f"{plan.key}: the board missed {done[0].missed} deadlines; the plateau was not steady")


async def _laps(rig: Rig) -> tuple[tuple[float, ...], ...]:
    """The DUT's own account of each event: event, awake, ready, start, end in us of its counter."""
    return tuple((lap.event_us, lap.awake_us, lap.ready_us, lap.start_us, lap.end_us) for lap in await rig.device.laps())


async def _events(rig: Rig, plan: CapturePlan, sink: Sink) -> Taken:
    """One trigger an event: the instrument fires the DUT, its pre-trigger samples show the rest before."""
    meter = rig.station.meter
    driver = meter.driver
    if not isinstance(driver, Captures):
        raise InstrumentFailure(f"{meter.spec.name}: {meter.spec.driver} cannot capture around a trigger")
    acquisition = await _configured(rig, plan, driver)
    if plan.marks is MarkStyle.PHASES and rig.device.extended and acquisition.dt_ns > FINE_NS:
        await rig.device.set_marks(plan.marks, apart_s=APART_RECORDS * acquisition.dt_ns * 1e-9)
    await sink.begin(acquisition)
    rest_s = rig.board.longest_event_s + REST_LEAST_S
    check = trip(rig, acquisition, plan.point.supply_v)
    lasts_s = (acquisition.points or 0) * acquisition.dt_ns * 1e-9
    records = 0
    clock = rig.station.clock
    async with AsyncExitStack() as stack, clock.frozen():  # the board gives up an event that labd is slow to fire
        armed = await enter(rig, stack, rig.device.armed(plan.events + 1, timeout_s=10 * rest_s + IDLE_MARGIN_S))
        for event in range(plan.events):
            await clock.sleep(rest_s)
            records += await _one_event(rig, driver, sink, event, check, lasts_s=lasts_s)
        # the board does not go to rest after the last event of a program: one more, which is not kept
        await clock.sleep(rest_s)
        await _one_event(rig, driver, Discarded(), plan.events, check, lasts_s=lasts_s)
    if armed.served != plan.events + 1:
        raise DataLost(f"{plan.key}: {plan.events + 1} triggers were fired, the board served {armed.served}; check the trigger line")
    laps = (await _laps(rig))[: plan.events]
    lasts_us = [(end - start) % COUNTER_US for _, _, _, start, end in laps if not math.isnan(end - start)]
    if lasts_us:
        _refuse_coarse(meter, "the board's shortest inference", min(lasts_us) * 1e-6, acquisition.dt_ns * 1e-9)
    return Taken(acquisition, records, served=plan.events, laps=laps, counters=await rig.device.counters())


async def _configured(rig: Rig, plan: CapturePlan, driver: Captures) -> Acquisition:
    """Once more where readings take longer than their apertures, which only the instrument can tell: a capture covers a time, not a number
    of records. Raises CaptureUnfit for an interval that does not resolve the longest event."""
    meter, setup = rig.station.meter, setups.event_capture(rig, plan)
    acquisition = await meter.call(driver.configure_capture, setup)
    dt_s = acquisition.dt_ns * 1e-9
    _refuse_coarse(meter, "the board's longest event", rig.board.longest_event_s, dt_s)
    if dt_s > LONGER * setup.dt_s:
        acquisition = await meter.call(driver.configure_capture, setups.for_interval(rig, setup, dt_s))
    return told(acquisition, setups.EVENT_S)


def _refuse_coarse(meter: Tool, what: str, lasts_s: float, dt_s: float) -> None:
    """Raises CaptureUnfit."""
    unfit = setups.too_coarse(meter, what, lasts_s, dt_s)
    if unfit is not None:
        raise CaptureUnfit(unfit)


def told(acquisition: Acquisition, wanted_s: float) -> Acquisition:
    """With the interval that was wanted among its settings, where it is another."""
    text = setups.taken_instead(acquisition, wanted_s)
    return acquisition if text is None else replace(acquisition, settings={**acquisition.settings, "interval_taken": text})


async def _one_event(rig: Rig, driver: Captures, sink: Sink, event: int, check: Trip, *, lasts_s: float) -> int:
    meter = rig.station.meter
    await meter.call(driver.arm)
    await meter.call(driver.fire)
    patience = Patience(rig, meter, lasts_s)
    while not await meter.call(driver.captured):
        if await patience.over():
            raise InstrumentFailure(
                f"{meter.spec.name}: a capture of {lasts_s:.3g} s has not ended in {patience.allowed_s:.3g} s after it was fired"
            )
        await rig.station.clock.sleep(POLL_S)
    blocks = await meter.call(driver.fetch)
    for block in blocks:
        check(block)
        await sink.write(block, stretch=event, trigger=True)
    return sum(len(block) for block in blocks)
