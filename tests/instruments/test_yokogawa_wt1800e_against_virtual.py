"""The WT1800E driver over VXI-11 against the virtual analyzer, and what it does with replies that are wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from labd_instruments.checks import Clock
from labd_instruments.contract import MeanSetup, Reading
from labd_instruments.errors import (
    InstrumentError,
    OutOfRangeError,
    ReadBackError,
    RefusedError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver
from labd_virtual.instruments import yokogawa_wt1800e
from tests.instruments.virtual_rig import Hesitant, Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

WIRED = Wired(
    options={"element": 1, "timeout_s": 1.0},
    wires={},
    current_range_a=0.02,
    voltage_range_v=3.0,
    tables={
        "current": (10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0),
        "voltage": (1.5, 3.0, 6.0, 10.0, 15.0, 30.0, 60.0),
        "power": (3.0 * 0.02, 3.0 * 0.05),
    },
    interfaces=("vxi11",),
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
MEAN = MeanSetup(0.1, 0.02, 3.0)
FOUND_AS: Mapping[str, type[InstrumentError]] = {
    "no_data": SentinelError,
    "over_range": SentinelError,
    "peak_over": SentinelError,
    "held": ReplyError,
    "auto_range": ReadBackError,
    "external": ReadBackError,
    "scaling": ReadBackError,
    "averaging": ReadBackError,
    "null": ReadBackError,
    "integrating": RefusedError,
}


def bench(load: tuple[tuple[int, float], ...] = ((0, 10e-3), (1_000_000_000, 12e-3))) -> Bench:
    return Bench(load=load, interface="vxi11")


@pytest.fixture(params=[1, 4])
async def meter(request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A WT1801E, the last element of a WT1804E."""
    options: dict[str, Any] = {"element": request.param, "timeout_s": 1.0}
    on = bench()
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(options=options, accuracy=EXACT)), on, **options) as made:
        yield made


async def test_a_steady_mean_of_power_is_read(meter: Rig) -> None:
    taken = await meter.do(meter.driver.configure_mean, MEAN)
    await meter.do(meter.driver.zero)
    reading = await meter.next_mean()  # the current has changed while its zero was calibrated
    assert (reading.current_a, reading.voltage_v, reading.power_w) == pytest.approx((0.012, 3.0, 0.036), rel=1e-5)
    assert (taken.dt_ns, taken.aperture_s, taken.current_range_a, taken.voltage_range_v) == (100_000_000, 0.1, 0.02, 3.0)


async def test_no_reading_holds_what_flowed_before_its_set_up_nor_comes_twice(meter: Rig) -> None:
    meter.bench.clock.pass_s(0.95)
    await meter.do(meter.driver.configure_mean, MEAN)
    assert (await meter.next_mean()).current_a == pytest.approx(0.012, rel=1e-5)
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(0.1)
    assert (await meter.next_mean()).power_w == pytest.approx(0.036, rel=1e-5)


async def test_an_update_that_ends_while_it_is_looked_for_is_not_handed_on_twice() -> None:
    """Each tenth of a second has a current of its own."""
    on = bench(tuple((k * 100_000_000, (10 + k) * 1e-4) for k in range(60)))
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        link = meter.driver._link = Hesitant(meter.driver._link, on.clock)
        found: list[float] = []
        for look in range(24):
            link.hesitates |= look in (9, 16)
            if (reading := await meter.do(meter.driver.read_mean)) is not None:
                found.append(round(reading.current_a, 6))
            on.clock.pass_s(0.05)
    assert len(found) > 6
    assert found == sorted(set(found))


async def test_a_changing_current_is_read_as_its_mean_and_not_as_its_effective_value() -> None:
    on = bench(tuple((k * 20_000_000, 0.0 if k % 2 else 20e-3) for k in range(200)))
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.2, 0.02, 3.0))
        assert (await meter.next_mean()).current_a == pytest.approx(10e-3, rel=1e-5)


async def test_a_wt500_has_other_ranges_and_intervals() -> None:
    on = bench(((0, 0.4),))
    table = rows({"current": ((0.5, 0.0, 0.0),), "voltage": ((15.0, 0.0, 0.0),)})
    persona = yokogawa_wt1800e.WT1800E(on.setup(options={"element": 2}, accuracy=table), "760203")
    async with rig("yokogawa_wt1800e", persona, on, element=2) as meter:
        assert (meter.driver.current_ranges_a[0], meter.driver.voltage_ranges_v[0]) == (0.5, 15.0)
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.5, 15.0))
        assert (await meter.next_mean()).power_w == pytest.approx(1.2, rel=1e-5)
        with pytest.raises(OutOfRangeError, match=r"update interval is 0\.05 s, it has 0\.1, "):
            await meter.do(meter.driver.configure_mean, MeanSetup(0.05, 0.5, 15.0))


