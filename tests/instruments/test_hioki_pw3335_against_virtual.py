"""The PW3335 driver through a real socket against the virtual meter, its limits of error, and what it does with replies that are wrong."""

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
from labd_virtual.instruments import hioki_pw3335
from labd_virtual.wire import Interface
from tests.instruments.virtual_rig import Rig, Wired, rig
from tests.virtual.persona_fakes import Bench, rows

WIRED = Wired(
    options={"channel": 1, "timeout_s": 1.0},
    wires={},
    current_range_a=0.02,
    voltage_range_v=15.0,
    aperture_s=0.2,
    tables={
        "current": (1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0),
        "voltage": (6.0, 15.0, 30.0, 60.0, 150.0, 300.0, 600.0),
        "power": (15.0 * 0.02,),
    },
    interfaces=("socket",),  # PW3335A985-01: TCP port 3300 is all that its network has
)
EXACT = rows({quantity: tuple((r, 0.0, 0.0) for r in ranges) for quantity, ranges in WIRED.tables.items()})
MEAN = MeanSetup(0.2, 0.02, 15.0)
FOUND_AS: Mapping[str, type[InstrumentError]] = {
    "over_range": SentinelError,
    "blank": SentinelError,
    "held": ReadBackError,
    "auto_range": ReadBackError,
    "ratio": ReadBackError,
    "integrating": RefusedError,
}


@pytest.fixture(params=WIRED.interfaces)
def interface(request: pytest.FixtureRequest) -> Interface:
    found: Interface = request.param
    return found


@pytest.fixture
async def bench(interface: Interface) -> Bench:
    return Bench(load=((0, 10e-3), (1_000_000_000, 12e-3)), interface=interface)


