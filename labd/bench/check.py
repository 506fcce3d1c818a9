"""`labd check`: does every instrument, lead and line of a bench do what the bench file says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import numpy as np

from labd.bench.acquire import Rig, acquire, next_reading
from labd.bench.expand import CapturePlan
from labd.bench.interlock import DISCHARGE_NOT_SEEN, IoLine
from labd.bench.ranges import amperes, floor_range, range_u95, voltage_range
from labd.bench.station import Tool
from labd.errors import InstrumentFailure, LabdError
from labd.records import MarkStyle, Mode, OperatingPoint, Role
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition, Captures, MeanSetup, Measures, Streams

REST_S = 1.0
ZERO_READINGS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tested. ok None: could not be tested here, and why."""

    what: str
    ok: bool | None
    text: str


class Samples:
    """A sink that keeps what a check looks at."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self.acquisition: Acquisition | None = None

    async def begin(self, acquisition: Acquisition) -> None:
        self.acquisition = acquisition

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        self.blocks.append(block)

    def column(self, name: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """All samples of one column, float32 [n]."""
        return np.concatenate([getattr(block, name) for block in self.blocks])


async def check_station(rig: Rig, lines: list[IoLine], supply_v: float) -> AsyncIterator[Finding]:
    """Test by test, the harmless ones first; what a failure makes impossible is left out."""
    for tool in rig.station.tools.values():
        yield _instrument(tool)
    discharged = await _tested("discharged", lambda: _unpowered(rig))
    yield discharged
    if discharged.ok is False:
        return
    yield await _zero_finding(rig, supply_v)
    powered = await _tested("sense leads and supply", lambda: _powered(rig, lines, supply_v))
    yield powered
    if powered.ok is False:
        return
    yield await _tested("board", lambda: _board(rig))
    if not rig.device.extended:
        yield Finding("back-feed asleep", None, "stock firmware has no sleep mode to test it in")
        return
    yield await _tested("back-feed asleep", lambda: _back_feed(rig, supply_v))
    yield await _tested("trigger and marker lines", lambda: _lines(rig, supply_v))


async def _tested(what: str, test: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(what, True, await test())
    except LabdError as error:
        return Finding(what, False, str(error))


def _instrument(tool: Tool) -> Finding:
    who = tool.identity
    known = sorted(row.full_scale for row in tool.driver.accuracy().rows if row.quantity in ("current", "power"))
    rows = f"accuracy known on {len(known)} ranges" if known else "accuracy unknown: its figures will carry no interval"
    return Finding(
        tool.spec.name, True, f"{who.maker} {who.model}, serial {who.serial}, at {tool.spec.resource}; {tool.driver.evidence}; {rows}"
    )


async def _unpowered(rig: Rig) -> str:
    """Rail off, lines attached: nothing may feed the board."""
    await rig.station.interlock.power_down()
    if DISCHARGE_NOT_SEEN in rig.station.interlock.notices:
        return DISCHARGE_NOT_SEEN
    return f"below {rig.station.limits.off_voltage_v:g} V, and nothing feeds the board while its supply is off"


async def _zero_finding(rig: Rig, supply_v: float) -> Finding:
    """The meter's reading of nothing, on the range of the floors, against its limit of error there."""
    meter = rig.station.meter
    driver = meter.driver
    if not isinstance(driver, Measures):
        return Finding("zero", None, f"{meter.spec.name} has no steady readings to test it with")
    full_scale = floor_range(meter, rig.board.sleep_a)
    setup = MeanSetup(aperture_s=1 / rig.mains_hz, current_range_a=full_scale, voltage_range_v=voltage_range(meter, supply_v))
    limit = range_u95(meter, full_scale, ampere=0.0, aperture_s=setup.aperture_s)  # one rectangular term: its limit
    try:
        await meter.call(driver.configure_mean, setup)
        await meter.call(driver.zero)
        readings = [await next_reading(rig, meter, driver) for _ in range(ZERO_READINGS)]
        await meter.call(meter.driver.reset)  # off the low range before anything is powered
    except LabdError as error:
        return Finding("zero", False, str(error))
    current = float(np.mean([reading.current_a for reading in readings]))
    text = f"{meter.spec.name} reads {current * 1e9:.3g} nA with its output off, on the {amperes(full_scale)} range"
    if limit is None:
        return Finding("zero", None, f"{text}; its limit of error is not known")
    if abs(current) > limit:
        return Finding("zero", False, f"{text}, more than its limit of {limit * 1e9:.3g} nA: let it warm up, zero or calibrate it")
    return Finding("zero", True, f"{text}, limit {limit * 1e9:.3g} nA")


async def _powered(rig: Rig, lines: list[IoLine], supply_v: float) -> str:
    await rig.station.interlock.power_up(supply_v, lines)
    reading = await rig.station.source.call(rig.station.interlock.source.measure_output)
    return f"{reading.voltage_v:.4g} V and {reading.current_a * 1e3:.3g} mA at the board"


async def _board(rig: Rig) -> str:
    device = rig.device
    kind = "labd's firmware" if device.extended else "stock MLPerf Tiny firmware (always_on only)"
    return f"{device.identity.vendor}, {device.identity.model}, {kind}, {device.identity.build} build"


async def _back_feed(rig: Rig, supply_v: float) -> str:
    """Asleep, with the link attached as in a run: current out of the supply pins means that something else feeds the board."""
    samples = Samples()
    await acquire(rig, _plan(rig, supply_v, Mode.EVENT_SLEEP, Role.FLOOR, events=0), samples)
    current = samples.column("current")
    if np.isnan(current).any():
        holds = samples.acquisition.current_range_a if samples.acquisition else None
        raise InstrumentFailure(
            f"the current asleep is beyond the {holds or 0:g} A range, either way: a line feeds the board, it does not sleep, or its "
            "sleep_current in the board file is too low"
        )
    mean, u = float(np.mean(current)), float(np.std(current) / np.sqrt(len(current)))
    if mean < -2 * u:
        raise InstrumentFailure(f"back_feed: {mean * 1e6:.3g} uA asleep flows out of the supply pins; a line feeds the board, isolate it")
    return f"{mean * 1e6:.3g} uA asleep, into the supply pins"


async def _lines(rig: Rig, supply_v: float) -> str:
    driver = rig.station.meter.driver
    if not isinstance(driver, Captures):
        return "this meter has no trigger"
    samples = Samples()
    await acquire(rig, _plan(rig, supply_v, Mode.EVENT_SLEEP, Role.EVENT, events=1), samples)
    if not isinstance(driver, Streams):
        return "a trigger wakes the board"
    marker = samples.column("marker")
    if float(marker.max()) < 0.5 * supply_v:
        raise InstrumentFailure(f"the marker line stays at {float(marker.max()):.3g} V during an inference; check its wire and level")
    return f"a trigger wakes the board, the marker shows {float(marker.max()):.3g} V"


def _plan(rig: Rig, supply_v: float, mode: Mode, role: Role, *, events: int) -> CapturePlan:
    marks = MarkStyle.PHASES if role is Role.EVENT else MarkStyle.GATE
    point = OperatingPoint(mode, 0.0, supply_v, "dnn")
    return CapturePlan(f"check/{role}", point, role, 0, 0, events, REST_S, marks, rig.station.meter.spec.name, 0)