async def test_ranges_are_those_of_the_element_that_is_built_in() -> None:
    on = bench()
    persona = yokogawa_wt1800e.WT1800E(on.setup(accuracy=EXACT), "WT1801E", module=50)
    async with rig("yokogawa_wt1800e", persona, on) as meter:
        assert meter.driver.current_ranges_a == (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
        with pytest.raises(OutOfRangeError, match=r"current range is 0\.02 A, it has 1, 2"):
            await meter.do(meter.driver.configure_mean, MEAN)


async def test_peaks_beyond_what_a_range_holds_are_no_number() -> None:
    on = bench(tuple((k * 1_000_000, 0.1 if k % 25 == 0 else 5e-3) for k in range(250)))
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.05, 0.02, 3.0))
        with pytest.raises(SentinelError, match="peaks beyond a range were cut off"):
            await meter.next_mean()


async def test_short_peaks_in_a_long_update_are_no_number() -> None:
    on = bench(tuple(step for k in range(60) for step in ((k * 100_000_000, 0.2), (k * 100_000_000 + 1_000_000, 0.0))))
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.5, 0.02, 3.0))
        with pytest.raises(SentinelError, match="peaks beyond a range were cut off"):
            await meter.next_mean()


@pytest.mark.parametrize("update_s", [0.05, 0.1])
async def test_a_zero_calibration_that_takes_longer_than_updates_may_cease_is_no_hold(update_s: float) -> None:
    on = bench(((0, 10e-3),))
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(accuracy=EXACT)), on) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(update_s, 0.02, 3.0))
        await meter.do(meter.driver.zero)
        assert await meter.do(meter.driver.read_mean) is None
        assert (await meter.next_mean()).current_a == pytest.approx(10e-3, rel=1e-5)


@pytest.mark.parametrize("trap", yokogawa_wt1800e.TRAPS)
async def test_a_trap_is_found_by_its_name_and_gives_no_number(trap: str) -> None:
    with pytest.raises(FOUND_AS[trap]):
        await measured(trap)


async def test_without_a_trap_all_is_well() -> None:
    assert (await measured("")).current_a == pytest.approx(10e-3, rel=1e-5)


async def measured(trap: str) -> Reading:
    """The last of some readings, between which a key can be pressed."""
    on = bench(((0, 10e-3),))
    async with rig("yokogawa_wt1800e", yokogawa_wt1800e.create(on.setup(accuracy=EXACT, trap=trap)), on, timeout_s=1.0) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        for _ in range(4):
            reading = await meter.next_mean()
        return reading


async def test_an_unknown_command_is_named_with_its_code(meter: Rig) -> None:
    await meter.do(meter.driver._link.write, ":NONSENSE 1")
    with pytest.raises(RefusedError, match="113"):
        await meter.do(meter.driver.check_errors, "a nonsense")


# --- what is refused


def scripted(identity: str = "YOKOGAWA,760203-30,91K123456,F1.01", rest: str = "", clock: Clock | None = None, **options: object) -> Any:
    link = ScriptedLink.from_text(f"> *IDN?\n< {identity}\n{rest}")
    return open_driver("yokogawa_wt1800e", "meter", "SCRIPT", options, link=link, clock=clock or Clock("test clock", lambda: 0.0, 0.0))


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (MeanSetup(0.1, None, 15.0), "current range is automatic, it has 0.5, 1"),
        (MeanSetup(0.1, 0.2, 15.0), "current range is 0.2 A, it has 0.5, 1"),
        (MeanSetup(0.1, 0.5, 3.0), "voltage range is 3 V, it has 15, 30"),
        (MeanSetup(10.0, 0.5, 15.0), "update interval is 10 s, it has 0.1, 0.2"),
    ],
)
def test_what_it_has_not_is_refused_before_anything_is_sent(setup: MeanSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        scripted().configure_mean(setup)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("model", "element", "has"), [("760201-30", 2, 1), ("760203-30", 4, 3), ("WT1802-5A2", 3, 2), ("WT1805E-5A5", 6, 5)]
)
def test_an_element_that_the_model_has_not_is_refused(model: str, element: int, has: int) -> None:
    with pytest.raises(OutOfRangeError, match=f"option element is {element}, a {model} has {has}"):
        scripted(f"YOKOGAWA,{model},1,F1.01", element=element)


@pytest.mark.parametrize("model", ["WT310E", "WT333E", "WT3000", "WT5000", "WT1600", "WT1806E-5A6-EM"])
def test_a_relative_or_one_that_acts_as_one_is_another_instrument(model: str) -> None:
    with pytest.raises(WrongInstrumentError, match=model):
        scripted(f"YOKOGAWA,{model},1,F1.01")


