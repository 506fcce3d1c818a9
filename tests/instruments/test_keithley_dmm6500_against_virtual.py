"""The DMM6500 driver through a real socket against the virtual multimeter, which was written from the manual and not from the driver."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.accuracy import AccuracyRow
from labd_instruments.block import BlockFlag
from labd_instruments.contract import Acquisition, CaptureSetup, MeanSetup, Sources
from labd_instruments.errors import (
    InstrumentError,
    LinkTimeoutError,
    LostSamplesError,
    OutOfRangeError,
    ReadBackError,
    RefusedError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.loader import open_driver
from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_dmm6500
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
WIRED = Wired(
    options={"fire_output": True, "timeout_s": 1.0},
    wires={"fire": "TRIG"},
    current_range_a=0.1,
    voltage_range_v=20.0,
    tables={"current": (10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 3.0, 10.0), "voltage": (0.1, 1.0, 10.0, 100.0, 1000.0)},
    capture_dt_s=1e-5,
    ammeter=True,
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
BUS = CaptureSetup(1e-5, 200, 50, 0.1, 20.0, fire_dut=False)
FOUND_BY: dict[str, tuple[type[InstrumentError], str]] = {
    "tsp": (WrongInstrumentError, "language is TSP"),
    "front": (ReadBackError, "TERMINALS switch"),
    "query_aborts": (RefusedError, "aborted"),
    "stale_edge": (RefusedError, "did not wait"),
    "once": (ReadBackError, "fill mode"),
    "discards": (LostSamplesError, "197 of 200"),
    "gap": (LostSamplesError, "100 readings too many"),
    "cut_block": (LinkTimeoutError, "401 of 800 bytes"),
    "byte_order": (ReadBackError, "byte order"),
    "rate": (ReadBackError, "sample rate"),
    "aperture": (ReadBackError, "aperture"),
    "range": (ReadBackError, "range"),
    "relative": (ReadBackError, "relative offset"),
    "overflow": (SentinelError, "0.1 A range"),
    "notify": (ReadBackError, "EXTERNAL TRIGGER OUT"),
}


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 10e-3),), interface=interface)


@pytest.fixture
async def meter(bench: Bench) -> AsyncIterator[Rig]:
    persona = keithley_dmm6500.create(bench.setup(wires={"fire": "TRIG", "marker": "MARK"}, accuracy=EXACT))
    async with rig("keithley_dmm6500", persona, bench, fire_output=True, trigger_input=True, timeout_s=1.0) as made:
        yield made


async def capture(meter: Rig, setup: CaptureSetup, *, fire: bool = True) -> tuple[Acquisition, Any]:
    driver = meter.driver
    taken = await meter.do(driver.configure_capture, setup)
    await meter.do(driver.arm)
    if fire:
        await meter.do(driver.fire)
    while not await meter.do(driver.captured):
        meter.bench.clock.pass_s(0.001)
    (block,) = await meter.do(driver.fetch)
    return taken, block


async def test_it_never_feeds_anything(meter: Rig) -> None:
    info = loader.info("keithley_dmm6500")
    assert info.roles == ("meter",)
    assert not isinstance(meter.driver, Sources)
    assert not meter.persona.output_on()


async def test_the_bus_trigger_fires_the_dut_at_the_same_instant(meter: Rig) -> None:
    driver, bench = meter.driver, meter.bench
    await meter.do(driver.configure_capture, CaptureSetup(1e-5, 1000, 200, 0.1, 20.0, fire_dut=True))
    for _ in range(2):
        await meter.do(driver.arm)
        bench.pins.driven.clear()
        fired_ns = bench.clock.now_ns()
        bench.node.load = ((0, 10e-3), (fired_ns, 40e-3))
        await meter.do(driver.fire)
        while not await meter.do(driver.captured):
            pass
        (block,) = await meter.do(driver.fetch)
        assert [(t, level) for t, pin, level in bench.pins.driven if pin == "TRIG"] == [(fired_ns, 1), (fired_ns + 10_000, 0)]
        assert (len(block), block.t0_ns, block.dt_ns, block.voltage) == (1000, -200 * 10_000, 10_000, None)
        assert abs(int(np.argmax(block.current > 25e-3)) - 200) <= 1
        bench.node.load = ((0, 10e-3),)


async def test_an_edge_of_the_dut_lies_at_the_pretrigger(meter: Rig) -> None:
    driver, bench = meter.driver, meter.bench
    taken = await meter.do(driver.configure_capture, CaptureSetup(1e-6, 1003, 251, 0.1, 20.0, fire_dut=False))
    assert (taken.points, taken.pretrigger_points, taken.aperture_s) == (1003, 251, 1e-6)
    bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns(), 1)]  # before the arming: it must not count
    bench.clock.pass_s(0.001)
    await meter.do(driver.arm)
    event_ns = bench.clock.now_ns() + 35 * MS
    bench.node.load = ((0, 10e-3), (event_ns, 40e-3))
    bench.pins.scripted["MARK"] = [Edge(event_ns, 1)]
    bench.clock.pass_s(0.5)
    while not await meter.do(driver.captured):
        bench.clock.pass_s(0.01)
    (block,) = await meter.do(driver.fetch)
    assert len(block) == 1003
    assert abs(int(np.argmax(block.current > 25e-3)) - 251) <= 1
    assert [entry for entry in bench.pins.driven if entry[1] == "TRIG" and entry[2] == 1] == [], "the DUT is not fired"


async def test_a_capture_that_waits_for_the_dut_is_not_fired_by_the_bus(meter: Rig) -> None:
    await meter.do(meter.driver.configure_capture, BUS)
    with pytest.raises(OutOfRangeError, match="waits for EXTERNAL TRIGGER IN"):
        await meter.do(meter.driver.fire)


async def test_a_mean_over_whole_line_cycles_has_no_voltage(meter: Rig) -> None:
    driver = meter.driver
    taken = await meter.do(driver.configure_mean, MeanSetup(0.1, 0.01, 20.0))
    await meter.do(driver.zero)
    began_ns = meter.bench.clock.now_ns()
    reading = await meter.do(driver.read_mean)
    assert reading.current_a == pytest.approx(10e-3, rel=1e-6)
    assert math.isnan(reading.voltage_v)
    assert taken.columns == ("current",)
    assert meter.bench.clock.now_ns() - began_ns == pytest.approx(100 * MS, rel=0.01)


async def test_a_mean_after_a_capture_and_a_capture_after_a_mean(meter: Rig) -> None:
    fired = CaptureSetup(1e-5, 200, 50, 0.1, 20.0, fire_dut=True)
    for _ in range(2):
        await capture(meter, fired)
        await meter.do(meter.driver.configure_mean, MeanSetup(0.02, 0.01, 20.0))
        assert (await meter.do(meter.driver.read_mean)).current_a == pytest.approx(10e-3, rel=1e-6)


async def test_samples_above_the_range_are_flagged_and_no_number(meter: Rig) -> None:
    bench = meter.bench
    await meter.do(meter.driver.configure_capture, CaptureSetup(1e-5, 200, 50, 0.1, 20.0, fire_dut=True))
    await meter.do(meter.driver.arm)
    bench.node.load = ((0, 10e-3), (bench.clock.now_ns() + MS, 0.2))
    await meter.do(meter.driver.fire)
    while not await meter.do(meter.driver.captured):
        pass
    (block,) = await meter.do(meter.driver.fetch)
    assert block.flags & BlockFlag.OVER_RANGE
    assert np.isnan(block.current[-1])
    assert block.current[0] == pytest.approx(10e-3)


async def test_samples_at_the_limit_of_the_range_are_flagged(meter: Rig) -> None:
    _, block = await capture(meter, CaptureSetup(1e-5, 200, 50, 10e-3, 20.0, fire_dut=True))
    assert block.flags == BlockFlag.CLIPPED


async def test_a_refused_query_is_named_with_its_code(meter: Rig) -> None:
    with pytest.raises(RefusedError, match="-113"):
        await meter.do(meter.driver._dmm.ask, ":NONSENSE?", "a nonsense")


async def test_a_model_that_is_aborted_at_the_front_panel_is_no_capture(meter: Rig) -> None:
    await meter.do(meter.driver.configure_capture, BUS)
    await meter.do(meter.driver.arm)
    await meter.do(meter.driver._dmm.link.write, ":ABOR")
    with pytest.raises(RefusedError, match="aborted"):
        await meter.do(meter.driver.captured)


async def test_making_safe_ends_the_trigger_model(meter: Rig) -> None:
    await meter.do(meter.driver.configure_capture, BUS)
    await meter.do(meter.driver.arm)
    await meter.do(meter.driver.make_safe)
    assert not meter.persona.model.running  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (CaptureSetup(2e-3, 100, 10, 0.1, 20.0, fire_dut=False), "sample rate is 500 readings/s, allowed is 1000 to 1e+06"),
        (CaptureSetup(1 / 64_000, 100, 10, 0.1, 20.0, fire_dut=False), "not whole microseconds"),
        (CaptureSetup(3.1e-6, 100, 10, 0.1, 20.0, fire_dut=False), "not whole microseconds"),
        (CaptureSetup(1e-5, 100, 10, 0.1, 20.0, fire_dut=False, with_marker=True), "no input for a marker"),
        (CaptureSetup(1e-5, 5, 1, 0.1, 20.0, fire_dut=False), "points is 5 readings"),
        (CaptureSetup(1e-5, 100, 100, 0.1, 20.0, fire_dut=False), "pre-trigger is 100 points"),
        (CaptureSetup(1e-5, 100, 10, 0.1, 20.0, fire_dut=False, count=3), "serves 1"),
        (CaptureSetup(1e-5, 100, 10, None, 20.0, fire_dut=False), "fixed ranges only"),
        (CaptureSetup(1e-5, 100, 10, 11.0, 20.0, fire_dut=False), "current range is 11 A"),
    ],
)
async def test_it_refuses_what_it_cannot_capture(meter: Rig, setup: CaptureSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        await meter.do(meter.driver.configure_capture, setup)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(("aperture_s", "nplc"), [(0.3, "15"), (9e-6, "0.00045")])
async def test_it_refuses_an_aperture_that_it_has_not(meter: Rig, aperture_s: float, nplc: str) -> None:
    with pytest.raises(OutOfRangeError, match=f"aperture is {nplc} power line cycles"):
        await meter.do(meter.driver.configure_mean, MeanSetup(aperture_s, 0.1, 20.0))


async def test_the_front_terminals_have_no_10_a_range(bench: Bench) -> None:
    persona = keithley_dmm6500.create(bench.setup(options={"terminals": "front"}, accuracy=EXACT))
    async with rig("keithley_dmm6500", persona, bench, terminals="front") as made:
        with pytest.raises(OutOfRangeError, match="front terminals"):
            await made.do(made.driver.configure_capture, CaptureSetup(1e-5, 100, 10, 5.0, 20.0, fire_dut=False))
        with pytest.raises(OutOfRangeError, match="needs option fire_output"):
            await made.do(made.driver.configure_capture, CaptureSetup(1e-5, 100, 10, 1.0, 20.0, fire_dut=True))


async def test_a_dmm7510_is_driven_too_and_not_taken_for_a_dmm6500(bench: Bench) -> None:
    persona = keithley_dmm6500.create(bench.setup(options={"model": "DMM7510"}, accuracy=EXACT))
    async with rig("keithley_dmm6500", persona, bench, model="DMM7510", timeout_s=1.0) as made:
        _, block = await capture(made, BUS)
        assert block.current == pytest.approx(np.full(200, 10e-3))
        await made.do(made.driver.configure_mean, MeanSetup(0.02, 0.01, 20.0))
        assert (await made.do(made.driver.read_mean)).current_a == pytest.approx(10e-3, rel=1e-6)
        with pytest.raises(WrongInstrumentError, match="DMM7510, wanted is a Keithley DMM6500"):
            await made.do(open_driver, "keithley_dmm6500", "dmm", made.resource, {})


async def test_nothing_is_known_of_its_accuracy_until_somebody_declares_it(meter: Rig) -> None:
    assert meter.driver.accuracy().rows == ()
    row = AccuracyRow("current", 0.1, 5e-4, 10e-6, 1e-6, "certificate 4711")
    driver = await meter.do(lambda: open_driver("keithley_dmm6500", "dmm", meter.resource, {}, (row,)))
    try:
        limit = driver.accuracy().limit("current", 0.1, 1e-5)
        assert limit is not None
        assert (limit.gain, limit.offset) == (5e-4, 10e-6)
        assert driver.accuracy().limit("current", 0.1, 0.5e-6) is None
        assert driver.accuracy().limit("current", 1.0, 1e-5) is None
    finally:
        await meter.do(driver.close)


async def answers(trap: str) -> tuple[float, float]:
    """Mean currents of a capture and of a reading."""
    bench = Bench(load=((0, 10e-3),))
    setup = bench.setup(options=WIRED.options, wires=WIRED.wires, accuracy=EXACT, trap=trap)
    async with rig("keithley_dmm6500", keithley_dmm6500.create(setup), bench, **WIRED.options) as made:
        _, block = await capture(made, BUS)
        await made.do(made.driver.configure_mean, MeanSetup(0.1, 0.1, 20.0))
        await made.do(made.driver.zero)
        return float(np.mean(block.current)), (await made.do(made.driver.read_mean)).current_a


@pytest.mark.parametrize("trap", keithley_dmm6500.TRAPS)
async def test_a_trap_is_found_by_name(trap: str) -> None:
    error, says = FOUND_BY[trap]
    with pytest.raises(error, match=says):
        await answers(trap)


async def test_without_a_trap_all_is_well() -> None:
    assert await answers("") == pytest.approx((10e-3, 10e-3), rel=1e-6)


async def test_a_range_that_somebody_changes_between_readings_is_found() -> None:
    bench = Bench(load=((0, 10e-3),))
    persona = keithley_dmm6500.create(bench.setup(accuracy=EXACT, trap="range"))
    async with rig("keithley_dmm6500", persona, bench) as made:
        await made.do(made.driver.configure_mean, MeanSetup(0.1, 0.1, 20.0))
        with pytest.raises(ReadBackError, match="auto range"):
            await made.do(made.driver.read_mean)


async def test_a_reading_above_the_range_is_no_number() -> None:
    bench = Bench(load=((0, 10e-3),))
    persona = keithley_dmm6500.create(bench.setup(accuracy=EXACT, trap="overflow"))
    async with rig("keithley_dmm6500", persona, bench) as made:
        await made.do(made.driver.configure_mean, MeanSetup(0.1, 0.1, 20.0))
        with pytest.raises(SentinelError, match=r"9\.9"):
            await made.do(made.driver.read_mean)
