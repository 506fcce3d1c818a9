"""The 2600B driver through a real socket against the virtual instrument, which was written from the manual."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.contract import CaptureSetup, MeanSetup, Measures, ProtectionLevels, Sources
from labd_instruments.drivers._k2600b import accuracy_of, model_named
from labd_instruments.errors import (
    InstrumentError,
    LinkTimeoutError,
    LostSamplesError,
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    RefusedError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver
from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_2600b
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
EXCHANGES = Path(__file__).parents[2] / "fixtures" / "exchanges"
WIRED = Wired(
    options={"fire_line": 2, "trigger_line": 1},
    wires={"fire": "TRIG", "marker": "MARK"},
    current_range_a=0.1,
    voltage_range_v=6.0,
    tables={"current": (100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 3.0), "voltage": (0.1, 1.0, 6.0, 40.0)},
    aperture_s=0.02,
    capture_dt_s=1e-3,
    fires=True,
    senses=False,  # nothing is known to hold it should a sense lead open
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 1e-3), (900 * MS, 20e-3)), interface=interface)


def persona(bench: Bench, **changes: Any) -> Any:
    return keithley_2600b.create(bench.setup(**{"options": WIRED.options, "wires": WIRED.wires, "accuracy": EXACT} | changes))


@pytest.fixture
async def k2600b(bench: Bench) -> AsyncIterator[Rig]:
    async with rig("keithley_2600b", persona(bench), bench, **WIRED.options, timeout_s=1.0) as made:
        yield made


@pytest.fixture
async def by_bus(bench: Bench) -> AsyncIterator[Rig]:
    """Without digital lines."""
    async with rig("keithley_2600b", persona(bench, options={}, wires={}), bench, timeout_s=1.0) as made:
        yield made


def power(driver: Any) -> None:
    driver.set_voltage(0.0)
    driver.set_off_mode(True)
    driver.set_remote_sense(True)
    driver.protect(ProtectionLevels(1.0, 0.15))
    driver.protect(ProtectionLevels(3.6, 0.15))
    driver.set_voltage(3.0)
    driver.set_output(True)


async def wait(made: Rig) -> None:
    while not await made.do(made.driver.captured):
        made.bench.clock.pass_s(0.01)


# --- feeding and reading


async def test_the_output_is_switched_on_measured_and_switched_off_verified(k2600b: Rig) -> None:
    await k2600b.do(power, k2600b.driver)
    emf_v, _, clamp_a, connected = k2600b.bench.node.drives[-1][1:]
    assert (emf_v, clamp_a, connected) == (3.0, 0.15, True)
    reading = await k2600b.do(k2600b.driver.measure_output)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-6)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-6)
    assert await k2600b.do(k2600b.driver.tripped) is None
    await k2600b.do(k2600b.driver.make_safe)
    assert not k2600b.persona.output_on()
    assert k2600b.bench.node.drives[-1][1:] == (0.0, 0.005, 1e-3, True)  # normal: 0 V that sinks up to 1 mA
    await k2600b.do(k2600b.driver.check_errors, "everything")


async def test_high_impedance_lets_the_output_float(k2600b: Rig) -> None:
    await k2600b.do(power, k2600b.driver)
    await k2600b.do(k2600b.driver.set_off_mode, False)
    await k2600b.do(k2600b.driver.set_output, False)
    assert k2600b.bench.node.drives[-1][-1] is False
    assert abs((await k2600b.do(k2600b.driver.measure_output)).voltage_v) < 1e-3


async def test_a_limit_that_holds_is_named(k2600b: Rig) -> None:
    await k2600b.do(power, k2600b.driver)
    k2600b.bench.node.clamped_ns = k2600b.bench.clock.now_ns()
    assert await k2600b.do(k2600b.driver.tripped) == "current limit"
    await k2600b.do(k2600b.driver.configure_mean, MeanSetup(0.02, 0.1, 6.0))
    with pytest.raises(SentinelError, match="the source is limited"):
        await k2600b.do(k2600b.driver.read_mean)


async def test_levels_beyond_the_instrument_are_refused_before_anything_is_sent(k2600b: Rig) -> None:
    driver = k2600b.driver
    drives = len(k2600b.bench.node.drives)
    for levels, complaint in (
        (ProtectionLevels(3.6, 3.5), "current limit is 3.5 A, allowed is 1e-08 to 3 A"),
        (ProtectionLevels(41.0, 0.1), "voltage limit is 41 V"),
        (ProtectionLevels(12.0, 2.0), "current limit is 2 A, allowed is 1e-08 to 1 A"),
    ):
        with pytest.raises(OutOfRangeError) as caught:
            await k2600b.do(driver.protect, levels)
        assert complaint in str(caught.value)
    with pytest.raises(OutOfRangeError, match="source range of 6 V; protect with a higher voltage"):
        await k2600b.do(driver.set_voltage, 12.0)
    assert len(k2600b.bench.node.drives) == drives
    assert await k2600b.do(driver.protect, ProtectionLevels(12.0, 1.0)) == ProtectionLevels(None, 1.0)


async def test_a_mean_over_whole_line_cycles_at_a_fixed_range(k2600b: Rig) -> None:
    driver = k2600b.driver
    await k2600b.do(power, driver)
    taken = await k2600b.do(driver.configure_mean, MeanSetup(0.02, 0.008, 6.0))
    assert (taken.current_range_a, taken.voltage_range_v, taken.aperture_s) == (0.01, 6.0, pytest.approx(0.02))
    assert taken.remote_sense
    await k2600b.do(driver.zero)
    reading = await k2600b.do(driver.read_mean)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-6)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-6)


async def test_a_reading_beyond_its_range_is_no_number(k2600b: Rig) -> None:
    await k2600b.do(power, k2600b.driver)
    await k2600b.do(k2600b.driver.configure_mean, MeanSetup(0.02, 1e-4, 6.0))
    with pytest.raises(SentinelError, match="overflow"):
        await k2600b.do(k2600b.driver.read_mean)


@pytest.mark.parametrize("aperture_s", [1e-5, 0.6])
async def test_apertures_that_it_has_not_are_refused(k2600b: Rig, aperture_s: float) -> None:
    with pytest.raises(OutOfRangeError, match=r"allowed is 0\.001 to 25 power line cycles"):
        await k2600b.do(k2600b.driver.configure_mean, MeanSetup(aperture_s, 0.1, 6.0))


# --- captures


async def test_the_smu_fires_the_dut_as_long_after_the_first_reading_as_the_pretrigger_lasts(k2600b: Rig) -> None:
    driver, bench = k2600b.driver, k2600b.bench
    await k2600b.do(power, driver)
    taken = await k2600b.do(driver.configure_capture, CaptureSetup(1e-3, 100, 20, 0.1, 6.0, fire_dut=True))
    assert (taken.dt_ns, taken.points, taken.pretrigger_points, taken.columns) == (1_000_000, 100, 20, ("current", "voltage"))
    assert 0 < taken.aperture_s < 1e-3
    for _ in range(2):
        await k2600b.do(driver.arm)
        assert not await k2600b.do(driver.captured)
        bench.pins.driven.clear()
        began_ns = bench.clock.now_ns()
        bench.node.load = ((0, 1e-3), (began_ns + 20 * MS, 20e-3))
        await k2600b.do(driver.fire)
        await wait(k2600b)
        (block,) = await k2600b.do(driver.fetch)
        assert block.t0_ns == -20 * 1_000_000
        assert block.current == pytest.approx([1e-3] * 20 + [20e-3] * 80, rel=1e-6)
        assert block.voltage == pytest.approx([3.0] * 100, rel=1e-6)
        assert [t - began_ns for t, pin, level in bench.pins.driven if (pin, level) == ("TRIG", 1)] == [20 * MS]


async def test_an_edge_of_the_dut_starts_the_readings_and_no_edge_of_before_does(k2600b: Rig) -> None:
    driver, bench = k2600b.driver, k2600b.bench
    await k2600b.do(power, driver)
    await k2600b.do(driver.configure_capture, CaptureSetup(1e-3, 50, 0, 0.1, 6.0, fire_dut=False))
    bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns() + MS, 1)]
    bench.clock.pass_s(0.01)
    await k2600b.do(driver.arm)
    event_ns = bench.clock.now_ns() + 35 * MS
    bench.node.load = ((0, 1e-3), (event_ns + 10 * MS, 20e-3))
    bench.pins.scripted["MARK"] += [Edge(event_ns - 5 * MS, 0), Edge(event_ns, 1)]
    assert not await k2600b.do(driver.captured)
    with pytest.raises(OutOfRangeError, match="waits for the DUT's edge on line 1"):
        await k2600b.do(driver.fire)
    bench.clock.pass_s(0.2)
    await wait(k2600b)
    (block,) = await k2600b.do(driver.fetch)
    assert block.t0_ns == 0
    assert block.current == pytest.approx([1e-3] * 10 + [20e-3] * 40, rel=1e-6)


async def test_a_capture_on_the_duts_edge_does_not_fire_the_dut_as_the_one_before_did(k2600b: Rig) -> None:
    driver, bench = k2600b.driver, k2600b.bench
    await k2600b.do(power, driver)
    await k2600b.do(driver.configure_capture, CaptureSetup(1e-3, 20, 5, 0.1, 6.0, fire_dut=True))
    await k2600b.do(driver.arm)
    await k2600b.do(driver.fire)
    await wait(k2600b)
    assert ("TRIG", 1) in [(pin, level) for _, pin, level in bench.pins.driven]
    await k2600b.do(driver.configure_capture, CaptureSetup(1e-3, 20, 0, 0.1, 6.0, fire_dut=False))
    await k2600b.do(driver.arm)
    bench.pins.driven.clear()
    bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns() + MS, 1)]
    bench.clock.pass_s(0.1)
    await wait(k2600b)
    assert len((await k2600b.do(driver.fetch))[0]) == 20
    assert bench.pins.driven == []


async def test_the_bus_starts_overlapped_readings_at_the_highest_rate(by_bus: Rig) -> None:
    driver, bench = by_bus.driver, by_bus.bench
    await by_bus.do(power, driver)
    await by_bus.do(driver.configure_capture, CaptureSetup(100e-6, 5000, 0, 0.1, 6.0, fire_dut=False))
    await by_bus.do(driver.arm)
    assert not await by_bus.do(driver.captured)
    bench.node.load = ((0, 1e-3), (bench.clock.now_ns() + 250 * MS, 20e-3))
    await by_bus.do(driver.fire)
    await wait(by_bus)
    (block,) = await by_bus.do(driver.fetch)
    assert len(block) == 5000
    assert int(np.argmax(block.current > 10e-3)) == 2500


async def test_the_edge_is_chosen(bench: Bench) -> None:
    options = {"trigger_line": 3, "trigger_edge": "falling", "measure_voltage": False}
    made = persona(bench, options=options, wires={"line3": "MARK"})
    async with rig("keithley_2600b", made, bench, **options, timeout_s=1.0) as falling:
        driver = falling.driver
        await falling.do(driver.configure_capture, CaptureSetup(50e-6, 10, 0, 0.1, 6.0, fire_dut=False))
        await falling.do(driver.arm)
        now = bench.clock.now_ns()
        bench.pins.scripted["MARK"] = [Edge(now + MS, 1)]
        bench.clock.pass_s(0.02)
        assert not await falling.do(driver.captured)
        bench.pins.scripted["MARK"] += [Edge(bench.clock.now_ns() + MS, 0)]
        bench.clock.pass_s(0.02)
        await wait(falling)
        (block,) = await falling.do(driver.fetch)
        assert len(block) == 10
        assert block.voltage is None


async def test_the_other_channel_can_feed_the_dut(bench: Bench) -> None:
    async with rig("keithley_2600b", persona(bench, options={"channel": "b"}), bench, channel="b", timeout_s=1.0) as other:
        await other.do(power, other.driver)
        assert (await other.do(other.driver.measure_output)).current_a == pytest.approx(1e-3)
        await other.do(other.driver.make_safe)
        assert not other.persona.output_on()


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (CaptureSetup(10e-6, 100, 0, 0.1, 6.0, False), "sample interval is 1e-05 s"),
        (CaptureSetup(50e-6, 100, 0, 0.1, 6.0, False), "sample interval is 5e-05 s"),  # two quantities take two apertures
        (CaptureSetup(2.0, 100, 0, 0.1, 6.0, False), "allowed is"),
        (CaptureSetup(1.00005e-4, 100, 0, 0.1, 6.0, False), "no whole number of microseconds"),
        (CaptureSetup(1e-3, 70_000, 0, 0.1, 6.0, False), "points is 70000 readings"),
        (CaptureSetup(1e-3, 100, 10, 0.1, 6.0, False), "without fire_dut a 2600B has none"),
        (CaptureSetup(1e-3, 100, 100, 0.1, 6.0, True), "pre-trigger is 100 points"),
        (CaptureSetup(1e-3, 100, 0, 0.1, 6.0, False, with_marker=True), "no input for a marker"),
        (CaptureSetup(1e-3, 100, 0, 0.1, 6.0, False, count=2), "serves 1"),
    ],
)
async def test_what_it_cannot_capture_is_refused(k2600b: Rig, setup: CaptureSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        await k2600b.do(k2600b.driver.configure_capture, setup)
    assert complaint in str(caught.value)


async def test_seamless_ranges_and_ranges_beyond_the_highest_are_refused(k2600b: Rig) -> None:
    for range_a, complaint in ((None, "fixed ranges only"), (5.0, "the largest of a 2602B is 3 A")):
        with pytest.raises(OutOfRangeError, match=complaint):
            await k2600b.do(k2600b.driver.configure_mean, MeanSetup(0.02, range_a, 6.0))


async def test_what_must_come_first_is_said(k2600b: Rig) -> None:
    for step in (k2600b.driver.arm, k2600b.driver.fire, k2600b.driver.captured, k2600b.driver.fetch, k2600b.driver.read_mean):
        with pytest.raises(OutOfRangeError, match="comes first"):
            await k2600b.do(step)


# --- what goes wrong


async def test_a_refused_query_is_named_with_its_code(k2600b: Rig) -> None:
    with pytest.raises(RefusedError, match="-286"):
        await k2600b.do(k2600b.driver._smu.ask, "smuc.measure.i()", "a nonsense")


async def test_panic_off_switches_off_while_the_measuring_session_hangs(k2600b: Rig) -> None:
    await k2600b.do(power, k2600b.driver)
    k2600b.persona.hang(True)
    await k2600b.do(loader.panic_off, "keithley_2600b", k2600b.resource)
    assert not k2600b.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(k2600b: Rig) -> None:
    await k2600b.persona.close()
    with pytest.raises(OutputNotOffError, match="could not be switched off"):
        await k2600b.do(k2600b.driver.make_safe)


FINDS: dict[str, type[InstrumentError]] = {
    "abort": LostSamplesError,
    "overflow": SentinelError,
    "compliance": SentinelError,
    "slow": LostSamplesError,
    "autorange": ReadBackError,
    "autozero": ReadBackError,
    "byteorder": ReadBackError,
    "short_block": LinkTimeoutError,
    "script": LinkTimeoutError,
    "off_mode": ReadBackError,
}


async def run_whole(made: Rig) -> list[Any]:
    """Power up, capture, read a mean: every number that it gives."""
    driver, numbers = made.driver, list[Any]()
    await made.do(power, driver)
    await made.do(driver.configure_capture, CaptureSetup(1e-3, 50, 10, 0.1, 6.0, fire_dut=True))
    await made.do(driver.arm)
    await made.do(driver.fire)
    await wait(made)
    numbers += await made.do(driver.fetch)
    await made.do(driver.configure_mean, MeanSetup(0.02, 0.1, 6.0))
    numbers.append(await made.do(driver.read_mean))
    return numbers


@pytest.mark.parametrize("trap", [*keithley_2600b.TRAPS])
async def test_a_trap_is_found_by_name_and_gives_no_number(bench: Bench, trap: str) -> None:
    async with rig("keithley_2600b", persona(bench, trap=trap), bench, **WIRED.options, timeout_s=1.0) as made:
        with pytest.raises(FINDS[trap]):
            await run_whole(made)
        await made.do(made.driver.make_safe)
        assert not made.persona.output_on()


async def test_without_a_trap_there_are_numbers(k2600b: Rig) -> None:
    block, reading = await run_whole(k2600b)
    assert block.current == pytest.approx([1e-3] * 50, rel=1e-6)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-6)


# --- who answers


@pytest.mark.parametrize(
    ("model", "options", "error", "complaint"),
    [
        ("Model 2400", {}, WrongInstrumentError, "wanted is a Keithley 2600B"),
        ("Model 2602A", {}, WrongInstrumentError, "wanted is a Keithley 2600B"),
        ("Model 2601B", {"channel": "b"}, OutOfRangeError, "a 2601B has only a"),
        ("Model 2614B", {"fire_line": 1}, OutOfRangeError, "a 2614B has no digital lines"),
    ],
)
def test_another_instrument_or_a_smaller_model_is_refused(
    model: str, options: dict[str, object], error: type[InstrumentError], complaint: str
) -> None:
    link = ScriptedLink.from_text(f"> *IDN?\n< Keithley Instruments Inc., {model}, 1, 3.0.0")
    with pytest.raises(error, match=complaint):
        open_driver("keithley_2600b", "smu", "SCRIPT", options, link=link)
    assert link.closed


def test_one_line_cannot_be_trigger_and_fire_line() -> None:
    with pytest.raises(OutOfRangeError, match="are both 3"):
        open_driver("keithley_2600b", "smu", "SCRIPT", {"fire_line": 3, "trigger_line": 3}, link=ScriptedLink([]))


@pytest.mark.parametrize(
    ("name", "limits", "top_range_v", "lines"),
    [("2601B", (40.0, 3.0), 40.0, True), ("2636B", (200.0, 1.5), 200.0, True), ("2604B", (40.0, 3.0), 40.0, False)],
)
def test_the_models_have_their_own_limits(name: str, limits: tuple[float, float], top_range_v: float, lines: bool) -> None:
    model = model_named(name)
    assert model is not None
    assert (model.limits.voltage_v, model.limits.current_a) == limits
    assert (model.voltage_ranges_v[-1], model.has_lines) == (top_range_v, lines)


# --- limits of error: numbers typed from the datasheet p. 10, worked by hand


@pytest.mark.parametrize(
    ("quantity", "full_scale", "line_hz", "plc", "reading", "by_hand"),
    [
        ("current", 0.1, 50.0, 1.0, 20e-3, 24e-6),  # 0.02 % of 20 mA = 4 uA, + 20 uA
        ("current", 1e-6, 50.0, 0.01, 0.5e-6, 1.125e-9),  # 0.025 % of 0.5 uA = 125 pA, + 500 pA, + 0.05 % of 1 uA = 500 pA
        ("current", 0.1, 60.0, 0.001, 1e-3, 520.2e-6),  # 0.02 % of 1 mA = 0.2 uA, + 20 uA, + 0.5 % of 100 mA = 500 uA
        ("current", 3.0, 50.0, 0.001, 2.0, 37.5e-3),  # 0.05 % of 2 A = 1 mA, + 3.5 mA, + 1.1 % of 3 A = 33 mA
        ("current", 100e-9, 60.0, 0.1, 50e-9, 135e-12),  # 0.05 % of 50 nA = 25 pA, + 100 pA, + 0.01 % of 100 nA = 10 pA
        ("voltage", 6.0, 50.0, 0.01, 3.0, 5.65e-3),  # 0.015 % of 3 V = 0.45 mV, + 1 mV, + 0.07 % of 6 V = 4.2 mV
        ("voltage", 0.1, 50.0, 0.001, 0.1, 965e-6),  # 0.015 % of 100 mV = 15 uV, + 150 uV, + 0.8 % of 100 mV = 800 uV
        ("voltage", 6.0, 60.0, 0.05, 3.0, 5.65e-3),  # between two rows the worse one, 0.01 PLC, holds
    ],
)
def test_the_limit_of_error_is_that_of_the_datasheet(
    quantity: Any, full_scale: float, line_hz: float, plc: float, reading: float, by_hand: float
) -> None:
    model = model_named("2602B")
    assert model is not None
    limit = accuracy_of(model, line_hz).limit(quantity, full_scale, plc / line_hz)
    assert limit is not None
    assert limit.gain * reading + limit.offset == pytest.approx(by_hand, rel=1e-9)
    assert limit.tempco_per_k == 0.15
    assert "p. 10" in limit.source


@pytest.mark.parametrize("quantity", ["current", "voltage"])
def test_below_a_thousandth_of_a_line_cycle_there_is_no_limit_of_error(quantity: Any) -> None:
    model = model_named("2601B")
    assert model is not None
    table = accuracy_of(model, 50.0)
    for row in (r for r in table.rows if r.quantity == quantity):
        assert table.limit(quantity, row.full_scale, 0.0009 / 50.0) is None
    assert table.limit("current", 10.0, 1.0) is None  # the 10 A range is for pulses, and its row typical


def test_no_row_is_invented_for_the_models_whose_page_was_not_read() -> None:
    model = model_named("2636B")
    assert model is not None
    assert accuracy_of(model, 50.0).rows == ()


# --- dialogues


def played(name: str, options: dict[str, object] | None = None) -> tuple[Any, ScriptedLink]:
    link = ScriptedLink.from_file(EXCHANGES / f"{name}.txt")
    driver: Any = open_driver("keithley_2600b", "smu", "SCRIPT", options or {}, link=link)
    assert isinstance(driver, Sources | Measures)
    return driver, link


def test_it_powers_on_and_off_as_written() -> None:
    driver, link = played("keithley_2600b/power_on_and_off")
    driver.reset()
    assert driver.protect(ProtectionLevels(3.6, 0.15)) == ProtectionLevels(None, 0.15)
    driver.set_remote_sense(True)
    driver.set_off_mode(True)
    driver.set_voltage(3.0)
    driver.set_output(True)
    driver.make_safe()
    link.finish()


def test_it_fires_the_dut_as_written() -> None:
    driver, link = played("keithley_2600b/capture_firing", {"fire_line": 2})
    driver.configure_capture(CaptureSetup(1e-3, 4, 1, 0.1, 6.0, fire_dut=True))
    driver.arm()
    driver.fire()
    assert [driver.captured(), driver.captured()] == [False, True]
    (block,) = driver.fetch()
    assert block.current.tolist() == pytest.approx([1e-3, 1e-3, 2e-2, 2e-2])
    assert block.t0_ns == -1_000_000
    link.finish()


def test_it_takes_a_mean_as_written() -> None:
    driver, link = played("keithley_2600b/mean")
    taken = driver.configure_mean(MeanSetup(0.1, 1e-4, 6.0))
    driver.zero()
    reading = driver.read_mean()
    assert (taken.current_range_a, reading.current_a, reading.voltage_v) == (1e-4, pytest.approx(12.34567e-6), pytest.approx(3.000012))
    link.finish()
