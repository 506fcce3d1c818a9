"""One capture against simple fakes: what is asked of meter and board, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from labd.bench.acquire import BrownOut, CaptureUnfit, acquire
from labd.bench.expand import CapturePlan
from labd.bench.interlock import Limits
from labd.bench.rig import BoardFacts, Rig
from labd.bench.station import Tool, ToolSpec
from labd.errors import DataLost, InstrumentFailure, SafetyRefusal
from labd.records import Bracket, MarkStyle, Mode, OperatingPoint, Role
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.checks import Clock
from labd_instruments.contract import Acquisition, CaptureSetup, Identity, MeanSetup, Reading
from labd_instruments.errors import SentinelError

BOARD = BoardFacts(longest_event_s=0.028, peak_a=0.04, sleep_a=9e-6, time_constant_s=22e-6)
ROWS = (
    AccuracyRow("current", 1e-4, 3e-4, 20e-9, 0.0, "test"),
    AccuracyRow("current", 0.1, 3e-4, 20e-6, 0.0, "test"),
    AccuracyRow("voltage", 20.0, 1e-4, 2e-3, 0.0, "test"),
)


class Session:
    async def call(self, function: Callable[[], Any], *, deadline_s: float) -> Any:
        return function()


@dataclass
class Meter:
    """A meter that reads and captures but cannot log. said: what happened, in order, shared with the board."""

    said: list[str]
    range_clamp: float = 1.05
    broken: bool = False
    silent: bool = False  # never a new reading
    name: str = "smu"
    pending: list[int] = field(default_factory=list)
    dt_ns: int = 0  # of a capture, where it is another than what is asked for

    def accuracy(self) -> AccuracyTable:
        return AccuracyTable(ROWS)

    def check_errors(self, doing: str) -> None: ...

    def configure_mean(self, setup: MeanSetup) -> Acquisition:
        self.said.append(f"range {setup.current_range_a:g}")
        return Acquisition(round(setup.aperture_s * 1e9), ("current", "voltage"), setup.aperture_s, setup.current_range_a, 20.0)

    def halt(self) -> None:
        self.said.append("halt")

    def zero(self) -> None:
        self.said.append("zero")

    def read_mean(self) -> Reading | None:
        if self.broken:
            raise SentinelError("overflow")
        return None if self.silent else Reading(5e-6, 3.0)

    def configure_capture(self, setup: CaptureSetup) -> Acquisition:
        self.said.append(f"capture {setup.current_range_a:g}")
        self.setup = setup
        return Acquisition(self.dt_ns or round(setup.dt_s * 1e9), ("current",), setup.dt_s, setup.current_range_a, None)

    def arm(self) -> None: ...

    def fire(self) -> None:
        self.pending.append(1)

    def captured(self) -> bool:
        return not self.silent

    def fetch(self) -> tuple[Block, ...]:
        return (Block(0, -100, 10, np.full(20, 1e-3, np.float32), None),)


class Still:
    """A clock on which time passes only where somebody sleeps."""

    stepped = False

    def __init__(self) -> None:
        self.now_s = 0.0
        self.for_drivers = Clock("still", lambda: self.now_s, 0.0)

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        assert self.now_s < 60.0, "a wait without an end"

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        yield


@dataclass
class Armed:
    served: int = 0


@dataclass
class Device:
    said: list[str]
    meter: Meter
    deaf: int = 0
    extended: bool = True
    apart_s: float | None = None

    async def set_mode(self, mode: Mode, *, idle_kind: str | None = None) -> None:
        self.said.append(f"{mode}")

    async def set_marks(self, style: MarkStyle, *, apart_s: float | None = None) -> None:
        self.apart_s = apart_s

    async def set_bracket(self, bracket: Bracket | None) -> None: ...

    @asynccontextmanager
    async def resting(self, seconds: float) -> AsyncIterator[None]:
        self.said.append("rests")
        yield
        self.said.append("wakes")

    @asynccontextmanager
    async def armed(self, count: int, *, timeout_s: float) -> AsyncIterator[Armed]:
        armed = Armed()
        yield armed
        armed.served = len(self.meter.pending) - self.deaf

    async def laps(self) -> tuple[Any, ...]:
        return ()

    async def counters(self) -> dict[str, int]:
        return {}


LIMITS = Limits(3.6, 0.15, 0.5, 0.2, 5e-3, 3600.0, 0.1, 2.0, sinking_off=True, where="bench.toml")


@dataclass
class Interlock:
    trips: list[str | None] = field(default_factory=list)
    source: Meter | None = None
    watchdog_s: float | None = None

    def unfed_s(self) -> float:
        return 0.0

    async def tripped(self) -> str | None:
        return self.trips.pop(0) if self.trips else None


@dataclass
class Station:
    meter: Tool
    source: Tool
    interlock: Interlock
    limits: Limits
    clock: Still = field(default_factory=Still)


@dataclass
class Sink:
    began: Acquisition | None = None
    blocks: list[tuple[Block, int, bool]] = field(default_factory=list)

    async def begin(self, acquisition: Acquisition) -> None:
        self.began = acquisition

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        self.blocks.append((block, stretch, trigger))


@dataclass
class Lab:
    """A rig of fakes with what happened on it."""

    deaf: int = 0
    broken: bool = False
    silent: bool = False
    trips: list[str | None] = field(default_factory=list)
    floor_range_a: float | None = None
    dt_ns: int = 0
    limits: Limits = LIMITS
    said: list[str] = field(default_factory=list)
    sink: Sink = field(default_factory=Sink)

    @property
    def device(self) -> Any:
        return self._device

    async def take(self, role: Role, mode: Mode = Mode.EVENT_SLEEP, *, events: int = 0) -> Any:
        self.meter = Meter(self.said, broken=self.broken, silent=self.silent, dt_ns=self.dt_ns)
        self._device = Device(self.said, self.meter, self.deaf)
        spec = ToolSpec("smu", "fake", "nowhere", ("source", "meter"))
        tool = Tool(spec, self.meter, Session(), Identity("", "", "", ""))  # type: ignore[arg-type]
        station = Station(tool, tool, Interlock(self.trips, self.meter), self.limits)
        rig = Rig(station, self, BOARD, 50.0, 0.1, self.floor_range_a)  # type: ignore[arg-type]
        marks = MarkStyle.PHASES if role is Role.EVENT else MarkStyle.GATE
        plan = CapturePlan("k", OperatingPoint(mode, 0.0, 3.0, "dnn"), role, 0, 0, events, 0.2, marks, "smu", 1)
        return await acquire(rig, plan, self.sink)


async def test_a_floor_leaves_its_low_range_before_the_board_wakes() -> None:
    lab = Lab()
    taken = await lab.take(Role.FLOOR)
    assert lab.said == ["event_sleep", "rests", "range 0.0001", "zero", "range 0.1", "wakes"]
    assert taken.acquisition.current_range_a == 1e-4
    (block, stretch, trigger) = lab.sink.blocks[0]
    assert (len(block), block.dt_ns, stretch, trigger) == (10, 20_000_000, 0, False)
    assert lab.sink.began == taken.acquisition


async def test_a_board_that_stays_awake_is_read_on_the_range_of_its_peak() -> None:
    lab = Lab()
    await lab.take(Role.FLOOR, Mode.ALWAYS_ON)
    assert "range 0.0001" not in lab.said


async def test_a_limit_that_is_active_after_the_readings_is_a_brown_out() -> None:
    lab = Lab(trips=[None, "current limit"], floor_range_a=1e-4)
    with pytest.raises(BrownOut, match=r"^brown-out: the supply failed: smu says that its current limit is active; ") as found:
        await lab.take(Role.FLOOR, Mode.ALWAYS_ON)
    assert str(found.value).endswith("the capture was on the 100 uA range of smu, which limits the output to 105 uA")
    assert lab.sink.blocks == []


async def test_a_reading_that_fails_is_a_brown_out_only_with_an_active_limit() -> None:
    with pytest.raises(BrownOut):
        await Lab(trips=[None, "current limit"], broken=True).take(Role.FLOOR)
    with pytest.raises(InstrumentFailure, match="overflow"):
        await Lab(broken=True).take(Role.FLOOR)


async def test_a_meter_that_never_has_a_new_reading_ends_the_capture_by_name() -> None:
    # 20 readings of one mains period, and one exchange
    with pytest.raises(InstrumentFailure, match=r"smu: no new reading in 2\.4 s, one is due every 0\.02 s"):
        await Lab(silent=True).take(Role.FLOOR)


async def test_a_source_that_was_asked_for_the_supply_is_halted_before_the_next_capture() -> None:
    lab = Lab()
    await lab.take(Role.EVENT, events=1)  # records no voltage
    assert lab.said[-2:] == ["range 0.1", "halt"]


async def test_a_capture_that_never_ends_is_given_up_by_name() -> None:
    with pytest.raises(InstrumentFailure, match=r"smu: a capture of 0 s has not ended in 2 s after it was fired"):
        await Lab(silent=True).take(Role.EVENT, events=1)


async def test_a_tripped_supply_is_found_before_anything_is_measured() -> None:
    lab = Lab(trips=["over-voltage protection"])
    with pytest.raises(InstrumentFailure, match="over-voltage protection is active"):
        await lab.take(Role.EVENT, events=2)
    assert lab.said == ["event_sleep"]


async def test_one_trigger_an_event_and_one_more_that_is_not_kept() -> None:
    lab = Lab()
    taken = await lab.take(Role.EVENT, events=3)
    assert len(lab.meter.pending) == 4
    assert [(stretch, trigger) for _, stretch, trigger in lab.sink.blocks] == [(0, True), (1, True), (2, True)]
    assert (taken.served, taken.records) == (3, 60)


async def test_events_are_captured_on_a_range_that_holds_the_peak_with_rest_before_and_after() -> None:
    lab = Lab()
    await lab.take(Role.EVENT, events=1)
    setup = lab.meter.setup
    assert (setup.current_range_a, setup.fire_dut) == (0.1, True)
    before_s = setup.pretrigger_points * setup.dt_s
    assert before_s >= max(5 * BOARD.time_constant_s, 0.008) * (1 - 1e-9)
    assert setup.points * setup.dt_s - before_s >= (BOARD.longest_event_s + 10 * BOARD.time_constant_s) * (1 - 1e-9)


async def test_a_trigger_that_the_board_missed_is_data_lost() -> None:
    with pytest.raises(DataLost, match="4 triggers were fired, the board served 3; check the trigger line"):
        await Lab(deaf=1).take(Role.EVENT, events=3)


async def test_a_sample_beyond_the_limits_ends_the_capture_before_it_is_kept() -> None:
    lab = Lab(limits=replace(LIMITS, current_a=1e-8, inrush_a=1e-8))
    with pytest.raises(SafetyRefusal, match=r"over-current: up to .* limits\.current"):
        await lab.take(Role.EVENT, events=1)
    assert lab.sink.blocks == []


async def test_an_interval_that_does_not_resolve_the_longest_event_is_refused_by_name() -> None:
    lab = Lab(dt_ns=3_000_000)
    with pytest.raises(CaptureUnfit, match=r"smu: fake records every 3000 us here: the board's longest event of 28 ms has 9.3 records"):
        await lab.take(Role.EVENT, events=1)
    assert lab.meter.pending == [], "no trigger was fired"


async def test_readings_that_take_longer_than_their_apertures_are_counted_anew() -> None:
    lab = Lab(dt_ns=100_000)
    taken = await lab.take(Role.EVENT, events=1)
    assert lab.meter.setup.dt_s == pytest.approx(10e-6), "the aperture stays"
    assert lab.meter.setup.points == pytest.approx(0.044 / 100e-6, rel=0.01)
    assert taken.acquisition.settings["interval_taken"] == "interval 100 us, 10 us were wanted"


@pytest.mark.parametrize(("dt_ns", "apart_s"), [(10_000, None), (100_000, 300e-6)])
async def test_the_board_is_asked_for_a_first_pulse_that_the_records_resolve(dt_ns: int, apart_s: float | None) -> None:
    lab = Lab(dt_ns=dt_ns)
    await lab.take(Role.EVENT, events=1)
    assert lab.device.apart_s == pytest.approx(apart_s)


async def test_a_capture_without_a_voltage_has_it_read_by_the_source() -> None:
    taken = await Lab().take(Role.EVENT, events=1)
    assert (taken.supply.instrument, taken.supply.voltage_v, taken.supply.range_v, taken.supply.aperture_s) == ("smu", 3.0, 20.0, 0.02)
    assert (await Lab().take(Role.FLOOR)).supply is None, "that one records its voltage"


async def test_power_beyond_the_limit_ends_a_capture_that_records_no_voltage() -> None:
    with pytest.raises(SafetyRefusal, match=r"over-power: up to 0\.003 W"):
        await Lab(limits=replace(LIMITS, power_w=1e-8, inrush_a=1e-8)).take(Role.EVENT, events=1)
