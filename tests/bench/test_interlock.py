"""The interlock against a source that obeys, disobeys or trips: what leaves labd, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.bench.clock import Pace
from labd.bench.interlock import DISCHARGE_NOT_SEEN, Interlock, IoLine, Limits
from labd.errors import DutFailure, InstrumentFailure, OutputNotVerifiedOff, SafetyRefusal
from labd_instruments.checks import HOST_CLOCK
from labd_instruments.contract import ProtectionLevels, Reading, SourceLimits

T = TypeVar("T")

LIMITS = Limits(3.6, 0.15, 0.5, 0.2, 5e-3, 3600.0, 0.1, 2.0, sinking_off=True, where="bench.toml")


class FakeClock:
    """Bench time that passes only when somebody sleeps."""

    stepped = True
    for_drivers = HOST_CLOCK

    def __init__(self) -> None:
        self.now_s = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    async def pace(self) -> Pace:
        return Pace()

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        yield


@dataclass
class FakeSource:
    """An ideal source with a board that follows at once, and its faults. log: every command that reached it."""

    source_limits: SourceLimits = field(default_factory=lambda: SourceLimits(20.0, 3.0))
    obeys_off: bool = True
    holds_v: float = 0.0  # what the board keeps when the output is off
    measures: float = 1.0  # what its sense leads make of a voltage
    trips: str | None = None
    ovp_reads_v: float | None = None
    ovp_steps_v: tuple[float, ...] = ()  # none: any level
    protects_nothing: bool = False  # it has no over-voltage protection
    swapped_above_v: float | None = None  # how far above its protection it goes with swapped sense leads
    volt: float = 0.0
    on: bool = False
    sees_output_when_off: bool = True
    keeps_v: float = 0.0  # what the board keeps although the source is at 0 V
    fed_a: float = 0.0  # what flows back into the source
    cut_off: bool = False
    log: list[str] = field(default_factory=list)

    def halt(self) -> None:
        self.log.append("halt")

    def disconnected(self) -> bool:
        return self.cut_off

    def protect(self, levels: ProtectionLevels) -> ProtectionLevels:
        trip = f" trip after {levels.current_delay_s:g} s" if levels.current_trip else ""
        self.log.append(f"protect {levels.voltage_v:g} V {levels.current_a:.3g} A{trip}")
        if self.ovp_steps_v and levels.voltage_v is not None:
            step = next(s for s in self.ovp_steps_v if s >= levels.voltage_v)
            return ProtectionLevels(step if step == levels.voltage_v else None, levels.current_a, open_lead_v=step)
        if self.protects_nothing:
            return ProtectionLevels(None, levels.current_a)
        held_v = levels.voltage_v if self.ovp_reads_v is None else self.ovp_reads_v
        swapped_v = None if held_v is None or self.swapped_above_v is None else held_v + self.swapped_above_v
        return ProtectionLevels(held_v, levels.current_a, open_lead_v=held_v, swapped_leads_v=swapped_v)

    def set_remote_sense(self, on: bool) -> None:
        self.log.append(f"sense {on}")

    def set_off_mode(self, sinking: bool) -> None:
        self.log.append(f"sinking {sinking}")

    def set_voltage(self, volt: float) -> None:
        self.log.append(f"volt {volt:g}")
        self.volt = volt

    def set_output(self, on: bool) -> None:
        self.log.append(f"output {on}")
        if on and self.trips:
            raise InstrumentFailure("smu: output was switched on and reads back the opposite")
        self.on = on or (self.on and not self.obeys_off)

    def output_is_on(self) -> bool:
        return self.on

    def measure_output(self) -> Reading:
        if self.on:
            return Reading(-self.fed_a, max(self.volt, self.keeps_v, key=abs) * self.measures)
        return Reading(0.0, self.holds_v if self.sees_output_when_off else 0.0)

    def tripped(self) -> str | None:
        return self.trips


class Direct:
    async def call(self, function: Callable[..., T], /, *args: object) -> T:
        return function(*args)


def interlock(source: FakeSource, limits: Limits = LIMITS) -> Interlock:
    return Interlock(source, Direct(), limits, clock=FakeClock(), remote_sense=True)


def line(source: FakeSource, name: str = "uart", level_v: float = 3.0, *, isolated: bool = False) -> IoLine:
    async def connect() -> None:
        source.log.append(f"connect {name}")

    async def disconnect() -> None:
        source.log.append(f"disconnect {name}")

    return IoLine(name, level_v, isolated, connect, disconnect)


async def test_power_up_is_sense_test_then_ramp_then_lines_and_power_down_the_reverse() -> None:
    source = FakeSource()
    lock = interlock(source)
    await lock.power_down()
    source.log.clear()
    await lock.power_up(3.0, [line(source, "uart"), line(source, "trigger")])
    volts = [float(text.split()[1]) for text in source.log if text.startswith("volt")]
    assert source.log.index("protect 1 V 0.139 A") < source.log.index("volt 0.1") < source.log.index("output True")
    assert source.log.index("output True") < source.log.index("protect 3.6 V 0.2 A") < source.log.index("volt 3")
    assert source.log.index("volt 3") < source.log.index("protect 3.6 V 0.139 A trip after 0.005 s") < source.log.index("connect uart")
    assert volts[:2] == [0.0, 0.1]
    assert volts[2:] == sorted(volts[2:])
    assert source.log[-2:] == ["connect uart", "connect trigger"]
    assert lock.state.name == "ON"
    source.log.clear()
    await lock.power_down()
    assert source.log == ["disconnect trigger", "disconnect uart", "halt", "protect 3.6 V 0.139 A", "volt 0", "output False"]
    assert lock.state.name == "OFF"


async def test_a_rise_that_is_watched_lies_between_the_sense_test_and_the_look_at_what_holds() -> None:
    source = FakeSource()

    @asynccontextmanager
    async def watched() -> AsyncIterator[None]:
        source.log.append("watched")
        yield
        source.log.append("seen")

    await interlock(source).power_up(3.0, [line(source)], watched=watched)
    log = source.log
    assert log.index("volt 0.1") < log.index("watched") < log.index("volt 0.39")
    assert log.index("volt 3") < log.index("protect 3.6 V 0.139 A trip after 0.005 s") < log.index("seen") < log.index("connect uart")


async def test_a_supply_that_does_not_hold_is_off_after_it_was_watched() -> None:
    source = FakeSource()

    @asynccontextmanager
    async def watched() -> AsyncIterator[None]:
        yield
        source.measures = 0.5

    with pytest.raises(SafetyRefusal, match="does not hold 3 V"):
        await interlock(source).power_up(3.0, [line(source)], watched=watched)
    assert not source.on
    assert "connect uart" not in source.log


async def test_an_output_that_stays_on_is_never_called_off() -> None:
    source = FakeSource(on=True, obeys_off=False)
    lock = interlock(source)
    with pytest.raises(OutputNotVerifiedOff, match="still reports its output on"):
        await lock.power_down()
    assert lock.state.name == "UNKNOWN"


async def test_a_board_that_keeps_its_voltage_is_not_discharged_and_power_up_is_not_tried() -> None:
    source = FakeSource(keeps_v=0.4)
    with pytest.raises(OutputNotVerifiedOff, match=r"not discharged: 0\.4 V.*off means below 0\.1 V \(bench\.toml: limits\.off_voltage"):
        await interlock(source).power_up(3.0, [])
    assert source.volt == 0
    assert not source.on


async def test_a_board_that_is_fed_back_is_not_discharged_although_the_source_holds_it_at_0_v() -> None:
    source = FakeSource(fed_a=2.7e-3)
    with pytest.raises(OutputNotVerifiedOff, match=r"not discharged: 0 V and -2\.7 mA.*feeds it back"):
        await interlock(source).power_down()
    assert not source.on


async def test_a_source_that_must_not_sink_and_does_not_see_the_board_when_off_claims_no_discharge() -> None:
    source = FakeSource(holds_v=2.0, sees_output_when_off=False, on=True)
    lock = interlock(source, replace(LIMITS, sinking_off=False))
    await lock.power_down()
    assert source.log == ["halt", "output False"]
    assert lock.notices == [DISCHARGE_NOT_SEEN]


async def test_a_source_that_must_not_sink_but_sees_the_board_when_off_finds_its_charge() -> None:
    lock = interlock(FakeSource(holds_v=2.0, on=True), replace(LIMITS, sinking_off=False))
    with pytest.raises(OutputNotVerifiedOff, match="not discharged: 2 V"):
        await lock.power_down()


async def test_an_output_that_a_protection_has_disconnected_claims_no_discharge() -> None:
    source = FakeSource(on=True, cut_off=True, sees_output_when_off=False)
    lock = interlock(source)
    await lock.power_down()
    assert not source.on
    assert lock.notices == [DISCHARGE_NOT_SEEN]


async def test_inrush_is_allowed_for_no_longer_than_its_time() -> None:
    source = FakeSource()
    clock = FakeClock()
    lock = Interlock(source, Direct(), replace(LIMITS, inrush_s=2e-3), clock=clock, remote_sense=True)
    at_s: dict[str, float] = {}
    protect = source.protect

    def timed(levels: ProtectionLevels) -> ProtectionLevels:
        got = protect(levels)
        at_s[source.log[-1]] = clock.now_s
        return got

    source.protect = timed  # type: ignore[method-assign]
    await lock.power_up(3.0, [])
    assert at_s["protect 3.6 V 0.139 A trip after 0.002 s"] - at_s["protect 3.6 V 0.2 A"] == pytest.approx(2e-3)


async def test_a_line_whose_connecting_fails_is_let_go_before_the_supply() -> None:
    source = FakeSource()

    async def refused() -> None:
        source.log.append("port opened")
        raise DutFailure("no answer")

    uart = line(source)
    lock = interlock(source)
    with pytest.raises(DutFailure):
        await lock.power_up(3.0, [IoLine("uart", 3.0, False, refused, uart.disconnect)])
    await lock.power_down()
    assert source.log[source.log.index("port opened") :] == [
        "port opened",
        "disconnect uart",
        "halt",
        "protect 3.6 V 0.139 A",
        "volt 0",
        "output False",
    ]


async def test_a_line_that_cannot_be_let_go_keeps_neither_the_others_nor_the_supply() -> None:
    source = FakeSource()

    async def fails() -> None:
        raise ValueError("a driver's mistake")

    uart = line(source)
    lock = interlock(source)
    await lock.power_up(3.0, [uart, IoLine("trigger", 3.0, False, uart.connect, fails)])
    with pytest.raises(InstrumentFailure, match="line 'trigger' could not be released: a driver's mistake"):
        await lock.power_down()
    assert source.log[-5:] == ["disconnect uart", "halt", "protect 3.6 V 0.139 A", "volt 0", "output False"]
    assert not source.on


@pytest.mark.parametrize("measures", [0.0, 0.5, -1.0, 2.0])
async def test_a_sense_test_that_reads_another_voltage_switches_off(measures: float) -> None:
    source = FakeSource(measures=measures)
    lock = interlock(source)
    with pytest.raises(SafetyRefusal, match=r"remote-sense test failed: set 0\.1 V, the source read"):
        await lock.power_up(3.0, [line(source)])
    assert max(float(text.split()[1]) for text in source.log if text.startswith("volt")) == 0.1
    assert "connect uart" not in source.log
    assert not source.on
    assert lock.state.name == "OFF"


async def test_a_protection_that_trips_at_once_is_told_as_such() -> None:
    source = FakeSource(trips="over-voltage protection")
    with pytest.raises(SafetyRefusal, match=r"remote-sense test failed.*tripped \(over-voltage protection\)"):
        await interlock(source).power_up(3.0, [])


async def test_a_protection_level_that_reads_back_above_the_limit_is_refused() -> None:
    source = FakeSource(ovp_reads_v=5.0)
    with pytest.raises(SafetyRefusal, match=r"reads back 5 V, limit 3\.6 V"):
        await interlock(source).power_up(3.0, [])
    assert "output True" not in source.log


@pytest.mark.parametrize(("steps", "limit_v"), [((20.0, 40.0), 3.6), ((2.0,), 1.3)])
async def test_remote_sense_is_refused_before_the_output_is_on_where_the_protection_is_too_coarse_for_its_test(
    steps: tuple[float, ...], limit_v: float
) -> None:
    source = FakeSource(ovp_steps_v=steps)
    lock = interlock(source, replace(LIMITS, voltage_v=limit_v))
    with pytest.raises(SafetyRefusal, match=rf"up to {steps[0]:g} V.*limit is {limit_v:g} V \(bench\.toml: limits\.voltage\)"):
        await lock.power_up(1.2, [])
    await lock.power_down()
    assert "output True" not in source.log
    assert lock.state.name == "OFF"


async def test_a_step_of_the_run_above_the_limit_is_refused_although_that_of_the_test_is_below() -> None:
    source = FakeSource(ovp_steps_v=(2.0, 5.0))
    with pytest.raises(
        SafetyRefusal, match=r"lead open during the run, .* up to 5 V, .*; the limit is 3\.6 V \(bench\.toml: limits\.voltage\)"
    ):
        await interlock(source).power_up(3.0, [])
    assert source.volt == 0
    assert "volt 0.1" not in source.log


async def test_a_source_without_a_protection_may_reach_the_most_it_has_and_is_refused_with_sense_leads() -> None:
    source = FakeSource(protects_nothing=True)
    with pytest.raises(SafetyRefusal, match="up to 20 V, the most it has: nothing known holds it below"):
        await interlock(source).power_up(3.0, [])
    assert "output True" not in source.log
    two_wire = FakeSource(protects_nothing=True)
    lock = Interlock(two_wire, Direct(), LIMITS, clock=FakeClock(), remote_sense=False)
    await lock.power_up(3.0, [])
    assert two_wire.on
    assert lock.notices == [
        "the source has no over-voltage protection: only labd's check of each command holds the limit of 3.6 V (bench.toml: limits.voltage)"
    ]


@pytest.mark.parametrize(("limit_v", "ovp_v"), [(3.6, 1.0), (1.9, 0.4)])
async def test_the_protection_of_the_test_is_lowered_where_swapped_leads_would_take_it_beyond_the_limit(
    limit_v: float, ovp_v: float
) -> None:
    source = FakeSource(swapped_above_v=1.5)
    await interlock(source, replace(LIMITS, voltage_v=limit_v)).power_up(1.2, [])
    before = source.log[: source.log.index("volt 0.1")]
    assert [text for text in before if text.startswith("protect")][-1].startswith(f"protect {ovp_v:g} V")


async def test_a_board_that_swapped_leads_would_take_beyond_its_limit_at_the_lowest_level_of_the_test_is_refused() -> None:
    source = FakeSource(swapped_above_v=1.5)
    with pytest.raises(SafetyRefusal, match=r"wrong when they are tested, the source may drive the DUT up to 2\.5 V"):
        await interlock(source, replace(LIMITS, voltage_v=1.3)).power_up(1.2, [])
    assert "output True" not in source.log


async def test_what_the_bench_file_accepts_of_an_open_lead_is_fed_and_told() -> None:
    source = FakeSource(ovp_steps_v=(2.0, 5.0))
    lock = interlock(source, replace(LIMITS, open_lead_v=5.0))
    await lock.power_up(3.0, [])
    assert source.on
    assert "up to 5 V: bench.toml accepts it (limits.open_lead_voltage)" in lock.notices[-1]
    refused = interlock(FakeSource(ovp_steps_v=(2.0, 5.0)), replace(LIMITS, open_lead_v=4.0))
    with pytest.raises(SafetyRefusal, match=r"the limit is 4 V \(bench\.toml: limits\.open_lead_voltage\)"):
        await refused.power_up(3.0, [])


async def test_a_coarse_protection_will_do_where_its_step_is_within_the_limit_or_no_lead_can_be_open() -> None:
    source = FakeSource(ovp_steps_v=(2.0, 3.6))
    await interlock(source).power_up(3.0, [])
    assert source.on
    two_wire = FakeSource(ovp_steps_v=(20.0,))
    await Interlock(two_wire, Direct(), LIMITS, clock=FakeClock(), remote_sense=False).power_up(3.0, [])
    assert two_wire.on


async def test_lines_are_refused_until_the_supply_is_on() -> None:
    source = FakeSource()
    lock = interlock(source)
    with pytest.raises(SafetyRefusal, match="power up the supply first"):
        await lock.connect_lines([line(source)])
    await lock.power_up(3.0, [])
    await lock.connect_lines([line(source)])
    await lock.power_down()
    with pytest.raises(SafetyRefusal, match="supply is off"):
        await lock.connect_lines([line(source)])
    assert source.log.count("connect uart") == 1


async def test_an_isolated_line_may_be_above_the_supply() -> None:
    source = FakeSource()
    with pytest.raises(SafetyRefusal, match="level shifter"):
        await interlock(source).power_up(1.8, [line(source)])
    assert source.log == []
    await interlock(source).power_up(1.8, [line(source, isolated=True)])


def test_a_line_exactly_at_the_allowed_level_fits() -> None:
    source = FakeSource()
    interlock(source).check_lines([line(source, level_v=3.6)], 3.3)  # 3.6 - 0.3 is not exactly 3.3


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_no_voltage_outside_the_limits_passes(volt: float) -> None:
    lock = interlock(FakeSource())
    if 0 <= volt <= LIMITS.voltage_v:
        lock.check_voltage(volt)
    else:
        with pytest.raises(SafetyRefusal, match=r"refused: the limit is 0 to 3\.6 V"):
            lock.check_voltage(volt)


@dataclass
class BeginsAt08(FakeSource):
    """A source that feeds 0.8 V or more, or nothing, through two wires."""

    lowest_v: float = 0.8


FLOATING = replace(LIMITS, sinking_off=False)


def two_wires(source: FakeSource, limits: Limits = FLOATING) -> Interlock:
    return Interlock(source, Direct(), limits, clock=FakeClock(), remote_sense=False)


async def test_a_source_that_begins_above_0_v_ramps_from_there_and_never_below() -> None:
    source = BeginsAt08(sees_output_when_off=False)
    lock = two_wires(source)
    await lock.power_up(3.0, [])
    levels = [float(words.split()[1]) for words in source.log if words.startswith("volt ")]
    assert levels[0] == 0.8
    assert levels == sorted(levels)
    assert levels[-1] == 3.0
    first_on = source.log.index("output True")
    assert any(words.startswith("protect 3.6 V") for words in source.log[:first_on]), "limits come before the output"
    assert any("begins at 0.8 V" in notice for notice in lock.notices)
    await lock.power_down()
    assert source.log[-1].startswith("output False")


async def test_a_source_that_begins_above_what_tests_sense_leads_is_refused_with_sense_leads() -> None:
    source = BeginsAt08()
    lock = Interlock(source, Direct(), FLOATING, clock=FakeClock(), remote_sense=True)
    with pytest.raises(SafetyRefusal, match=r"remote sense refused: the source begins at 0.8 V.*2-wire"):
        await lock.power_up(3.0, [])
    assert not source.on


async def test_a_source_that_begins_above_the_limit_is_never_switched_on() -> None:
    source = BeginsAt08()
    lock = two_wires(source, replace(FLOATING, voltage_v=0.7))
    with pytest.raises(SafetyRefusal, match=r"0\.8 V refused"):
        await lock.power_up(0.5, [])
    assert not source.on
    assert "output True" not in source.log
