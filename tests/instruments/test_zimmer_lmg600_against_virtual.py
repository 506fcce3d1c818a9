"""The LMG600 driver through a real socket against the virtual analyzer, and what it does with replies that are wrong."""

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
from labd_virtual.instruments import zimmer_lmg600
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

WIRED = Wired(
    options={"channel": 1, "timeout_s": 1.0},
    wires={},
    current_range_a=0.02,
    voltage_range_v=12.5,
    tables={
        "current": (5e-3, 10e-3, 20e-3, 40e-3, 80e-3, 0.15, 0.3, 0.6, 1.2),
        "voltage": (3.0, 6.0, 12.5, 25.0, 60.0, 130.0, 250.0),
        "power": (3.0 * 0.04, 12.5 * 0.02),
    },
    interfaces=("socket",),  # the only service that published drivers use
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
MEAN = MeanSetup(0.1, 0.02, 12.5)
FOUND_AS: Mapping[str, type[InstrumentError]] = {
    "no_value": SentinelError,
    "over_range": SentinelError,
    "stretched": ReadBackError,
    "held": ReplyError,
    "auto_range": ReadBackError,
    "scale": ReadBackError,
    "jack": ReadBackError,
}


@pytest.fixture(params=WIRED.interfaces)
def interface(request: pytest.FixtureRequest) -> Interface:
    found: Interface = request.param
    return found


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 10e-3), (1_000_000_000, 12e-3)), interface=interface)


@pytest.fixture(params=[1, 3, 7])
async def meter(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """An LMG610, the third channel of an LMG640, the last of an LMG670."""
    options: dict[str, Any] = {"channel": request.param, "timeout_s": 1.0}
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(options=options, accuracy=EXACT)), bench, **options) as made:
        yield made


async def test_a_steady_mean_of_power_is_read(meter: Rig) -> None:
    taken = await meter.do(meter.driver.configure_mean, MEAN)
    await meter.do(meter.driver.zero)
    reading = await meter.next_mean()
    assert (reading.current_a, reading.voltage_v, reading.power_w) == pytest.approx((0.01, 3.0, 0.03))
    assert (taken.dt_ns, taken.aperture_s, taken.current_range_a, taken.voltage_range_v) == (100_000_000, 0.1, 0.02, 12.5)


async def test_no_reading_holds_what_flowed_before_its_set_up_nor_comes_twice(meter: Rig) -> None:
    meter.bench.clock.pass_s(0.95)
    await meter.do(meter.driver.configure_mean, MEAN)
    assert (await meter.next_mean()).current_a == pytest.approx(0.012)
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(0.15)
    assert (await meter.next_mean()).power_w == pytest.approx(0.036)


@pytest.mark.parametrize("away_s", [0.25, 60.0])
async def test_a_host_that_was_away_gets_no_old_cycle(meter: Rig, away_s: float) -> None:
    await meter.do(meter.driver.configure_mean, MEAN)
    meter.bench.clock.pass_s(0.85)
    assert (await meter.next_mean()).current_a == pytest.approx(0.01)
    meter.bench.clock.pass_s(away_s)
    assert (await meter.next_mean()).current_a == pytest.approx(0.012)


async def test_a_host_that_looks_seldom_has_a_fresh_cycle_at_each_look_but_the_first() -> None:
    bench = Bench(load=tuple((k * 1_000_000_000, (10 + k) * 1e-4) for k in range(20)))
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(accuracy=EXACT)), bench) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        found: list[Any] = []
        for look in range(1, 7):
            bench.clock.pass_s(look + 0.5 - bench.clock.now_ns() * 1e-9)
            found.append(await meter.do(meter.driver.read_mean))
    assert found[:2] == [None, None], "asks anew; began before the set-up"
    assert [reading.current_a for reading in found[2:]] == pytest.approx([1.3e-3, 1.4e-3, 1.5e-3, 1.6e-3])


async def test_a_cycle_is_as_long_as_was_asked_for(meter: Rig) -> None:
    taken = await meter.do(meter.driver.configure_mean, MeanSetup(1.0, 0.02, 12.5))
    meter.bench.clock.pass_s(1.02)
    assert await meter.do(meter.driver.read_mean) is None, "the first cycle may have begun before its set-up"
    meter.bench.clock.pass_s(0.9)
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(0.2)
    assert (await meter.do(meter.driver.read_mean)).current_a == pytest.approx(0.012)
    assert taken.dt_ns == 1_000_000_000


async def test_a_changing_current_is_read_as_its_mean_and_not_as_its_effective_value() -> None:
    bench = Bench(load=tuple((k * 20_000_000, 0.0 if k % 2 else 20e-3) for k in range(200)))
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(accuracy=EXACT)), bench) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.2, 0.02, 12.5))
        assert (await meter.next_mean()).current_a == pytest.approx(10e-3)


async def test_a_small_current_is_not_told_as_zero() -> None:
    bench = Bench(load=((0, 10e-6),))
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(accuracy=EXACT)), bench) as meter:
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 5e-3, 12.5))
        assert (await meter.next_mean()).current_a == pytest.approx(10e-6)


