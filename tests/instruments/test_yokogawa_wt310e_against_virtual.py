"""The WT310E driver through a real socket against the virtual meter, which was written from the manual by somebody else."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from labd_instruments.contract import MeanSetup, Reading
from labd_instruments.errors import RefusedError
from labd_virtual.instruments import yokogawa_wt310e
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

WIRED = Wired(
    options={"new_data": "register", "timeout_s": 1.0},
    wires={},
    current_range_a=0.02,
    voltage_range_v=15.0,
    tables={
        "current": (5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0),
        "voltage": (15.0, 30.0, 60.0, 150.0, 300.0, 600.0),
        "power": (15.0 * 0.02,),
    },
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 10e-3), (1_000_000_000, 12e-3)), interface=interface)


@pytest.fixture(params=["values", "register"])
async def meter(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    persona = yokogawa_wt310e.create(bench.setup(accuracy=EXACT))
    async with rig("yokogawa_wt310e", persona, bench, new_data=request.param, timeout_s=1.0) as made:
        yield made


async def next_reading(meter: Rig) -> Reading:
    for _ in range(100):
        reading: Reading | None = await meter.do(meter.driver.read_mean)
        if reading is not None:
            return reading
        meter.bench.clock.pass_s(0.02)
    raise AssertionError("no new update in 2 s of bench time")


async def test_a_steady_mean_of_power_is_read(meter: Rig) -> None:
    await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
    await meter.do(meter.driver.zero)
    meter.bench.clock.pass_s(0.5)
    reading = await next_reading(meter)
    assert reading.power_w == pytest.approx(0.03, rel=0.01)
    assert reading.voltage_v == pytest.approx(3.0, rel=0.01)


async def test_an_update_is_not_handed_on_twice(meter: Rig) -> None:
    await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
    meter.bench.clock.pass_s(0.5)
    await next_reading(meter)
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(1.0)
    assert (await next_reading(meter)).power_w == pytest.approx(0.036, rel=0.01)


async def test_an_unknown_command_is_named_with_its_code(meter: Rig) -> None:
    await meter.do(meter.driver._link.write, ":NONSENSE 1")
    with pytest.raises(RefusedError, match="113"):
        await meter.do(meter.driver.check_errors, "a nonsense")
