"""All four members of the 2450 family through a real socket: those without a digitizer capture by integrated readings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from labd_instruments import discover, loader
from labd_instruments.block import Block, BlockFlag
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels
from labd_instruments.errors import InstrumentError, LostSamplesError, OutOfRangeError, ReadBackError, RefusedError
from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_2450
from labd_virtual.instruments.keithley_2450_members import MEMBERS
from tests.instruments.asked import ask
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
READS = ("2450", "2460", "2470")  # by measuring
OPTIONS: dict[str, object] = {"fire_line": 2, "timeout_s": 5.0}  # no silence is the point here, and the machine may be busy
APART_S = 1.2e-3  # the virtual one needs 0.2 ms besides the millisecond that it integrates
SETUP = CaptureSetup(1e-3, 200, 50, 0.1, 20.0, fire_dut=False)


@asynccontextmanager
async def opened(model: str, *, bench: Bench | None = None, trap: str = "", **options: object) -> AsyncIterator[Rig]:
    bench = bench or Bench(load=((0, 10e-3),), volts=3.0)
    member = MEMBERS[model]
    exact = rows(
        {
            "current": tuple((r, 0.0, 0.0) for r in member.current_ranges),
            "voltage": tuple((r, 0.0, 0.0) for r in member.voltage_ranges),
        }
    )
    chosen = OPTIONS | options
    setup = bench.setup(options=chosen | {"model": model}, wires={"fire": "TRIG", "marker": "MARK"}, accuracy=exact, trap=trap)
    async with rig("keithley_2450", keithley_2450.create(setup), bench, **chosen) as made:
        yield made


def how(model: str) -> Wired:
    """The bus triggers: what is asked of every driver lets the clock jump, and a virtual line cannot move in the past."""
    member = MEMBERS[model]
    tables = {"current": member.current_ranges, "voltage": member.voltage_ranges}
    return Wired(OPTIONS, {}, 0.1, 20.0, tables, capture_dt_s=1e-3)


async def power_on(made: Rig, levels: ProtectionLevels | None = None) -> None:
    driver = made.driver
    await made.do(driver.set_voltage, 0.0)
    await made.do(driver.set_off_mode, True)
    await made.do(driver.set_remote_sense, True)
    await made.do(driver.protect, levels or ProtectionLevels(3.6, 0.1))
    await made.do(driver.set_voltage, 3.0)
    await made.do(driver.set_output, True)


async def ended(made: Rig) -> Block:
    while not await made.do(made.driver.captured):
        pass  # the instrument's own work moves the clock
    (block,) = await made.do(made.driver.fetch)
    assert isinstance(block, Block)
    return block


@pytest.mark.parametrize("model", MEMBERS)
async def test_each_member_measures_what_flows_and_switches_off(model: str) -> None:
    wired = how(model)
    async with opened(model) as made:
        answers = await ask(made, wired)
        assert not made.persona.output_on()
    assert answers.flagged == ()
    assert answers.current_a == pytest.approx(dict.fromkeys(("output", "mean", "capture"), wired.load_a), rel=1e-3)


@pytest.mark.parametrize("model", MEMBERS)
async def test_each_member_fires_the_dut(model: str) -> None:
    async with opened(model) as made:
        await power_on(made)
        taken = await made.do(made.driver.configure_capture, replace(SETUP, fire_dut=True))
        await made.do(made.driver.arm)
        await made.do(made.driver.fire)
        block = await ended(made)
    assert (len(block), block.t0_ns, block.flags) == (taken.points, -50 * taken.dt_ns, BlockFlag.NONE)
    assert block.current == pytest.approx(np.full(200, 10e-3), rel=1e-3)


@pytest.mark.parametrize("trap", [*keithley_2450.TRAPS, *keithley_2450.TRAPS_OF_READINGS])
@pytest.mark.parametrize("model", READS)
async def test_no_trap_becomes_a_number(model: str, trap: str) -> None:
    """Every question is answered rightly, flagged, or refused by a named error; one of them at least is not answered."""
    found: list[object] = []
    for question in ("output", "mean", "capture"):
        try:
            async with opened(model, trap=trap) as made:
                answers = await ask(made, how(model), only=question)
        except InstrumentError as error:
            found.append(type(error))
        else:
            found += answers.flagged
            assert answers.current_a == pytest.approx(dict.fromkeys(answers.current_a, 10e-3), rel=1e-3)
    assert found
    assert InstrumentError not in found, "an error has a name"


async def test_the_interval_is_measured_and_not_the_one_asked_for() -> None:
    async with opened("2450") as made:
        await power_on(made)
        taken = await made.do(made.driver.configure_capture, SETUP)
        assert taken.dt_ns == pytest.approx(APART_S * 1e9)
        assert taken.aperture_s == pytest.approx(1e-3)
        assert taken.settings["interval"] == "mean of 200 time stamps at the set-up"
        await made.do(made.driver.arm)
        await made.do(made.driver.fire)
        block = await ended(made)
        assert (block.dt_ns, block.t0_ns, len(block)) == (taken.dt_ns, -50 * taken.dt_ns, 200)


async def test_an_edge_of_the_dut_lies_within_one_interval_of_the_pretrigger() -> None:
    bench = Bench(load=((0, 1e-3), (9_000 * MS, 20e-3)), volts=3.0)
    async with opened("2450", bench=bench, trigger_line=1) as made:
        await power_on(made)
        await made.do(made.driver.configure_capture, SETUP)
        await made.do(made.driver.arm)
        with pytest.raises(OutOfRangeError, match="waits for the DUT's edge on line 1"):
            await made.do(made.driver.fire)
        bench.pins.scripted["MARK"] = [Edge(9_000 * MS, 1)]
        bench.clock.pass_s(9.5)
        block = await ended(made)
        assert block.current is not None
        first = int(np.argmax(block.current > 2e-3))
        assert first in (49, 50), "the reading in which it happened, or the one after it"


@pytest.mark.parametrize("before", [0, 1, 50])
async def test_the_smu_fires_the_dut_between_two_readings(before: int) -> None:
    async with opened("2450", voltage_readback=True) as made:
        await power_on(made)
        await made.do(made.driver.configure_capture, replace(SETUP, pretrigger_points=before, fire_dut=True))
        await made.do(made.driver.arm)
        began, quiet = made.bench.clock.now_ns(), len(made.bench.pins.driven)
        await made.do(made.driver.fire)
        block = await ended(made)
    pulses = [t - began for t, pin, level in made.bench.pins.driven[quiet:] if pin == "TRIG" and level]
    assert pulses == [pytest.approx(before * APART_S * 1e9, abs=2e3)]
    assert (len(block), block.t0_ns) == (200, -before * block.dt_ns)
    assert block.voltage == pytest.approx(np.full(200, 3.0))


async def test_an_event_from_before_it_was_armed_is_found() -> None:
    bench = Bench(load=((0, 10e-3),), volts=3.0)
    async with opened("2450", bench=bench, trigger_line=1) as made:
        await power_on(made)
        await made.do(made.driver.configure_capture, SETUP)
        bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns() + 5 * MS, 1)]
        await made.do(made.driver.arm)
        with pytest.raises(RefusedError, match="an event came before it was armed"):
            await ended(made)


@pytest.mark.parametrize("model", READS)
@pytest.mark.parametrize("dt_s", [1e-5, 1.9e-4, 0.21])
async def test_an_aperture_that_it_cannot_reach_is_refused_before_anything_is_sent(model: str, dt_s: float) -> None:
    async with opened(model) as made:
        with pytest.raises(OutOfRangeError, match=r"has no digitizer, is .* power line cycles, allowed is 0.01 to 10"):
            await made.do(made.driver.configure_capture, replace(SETUP, dt_s=dt_s))
        assert made.driver._capture._capture is None


async def test_readings_that_pause_are_found_at_the_set_up() -> None:
    async with opened("2450", trap="stalls") as made:
        await power_on(made)
        setup = replace(SETUP, points=11, pretrigger_points=2)
        for _ in range(10):
            await made.do(made.driver.configure_capture, setup)
        with pytest.raises(LostSamplesError, match="apart"):
            await made.do(made.driver.configure_capture, setup)


async def test_a_range_that_would_raise_the_current_limit_is_refused() -> None:
    async with opened("2450") as made:
        await power_on(made, ProtectionLevels(3.6, 0.05))
        for configure, setup in (
            (made.driver.configure_mean, MeanSetup(0.02, 1.0, 20.0)),
            (made.driver.configure_capture, replace(SETUP, current_range_a=1.0)),
        ):
            with pytest.raises(OutOfRangeError, match=r"raises its current limit to 0.106 A"):
                await made.do(configure, setup)
        await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))


@pytest.mark.parametrize("model", MEMBERS)
async def test_a_limit_that_moved_with_the_range_is_found(model: str) -> None:
    async with opened(model, trap="raises") as made:
        await power_on(made)
        with pytest.raises(ReadBackError, match=r"set to 0.1 A and moved to 0.105 A"):
            await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.1, 20.0))


@pytest.mark.parametrize(
    ("model", "levels", "complaint"),
    [
        ("2450", ProtectionLevels(3.6, 1.2), "1.2 A, allowed is 1e-09 to 1.05 A"),
        ("2450", ProtectionLevels(30.0, 0.2), "0.2 A, allowed is 1e-09 to 0.105 A"),
        ("2450", ProtectionLevels(20.5, 0.5), "0.5 A, allowed is 1e-09 to 0.105 A (a 2450 on its 200 V source range)"),
        ("2461", ProtectionLevels(7.2, 6.0), "6 A, allowed is 1e-06 to 5.25 A (a 2461 on its 10 V source range)"),
        ("2450", ProtectionLevels(200.0, 0.1), "highest step of a 2450 is 180 V"),
        ("2460", ProtectionLevels(12.0, 4.5), "4.5 A, allowed is 1e-06 to 4.2 A"),
        ("2461", ProtectionLevels(90.0, 0.1), "highest step of a 2461 is 80 V"),
        ("2470", ProtectionLevels(60.0, 0.1), "highest step of a 2470 is 40 V"),
    ],
)
async def test_levels_beyond_the_model_are_refused_before_anything_is_sent(model: str, levels: ProtectionLevels, complaint: str) -> None:
    async with opened(model) as made:
        with pytest.raises(OutOfRangeError) as caught:
            await made.do(made.driver.protect, levels)
        assert complaint in str(caught.value)
        assert (await made.do(made.driver._smu.ask, ":SOUR:VOLT:PROT?", "the level")) == "NONE"
        assert (await made.do(made.driver._smu.ask, ":SOUR:VOLT:RANG:AUTO?", "whether the range is fixed")) == "1"


async def test_a_voltage_at_which_the_limit_is_beyond_the_boundary_is_refused() -> None:
    async with opened("2450") as made:
        await made.do(made.driver.protect, ProtectionLevels(None, 0.5))
        await made.do(made.driver.set_voltage, 20.0)
        with pytest.raises(OutOfRangeError, match=r"current limit at 30 V is 0.5 A, allowed is 0 to 0.105 A"):
            await made.do(made.driver.set_voltage, 30.0)
        with pytest.raises(OutOfRangeError, match="voltage is 181 V"):
            await made.do(made.driver.set_voltage, 181.0)


async def test_the_range_that_was_fixed_bounds_voltage_and_current_alike() -> None:
    async with opened("2450") as made:
        await made.do(made.driver.protect, ProtectionLevels(30.0, 0.1))
        with pytest.raises(OutOfRangeError, match=r"0.5 A, allowed is 1e-09 to 0.105 A \(a 2450 on its 200 V source range\)"):
            await made.do(made.driver.protect, ProtectionLevels(None, 0.5))
        await made.do(made.driver.protect, ProtectionLevels(3.6, 0.5))
        await made.do(made.driver.set_voltage, 20.0)
        with pytest.raises(OutOfRangeError, match=r"voltage is 21 V, allowed is 0 to 20 V \(a 2450 on its 20 V source range\)"):
            await made.do(made.driver.set_voltage, 21.0)


async def test_a_mean_takes_the_place_of_a_capture_and_the_other_way_about() -> None:
    async with opened("2450") as made:
        await power_on(made)
        await made.do(made.driver.configure_capture, SETUP)
        taken = await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.1, 200.0))
        assert taken.voltage_range_v == 20.0, "of the source, whatever is asked"
        with pytest.raises(OutOfRangeError, match="no capture is configured"):
            await made.do(made.driver.arm)
        await made.do(made.driver.configure_capture, SETUP)
        with pytest.raises(OutOfRangeError, match="no mean is configured"):
            await made.do(made.driver.read_mean)


@pytest.mark.parametrize(("model", "volt", "step_v"), [("2450", 1.0, 2.0), ("2461", 3.6, 5.0), ("2470", 1.0, 20.0)])
async def test_the_step_of_a_protection_that_holds_no_level_as_low_is_told(model: str, volt: float, step_v: float) -> None:
    async with opened(model) as made:
        held = await made.do(made.driver.protect, ProtectionLevels(volt, 0.1))
    assert held == ProtectionLevels(None, 0.1, open_lead_v=step_v)


@pytest.mark.parametrize("model", MEMBERS)
async def test_source_limits_and_ranges_are_those_of_the_model(model: str) -> None:
    async with opened(model) as made:
        member, limits = MEMBERS[model], made.driver.source_limits
        assert (limits.voltage_v, limits.current_a) == ({"2450": 180.0, "2470": 40.0}.get(model, 80.0), member.limit_most)
        await made.do(made.driver.protect, ProtectionLevels(limits.voltage_v, 1e-3))
        await made.do(made.driver.set_voltage, limits.voltage_v)
        await made.do(made.driver.configure_mean, MeanSetup(0.02, member.current_ranges[0], 20.0))
        with pytest.raises(OutOfRangeError, match=f"the largest of a {model} is"):
            await made.do(made.driver.configure_mean, MeanSetup(0.02, 8.0, 20.0))


# Limits worked by hand from SPEC-2450 Rev. A, p. 2: percent of reading + offset, at one power line cycle.
@pytest.mark.parametrize(
    ("quantity", "full_scale", "reading", "limit"),
    [
        ("current", 1e-3, 0.5e-3, 160e-9),  # 0.02 % of 0.5 mA = 100 nA, + 60 nA
        ("current", 0.1, 10e-3, 8.5e-6),  # 0.025 % of 10 mA = 2.5 uA, + 6 uA
        ("current", 1.0, 0.2, 560e-6),  # 0.03 % of 200 mA = 60 uA, + 500 uA
        ("current", 100e-9, 20e-9, 112e-12),  # 0.060 % of 20 nA = 12 pA, + 100 pA
        ("voltage", 20.0, 3.3, 1.495e-3),  # 0.015 % of 3.3 V = 495 uV, + 1 mV
    ],
)
async def test_the_limit_of_error_of_a_2450(quantity: Any, full_scale: float, reading: float, limit: float) -> None:
    async with opened("2450") as made:
        table = made.driver.accuracy()
        row = table.limit(quantity, full_scale, 1 / 50)
        assert row is not None
        assert row.gain * reading + row.offset == pytest.approx(limit)
        assert row.tempco_per_k == 0.15
        assert "SPEC-2450" in row.source
        assert table.limit(quantity, full_scale, 0.1 / 50) is None, "no page says what a shorter integration adds"


@pytest.mark.parametrize("model", ["2460", "2461", "2470"])
async def test_no_accuracy_is_claimed_without_a_page(model: str) -> None:
    async with opened(model) as made:
        assert made.driver.accuracy().limit("current", 0.1, 0.2) is None


def test_all_members_and_their_variants_are_found_by_their_identity() -> None:
    for model in (*MEMBERS, "2450-NFP", "2450-NFP-RACK"):
        assert discover.drivers_for(f"KEITHLEY INSTRUMENTS,MODEL {model},04411826,1.7.12b") == ("keithley_2450",)
    assert all(model in loader.info("keithley_2450").title for model in MEMBERS)