@pytest.fixture(params=[1, 2, 3])
async def meter(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[Rig]:
    """A PW3335, the second input of a PW3336, the third of a PW3337."""
    options: dict[str, Any] = {"channel": request.param, "timeout_s": 1.0}
    async with rig("hioki_pw3335", hioki_pw3335.create(bench.setup(options=options, accuracy=EXACT)), bench, **options) as made:
        yield made


def range_of(meter: Rig) -> float:
    return 0.02 if meter.driver.current_ranges_a[0] < 0.02 else 0.2


async def test_a_steady_mean_of_power_is_read(meter: Rig) -> None:
    taken = await meter.do(meter.driver.configure_mean, MeanSetup(0.2, range_of(meter), 15.0))
    await meter.do(meter.driver.zero)
    reading = await meter.next_mean()
    assert (reading.current_a, reading.voltage_v, reading.power_w) == pytest.approx((0.01, 3.0, 0.03))
    assert (taken.dt_ns, taken.aperture_s, taken.current_range_a) == (200_000_000, 0.2, range_of(meter))


async def test_no_reading_holds_what_flowed_before_its_set_up_nor_comes_twice(meter: Rig) -> None:
    meter.bench.clock.pass_s(0.9)
    await meter.do(meter.driver.configure_mean, MeanSetup(0.2, range_of(meter), 15.0))
    began_ns = meter.bench.clock.now_ns()
    assert (await meter.next_mean()).current_a == pytest.approx(0.012, rel=1e-3)
    assert meter.bench.clock.now_ns() - began_ns >= 400_000_000
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(0.21)
    assert (await meter.next_mean()).power_w == pytest.approx(0.036, rel=1e-3)


async def test_averages_take_as_long_as_they_say(meter: Rig) -> None:
    taken = await meter.do(meter.driver.configure_mean, MeanSetup(1.0, range_of(meter), 15.0))
    meter.bench.clock.pass_s(1.9)
    assert await meter.do(meter.driver.read_mean) is None
    meter.bench.clock.pass_s(0.2)
    assert (await meter.next_mean()).voltage_v == pytest.approx(3.0)
    assert taken.dt_ns == 1_000_000_000


async def test_a_changing_current_is_read_as_its_mean_and_not_as_its_effective_value() -> None:
    bench = Bench(load=tuple((k * 20_000_000, 0.0 if k % 2 else 20e-3) for k in range(200)))
    async with rig("hioki_pw3335", hioki_pw3335.create(bench.setup(accuracy=EXACT)), bench) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        assert (await meter.next_mean()).current_a == pytest.approx(10e-3, rel=1e-3)


@pytest.mark.parametrize("trap", hioki_pw3335.TRAPS)
async def test_a_trap_is_found_by_its_name_and_gives_no_number(trap: str) -> None:
    with pytest.raises(FOUND_AS[trap]):
        await measured(trap)


async def test_without_a_trap_all_is_well() -> None:
    assert (await measured("")).current_a == pytest.approx(10e-3)


async def measured(trap: str) -> Reading:
    """The second of two readings, between which a key can be pressed."""
    bench = Bench(load=((0, 10e-3),))
    async with rig("hioki_pw3335", hioki_pw3335.create(bench.setup(accuracy=EXACT, trap=trap)), bench, timeout_s=1.0) as meter:
        await meter.do(meter.driver.configure_mean, MEAN)
        await meter.next_mean()
        meter.bench.clock.pass_s(0.3)
        return await meter.next_mean()


async def test_an_unknown_command_is_told_by_its_register(meter: Rig) -> None:
    await meter.do(meter.driver._link.write, ":NONSENSE 1")
    with pytest.raises(RefusedError, match="32 command error"):
        await meter.do(meter.driver.check_errors, "a nonsense")


async def test_a_question_that_it_refuses_is_told_by_its_register(meter: Rig) -> None:
    with pytest.raises(RefusedError, match="command error"):
        await meter.do(meter.driver._asked, ":MEASure? NONSENSE")


# --- limits of error


def scripted(model: str, rest: str = "", clock: Clock | None = None) -> Any:
    link = ScriptedLink.from_text(f"> *IDN?\n< HIOKI,{model},123456789,V1.00\n{rest}")
    return open_driver("hioki_pw3335", "meter", "SCRIPT", {}, link=link, clock=clock or Clock("test clock", lambda: 0.0, 0.0))


@pytest.mark.parametrize(
    ("quantity", "full_scale", "reading", "limit"),
    [
        ("voltage", 15.0, 3.0, 0.018),  # 0.1 % of 3 V + 0.1 % of 15 V
        ("voltage", 60.0, 48.0, 0.108),
        ("current", 0.2, 0.01, 0.00021),
        ("current", 50.0, 20.0, 0.07),
        ("power", 3.0, 0.03, 0.00303),  # 15 V x 200 mA
    ],
)
def test_limits_of_error_are_those_of_the_catalogue(quantity: Any, full_scale: float, reading: float, limit: float) -> None:
    found = scripted("PW3336").accuracy().limit(quantity, full_scale, 0.2)
    assert found.gain * reading + found.offset == pytest.approx(limit)
    assert "catalogue p8" in found.source


def test_no_document_gives_a_limit_for_shorter_means_nor_for_a_pw3335() -> None:
    assert scripted("PW3337").accuracy().limit("current", 0.2, 0.1) is None
    assert scripted("PW3335").accuracy().limit("current", 0.2, 0.2) is None


# --- what is refused


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (MeanSetup(0.2, None, 15.0), "current range is automatic"),
        (MeanSetup(0.2, 0.03, 15.0), "current range is 0.03 A, it has 0.001, 0.002"),
        (MeanSetup(0.2, 0.02, 5.0), "voltage range is 5 V"),
        (MeanSetup(0.1, 0.02, 15.0), "averaging time is 0.1 s, it has 0.2, 0.4, 1"),
    ],
)
def test_what_it_has_not_is_refused_before_anything_is_sent(setup: MeanSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        scripted("PW3335").configure_mean(setup)
    assert complaint in str(caught.value)


def test_a_channel_that_the_model_has_not_is_refused() -> None:
    link = ScriptedLink.from_text("> *IDN?\n< HIOKI,PW3335-02,1,V1.00")
    with pytest.raises(OutOfRangeError, match="option channel is 2, a PW3335 has 1"):
        open_driver("hioki_pw3335", "meter", "SCRIPT", {"channel": 2}, link=link)
    assert link.closed


def test_its_larger_relative_is_another_instrument() -> None:
    link = ScriptedLink.from_text("> *IDN?\n< HIOKI,PW3390,1,V1.00")
    with pytest.raises(WrongInstrumentError, match="HIOKI PW3390"):
        open_driver("hioki_pw3335", "meter", "SCRIPT", {}, link=link)


def test_an_identity_with_its_header_is_understood() -> None:
    link = ScriptedLink.from_text("> *IDN?\n< *IDN HIOKI,PW3337-03,123,V1.21")
    assert open_driver("hioki_pw3335", "meter", "SCRIPT", {}, link=link).name == "meter"


CONFIGURED = """\
> :VOLTage:AUTO OFF
> :VOLTage:RANGe 15
> :CURRent:AUTO OFF
> :CURRent:RANGe 0.02
> :AVERaging 1
> *ESR?
< 0
"""
CHECKED = """\
> :HOLD?
< OFF
> :VOLTage:AUTO?
< OFF
> :CURRent:AUTO?
< OFF
> :VOLTage:RANGe?
< 15
> :CURRent:RANGe?
< 0.02
> :AVERaging?
< 1
> :SCALe:VT?
< 1
> :SCALe:CT?
< 1
"""


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("> *ESR?\n< 0", "> *ESR?\n< 16", RefusedError),
        ("> :HOLD?\n< OFF", "> :HOLD?\n< ON", ReadBackError),
        ("> :CURRent:AUTO?\n< OFF", "> :CURRent:AUTO?\n< ON", ReadBackError),
        ("> :CURRent:RANGe?\n< 0.02", "> :CURRent:RANGe?\n< 0.2", ReadBackError),
        ("> :SCALe:CT?\n< 1", "> :SCALe:CT?\n< 10", ReadBackError),
        ("> *ESR?\n< 0", "> *ESR?\n< what", ReplyError),
    ],
)
def test_no_setting_that_reads_back_wrong_is_believed(old: str, new: str, error: type[InstrumentError]) -> None:
    text = CONFIGURED + CHECKED
    assert old in text
    with pytest.raises(error):
        scripted("PW3335", text.replace(old, new, 1)).configure_mean(MEAN)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("+03.000E+0;+9999.9E+99;+9999.9E+99", SentinelError),
        ("+03.000E+0;+999.99E+9;+999.99E+9", SentinelError),
        ("+03.000E+0;+10.000E-3", ReplyError),
        ("UDC +03.000E+0;IDC +10.000E-3;P +030.00E-3", ReplyError),
        ("+03.000E+0;----;+030.00E-3", ReplyError),
    ],
)
def test_no_bad_reading_is_taken(reply: str, error: type[InstrumentError]) -> None:
    times = iter([0.0, 1.0, 1.0])
    clock = Clock("test clock", lambda: next(times), 0.0)
    driver = scripted("PW3335", f"{CONFIGURED}{CHECKED}> :MEASure? UDC,IDC,P\n< {reply}\n{CHECKED}", clock)
    driver.configure_mean(MEAN)
    with pytest.raises(error):
        driver.read_mean()


def test_a_reading_needs_a_set_up() -> None:
    with pytest.raises(OutOfRangeError, match="comes first"):
        scripted("PW3335").read_mean()