async def test_no_current_at_all_has_no_crest_factor_and_is_a_reading_all_the_same() -> None:
    bench = Bench(load=((0, 0.0),))
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(accuracy=EXACT)), bench) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        reading = await meter.next_mean()
    assert (reading.current_a, reading.power_w) == (0.0, 0.0)
    assert reading.voltage_v == pytest.approx(3.0)


async def test_a_current_beyond_its_range_is_no_number() -> None:
    bench = Bench(load=((0, 30e-3),))
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(accuracy=EXACT)), bench) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        with pytest.raises(SentinelError, match=r"peaks of the current are 0\.03, which its range 0\.02 need not hold"):
            await meter.next_mean()


@pytest.mark.parametrize("trap", zimmer_lmg600.TRAPS)
async def test_a_trap_is_found_by_its_name_and_gives_no_number(trap: str) -> None:
    with pytest.raises(FOUND_AS[trap]):
        await measured(trap)


async def test_without_a_trap_all_is_well() -> None:
    assert (await measured("")).current_a == pytest.approx(10e-3)


async def measured(trap: str) -> Reading:
    """The last of some readings, between which a key can be pressed."""
    bench = Bench(load=((0, 10e-3),))
    async with rig("zimmer_lmg600", zimmer_lmg600.create(bench.setup(accuracy=EXACT, trap=trap)), bench, timeout_s=1.0) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        for _ in range(4):
            reading = await meter.next_mean()
        return reading


async def test_a_range_beside_the_published_ones_is_taken_where_the_instrument_has_it(meter: Rig) -> None:
    taken = await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.08, 3.0))
    assert (taken.current_range_a, taken.voltage_range_v) == (0.08, 3.0)
    with pytest.raises(ReadBackError, match=r"IRNG. was set to 0\.07 and reads back 0\.08"):
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 0.07, 3.0))
    with pytest.raises(RefusedError, match="-222 Data out of range"):
        await meter.do(meter.driver.configure_mean, MeanSetup(0.1, 40.0, 3.0))


async def test_an_unknown_command_is_named_with_its_code(meter: Rig) -> None:
    await meter.do(meter.driver._link.write, "NONSENSE 1")
    await meter.do(meter.driver._link.write, f"IRNG{meter.driver._channel} 99")
    with pytest.raises(RefusedError, match="-113 Undefined header; -222 Data out of range"):
        await meter.do(meter.driver.check_errors, "a nonsense")


async def test_a_question_that_it_refuses_is_told_by_its_queue(meter: Rig) -> None:
    with pytest.raises(RefusedError, match=r"refused NONSENSE\?: -113"):
        await meter.do(meter.driver._asked, "NONSENSE?")


# --- what is refused


