"""`labd check`: does every instrument, lead and line of a bench do what the bench file says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import numpy as np

from labd.bench import setups
from labd.bench.acquire import acquire
from labd.bench.expand import CapturePlan
from labd.bench.finding import Finding
from labd.bench.firmware import Declared, refuse_other_board
from labd.bench.interlock import DISCHARGE_NOT_SEEN, IoLine
from labd.bench.ranges import amperes, range_u95
from labd.bench.rig import Rig
from labd.bench.self_test import board_clock, round_trip, sample_rate, zero
from labd.bench.station import Tool
from labd.bench.taken import Taken
from labd.errors import DutFailure, InstrumentFailure, LabdError
from labd.records import MarkStyle, Mode, OperatingPoint, Role
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition, Captures

REST_S = 1.0


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


async def check_station(rig: Rig, lines: list[IoLine], supply_v: float, declared: Declared) -> AsyncIterator[Finding]:
    """Test by test, the harmless ones first; what a failure makes impossible is left out."""
    for tool in rig.station.tools.values():
        yield _instrument(tool)
    discharged = await _tested("discharged", lambda: _unpowered(rig))
    if DISCHARGE_NOT_SEEN in rig.station.interlock.notices:
        discharged = replace(discharged, ok=None, text=DISCHARGE_NOT_SEEN)
    yield discharged
    if discharged.ok is False:
        return
    for tool in rig.station.tools.values():
        yield await round_trip(tool)
    yield await zero(rig, supply_v)
    powered = await _tested("sense leads and supply", lambda: _powered(rig, lines, supply_v))
    yield powered
    if powered.ok is False:
        return
    board = await _tested("board", lambda: _board(rig, declared))
    yield board
    if board.ok is False:
        return
    if not rig.device.extended:
        yield Finding("back-feed asleep", None, "stock firmware has no sleep mode to test it in")
        return
    taken: list[Taken] = []
    yield await _tested("back-feed asleep", lambda: _back_feed(rig, supply_v, taken))
    if taken:
        yield sample_rate(rig.station.meter, taken[0])
    yield await board_clock(rig)
    untested = _no_trigger(rig.station.meter)
    if untested is not None:
        yield Finding("trigger and marker lines", None, untested)
        return
    yield await _tested("trigger and marker lines", lambda: _lines(rig, supply_v))


async def _tested(what: str, test: Callable[[], Awaitable[str | Finding]]) -> Finding:
    try:
        found = await test()
        return found if isinstance(found, Finding) else Finding(what, True, found)
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
    return f"below {rig.station.limits.off_voltage_v:g} V, and nothing feeds the board while its supply is off"


async def _powered(rig: Rig, lines: list[IoLine], supply_v: float) -> str | Finding:
    try:
        await rig.station.interlock.power_up(supply_v, lines)
    except DutFailure as error:  # the link comes last: the supply is as it should be
        return Finding("link to the board", False, str(error))
    reading = await rig.station.source.call(rig.station.interlock.source.measure_output)
    return f"{reading.voltage_v:.4g} V and {amperes(reading.current_a, 3)} at the board"


async def _board(rig: Rig, declared: Declared) -> str:
    device = rig.device
    await refuse_other_board(device, declared)
    kind = "labd's firmware" if device.extended else "stock MLPerf Tiny firmware (always_on only)"
    models = "" if declared.stock else f", with {', '.join(declared.models)}"
    return f"{device.identity.vendor}, {device.identity.model}, {kind}, {device.identity.build} build{models}"


async def _back_feed(rig: Rig, supply_v: float, taken: list[Taken]) -> Finding:
    """Asleep, with the link attached as in a run: current out of the supply pins means that something else feeds the board."""
    samples = Samples()
    taken.append(await acquire(rig, _plan(rig, supply_v, Mode.EVENT_SLEEP, Role.FLOOR, events=0), samples))
    current = samples.column("current")
    if np.isnan(current).any():
        holds = samples.acquisition.current_range_a if samples.acquisition else None
        raise InstrumentFailure(
            f"the current asleep is beyond the {holds or 0:g} A range, either way: a line feeds the board, it does not sleep, or its "
            "sleep_current in the board file is too low"
        )
    mean, u = float(np.mean(current)), float(np.std(current) / np.sqrt(len(current)))
    return back_feed(mean, u, _zero_limit(rig.station.meter, samples.acquisition))


def _zero_limit(meter: Tool, acquisition: Acquisition | None) -> float | None:
    """What the meter may read of no current, in ampere, on the range that it was on, of a seamless one the lowest; None: not known."""
    if acquisition is None:
        return None
    held = acquisition.current_range_a if acquisition.current_range_a is not None else min(acquisition.ranges_a, default=None)
    return None if held is None else range_u95(meter, held, ampere=0.0, aperture_s=acquisition.aperture_s)


def back_feed(mean_a: float, u_a: float, limit_a: float | None) -> Finding:
    """What a mean current asleep says of it. u_a: standard uncertainty of the mean by its scatter; limit_a: what the meter may read of
    nothing: as much as that out of the supply pins may be its own zero."""
    what, asleep = "back-feed asleep", f"{amperes(mean_a, 3)} asleep"
    if mean_a >= -2 * u_a:
        return Finding(what, True, f"none: the board draws {amperes(mean_a, 3)} from its supply asleep, nothing flows back")
    if limit_a is not None and mean_a >= -(2 * u_a + limit_a):
        return Finding(
            what, None, f"{asleep} is within what the meter may read of nothing, {amperes(limit_a, 3)}: no line is seen to feed the board"
        )
    zero = "" if limit_a is not None else ", or the meter's zero is off, whose limit is not known"
    return Finding(what, False, f"back_feed: {asleep} flows out of the supply pins; a line feeds the board, isolate it{zero}")


def _no_trigger(meter: Tool) -> str | None:
    """Why there is no line to test: a bench without one is a good one for plans that need none."""
    if not isinstance(meter.driver, Captures):
        return f"{meter.spec.name} has no trigger"
    return setups.fires_not(meter)


async def _lines(rig: Rig, supply_v: float) -> str:
    samples = Samples()
    await acquire(rig, _plan(rig, supply_v, Mode.EVENT_SLEEP, Role.EVENT, events=1), samples)
    if not setups.able(rig.station.meter).marker_wired:
        return "a trigger wakes the board; no marker line is wired"
    marker = samples.column("marker")
    if float(marker.max()) < 0.5 * supply_v:
        raise InstrumentFailure(f"the marker line stays at {float(marker.max()):.3g} V during an inference; check its wire and level")
    return f"a trigger wakes the board, the marker shows {float(marker.max()):.3g} V"


def _plan(rig: Rig, supply_v: float, mode: Mode, role: Role, *, events: int) -> CapturePlan:
    marks = MarkStyle.PHASES if role is Role.EVENT else MarkStyle.GATE
    point = OperatingPoint(mode, 0.0, supply_v, "dnn")
    return CapturePlan(f"check/{role}", point, role, 0, 0, events, REST_S, marks, rig.station.meter.spec.name, 0)
