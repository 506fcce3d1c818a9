"""The interlock on every virtual source whose sense leads are wrong: what its terminals are driven to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TypeVar

import pytest

from labd.bench.clock import Pace
from labd.bench.interlock import Interlock, Limits
from labd.errors import InstrumentFailure, SafetyRefusal
from labd_instruments.checks import HOST_CLOCK
from labd_instruments.contract import ProtectionLevels
from labd_instruments.errors import InstrumentError
from labd_virtual.persona import Persona
from tests.bench.role_benches import feeding
from tests.instruments.asked import wired
from tests.instruments.virtual_rig import rig
from tests.virtual.persona_fakes import Bench

T = TypeVar("T")
SENSING = ("keithley_2400", "keithley_2450", "keithley_2600b", "keysight_b2900", "keysight_n6705c", "rohde_schwarz_ngu")


class Threaded:
    async def call(self, function: Callable[..., T], /, *args: object) -> T:
        try:
            return await asyncio.to_thread(function, *args)
        except InstrumentError as error:
            raise InstrumentFailure(str(error)) from error


@dataclass(slots=True)
class BenchTime:
    """labd's clock on the bench's own."""

    bench: Bench
    stepped: bool = True
    for_drivers = HOST_CLOCK

    async def sleep(self, seconds: float) -> None:
        self.bench.clock.pass_s(seconds)

    async def pace(self) -> Pace:
        return Pace()

    @asynccontextmanager
    async def frozen(self) -> AsyncIterator[None]:
        yield


def virtual(driver: str, bench: Bench, fault: str, **options: object) -> Persona:
    create: Callable[..., Persona] = import_module(f"labd_virtual.instruments.{driver}").create
    return create(bench.setup(options=options, sense_fault=fault))


def driven_v(bench: Bench) -> float:
    return max((emf_v for _, emf_v, _, _, connected in bench.node.drives if connected), default=0.0)


def limits(driver: str, limit_v: float) -> Limits:
    sinks = wired(driver).sinks
    return Limits(limit_v, 0.1, 5.0, 0.1, 5e-3, 60.0, 0.2, 1.0, sinking_off=sinks, where="bench.toml")


def test_every_source_with_sense_leads_is_asked_below() -> None:
    assert set(SENSING) == set(feeding()) - {"nordic_ppk2", "st_lpm01a", "qoitech_otii"}, "two have no sense leads, one begins at 0.5 V"


@pytest.mark.parametrize(("limit_v", "fault"), [(1.3, "open"), (1.9, "open"), (1.9, "swapped"), (3.6, "open")])
@pytest.mark.parametrize("driver", SENSING)
async def test_wrong_sense_leads_never_take_the_dut_beyond_its_limit(driver: str, limit_v: float, fault: str) -> None:
    bench = Bench(volts=0.0)
    options = dict(wired(driver).options) | {"timeout_s": 5.0}
    persona = virtual(driver, bench, fault, **options)
    async with rig(driver, persona, bench, **options) as made:
        lock = Interlock(made.driver, Threaded(), limits(driver, limit_v), clock=BenchTime(bench), remote_sense=True)
        with pytest.raises(SafetyRefusal, match=r"remote sense refused|remote-sense test failed"):
            await lock.power_up(1.2, [])
        await lock.power_down()
        assert not persona.output_on()
    assert driven_v(bench) <= limit_v * 1.001


@pytest.mark.parametrize("fault", ["open", "swapped"])
@pytest.mark.parametrize("driver", SENSING)
async def test_a_lead_that_opens_takes_the_output_no_further_than_the_driver_tells(driver: str, fault: str) -> None:
    bench = Bench(volts=0.0)
    options = dict(wired(driver).options) | {"timeout_s": 5.0}
    async with rig(driver, virtual(driver, bench, fault, **options), bench, **options) as made:
        source = made.driver
        held: ProtectionLevels = await asyncio.to_thread(source.protect, ProtectionLevels(3.6, 0.1))
        await asyncio.to_thread(source.set_remote_sense, True)
        await asyncio.to_thread(source.set_voltage, 3.0)
        with suppress(InstrumentError):  # its protection may trip at once
            await asyncio.to_thread(source.set_output, True)
        most_v = source.source_limits.voltage_v if held.open_lead_v is None else held.open_lead_v
        assert 3.0 <= driven_v(bench) <= max(most_v, (held.swapped_leads_v or 0.0) if fault == "swapped" else 0.0) * 1.001
        await asyncio.to_thread(source.make_safe)


@pytest.mark.parametrize(
    ("driver", "model", "limit_v", "complaint", "most_v"),
    [
        ("keithley_2400", "2400", 3.6, "up to 20 V, where its over-voltage protection acts", 0.0),
        ("keithley_2450", "2470", 3.6, "up to 20 V, where its over-voltage protection acts", 0.0),
        ("keithley_2450", "2450", 1.3, "up to 2 V", 0.0),
        ("keithley_2450", "2450", 3.6, "up to 5 V", 0.0),  # the step of the test would do, that of the run does not
        ("keithley_2450", "2450", 5.0, "remote-sense test failed", 2.0),
        ("keithley_2600b", "2602B", 3.6, "up to 40 V, the most it has: nothing known holds it below", 0.0),
        ("keysight_b2900", "B2901A", 3.6, "up to 210 V, the most it has: nothing known holds it below", 0.0),
        ("rohde_schwarz_ngu", "NGU201", 3.6, "up to 20 V, the most it has: nothing known holds it below", 0.0),
        ("keysight_n6705c", "N6705C", 1.3, r"wrong when they are tested, the source may drive the DUT up to 2\.5 V", 0.0),
        ("keysight_n6705c", "N6705C", 3.6, "remote-sense test failed", 1.0),
    ],
)
async def test_why_sense_leads_are_refused_or_found_wrong(driver: str, model: str, limit_v: float, complaint: str, most_v: float) -> None:
    bench = Bench(volts=0.0)
    options = dict(wired(driver).options) | {"timeout_s": 5.0}
    chosen = options | ({"model": model} if driver in ("keithley_2400", "keithley_2450") else {})
    persona = virtual(driver, bench, "open", **chosen)
    async with rig(driver, persona, bench, **options) as made:
        lock = Interlock(made.driver, Threaded(), limits(driver, limit_v), clock=BenchTime(bench), remote_sense=True)
        with pytest.raises(SafetyRefusal, match=complaint):
            await lock.power_up(1.2, [])
    assert driven_v(bench) == pytest.approx(most_v)
