"""The 2461 driver through a real socket against the virtual instrument, which was written from the manual by somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from labd_instruments import loader
from labd_instruments.block import BlockFlag
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels
from labd_instruments.errors import OutputNotOffError, RefusedError
from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_2450
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

MS = 1_000_000
WIRED = Wired(
    options={"fire_line": 2, "timeout_s": 1.0},
    wires={"fire": "TRIG", "line2": "TRIG"},
    current_range_a=0.1,
    voltage_range_v=20.0,
    tables={
        "current": (1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 4.0, 5.0, 7.0),
        "voltage": (0.2, 2.0, 7.0, 10.0, 20.0, 100.0),
    },
    capture_dt_s=1e-5,
    fires=True,
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 1e-3), (900 * MS, 20e-3)), interface=interface)


@pytest.fixture
async def k2450(bench: Bench) -> AsyncIterator[Rig]:
    persona = keithley_2450.create(
        bench.setup(options={"fire_line": 2, "trigger_line": 1}, wires={"fire": "TRIG", "line2": "TRIG", "line1": "MARK"}, accuracy=EXACT)
    )
    async with rig("keithley_2450", persona, bench, fire_line=2, trigger_line=1, voltage_readback=True, timeout_s=1.0) as made:
        yield made


async def power_on(k2450: Rig) -> None:
    driver = k2450.driver
    await k2450.do(driver.set_voltage, 0.0)
    await k2450.do(driver.set_off_mode, True)
    await k2450.do(driver.set_remote_sense, True)
    await k2450.do(driver.protect, ProtectionLevels(1.0, 0.15))
    await k2450.do(driver.protect, ProtectionLevels(3.6, 0.15))
    await k2450.do(driver.set_voltage, 3.0)
    await k2450.do(driver.set_output, True)


async def test_the_output_is_switched_on_measured_and_switched_off_verified(k2450: Rig) -> None:
    await power_on(k2450)
    reading = await k2450.do(k2450.driver.measure_output)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-3)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-3)
    assert await k2450.do(k2450.driver.tripped) is None
    await k2450.do(k2450.driver.make_safe)
    assert not k2450.persona.output_on()


async def test_voltage_can_be_read_with_the_output_off(k2450: Rig) -> None:
    await power_on(k2450)
    await k2450.do(k2450.driver.set_output, False)
    assert abs((await k2450.do(k2450.driver.measure_output)).voltage_v) < 4.0


async def test_the_smu_fires_the_dut_after_the_pretrigger_readings(k2450: Rig) -> None:
    driver, bench = k2450.driver, k2450.bench
    await power_on(k2450)
    setup = CaptureSetup(1e-5, 1000, 200, 0.1, 20.0, fire_dut=True)
    taken = await k2450.do(driver.configure_capture, setup)
    assert taken.dt_ns == 10_000
    for _ in range(2):
        await k2450.do(driver.arm)
        bench.pins.driven.clear()
        began_ns = bench.clock.now_ns()
        await k2450.do(driver.fire)
        while not await k2450.do(driver.captured):
            pass
        (block,) = await k2450.do(driver.fetch)
        assert len(block) == 1000
        assert block.t0_ns == -200 * 10_000
        assert block.voltage is not None
        risen = [t for t, pin, level in bench.pins.driven if pin == "TRIG" and level == 1]
        assert len(risen) == 1
        assert risen[0] - began_ns >= 200 * 10_000


async def test_an_edge_of_the_dut_lies_at_the_pretrigger(k2450: Rig) -> None:
    driver, bench = k2450.driver, k2450.bench
    await power_on(k2450)
    await k2450.do(driver.configure_capture, CaptureSetup(1e-4, 1000, 250, 0.1, 20.0, fire_dut=False))
    await k2450.do(driver.arm)
    event_ns = bench.clock.now_ns() + 35 * MS
    bench.node.load = ((0, 1e-3), (event_ns, 20e-3))
    bench.pins.scripted["MARK"] = [Edge(event_ns, 1)]
    bench.clock.pass_s(0.5)
    while not await k2450.do(driver.captured):
        bench.clock.pass_s(0.01)
    (block,) = await k2450.do(driver.fetch)
    step = int(np.argmax(block.current > 10e-3))
    assert len(block) == 1000
    assert abs(step - 250) <= 1


async def test_a_low_range_says_what_it_clamps_and_flags_what_it_clips(k2450: Rig) -> None:
    driver = k2450.driver
    await power_on(k2450)
    taken = await k2450.do(driver.configure_capture, CaptureSetup(1e-4, 100, 10, 1e-4, 20.0, fire_dut=True))
    assert float(taken.settings["output_clamp_a"]) == pytest.approx(105e-6)
    await k2450.do(driver.arm)
    await k2450.do(driver.fire)
    while not await k2450.do(driver.captured):
        pass
    (block,) = await k2450.do(driver.fetch)
    assert block.flags & (BlockFlag.CLIPPED | BlockFlag.OVER_RANGE)


async def test_a_mean_over_whole_line_cycles(k2450: Rig) -> None:
    driver = k2450.driver
    await power_on(k2450)
    await k2450.do(driver.configure_mean, MeanSetup(0.02, 0.01, 20.0))
    await k2450.do(driver.zero)
    reading = await k2450.do(driver.read_mean)
    assert reading.current_a == pytest.approx(1e-3, rel=1e-2)
    assert reading.voltage_v == pytest.approx(3.0, rel=1e-3)


async def test_a_refused_query_is_named_with_its_code(k2450: Rig) -> None:
    with pytest.raises(RefusedError, match="-113"):
        await k2450.do(k2450.driver._smu.ask, ":NONSENSE?", "a nonsense")


async def test_panic_off_switches_off_while_the_measuring_session_hangs(k2450: Rig) -> None:
    await power_on(k2450)
    k2450.persona.hang(True)
    await k2450.do(loader.panic_off, "keithley_2450", k2450.resource)
    assert not k2450.persona.output_on()


async def test_an_output_that_cannot_be_switched_off_is_said_so(k2450: Rig) -> None:
    await k2450.persona.close()
    with pytest.raises(OutputNotOffError, match="could not be switched off"):
        await k2450.do(k2450.driver.make_safe)
