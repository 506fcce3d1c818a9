"""The interlock against a source that obeys, disobeys or trips: what leaves labd, in which order, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        return ProtectionLevels(levels.voltage_v if self.ovp_reads_v is None else self.ovp_reads_v, levels.current_a)

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
