"""The B2900A driver says what the dialogues say, which were written from its manuals, and refuses replies that are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels
from labd_instruments.errors import (
    InstrumentError,
    LostSamplesError,
    OutputNotOffError,
    ReadBackError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver

EXCHANGES = Path(__file__).parents[2] / "fixtures" / "exchanges" / "keysight_b2900"
GREETING = "> *IDN?\n< Agilent Technologies,B2912A,MY51140001,2.0.1225.1700\n"
OPTIONS: dict[str, object] = {"fire_line": 2, "trigger_line": 1}


def played(link: ScriptedLink, **options: object) -> Any:
    return open_driver("keysight_b2900", "smu", "SCRIPT", options, link=link)


def transcript(name: str) -> ScriptedLink:
    return ScriptedLink.from_file(EXCHANGES / f"{name}.txt")


def fetched(driver: Any) -> Any:
    while not driver.captured():
        pass
    (block,) = driver.fetch()
    return block


def test_power_on_and_off_as_the_manuals_say() -> None:
    link = transcript("power_on_and_off")
    driver = played(link)
    driver.reset()
    driver.set_off_mode(True)
    driver.set_remote_sense(True)
    assert driver.protect(ProtectionLevels(3.6, 0.15)) == ProtectionLevels(None, 0.15)
    driver.set_voltage(3.0)
    driver.set_output(True)
    assert driver.measure_output().current_a == pytest.approx(1e-3)
    assert driver.tripped() is None
    driver.make_safe()
    link.finish()


def test_a_capture_that_fires_as_the_manuals_say() -> None:
    link = transcript("capture_firing")
    driver = played(link, **OPTIONS)
    driver.configure_capture(CaptureSetup(1e-3, 4, 1, 0.1, 20.0, fire_dut=True))
    driver.arm()
    driver.fire()
    block = fetched(driver)
    assert block.t0_ns == -1_000_000
    assert block.current.tolist() == pytest.approx([1e-3] * 4)
    link.finish()


def test_a_capture_on_an_edge_as_the_manuals_say() -> None:
    link = transcript("capture_on_line")
    driver = played(link, measure_voltage=False, **OPTIONS)
    driver.configure_capture(CaptureSetup(1e-3, 3, 0, 0.1, 20.0, fire_dut=False))
    driver.arm()
    assert len(fetched(driver)) == 3
    link.finish()


def test_a_mean_as_the_manuals_say() -> None:
    link = transcript("mean")
    driver = played(link)
    driver.configure_mean(MeanSetup(0.02, 0.01, 20.0))
    assert driver.read_mean().voltage_v == pytest.approx(3.0)
    link.finish()


def test_another_instrument_is_refused() -> None:
    for model in ("N6705C", "B2901B", "B2961A"):
        with pytest.raises(WrongInstrumentError, match=model):
            played(ScriptedLink.from_text(f"> *IDN?\n< Keysight Technologies,{model},1,1"))


def test_a_limit_that_reads_back_another_is_refused() -> None:
    driver = played(ScriptedLink.from_text(GREETING + "> :SENS1:CURR:PROT 0.15\n> :SENS1:CURR:PROT?\n< +1.05000000E-01"))
    with pytest.raises(ReadBackError, match="current limit"):
        driver.protect(ProtectionLevels(3.6, 0.15))


def test_an_output_that_stays_on_is_said_so() -> None:
    said = "> :ABOR:ALL (@1)\n> :OUTP1 OFF\n> :OUTP1 OFF\n> :OUTP1?\n< 1"
    with pytest.raises(OutputNotOffError, match="reads back on"):
        played(ScriptedLink.from_text(GREETING + said)).make_safe()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ("+9.910000E+37,+1.000000E-03,+0.000000E+00,+0.000000E+00", SentinelError),
        ("+3.000000E+00,+9.900000E+37,+0.000000E+00,+8.192000E+03", SentinelError),
        ("+3.000000E+00,+1.000000E-03", ReplyError),
    ],
)
def test_a_reading_that_is_none_is_refused(reply: str, error: type[InstrumentError]) -> None:
    with pytest.raises(error):
        played(ScriptedLink.from_text(f"{GREETING}> :MEAS? (@1)\n< {reply}")).measure_output()


def capture_that_ends(held: int, readings: str) -> Any:
    """A transcript of a capture up to its arming, and then another end."""
    whole = (EXCHANGES / "capture_firing.txt").read_text("utf-8")
    start = whole[: whole.index("> :TRAC1:POIN:ACT?")]
    end = f"> :TRAC1:POIN:ACT?\n< {held}\n> :STAT:QUES:EVEN?\n< +0\n> :STAT:QUES:COND?\n< +0\n"
    end += "> :FORM REAL,64\n> :FORM?\n< REAL,64\n> :FORM:BORD SWAP\n> :FORM:BORD?\n< SWAP\n> :TRAC1:DATA? 0,4\n"
    end += f'<b f8 {readings}\n> :FORM ASC\n> :SYST:ERR?\n< +0,"No error"\n'
    driver = played(ScriptedLink.from_text(start + end), **OPTIONS)
    driver.configure_capture(CaptureSetup(1e-3, 4, 1, 0.1, 20.0, fire_dut=True))
    driver.arm()
    driver.fire()
    while not driver.captured():
        pass
    return driver


@pytest.mark.parametrize(
    ("held", "readings", "error"),
    [
        (3, "", LostSamplesError),
        (4, "3 0.001 0 0 3 0.001 0.001 0 3 0.001 0.002 0", ReplyError),
        (4, "3 0.001 0 0 3 0.001 0.001 0 3 0.001 0.003 0 3 0.001 0.004 0", LostSamplesError),
        (4, "3 0.001 0 0 3 nan 0.001 0 3 0.001 0.002 0 3 0.001 0.003 0", SentinelError),
        (4, "3 0.001 0 0 3 0.001 0.001 2 3 0.001 0.002 0 3 0.001 0.003 0", ReadBackError),
        (4, "3 0.001 0 0 3 0.001 0.001 32 3 0.001 0.002 0 3 0.001 0.003 0", ReadBackError),
    ],
)
def test_a_capture_that_is_not_whole_is_refused(held: int, readings: str, error: type[InstrumentError]) -> None:
    driver = capture_that_ends(held, readings)
    with pytest.raises(error):
        driver.fetch()
