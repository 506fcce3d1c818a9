"""The 2400 driver through a real socket against the virtual instrument, which was written from the manual alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels, Reading
from labd_instruments.errors import (
    InstrumentError,
    LostSamplesError,
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    RefusedError,
    SentinelError,
)
from labd_virtual.instruments import keithley_2400
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows, with_visa

MS = 1_000_000
WIRED = Wired(
    options={"timeout_s": 1.0},
    wires={},
    current_range_a=0.1,
    voltage_range_v=20.0,
    tables={"current": (1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0), "voltage": (0.2, 2.0, 20.0, 200.0)},
    capture_dt_s=10e-3,
    senses=False,  # its lowest over-voltage step is far above what a board is allowed
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
CAPTURE = CaptureSetup(10e-3, 200, 50, 0.1, 20.0, fire_dut=False)


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 10e-3),), interface=interface)


@pytest.fixture
async def k2400(bench: Bench) -> AsyncIterator[Rig]:
    async with rig("keithley_2400", keithley_2400.create(bench.setup(accuracy=EXACT)), bench, timeout_s=1.0) as made:
        yield made


async def power_on(made: Rig, levels: ProtectionLevels | None = None) -> None:
    driver = made.driver
    await made.do(driver.set_voltage, 0.0)
    await made.do(driver.set_off_mode, True)
    await made.do(driver.set_remote_sense, True)
    await made.do(driver.protect, levels or ProtectionLevels(3.6, 0.1))
    await made.do(driver.set_voltage, 3.0)
    await made.do(driver.set_output, True)


async def capture(made: Rig, setup: CaptureSetup = CAPTURE, event: Callable[[], None] = lambda: None) -> Block:
    driver = made.driver
    await made.do(driver.configure_capture, setup)
    await made.do(driver.arm)
    event()
    await made.do(driver.fire)
    while not await made.do(driver.captured):
        made.bench.clock.pass_s(0.2)
    (block,) = await made.do(driver.fetch)
    assert isinstance(block, Block)
    return block


async def mean(made: Rig, setup: MeanSetup | None = None) -> Reading:
    await made.do(made.driver.configure_mean, setup or MeanSetup(0.1, 0.1, 20.0))
    await made.do(made.driver.zero)
    reading: Reading = await made.do(made.driver.read_mean)
    return reading


# --- as it should be


async def test_the_output_is_switched_on_measured_and_switched_off_verified(k2400: Rig) -> None:
    await power_on(k2400)
    reading = await k2400.do(k2400.driver.measure_output)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-6)
    assert reading.current_a == pytest.approx(10e-3, rel=1e-6)
    assert await k2400.do(k2400.driver.tripped) is None
    await k2400.do(k2400.driver.make_safe)
    assert not k2400.persona.output_on()
    assert k2400.bench.node.drives[-1][1:] == (0.0, 0.005, 0.1, True), "sinking: 0 V with the whole current limit"


async def test_a_coarse_step_of_the_overvoltage_limit_is_not_claimed_to_hold_the_level(k2400: Rig) -> None:
    assert await k2400.do(k2400.driver.protect, ProtectionLevels(3.6, 0.1)) == ProtectionLevels(None, 0.1, open_lead_v=20.0)
    assert await k2400.do(k2400.driver.protect, ProtectionLevels(40.0, 0.1)) == ProtectionLevels(40, 0.1, open_lead_v=40.0)


async def test_a_capture_has_a_reading_at_every_interval_and_the_trigger_after_the_pretrigger(k2400: Rig) -> None:
    await power_on(k2400)

    def rising() -> None:
        k2400.bench.node.load = ((0, 10e-3), (k2400.bench.clock.now_ns() + 1000 * MS, 20e-3))

    block = await capture(k2400, event=rising)
    assert len(block) == 200
    assert (block.t0_ns, block.dt_ns) == (-50 * 10 * MS, 10 * MS)
    assert block.flags == BlockFlag.NONE
    assert block.current is not None
    assert block.voltage is not None
    assert int(np.argmax(block.current > 15e-3)) == 100
    assert block.voltage == pytest.approx(3.0)


async def test_a_second_capture_and_a_mean_after_it_are_whole(k2400: Rig) -> None:
    await power_on(k2400)
    assert (await capture(k2400)).current == pytest.approx(10e-3)
    assert (await k2400.do(k2400.driver.measure_output)).current_a == pytest.approx(10e-3)
    assert (await capture(k2400, CaptureSetup(20e-3, 2500, 0, 0.1, 20.0, fire_dut=False))).current == pytest.approx(10e-3)
    assert (await mean(k2400)).current_a == pytest.approx(10e-3)


async def test_the_current_alone_is_taken_every_millisecond(bench: Bench) -> None:
    persona = keithley_2400.create(bench.setup(accuracy=EXACT))
    async with rig("keithley_2400", persona, bench, timeout_s=1.0, voltage_readback=False) as made:
        await power_on(made)
        taken = await made.do(made.driver.configure_capture, CaptureSetup(1e-3, 1000, 0, 0.1, 20.0, fire_dut=False))
        assert taken.columns == ("current",)
        assert taken.aperture_s == pytest.approx(0.2e-3)
        block = await capture(made, CaptureSetup(1e-3, 1000, 0, 0.1, 20.0, fire_dut=False))
        assert block.voltage is None
        assert block.current == pytest.approx(10e-3)


async def test_a_mean_over_whole_line_cycles(k2400: Rig) -> None:
    await power_on(k2400)
    reading = await mean(k2400)
    assert reading.current_a == pytest.approx(10e-3, rel=1e-6)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-6)


async def test_a_fixed_range_says_what_it_limits_the_output_to(k2400: Rig) -> None:
    await power_on(k2400)
    taken = await k2400.do(k2400.driver.configure_mean, MeanSetup(0.02, 10e-3, 20.0))
    assert float(taken.settings["output_clamp_a"]) == pytest.approx(10.5e-3)
    assert k2400.bench.node.drives[-1][3] == pytest.approx(10.5e-3)
    await k2400.do(k2400.driver.halt)
    assert k2400.bench.node.drives[-1][3] == pytest.approx(0.1)


# --- refused, with a name


async def test_a_current_held_by_the_limit_is_no_mean_and_marks_a_capture(k2400: Rig) -> None:
    await power_on(k2400)
    k2400.bench.node.clamped_ns = 0
    assert await k2400.do(k2400.driver.tripped) == "current limit"
    with pytest.raises(SentinelError, match="a limit and no measurement: the current limit held"):
        await mean(k2400)
    assert (await capture(k2400)).flags == BlockFlag.CLIPPED


async def test_a_current_held_by_the_range_is_no_mean_either(k2400: Rig) -> None:
    await power_on(k2400)
    k2400.bench.node.clamped_ns = 0
    with pytest.raises(SentinelError, match="the current range held"):
        await mean(k2400, MeanSetup(0.02, 10e-3, 20.0))


async def test_a_reading_beyond_its_range_is_no_number(k2400: Rig) -> None:
    await power_on(k2400)
    with pytest.raises(SentinelError, match="overflow or no data"):
        await mean(k2400, MeanSetup(0.02, 1e-3, 20.0))
    block = await capture(k2400, CaptureSetup(10e-3, 10, 0, 1e-3, 20.0, fire_dut=False))
    assert block.flags & BlockFlag.OVER_RANGE
    assert block.current is not None
    assert np.isnan(block.current).all()


async def test_a_reading_with_the_output_off_is_refused_by_the_instrument(k2400: Rig) -> None:
    with pytest.raises(RefusedError, match="803 Not permitted with OUTPUT off"):
        await k2400.do(k2400.driver.measure_output)
    await k2400.do(k2400.driver.protect, ProtectionLevels(3.6, 0.1))
    await k2400.do(k2400.driver.configure_capture, CAPTURE)
    with pytest.raises(RefusedError, match="a capture needs its output on"):
        await k2400.do(k2400.driver.arm)


async def test_a_range_above_that_of_the_limit_is_refused_by_the_instrument(k2400: Rig) -> None:
    await power_on(k2400)
    with pytest.raises(RefusedError, match="824 Cannot exceed compliance range"):
        await k2400.do(k2400.driver.configure_mean, MeanSetup(0.02, 1.0, 20.0))


async def test_a_refused_query_is_named_with_its_code(k2400: Rig) -> None:
    with pytest.raises(RefusedError, match="-113"):
        await k2400.do(k2400.driver._smu.ask, ":NONSENSE?", "a nonsense")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"fire_dut": True}, "cannot send one"),
        ({"with_marker": True}, "no input for a marker"),
        ({"count": 2}, "2 triggers for one arming"),
        ({"points": 2501}, "points is 2501"),
        ({"pretrigger_points": 200}, "pre-trigger is 200"),
        ({"dt_s": 10e-6}, "interval is 1e-05 s"),
        ({"dt_s": 10.4e-3}, "whole milliseconds"),
        ({"dt_s": 2e-3}, "take longer than 0.002 s"),
        ({"current_range_a": None}, "seamless"),
        ({"current_range_a": 2.0}, "the largest is 1 A"),
    ],
)
async def test_a_capture_that_it_cannot_do_is_refused_before_it_is_armed(k2400: Rig, changes: dict[str, Any], complaint: str) -> None:
    asked: dict[str, Any] = {
        "dt_s": 10e-3, "points": 200, "pretrigger_points": 50, "current_range_a": 0.1, "voltage_range_v": 20.0, "fire_dut": False,
    }  # fmt: skip
    with pytest.raises(OutOfRangeError, match=complaint):
        await k2400.do(k2400.driver.configure_capture, CaptureSetup(**(asked | changes)))
    with pytest.raises(OutOfRangeError, match="configure_capture comes first"):
        await k2400.do(k2400.driver.arm)


@pytest.mark.parametrize(
    ("method", "value", "complaint"),
    [
        ("set_voltage", 211.0, "voltage is 211 V"),
        ("set_voltage", -1.0, "voltage is -1 V"),
        ("protect", ProtectionLevels(3.6, 1.06), "current limit is 1.06 A"),
        ("protect", ProtectionLevels(3.6, 1e-10), "current limit is 1e-10 A"),
        ("protect", ProtectionLevels(170.0, 0.1), "the highest step is 160 V"),
        ("configure_mean", MeanSetup(0.21, 0.1, 20.0), "aperture is 10.5 power line cycles"),
        ("configure_mean", MeanSetup(1e-4, 0.1, 20.0), "aperture is 0.005 power line cycles"),
    ],
)
async def test_what_it_cannot_do_is_refused_before_anything_is_sent(k2400: Rig, method: str, value: object, complaint: str) -> None:
    await power_on(k2400)
    before = len(k2400.bench.node.drives)
    with pytest.raises(OutOfRangeError, match=complaint):
        await k2400.do(getattr(k2400.driver, method), value)
    assert len(k2400.bench.node.drives) == before, "nothing has reached the output"


# --- switching off


async def test_panic_off_switches_off_while_the_measuring_session_hangs(k2400: Rig) -> None:
    await power_on(k2400)
    k2400.persona.hang(True)
    await k2400.do(loader.panic_off, "keithley_2400", k2400.resource)
    assert not k2400.persona.output_on()


async def test_off_is_not_left_in_the_queue_of_an_instrument_that_waits_for_a_trigger(k2400: Rig) -> None:
    await power_on(k2400)
    await with_visa(k2400.resource, lambda r: r.write(":ARM:SOUR BUS;:INIT"))
    await k2400.do(k2400.driver.make_safe)
    assert not k2400.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(k2400: Rig) -> None:
    await k2400.persona.close()
    with pytest.raises(OutputNotOffError, match="could not be switched off"):
        await k2400.do(k2400.driver.make_safe)


# --- traps

FOUND = {
    "nan": SentinelError,
    "compliance": SentinelError,
    "late": LostSamplesError,
    "old_size": ReadBackError,
    "byte_order": ReadBackError,
    "ascii_only": RefusedError,
    "elements": ReadBackError,
    "auto_off": ReadBackError,
    "interlock": RefusedError,
}
QUESTIONS = ("output", "mean", "capture")


async def answer(bench: Bench, trap: str, question: str) -> Reading | Block:
    persona = keithley_2400.create(bench.setup(accuracy=EXACT, trap=trap))
    async with rig("keithley_2400", persona, bench, timeout_s=1.0) as made:
        await power_on(made)
        if question == "output":
            reading: Reading = await made.do(made.driver.measure_output)
            return reading
        return await (mean(made) if question == "mean" else capture(made))


def right(found: Reading | Block) -> bool:
    current = np.atleast_1d(np.nan if found.current is None else found.current) if isinstance(found, Block) else np.array([found.current_a])
    return bool(np.allclose(current, 10e-3, rtol=1e-3))


@pytest.mark.parametrize("trap", keithley_2400.TRAPS)
async def test_a_sprung_trap_is_found_by_name_and_never_becomes_a_number(trap: str) -> None:
    told: set[type[InstrumentError]] = set()
    for question in QUESTIONS:
        try:
            found = await answer(Bench(load=((0, 10e-3),)), trap, question)
        except InstrumentError as error:
            told.add(type(error))
        else:
            assert right(found) or (isinstance(found, Block) and found.flags), f"{question}: a wrong number"
    assert told == {FOUND[trap]}


async def test_without_a_trap_all_is_well(interface: Interface) -> None:
    for question in QUESTIONS:
        found = await answer(Bench(load=((0, 10e-3),), interface=interface), "", question)
        assert right(found)
        assert not isinstance(found, Block) or not found.flags


def test_every_trap_is_told_in_a_sentence() -> None:
    assert keithley_2400.TRAPS.keys() == FOUND.keys()
    assert all(len(sentence.split()) > 3 for sentence in keithley_2400.TRAPS.values())