def scripted(model: str = "LMG670", rest: str = "", clock: Clock | None = None, **options: object) -> Any:
    link = ScriptedLink.from_text(f"> *IDN?\n< ZES ZIMMER Electronic Systems GmbH, {model}, 12345678, 4.020\n{rest}")
    return open_driver("zimmer_lmg600", "meter", "SCRIPT", options, link=link, clock=clock or Clock("test clock", lambda: 0.0, 0.0))


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (MeanSetup(0.1, None, 12.5), "current range is automatic, right would be a fixed one, such as 0.005 A"),
        (MeanSetup(0.1, 0.02, 0.0), "voltage range is 0 V, right would be a fixed one, such as 12.5 V"),
        (MeanSetup(0.3, 0.02, 12.5), "cycle time is 0.3 s, it has 0.05, 0.1"),
    ],
)
def test_what_it_has_not_is_refused_before_anything_is_sent(setup: MeanSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        scripted().configure_mean(setup)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(("model", "channel", "room"), [("LMG610", 2, 1), ("LMG641", 5, 4)])
def test_a_channel_that_the_model_has_no_room_for_is_refused(model: str, channel: int, room: int) -> None:
    with pytest.raises(OutOfRangeError, match=f"option channel is {channel}, a {model} has room for {room}"):
        scripted(model, channel=channel)


@pytest.mark.parametrize("model", ["LMG95", "LMG500", "LMG450"])
def test_its_predecessors_are_other_instruments(model: str) -> None:
    with pytest.raises(WrongInstrumentError, match=model):
        scripted(model)


def test_no_limit_of_error_is_claimed_without_a_document() -> None:
    assert all(scripted().accuracy().limit(quantity, 12.5, 0.1) is None for quantity in ("voltage", "current", "power"))


# --- dialogues

ERRORS = '> *zlang scpi\n> :SYST:ERR:ALL?\n< 0,"No error"\n> *zlang short\n'
CONFIGURED = f"""\
> UAUTO1 0
> URNG1 12.5
> IAUTO1 0
> IRNG1 0.02
> *zlang scpi
> :SENS:SWE:TIME 0.1
> :SENS:SWE:TIME?
< 0.1
> *zlang short
{ERRORS}"""
RESET = f"""\
> *zlang scpi
> *RST
> *CLS
> :INIT:CONT OFF
> :SENS:ZPR 0
> *zlang short
> ISCA1 1
> CYCLMOD 0
{ERRORS}> IJACK1?
< 1
> CYCLMOD?
< 0
"""
CHECKED = """\
> UAUTO1?
< 0
> IAUTO1?
< 0
> URNG1?
< 12.5
> IRNG1?
< 0.02
> ISCA1?
< 1
"""
ASKED = "> TSNORM1?;DURNORM1?;UDC1?;IDC1?;P1?;UTRMS1?;ITRMS1?;UCF1?;ICF1?\n"
STAMP = "2015:01:21D17:20:5{}.437817000+0000"
GOOD = "0.100012000;3.000000E+00;1.000000E-02;3.000000E-02;3.000000E+00;1.000000E-02;1.000000E+00;1.000000E+00"
FIRST = f"> INIM\n{ASKED}< {STAMP.format(0)};{GOOD}\n> INIM\n{CHECKED}"


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('0,"No error"', '-222,"Data out of range",-113,"Undefined header"', RefusedError),
        ('0,"No error"', "nothing", ReplyError),
        ("> :SENS:SWE:TIME?\n< 0.1", "> :SENS:SWE:TIME?\n< 0.5", ReadBackError),
        ("> IAUTO1?\n< 0", "> IAUTO1?\n< 1", ReadBackError),
        ("> IRNG1?\n< 0.02", "> IRNG1?\n< 0.04", ReadBackError),
        ("> ISCA1?\n< 1", "> ISCA1?\n< 10", ReadBackError),
        ("> URNG1?\n< 12.5", "> URNG1?\n< what", ReplyError),
    ],
)
def test_no_setting_that_reads_back_wrong_is_believed(old: str, new: str, error: type[InstrumentError]) -> None:
    text = CONFIGURED + CHECKED
    assert old in text
    back = "> *zlang short\n" if "SWE" in old else ""
    with pytest.raises(error):
        scripted(rest=text.replace(old, new, 1) + back).configure_mean(MEAN)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (GOOD.replace("1.000000E-02;3", "9.910000E+37;3"), SentinelError),
        (GOOD.replace("3.000000E-02", "9.910000E+37"), SentinelError),
        (GOOD.replace("1.000000E+00;1.000000E+00", "1.000000E+00;9.910000E+37"), SentinelError),
        (GOOD.replace("1.000000E+00;1.000000E+00", "1.000000E+00;3.000000E+00"), SentinelError),
        (GOOD.replace("0.100012", "0.120000"), ReadBackError),
        (GOOD.rsplit(";", 1)[0], ReplyError),
        (GOOD.replace("3.000000E-02", "----"), ReplyError),
    ],
)
def test_no_bad_reading_is_taken(reply: str, error: type[InstrumentError]) -> None:
    assert isinstance(second_reading(GOOD), Reading), "the dialogue itself is good"
    with pytest.raises(error):
        second_reading(reply)


def second_reading(reply: str) -> Reading | None:
    times = iter(range(100))
    clock = Clock("test clock", lambda: 0.11 * next(times), 0.0)
    dialogue = f"{CONFIGURED}{CHECKED}{FIRST}{ASKED}< {STAMP.format(1)};{reply}\n> INIM\n{CHECKED}"
    driver = scripted(rest=dialogue, clock=clock)
    driver.configure_mean(MEAN)
    assert driver.read_mean() is None, "the first cycle may have begun before the set-up"
    reading: Reading | None = driver.read_mean()
    return reading


def test_a_reply_that_begins_with_no_time_stamp_is_not_taken() -> None:
    times = iter(range(100))
    driver = scripted(rest=f"{CONFIGURED}{CHECKED}> INIM\n{ASKED}< 1;{GOOD}\n", clock=Clock("test clock", lambda: 0.11 * next(times), 0.0))
    driver.configure_mean(MEAN)
    with pytest.raises(ReplyError, match="TSNORM"):
        driver.read_mean()


@pytest.mark.parametrize(
    ("jack", "mode", "complaint"),
    [("2", "0", "IJACK1 was 1 after its reset and is 2 now"), ("1", "SCOPE", "CYCLMOD was 0 after its reset and is SCOPE now")],
)
def test_another_jack_or_mode_of_cycles_than_after_the_reset_is_told(jack: str, mode: str, complaint: str) -> None:
    rest = f"{RESET}{CONFIGURED}{CHECKED}> IJACK1?\n< {jack}\n> CYCLMOD?\n< {mode}\n"
    driver = scripted(rest=rest)
    driver.reset()
    with pytest.raises(ReadBackError, match=complaint):
        driver.configure_mean(MEAN)


def test_a_reading_needs_a_set_up() -> None:
    with pytest.raises(OutOfRangeError, match="comes first"):
        scripted().read_mean()