@pytest.mark.parametrize("reply", ["5,50", ":INPUT:MODULE 5,50"])
def test_the_ranges_of_an_element_are_asked_for_with_and_without_headers(reply: str) -> None:
    driver = scripted("YOKOGAWA,WT1802E-5A1-50A1,1,F1.01", f"> :INP:MODU?\n< {reply}\n", element=2)
    assert driver.current_ranges_a == (1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


@pytest.mark.parametrize("reply", ["5,0", "5", "5,30"])
def test_an_element_of_which_no_ranges_are_known_is_refused(reply: str) -> None:
    with pytest.raises(OutOfRangeError, match=r"element 2 of .* is none of 5, 50 A"):
        scripted("YOKOGAWA,WT1802E-5A1-50A1,1,F1.01", f"> :INP:MODU?\n< {reply}\n", element=2)


def test_no_limit_of_error_is_claimed_without_a_document() -> None:
    assert all(scripted().accuracy().limit(quantity, 15.0, 0.1) is None for quantity in ("voltage", "current", "power"))


# --- dialogues

CONFIGURED = """\
> :INP:VOLT:AUTO:ELEM1 OFF
> :INP:VOLT:RANG:ELEM1 15V
> :INP:CURR:AUTO:ELEM1 OFF
> :INP:CURR:RANG:ELEM1 500MA
> :RATE 100MS
> :STAT:ERR?
< 0,"No error"
"""
CHECKED = """\
> :INP:VOLT:AUTO:ELEM1?
< 0
> :INP:CURR:AUTO:ELEM1?
< 0
> :INP:VOLT:RANG:ELEM1?
< 15.0E+00
> :INP:CURR:RANG:ELEM1?
< 500.0E-03
> :INP:SCAL:STAT:ELEM1?
< 0
> :INP:NULL?
< 0
> :MEAS:AVER:STAT?
< 0
> :INP:CFAC?
< 3
> :RATE?
< 100.0E-03
"""
FORGOTTEN = "> :STAT:EESR?\n< 1\n"
SETTLED = f"{FORGOTTEN}> :NUM:NORM:VAL?\n<b f4 3 0.4 1.2\n{FORGOTTEN}{CHECKED}"
DC = MeanSetup(0.1, 0.5, 15.0)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('0,"No error"', '813,"Cannot be set while integration is running"\n> :STAT:ERR?\n< 0,"No error"', RefusedError),
        ("> :INP:CURR:AUTO:ELEM1?\n< 0", "> :INP:CURR:AUTO:ELEM1?\n< 1", ReadBackError),
        ("< 500.0E-03", "< 1.000E+00", ReadBackError),
        ("< 500.0E-03", "< EXT,10.00E+00", ReadBackError),
        ("> :INP:SCAL:STAT:ELEM1?\n< 0", "> :INP:SCAL:STAT:ELEM1?\n< 1", ReadBackError),
        ("> :INP:NULL?\n< 0", "> :INP:NULL?\n< 1", ReadBackError),
        ("> :MEAS:AVER:STAT?\n< 0", "> :MEAS:AVER:STAT?\n< 1", ReadBackError),
        ("> :INP:CFAC?\n< 3", "> :INP:CFAC?\n< 6", ReadBackError),
        ("< 100.0E-03", "< AUTO", ReplyError),
    ],
)
def test_no_setting_that_reads_back_wrong_is_believed(old: str, new: str, error: type[InstrumentError]) -> None:
    text = CONFIGURED + CHECKED
    assert old in text
    with pytest.raises(error):
        scripted(rest=text.replace(old, new, 1)).configure_mean(DC)


@pytest.mark.parametrize(
    ("block", "peaks", "error"),
    [
        ("3 nan 1.2", "0,0,0", SentinelError),
        ("3 inf inf", "0,0,0", SentinelError),
        ("3 0.4 9.91e37", "0,0,0", SentinelError),
        ("3 0.4", "0,0,0", ReplyError),
        ("3 0.4 1.2", "0,2,0", SentinelError),
        ("3 0.4 1.2", "what", ReplyError),
    ],
)
def test_no_bad_reading_is_taken(block: str, peaks: str, error: type[InstrumentError]) -> None:
    good = second_reading("3 0.4 1.2", "0")
    assert good is not None, "the dialogue itself is good"
    assert (good.current_a, good.voltage_v, good.power_w) == pytest.approx((0.4, 3.0, 1.2))
    with pytest.raises(error):
        second_reading(block, peaks)


def second_reading(block: str, peaks: str) -> Reading | None:
    asked = f"{FORGOTTEN}> :NUM:NORM:VAL?\n<b f4 {block}\n{FORGOTTEN}{CHECKED}> :INP:POV?\n< {peaks}\n"
    driver = scripted(rest=f"{CONFIGURED}{CHECKED}{FORGOTTEN}{SETTLED}{asked}")
    driver.configure_mean(DC)
    assert driver.read_mean() is None, "the first update may have begun before the set-up"
    reading: Reading | None = driver.read_mean()
    return reading


def test_a_reading_needs_a_set_up() -> None:
    with pytest.raises(OutOfRangeError, match="comes first"):
        scripted().read_mean()
