"""The WT310E driver through a real socket against the virtual meter, which was written from the manual by somebody else."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from labd_instruments.checks import Clock
from labd_instruments.contract import Evidence, MeanSetup, Reading
from labd_instruments.errors import InstrumentError, OutOfRangeError, ReadBackError, RefusedError, SentinelError, WrongInstrumentError
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import info, open_driver
from labd_virtual.instruments import yokogawa_wt310e
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Hesitant, Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

WIRED = Wired(
    options={"timeout_s": 1.0},
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


async def test_a_steady_mean_of_power_is_read(meter: Rig) -> None:
    await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
    await meter.do(meter.driver.zero)
    meter.bench.clock.pass_s(0.5)
    reading = await meter.next_mean()
    assert reading.power_w == pytest.approx(0.03, rel=0.01)
    assert reading.voltage_v == pytest.approx(3.0, rel=0.01)


async def test_an_update_is_not_handed_on_twice(meter: Rig) -> None:
    await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
    meter.bench.clock.pass_s(0.5)
    await meter.next_mean()
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(1.0)
    assert (await meter.next_mean()).power_w == pytest.approx(0.036, rel=0.01)


async def test_an_update_that_ends_while_it_is_looked_for_is_not_handed_on_twice() -> None:
    """Each tenth of a second has a current of its own."""
    on = Bench(load=tuple((k * 100_000_000, (10 + k) * 1e-4) for k in range(60)))
    async with rig("yokogawa_wt310e", yokogawa_wt310e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
        link = meter.driver._link = Hesitant(meter.driver._link, on.clock)
        found: list[float] = []
        for look in range(24):
            link.hesitates |= look in (9, 16)
            if (reading := await meter.do(meter.driver.read_mean)) is not None:
                found.append(round(reading.current_a, 6))
            on.clock.pass_s(0.05)
    assert len(found) > 6
    assert found == sorted(set(found))


async def test_a_reading_from_before_a_zero_or_a_changed_range_is_never_handed_on(meter: Rig) -> None:
    """Whatever is shown or latched then: it takes two whole updates until a reading is wholly from after the change."""
    await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
    meter.bench.clock.pass_s(0.5)
    await meter.next_mean()
    for change in ((meter.driver.zero,), (meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))):
        meter.bench.clock.pass_s(0.3)  # an update is shown, and latched
        await meter.do(*change)
        assert await meter.do(meter.driver.read_mean) is None
        meter.bench.clock.pass_s(0.19)
        assert await meter.do(meter.driver.read_mean) is None
        meter.bench.clock.pass_s(0.11)
        assert await meter.do(meter.driver.read_mean) is not None


BURSTS = tuple(step for k in range(60) for step in ((k * 100_000_000, 0.2), (k * 100_000_000 + 1_000_000, 0.0)))
"""1 % of the time ten times the range."""


@pytest.mark.parametrize("new_data", ["values", "register"])
async def test_peaks_beyond_what_a_range_holds_are_no_number(new_data: str) -> None:
    on = Bench(load=BURSTS)
    async with rig("yokogawa_wt310e", yokogawa_wt310e.create(on.setup(accuracy=EXACT)), on, new_data=new_data) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.5, 0.02, 15.0))
        with pytest.raises(SentinelError, match="peaks of the current beyond its range were cut off"):
            await meter.next_mean(step_s=0.25)
        await meter.do(meter.driver.configure_mean, MeanSetup(0.5, 0.1, 15.0))
        assert (await meter.next_mean(step_s=0.25)).current_a == pytest.approx(2e-3, rel=1e-3)


async def test_a_peak_that_was_over_long_before_a_look_costs_one_update_and_no_more() -> None:
    """Of which update it was cannot be told then."""
    on = Bench(load=((0, 10e-3), (600_000_000, 0.2), (601_000_000, 10e-3)))
    async with rig("yokogawa_wt310e", yokogawa_wt310e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
        on.clock.pass_s(0.45)
        await meter.next_mean()
        on.clock.pass_s(1.0)
        assert await meter.do(meter.driver.read_mean) is None
        assert (await meter.next_mean()).current_a == pytest.approx(10e-3, rel=1e-3)


FOUND_AS: Mapping[str, type[InstrumentError]] = {
    "leaves_range": ReadBackError,
    "no_data": SentinelError,
    "over_range": SentinelError,
    "null": ReadBackError,
    "averaging": ReadBackError,
    "scaling": ReadBackError,
    "max_hold": ReadBackError,
    "peak_over": SentinelError,
}


@pytest.mark.parametrize("trap", yokogawa_wt310e.TRAPS)
async def test_a_trap_is_found_by_its_name_and_gives_no_number(trap: str) -> None:
    with pytest.raises(FOUND_AS[trap]):
        await measured(trap)


async def measured(trap: str) -> Reading:
    """The last of some readings, between which a key can be pressed."""
    on = Bench(load=((0, 10e-3),))
    async with rig("yokogawa_wt310e", yokogawa_wt310e.create(on.setup(accuracy=EXACT, trap=trap)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.02, 15.0))
        for _ in range(4):
            reading = await meter.next_mean()
        return reading


async def test_without_a_trap_all_is_well() -> None:
    assert (await measured("")).current_a == pytest.approx(10e-3, rel=1e-5)


async def test_an_unknown_command_is_named_with_its_code(meter: Rig) -> None:
    await meter.do(meter.driver._link.write, ":NONSENSE 1")
    with pytest.raises(RefusedError, match="113"):
        await meter.do(meter.driver.check_errors, "a nonsense")


@pytest.mark.parametrize("element", [2, 3])
async def test_each_element_of_a_larger_one_is_read_by_its_number(bench: Bench, element: int) -> None:
    options: dict[str, Any] = {"element": element, "timeout_s": 1.0}
    persona = yokogawa_wt310e.create(bench.setup(options=options, accuracy=EXACT))
    async with rig("yokogawa_wt310e", persona, bench, **options) as made:
        assert made.driver.current_ranges_a == (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
        taken = await made.do(made.driver.configure_mean, MeanSetup(0.1, 0.5, 15.0))
        made.bench.clock.pass_s(0.5)
        reading = await made.next_mean()
    assert (reading.current_a, reading.power_w) == pytest.approx((0.01, 0.03), rel=0.01)
    assert taken.settings["element"] == str(element)


def scripted(model: str, options: dict[str, object] | None = None, rest: str = "") -> Any:
    link = ScriptedLink.from_text(f"> *IDN?\n< YOKOGAWA,{model},C3UK12345,F1.04\n{rest}")
    settled = Clock("a clock that is far on at each look", map(float, itertools.count(0, 100)).__next__, 0.0)
    return open_driver("yokogawa_wt310e", "meter", "SCRIPT", options or {}, link=link, clock=settled)


@pytest.mark.parametrize(
    ("model", "full_scale", "reading", "limit"),
    [
        ("WT310E-C1-EX1/C7", 0.3, 0.03, 0.00063),  # 15 V x 20 mA: 0.1 % of 30 mW + 0.2 % of 300 mW
        ("WT310E", 0.075, 0.03, 0.00018),  # 15 V x 5 mA
        ("WT310EH-C1", 15.0, 10.0, 0.06),  # 15 V x 1 A: 0.3 % + 0.2 %
        ("WT332E", 7.5, 5.0, 0.02),  # 15 V x 0.5 A
        ("WT333E", 24000.0, 600.0, None),  # only a WT310EH has 40 A
        ("WT310EH", 24000.0, 600.0, 49.8),
    ],
)
def test_limits_of_error_are_those_of_each_model(model: str, full_scale: float, reading: float, limit: float | None) -> None:
    found = scripted(model).accuracy().limit("power", full_scale, 0.1)
    assert (None if found is None else found.gain * reading + found.offset) == (None if limit is None else pytest.approx(limit))
    assert scripted(model).accuracy().limit("power", full_scale, 0.05) is None, "shorter than its shortest update"


@pytest.mark.parametrize(("model", "ampere"), [("WT310E", 40.0), ("WT310EH", 0.02), ("WT332E", 0.2), ("WT333E", 40.0)])
def test_a_range_of_another_model_is_refused_before_anything_is_sent(model: str, ampere: float) -> None:
    with pytest.raises(OutOfRangeError, match=f"current range is {ampere:g} A, a {model} has "):
        scripted(model).configure_mean(MeanSetup(0.1, ampere, 15.0))


@pytest.mark.parametrize(("model", "element", "has"), [("WT310E", 2, 1), ("WT310EH", 2, 1), ("WT332E", 3, 2)])
def test_an_element_that_the_model_has_not_is_refused(model: str, element: int, has: int) -> None:
    with pytest.raises(OutOfRangeError, match=f"option element is {element}, a {model} has {has}"):
        scripted(model, {"element": element})


@pytest.mark.parametrize("model", ["WT310", "WT332", "WT500", "WT1804E", "WT5000"])
def test_a_relative_is_another_instrument(model: str) -> None:
    with pytest.raises(WrongInstrumentError, match=model):
        scripted(model)


def test_the_finite_marks_of_other_models_are_no_numbers_either() -> None:
    set_up = ':INP:VOLT:RANG 15\n> :INP:CURR:RANG 1A\n> :RATE 1S\n> :STAT:ERR?\n< 0,"No error"'
    ranges = (
        "> :INP:VOLT:RANG?;:INP:CURR:RANG?;:RATE?;:INP:MODE?;:INP:VOLT:AUTO?;:INP:CURR:AUTO?;:INP:NULL?;:INP:SCAL?;:MEAS:AVER:STATE?;"
        ":MEAS:MHOL?;:INP:FILT:LINE?;:INP:FILT:FREQ?;:INP:CFAC?\n< 15;1;1;DC;0;0;0;0;0;0;0;0;3"
    )
    driver = scripted(
        "WT333E",
        {"new_data": "values"},
        f"> {set_up}\n{ranges}\n> :STAT:EESR?\n< 0\n> :NUM:NORM:VAL?\n<b f4 3 9.91e37 9.9e37\n> :STAT:EESR?\n< 0\n{ranges}",
    )
    driver.configure_mean(MeanSetup(1.0, 1.0, 15.0))
    with pytest.raises(SentinelError):
        driver.read_mean()


def test_its_commands_are_those_of_published_drivers() -> None:
    assert info("yokogawa_wt310e").evidence is Evidence.BY_INDEPENDENT_DRIVER
