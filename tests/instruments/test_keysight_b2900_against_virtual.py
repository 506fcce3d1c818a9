"""The B2900A driver through a real socket against the virtual instrument, which was written from the manuals by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import BlockFlag
from labd_instruments.contract import (
    Captures,
    CaptureSetup,
    Instrument,
    MeanSetup,
    Measures,
    ProtectionLevels,
    Sources,
)
from labd_instruments.errors import (
    InstrumentError,
    LostSamplesError,
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    RefusedError,
    SentinelError,
    WrongInstrumentError,
)
from labd_virtual.contract import Edge
from labd_virtual.instruments import keysight_b2900
from labd_virtual.persona import Persona
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
OPTIONS: dict[str, object] = {"fire_line": 2, "trigger_line": 1}
TABLES = {
    "current": (10e-9, 100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 1.5, 3.0),
    "voltage": (0.2, 2.0, 20.0, 200.0),
}
WIRED = Wired(
    options=OPTIONS,
    wires={"fire": "TRIG", "marker": "MARK"},
    current_range_a=0.1,
    voltage_range_v=20.0,
    tables=TABLES,
    aperture_s=0.02,
    capture_dt_s=1e-4,
    fires=True,
    senses=False,  # nothing is known to hold it should a sense lead open
)
EXACT = rows({quantity: tuple((full_scale, 0.0, 0.0) for full_scale in held) for quantity, held in TABLES.items()})
CAPTURE = CaptureSetup(1e-4, 100, 20, current_range_a=0.1, voltage_range_v=20.0, fire_dut=True)
FOUND: dict[str, type[InstrumentError]] = {
    "no_data": SentinelError,
    "byte_order": ReadBackError,
    "trace_points": ReadBackError,
    "capacitance": ReadBackError,
    "auto_range": ReadBackError,
    "compliance": ReadBackError,
    "timer": LostSamplesError,
    "aperture": ReadBackError,
    "auto_output": ReadBackError,
}


def unit(bench: Bench, *, model: str = "B2912A", trap: str = "", **options: object) -> Persona:
    unkind = {"noise": 0.0, "hum_a": 0.0, "drift": 0.0, "range_transient": 0.0, "model": model}
    return keysight_b2900.create(bench.setup(options=OPTIONS | options, wires=WIRED.wires, accuracy=EXACT, unkind=unkind, trap=trap))


def driven(bench: Bench, *, model: str = "B2912A", trap: str = "", **options: object) -> AbstractAsyncContextManager[Rig]:
    persona = unit(bench, model=model, trap=trap, **options)
    return rig("keysight_b2900", persona, bench, **(OPTIONS | {"timeout_s": 1.0} | options))


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 1e-3), (900 * MS, 20e-3)), interface=interface)


@pytest.fixture
async def b2900(bench: Bench) -> AsyncIterator[Rig]:
    async with driven(bench) as made:
        yield made


async def power_on(made: Rig) -> None:
    driver = made.driver
    await made.do(driver.set_voltage, 0.0)
    await made.do(driver.set_off_mode, True)
    await made.do(driver.set_remote_sense, True)
    await made.do(driver.protect, ProtectionLevels(3.6, 0.15))
    await made.do(driver.set_voltage, 3.0)
    await made.do(driver.set_output, True)


async def captured(made: Rig, setup: CaptureSetup = CAPTURE) -> Any:
    driver = made.driver
    await made.do(driver.configure_capture, setup)
    await made.do(driver.arm)
    await made.do(driver.fire)
    while not await made.do(driver.captured):
        pass
    (block,) = await made.do(driver.fetch)
    return block


async def test_it_has_what_it_says_it_has(b2900: Rig) -> None:
    said = set(loader.info("keysight_b2900").capabilities)
    assert said == {p.__name__ for p in (Instrument, Sources, Captures, Measures) if isinstance(b2900.driver, p)}
    assert await b2900.do(b2900.driver.line_frequency_hz) == 50.0
    assert b2900.driver.current_ranges_a[0] == 10e-9


async def test_the_output_is_switched_on_measured_and_switched_off_verified(b2900: Rig) -> None:
    await power_on(b2900)
    reading = await b2900.do(b2900.driver.measure_output)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-3)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-3)
    assert await b2900.do(b2900.driver.tripped) is None
    await b2900.do(b2900.driver.make_safe)
    assert not b2900.persona.output_on()
    assert not b2900.bench.node.drives[-1][4] or b2900.bench.node.drives[-1][1] == 0.0


async def test_the_limit_is_at_the_output_before_it_is_on(b2900: Rig) -> None:
    await power_on(b2900)
    assert all(clamp <= 0.15 for _, emf, _, clamp, connected in b2900.bench.node.drives if connected and emf > 0)


async def test_voltage_can_be_asked_for_with_the_output_off(b2900: Rig) -> None:
    await power_on(b2900)
    await b2900.do(b2900.driver.set_output, False)
    assert abs((await b2900.do(b2900.driver.measure_output)).voltage_v) < 4.0


async def test_no_measurement_switches_the_output_on(b2900: Rig) -> None:
    await b2900.do(b2900.driver.configure_capture, CAPTURE)
    await b2900.do(b2900.driver.arm)
    assert not b2900.persona.output_on()


async def test_the_smu_fires_the_dut_after_the_pretrigger_readings(b2900: Rig) -> None:
    driver, bench = b2900.driver, b2900.bench
    await power_on(b2900)
    taken = await b2900.do(driver.configure_capture, CAPTURE)
    assert (taken.dt_ns, taken.pretrigger_points, taken.columns) == (100_000, 20, ("current", "voltage"))
    assert taken.aperture_s == pytest.approx(98e-6)
    for _ in range(2):
        await b2900.do(driver.arm)
        bench.pins.driven.clear()
        began_ns = bench.clock.now_ns()
        await b2900.do(driver.fire)
        while not await b2900.do(driver.captured):
            pass
        (block,) = await b2900.do(driver.fetch)
        assert len(block) == 100
        assert block.t0_ns == -20 * 100_000
        assert block.voltage == pytest.approx(3.0, rel=1e-3)
        assert block.current == pytest.approx(1e-3, rel=1e-3)
        assert not block.flags
        risen = [t for t, pin, level in bench.pins.driven if pin == "TRIG" and level == 1]
        assert [t - began_ns for t in risen] == [20 * 100_000]
    assert bench.node.drives[-1][1] == 3.0, "firing leaves the voltage as it is"


async def test_setting_a_capture_up_fires_nothing(b2900: Rig) -> None:
    await power_on(b2900)
    await b2900.do(b2900.driver.configure_capture, CAPTURE)
    await b2900.do(b2900.driver.arm)
    assert {level for _, pin, level in b2900.bench.pins.driven if pin == "TRIG"} <= {0}


async def test_an_edge_of_the_dut_starts_a_capture(b2900: Rig) -> None:
    driver, bench = b2900.driver, b2900.bench
    await power_on(b2900)
    await b2900.do(driver.configure_capture, CaptureSetup(1e-4, 1000, 0, 0.1, 20.0, fire_dut=False))
    await b2900.do(driver.arm)
    event_ns = bench.clock.now_ns() + 35 * MS
    bench.node.load = ((0, 1e-3), (event_ns + 10 * MS, 20e-3))
    bench.pins.scripted["MARK"] = [Edge(event_ns, 1)]
    assert not await b2900.do(driver.captured)
    bench.clock.pass_s(0.5)
    while not await b2900.do(driver.captured):
        bench.clock.pass_s(0.01)
    (block,) = await b2900.do(driver.fetch)
    assert int(np.argmax(block.current > 10e-3)) == 100
    assert len(block) == 1000


async def test_a_full_buffer_at_the_shortest_interval_comes_whole(b2900: Rig) -> None:
    await power_on(b2900)
    block = await captured(b2900, CaptureSetup(1e-5, 100_000, 50_000, 0.1, 20.0, fire_dut=True))
    assert len(block) == 100_000
    step = int(np.argmax(block.current > 10e-3))
    assert 0 < step < 100_000
    assert block.current[: step - 1] == pytest.approx(1e-3, rel=1e-3)
    assert block.current[step + 1 :] == pytest.approx(20e-3, rel=1e-3)


async def test_current_alone_is_captured_where_the_bench_says_so(bench: Bench) -> None:
    async with driven(bench, measure_voltage=False) as made:
        await power_on(made)
        block = await captured(made)
        assert block.voltage is None
        assert block.current == pytest.approx(1e-3, rel=1e-3)


async def test_a_reading_beyond_the_range_is_flagged_and_never_a_number(b2900: Rig) -> None:
    await power_on(b2900)
    block = await captured(b2900, CaptureSetup(1e-4, 100, 10, 100e-6, 20.0, fire_dut=True))
    assert block.flags & BlockFlag.OVER_RANGE
    assert np.all(np.isnan(block.current))


async def test_a_mean_over_a_line_cycle(b2900: Rig) -> None:
    driver = b2900.driver
    await power_on(b2900)
    taken = await b2900.do(driver.configure_mean, MeanSetup(0.02, 0.01, 20.0))
    assert taken.current_range_a == 0.01
    assert taken.voltage_range_v == 20.0
    await b2900.do(driver.zero)
    reading = await b2900.do(driver.read_mean)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-2)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-3)


async def test_the_second_channel_is_driven_by_its_number(bench: Bench) -> None:
    async with driven(bench, channel=2) as made:
        await power_on(made)
        block = await captured(made)
        assert block.current == pytest.approx(1e-3, rel=1e-3)
        await made.do(made.driver.make_safe)
        assert not made.persona.output_on()


async def test_a_channel_that_is_not_there_is_the_wrong_instrument(bench: Bench) -> None:
    with pytest.raises(WrongInstrumentError, match="has 1 channel"):
        async with driven(bench, model="B2901A", channel=2):
            pass


async def test_the_limit_switches_off_where_no_delay_is_asked(b2900: Rig) -> None:
    driver = b2900.driver
    levels = await b2900.do(driver.protect, ProtectionLevels(3.6, 0.15, current_trip=True))
    assert levels == ProtectionLevels(None, 0.15, current_trip=True)
    assert not (await b2900.do(driver.protect, ProtectionLevels(3.6, 0.15, current_trip=True, current_delay_s=0.01))).current_trip
    await b2900.do(driver.protect, ProtectionLevels(3.6, 0.15, current_trip=True))
    await b2900.do(driver.set_voltage, 3.0)
    await b2900.do(driver.set_output, True)
    b2900.bench.node.clamped_ns = b2900.bench.clock.now_ns()
    assert await b2900.do(driver.disconnected)
    assert "switched off" in await b2900.do(driver.tripped)
    assert not b2900.persona.output_on()


REFUSED = [
    (CaptureSetup(5e-6, 100, 0, 0.1, 20.0, fire_dut=True), "interval"),
    (CaptureSetup(10.5e-6, 100, 0, 0.1, 20.0, fire_dut=True), "whole microseconds"),
    (CaptureSetup(1e-4, 100_001, 0, 0.1, 20.0, fire_dut=True), "points"),
    (CaptureSetup(1e-4, 100, 10, 0.1, 20.0, fire_dut=False), "pre-trigger"),
    (CaptureSetup(1e-4, 100, 0, None, 20.0, fire_dut=True), "seamless"),
    (CaptureSetup(1e-4, 100, 0, 10.0, 20.0, fire_dut=True), "current range"),
    (CaptureSetup(1e-4, 100, 0, 0.1, 20.0, fire_dut=True, with_marker=True), "marker"),
    (CaptureSetup(1e-4, 100, 0, 0.1, 20.0, fire_dut=True, count=2), "triggers"),
]


@pytest.mark.parametrize(("setup", "why"), REFUSED, ids=lambda value: value if isinstance(value, str) else "")
async def test_what_it_cannot_capture_is_refused(b2900: Rig, setup: CaptureSetup, why: str) -> None:
    await power_on(b2900)
    with pytest.raises(OutOfRangeError, match=why):
        await b2900.do(b2900.driver.configure_capture, setup)


async def test_the_range_that_is_recorded_is_the_one_that_the_limit_leaves(b2900: Rig) -> None:
    await power_on(b2900)
    assert (await b2900.do(b2900.driver.configure_mean, MeanSetup(0.02, 3.0, 20.0))).current_range_a == 1.0


async def test_what_it_cannot_source_is_refused(b2900: Rig) -> None:
    driver = b2900.driver
    for call, argument in ((driver.set_voltage, 211.0), (driver.set_voltage, -1.0)):
        with pytest.raises(OutOfRangeError, match="voltage"):
            await b2900.do(call, argument)
    for levels in (ProtectionLevels(12.0, 2.0), ProtectionLevels(30.0, 0.2), ProtectionLevels(3.0, 4.0)):
        with pytest.raises(OutOfRangeError, match="current limit"):
            await b2900.do(driver.protect, levels)
    with pytest.raises(OutOfRangeError, match="aperture"):
        await b2900.do(driver.configure_mean, MeanSetup(5e-6, 0.01, 20.0))


async def test_high_capacitance_mode_goes_with_fixed_ranges(bench: Bench) -> None:
    async with driven(bench, high_capacitance=True, load_capacitance_f=47e-6) as made:
        await power_on(made)
        assert (await captured(made)).current == pytest.approx(1e-3, rel=1e-3)
        with pytest.raises(OutOfRangeError, match="current range"):
            await made.do(made.driver.configure_capture, CaptureSetup(1e-4, 100, 0, 100e-9, 20.0, fire_dut=True))
        with pytest.raises(OutOfRangeError, match="current limit"):
            await made.do(made.driver.protect, ProtectionLevels(3.6, 0.5e-6))


@pytest.mark.parametrize(("mode", "load_f"), [(False, 1e-6), (True, 100e-6)])
async def test_more_capacitance_than_the_mode_drives_keeps_the_output_off(bench: Bench, mode: bool, load_f: float) -> None:
    async with driven(bench, high_capacitance=mode, load_capacitance_f=load_f) as made:
        with pytest.raises(OutOfRangeError, match="load capacitance"):
            await made.do(made.driver.set_output, True)
        assert not made.persona.output_on()


async def test_firing_never_sets_another_voltage(b2900: Rig) -> None:
    await power_on(b2900)
    await b2900.do(b2900.driver.configure_capture, CAPTURE)
    await b2900.do(b2900.driver._channel.link.write, ":SOUR1:VOLT:TRIG 5")
    with pytest.raises(ReadBackError, match="firing would set"):
        await b2900.do(b2900.driver.arm)


async def test_a_refused_query_is_named_with_its_code(b2900: Rig) -> None:
    with pytest.raises(RefusedError, match="-113"):
        await b2900.do(b2900.driver._channel.ask, ":NONSENSE?", "a nonsense")


async def test_panic_off_switches_off_while_the_measuring_session_hangs(b2900: Rig) -> None:
    await power_on(b2900)
    b2900.persona.hang(True)
    await b2900.do(loader.panic_off, "keysight_b2900", b2900.resource)
    assert not b2900.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(b2900: Rig) -> None:
    await b2900.persona.close()
    with pytest.raises(OutputNotOffError, match="could not be switched off"):
        await b2900.do(b2900.driver.make_safe)


def test_each_trap_has_its_error() -> None:
    assert FOUND.keys() == keysight_b2900.TRAPS.keys()


async def capture_with(bench: Bench, trap: str) -> object:
    async with driven(bench, trap=trap) as made:
        await power_on(made)
        return await captured(made)


async def mean_with(bench: Bench, trap: str) -> object:
    async with driven(bench, trap=trap) as made:
        await power_on(made)
        await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))
        return await made.do(made.driver.read_mean)


@pytest.mark.parametrize("trap", keysight_b2900.TRAPS)
async def test_a_sprung_trap_is_found_and_gives_no_number(bench: Bench, trap: str) -> None:
    with pytest.raises(FOUND[trap]):
        await capture_with(bench, trap)


@pytest.mark.parametrize("trap", ["no_data", "capacitance", "auto_range", "compliance", "aperture"])
async def test_a_sprung_trap_is_found_in_a_mean_too(bench: Bench, trap: str) -> None:
    with pytest.raises(FOUND[trap]):
        await mean_with(bench, trap)


async def test_without_a_trap_all_is_well(b2900: Rig) -> None:
    await power_on(b2900)
    assert (await captured(b2900)).current == pytest.approx(1e-3, rel=1e-3)
    await b2900.do(b2900.driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))
    assert (await b2900.do(b2900.driver.read_mean)).current_a == pytest.approx(1e-3, rel=1e-3)


# The data sheet's rows at 50 Hz: (quantity, range, aperture in s, reading, limit of error worked by hand).
WORKED = [
    ("current", 0.1, 20e-6, 1e-3, 520.2e-6),  # 0.02 % of 1 mA = 0.2 uA, 20 uA, 0.5 % of 100 mA = 500 uA at 0.001 cycles
    ("current", 0.1, 0.02, 1e-3, 20.2e-6),  # one cycle: nothing is added
    ("current", 1e-3, 2e-3, 500e-6, 400e-9),  # 0.02 % = 100 nA, 200 nA, 0.01 % of 1 mA = 100 nA at 0.1 cycles
    ("current", 1.0, 200e-6, 0.5, 1.85e-3),  # 0.03 % = 150 uA, 1.5 mA, 0.02 % of 1 A = 200 uA at 0.01 cycles
    ("current", 100e-9, 20e-6, 50e-9, 1.13e-9),  # 0.06 % = 30 pA, 100 pA, 1 % of 100 nA = 1 nA at 0.001 cycles
    ("voltage", 20.0, 20e-6, 3.0, 45.45e-3),  # 0.015 % = 0.45 mV, 5 mV, 0.2 % of 20 V = 40 mV at 0.001 cycles
    ("voltage", 0.2, 2e-3, 0.1, 260e-6),  # 0.015 % = 15 uV, 225 uV, 0.01 % of 0.2 V = 20 uV at 0.1 cycles
]


@pytest.mark.parametrize(("quantity", "full_scale", "aperture_s", "reading", "limit"), WORKED)
async def test_the_limit_of_error_is_that_of_the_data_sheet(
    bench: Bench, quantity: str, full_scale: float, aperture_s: float, reading: float, limit: float
) -> None:
    async with driven(bench, model="B2901A") as made:
        found = made.driver.accuracy().limit(quantity, full_scale, aperture_s)
    assert found.gain * reading + found.offset == pytest.approx(limit, rel=1e-9)
    assert found.tempco_per_k == 0.10
    assert "data sheet p. 16" in found.source


async def test_the_ten_nanoampere_range_is_that_of_the_b2911a(bench: Bench) -> None:
    async with driven(bench, model="B2911A") as made:
        found = made.driver.accuracy().limit("current", 10e-9, 200e-6)
    assert found.gain * 5e-9 + found.offset == pytest.approx(155e-12, rel=1e-9)  # 0.1 % = 5 pA, 50 pA, 1 % of 10 nA = 100 pA
    async with driven(bench, model="B2901A") as made:
        assert made.driver.accuracy().limit("current", 10e-9, 0.02) is None


@pytest.mark.parametrize("full_scale", [100e-9, 0.1, 3.0])
async def test_below_a_thousandth_of_a_cycle_nothing_is_specified(bench: Bench, full_scale: float) -> None:
    async with driven(bench, model="B2901A") as made:
        table = made.driver.accuracy()
    assert table.limit("current", full_scale, 20e-6) is not None
    assert table.limit("current", full_scale, 19e-6) is None
    assert table.limit("current", full_scale, 8e-6) is None
