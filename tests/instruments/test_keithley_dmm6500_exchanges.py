"""The DMM6500 driver says exactly what its dialogues say, and believes no reply that is wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from labd_instruments.contract import Acquisition, CaptureSetup, MeanSetup
from labd_instruments.errors import (
    InstrumentError,
    LostSamplesError,
    OutOfRangeError,
    ReadBackError,
    RefusedError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver

EXCHANGES = Path(__file__).parents[2] / "fixtures" / "exchanges" / "keithley_dmm6500"
FIRING = CaptureSetup(1e-3, 10, 3, 0.1, 20.0, fire_dut=True)
ON_LINE = CaptureSetup(1e-5, 10, 3, 0.1, 20.0, fire_dut=False)
MEAN = MeanSetup(0.1, 1e-4, 20.0)


def opened(file: str, old: str = "", new: str = "", **options: object) -> tuple[Any, ScriptedLink]:
    """The driver on a dialogue, in which a part may be replaced."""
    text = (EXCHANGES / f"{file}.txt").read_text(encoding="utf-8")
    assert old in text
    link = ScriptedLink.from_text(text.replace(old, new, 1) if old else text)
    return open_driver("keithley_dmm6500", "smu", "SCRIPT", options, link=link), link


def set_up(driver: Any) -> None:
    driver.reset()
    driver.make_safe()


def captured(driver: Any, setup: CaptureSetup, *, fire: bool) -> tuple[Acquisition, Any]:
    taken = driver.configure_capture(setup)
    driver.arm()
    if fire:
        driver.fire()
    while not driver.captured():
        pass
    (block,) = driver.fetch()
    return taken, block


def mean(driver: Any) -> Any:
    driver.configure_mean(MEAN)
    driver.zero()
    return driver.read_mean()


def test_it_is_set_up_and_made_safe_as_written() -> None:
    driver, link = opened("set_up")
    set_up(driver)
    link.finish()
    assert driver.line_frequency_hz() == 50.0


def test_it_fires_the_dut_as_written() -> None:
    driver, link = opened("capture_firing", fire_output=True)
    taken, block = captured(driver, FIRING, fire=True)
    link.finish()
    assert (taken.aperture_s, taken.columns, taken.voltage_range_v) == (1e-3, ("current",), None)
    assert (block.t0_ns, block.dt_ns) == (-3_000_000, 1_000_000)
    assert block.current.tolist() == pytest.approx([1e-3] * 3 + [2e-2] * 7)


def test_it_captures_around_an_edge_as_written() -> None:
    driver, link = opened("capture_on_line", trigger_input=True)
    taken, block = captured(driver, ON_LINE, fire=False)
    link.finish()
    assert taken.settings["trigger"] == "EXTERNAL TRIGGER IN"
    assert block.t0_ns == -30_000
    assert block.current.tolist() == pytest.approx([1e-3] * 3 + [2e-2] * 7)


def test_it_reads_means_as_written() -> None:
    driver, link = opened("mean")
    reading = mean(driver)
    link.finish()
    assert reading.current_a == 12.34567e-6
    assert math.isnan(reading.voltage_v)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("MODEL DMM6500", "MODEL DMM7510", WrongInstrumentError),
        ("MODEL DMM6500", "MODEL DAQ6510", WrongInstrumentError),
        ("> *LANG?\n< SCPI", "> *LANG?\n< SCPI34401", WrongInstrumentError),
        ("< REAR", "< FRON", ReadBackError),
        ("> :FORM:BORD?\n< SWAP", "> :FORM:BORD?\n< NORM", ReadBackError),
        ("< NONE", "< NOTIFY2", ReadBackError),
        ('< 0,"No error;0;0 0"', '< -113,"Undefined header"\n> :SYST:ERR?\n< 0,"No error;0;0 0"', RefusedError),
        ("< EMPTY;EMPTY;0", "< RUNNING;RUNNING;2", RefusedError),
    ],
)
def test_it_believes_no_set_up_that_reads_back_wrong(old: str, new: str, error: type[InstrumentError]) -> None:
    with pytest.raises(error, match="smu"):
        set_up(opened("set_up", old, new)[0])


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ('< "CURR"', '< "NONE"', ReadBackError),
        (":RANG?\n< 0.1", ":RANG?\n< 1", ReadBackError),
        (":SRAT?\n< 1000", ":SRAT?\n< 2000", ReadBackError),
        (":APER?\n< 0.001", ":APER?\n< 0.0005", ReadBackError),
        (":REL:STAT?\n< 0", ":REL:STAT?\n< 1", ReadBackError),
        (':TRAC:POIN? "defbuffer1"\n< 10', ':TRAC:POIN? "defbuffer1"\n< 100000', LostSamplesError),
        ("< CONT", "< ONCE", ReadBackError),
        ("< COMM", "< NOT2", ReadBackError),
        ("< RUNNING;RUNNING;2", '< RUNNING;RUNNING;4\n> :SYST:ERR?\n< 0,"No error"', RefusedError),
        ("< RUNNING;RUNNING;2", '< FAILED;FAILED;2\n> :SYST:ERR?\n< 0,"No error"', RefusedError),
        ("< RUNNING;RUNNING;2", "< SLEEPY;X;1", ReplyError),
        ("< RUNNING;RUNNING;2", "< RUNNING", ReplyError),
        ("< IDLE;IDLE;4\n> :SYST:ERR?\n< 0", '< IDLE;IDLE;4\n> :SYST:ERR?\n< 4915,"Attempting to store"\n> :SYST:ERR?\n< 0', RefusedError),
        (':END? "defbuffer1"\n< 10', ':END? "defbuffer1"\n< 9', LostSamplesError),
        ("< 9.000000000E-03", "< 1.200000000E-02", LostSamplesError),
        ("< SRE", "< REAL", ReadBackError),
        ("0.001 0.001 0.001 0.02 0.02 0.02 0.02 0.02 0.02 0.02", " ".join(["9.9e37"] * 10), SentinelError),
    ],
)
def test_it_takes_no_capture_that_reads_back_wrong(old: str, new: str, error: type[InstrumentError]) -> None:
    driver, _ = opened("capture_firing", old, new, fire_output=True)
    with pytest.raises(error, match="smu"):
        captured(driver, FIRING, fire=True)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("1.234567E-05", "9.9E37", SentinelError),
        ("1.234567E-05", "1E-05,2E-05", ReplyError),
        (":NPLC?\n< 5", ":NPLC?\n< 1", ReadBackError),
        (":AZER?\n< 0", ":AZER?\n< 1", ReadBackError),
        (":AVER?\n< 0", ":AVER?\n< 1", ReadBackError),
        (":AUTO?\n< 0", ":AUTO?\n< 1", ReadBackError),
        (":COUN?\n< 1", ":COUN?\n< 10", ReadBackError),
        (
            "> :SENS:CURR:RANG:AUTO?\n< 0\n> :SENS:CURR:RANG?\n< 0.0001",
            "> :SENS:CURR:RANG:AUTO?\n< 0\n> :SENS:CURR:RANG?\n< 10",
            ReadBackError,
        ),
    ],
)
def test_it_takes_no_bad_reading(old: str, new: str, error: type[InstrumentError]) -> None:
    with pytest.raises(error, match="smu"):
        mean(opened("mean", old, new)[0])


def test_it_says_what_must_come_first() -> None:
    driver, _ = opened("set_up")
    for call in (driver.arm, driver.fire, driver.captured, driver.fetch, driver.read_mean):
        with pytest.raises(OutOfRangeError, match="comes first"):
            call()
