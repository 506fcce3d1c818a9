"""The 2450 family's driver says exactly what the dialogues say, which were written from the manuals, and refuses replies that are wrong."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from labd_instruments.checks import HOST_CLOCK
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels
from labd_instruments.errors import (
    InstrumentError,
    LostSamplesError,
    OutOfRangeError,
    OutputNotOffError,
    ReadBackError,
    RefusedError,
    ReplyError,
    SentinelError,
    WrongInstrumentError,
)
from labd_instruments.links.scripted import ScriptedLink
from tests.instruments.test_exchanges import EXCHANGES, Played, edited, play, power_on_and_off, talk


def test_k2450_powers_on_and_off_as_written_and_claims_no_level_that_it_has_not() -> None:
    with play("keithley_2450/power_on_and_off") as driver:
        assert power_on_and_off(driver, ProtectionLevels(3.6, 0.15)) == ProtectionLevels(None, 0.15, open_lead_v=5.0)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("> *LANG?\n< SCPI", "> *LANG?\n< TSP", WrongInstrumentError),
        (":ROUT:TERM?\n< REAR", ":ROUT:TERM?\n< FRON", ReadBackError),
        (":HIGH:CAP?\n< 0", ":HIGH:CAP?\n< 1", ReadBackError),
        ("< PROT5", "< NONE", ReadBackError),
        (":SOUR:VOLT:RANG?\n< 7", ":SOUR:VOLT:RANG?\n< 20", ReadBackError),
        (":SENS:CURR:RSEN?\n< 1", ":SENS:CURR:RSEN?\n< 0", ReadBackError),
        (":SENS:DIG:VOLT:RSEN?\n< 1", ":SENS:DIG:VOLT:RSEN?\n< 0", ReadBackError),
        (":SMOD?\n< NORM", ":SMOD?\n< HIMP", ReadBackError),
        (":SOUR:VOLT?\n< 3", ":SOUR:VOLT?\n< 3.01", ReadBackError),
        ("> :SOUR:VOLT:ILIM?\n< 0.15", "> :SOUR:VOLT:ILIM?\n< 0.105", ReadBackError),
        ("> :OUTP?\n< 1", "> :OUTP?\n< 0", ReadBackError),
        ("> :OUTP OFF\n> :OUTP?\n< 0", "> :OUTP OFF\n> :OUTP?\n< 1", OutputNotOffError),
        ("> :OUTP OFF\n> :OUTP?\n< 0", "> :OUTP OFF\n> :OUTP?\n<e gone", OutputNotOffError),
    ],
)
def test_k2450_believes_no_setting_that_reads_back_wrong(old: str, new: str, error: type[InstrumentError]) -> None:
    with pytest.raises(error, match="smu"):
        power_on_and_off(edited("keithley_2450/power_on_and_off", old, new).driver, ProtectionLevels(3.6, 0.15))


def test_k2450_captures_around_an_edge_as_written() -> None:
    with play("keithley_2450/capture_on_line", {"trigger_line": 1}) as driver:
        taken = driver.configure_capture(CaptureSetup(1e-5, 10, 3, 0.1, 20.0, fire_dut=False))
        driver.arm()
        assert [driver.captured(), driver.captured()] == [False, True]
        (block,) = driver.fetch()
    assert taken.settings["output_clamp_a"] == "0.105"
    assert block.voltage is None
    assert block.t0_ns == -30_000
    assert block.current.tolist() == pytest.approx([1e-3] * 3 + [2e-2] * 7)


def test_k2450_fires_the_dut_as_written() -> None:
    with play("keithley_2450/capture_firing", {"fire_line": 2, "voltage_readback": True}) as driver:
        taken = driver.configure_capture(CaptureSetup(1e-3, 10, 3, 0.1, 20.0, fire_dut=True))
        driver.arm()
        driver.fire()
        assert driver.captured()
        (block,) = driver.fetch()
    assert taken.voltage_range_v == 7.0
    assert block.t0_ns == -3_000_000
    assert len(block) == 10
    assert block.voltage.tolist() == [3.0] * 10


def test_k2450_fetches_no_capture_with_readings_missing() -> None:
    played = edited("keithley_2450/capture_firing", ':END? "labd"\n< 12', ':END? "labd"\n< 9', {"fire_line": 2, "voltage_readback": True})
    driver = played.driver
    driver.configure_capture(CaptureSetup(1e-3, 10, 3, 0.1, 20.0, fire_dut=True))
    driver.arm()
    driver.fire()
    driver.captured()
    with pytest.raises(LostSamplesError, match="9 of 10"):
        driver.fetch()


@pytest.mark.parametrize(
    ("state", "error"), [("FAILED;FAILED;2", RefusedError), ("ABORTED;ABORTED;3", RefusedError), ("SLEEPY;X;1", ReplyError)]
)
def test_k2450_knows_when_its_trigger_model_failed(state: str, error: type[InstrumentError]) -> None:
    said = f'< {state}\n> :SYST:ERR?\n< 0,"No error"' if error is RefusedError else f"< {state}"
    played = edited("keithley_2450/capture_firing", "< RUNNING;RUNNING;2", said, {"fire_line": 2, "voltage_readback": True})
    played.driver.configure_capture(CaptureSetup(1e-3, 10, 3, 0.1, 20.0, fire_dut=True))
    with pytest.raises(error, match=state.split(";", maxsplit=1)[0].lower() if error is RefusedError else state[:6]):
        played.driver.arm()


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (CaptureSetup(2e-3, 100, 10, 0.1, 20.0, fire_dut=False), "sample rate is 500 readings/s, allowed is 1000 to 1e+06"),
        (CaptureSetup(3e-6, 100, 10, 0.1, 20.0, fire_dut=False), "no whole number of nanoseconds"),
        (CaptureSetup(1e-5, 100, 10, 0.1, 20.0, fire_dut=True), "needs option fire_line"),
        (CaptureSetup(1e-5, 100, 10, 0.1, 20.0, fire_dut=False, with_marker=True), "no input for a marker"),
        (CaptureSetup(1e-5, 5, 1, 0.1, 20.0, fire_dut=False), "points is 5 readings"),
        (CaptureSetup(1e-5, 100, 100, 0.1, 20.0, fire_dut=False), "pre-trigger is 100 points"),
        (CaptureSetup(1e-5, 100, 10, 0.1, 20.0, fire_dut=False, count=3), "serves 1"),
    ],
)
def test_k2450_refuses_what_it_cannot_capture(setup: CaptureSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        talk("keithley_2450", "").driver.configure_capture(setup)
    assert complaint in str(caught.value)


def test_k2450_has_no_seamless_range() -> None:
    driver = talk("keithley_2450", '> :SYST:LFR?\n< 50\n> :SENS:FUNC "CURR"').driver
    with pytest.raises(OutOfRangeError, match="fixed ranges only"):
        driver.configure_mean(MeanSetup(0.02, None, 20.0))


def test_k2450_reads_means_as_written_and_says_what_its_range_clamps() -> None:
    with play("keithley_2450/mean") as driver:
        taken = driver.configure_mean(MeanSetup(0.1, 1e-4, 20.0))
        driver.zero()
        reading = driver.read_mean()
    assert taken.settings["output_clamp_a"] == "0.000105"
    assert (reading.current_a, reading.voltage_v) == (12.34567e-6, 3.000012)


@pytest.mark.parametrize(("reply", "error"), [("9.9E37,3.0", SentinelError), ("1e-5", ReplyError), ("a,b", ReplyError)])
def test_k2450_takes_no_bad_reading(reply: str, error: type[InstrumentError]) -> None:
    driver = edited("keithley_2450/mean", "1.234567E-05,3.000012E+00", reply).driver
    driver.configure_mean(MeanSetup(0.1, 1e-4, 20.0))
    driver.zero()
    with pytest.raises(error):
        driver.read_mean()


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (":NPLC?\n< 5", ":NPLC?\n< 1", "integration time"),
        (":AZER?\n< 0", ":AZER?\n< 1", "auto-zero was set to OFF"),
        (":AVER?\n< 0", ":AVER?\n< 1", "filter was set to OFF"),
        (":READ:BACK?\n< 1", ":READ:BACK?\n< 0", "source read-back was set to ON"),
        (":VOLT:RANG?\n< 7", ":VOLT:RANG?\n< 2", "3 V is read back on the 2 V source range"),
    ],
)
def test_k2450_takes_no_mean_with_a_setting_that_reads_back_wrong(old: str, new: str, complaint: str) -> None:
    with pytest.raises(ReadBackError, match=complaint):
        edited("keithley_2450/mean", old, new).driver.configure_mean(MeanSetup(0.1, 1e-4, 20.0))


def test_k2450_says_on_which_range_its_voltage_is_read_back() -> None:
    with play("keithley_2450/mean") as driver:
        taken = driver.configure_mean(MeanSetup(0.1, 1e-4, 20.0))
        assert (taken.voltage_range_v, taken.aperture_s) == (7.0, 0.1)
        driver.zero()
        driver.read_mean()


def test_k2450_is_not_halted_on_a_range_that_stays_fixed() -> None:
    driver = talk("keithley_2450", "> :ABOR\n> :SENS:CURR:RANG:AUTO ON\n> :SENS:CURR:RANG:AUTO?\n< 0").driver
    with pytest.raises(ReadBackError, match="auto range was set to ON"):
        driver.halt()


def test_k2450_says_what_limits_it() -> None:
    driver = talk("keithley_2450", "> :SOUR:VOLT:ILIM:TRIP?\n< 1\n> :SOUR:VOLT:PROT:TRIP?\n< 0").driver
    assert driver.tripped() == "current limit"


READINGS = CaptureSetup(1e-3, 10, 3, 0.1, 20.0, fire_dut=True)


def test_k2450_without_a_digitizer_fires_the_dut_between_two_readings_as_written() -> None:
    with play("keithley_2450/readings_firing", {"fire_line": 2, "voltage_readback": True}) as driver:
        taken = driver.configure_capture(READINGS)
        driver.arm()
        driver.fire()
        assert driver.captured()
        (block,) = driver.fetch()
    assert (taken.dt_ns, taken.aperture_s, taken.voltage_range_v) == (1_250_000, 1e-3, 7.0)
    assert (block.dt_ns, block.t0_ns) == (1_250_000, -3_750_000)
    assert block.current.tolist() == pytest.approx([1e-3] * 3 + [2e-2] * 5 + [1e-3] * 2)
    assert block.voltage.tolist() == [3.0] * 10


def test_k2450_without_a_digitizer_captures_around_an_edge_as_written() -> None:
    with play("keithley_2450/readings_on_line", {"trigger_line": 1}) as driver:
        driver.configure_capture(replace(READINGS, fire_dut=False))
        driver.arm()
        assert [driver.captured(), driver.captured()] == [False, True]
        (block,) = driver.fetch()
    assert (block.voltage, block.t0_ns) == (None, -3_750_000)
    assert block.current.tolist() == pytest.approx([1e-3] * 3 + [2e-2] * 7)


@pytest.mark.parametrize(
    ("old", "new", "error", "complaint"),
    [
        (":SENS:CURR:RANG?\n< 0.1", ":SENS:CURR:RANG?\n< 1", ReadBackError, "current range was set to 0.1"),
        (":SENS:CURR:NPLC?\n< 0.05", ":SENS:CURR:NPLC?\n< 0.01", ReadBackError, "integration time"),
        (':TRAC:POIN? "labd"\n< 10', ':TRAC:POIN? "labd"\n< 7', ReadBackError, "size of its buffer"),
        ("0.00500 0.00625", "0.00500 0.00825", LostSamplesError, "readings 5 and 6 are 0.00325 s apart"),
        ("0.01000 0.01125", "0.01000 0.00025", ReadBackError, "each integrates 0.001 s"),
        ("0.02 0.00500 3.0 0.02 0.00625", "0.02 0.00500 3.0 0.02 0.00825", LostSamplesError, "readings 5 and 6"),
        ("0.001 0.01125 3.0", "0.001 0.01150 3.0", ReadBackError, "interval of its readings"),
        ("0.001 0.01125 3.0", "0.001 0.01000 3.0", ReplyError, "do not ascend"),
    ],
)
def test_k2450_believes_no_readings_that_are_not_where_they_were_due(
    old: str, new: str, error: type[InstrumentError], complaint: str
) -> None:
    driver = edited("keithley_2450/readings_firing", old, new, {"fire_line": 2, "voltage_readback": True}).driver
    with pytest.raises(error) as caught:
        _fired(driver)
    assert complaint in str(caught.value)


def _fired(driver: Any) -> None:
    driver.configure_capture(READINGS)
    driver.arm()
    driver.fire()
    assert driver.captured()
    driver.fetch()


def test_k2450_knows_an_event_that_came_before_it_was_armed() -> None:
    text = (EXCHANGES / "keithley_2450/readings_on_line.txt").read_text("utf-8")
    for k in range(10):  # the ring has dropped one reading only
        text = text.replace(f"{(k + 26) * 1.25e-3:.5f}", f"{(k + 1) * 1.25e-3:.5f}")
    driver = Played("keithley_2450", ScriptedLink.from_text(text), {"trigger_line": 1}, HOST_CLOCK).driver
    driver.configure_capture(replace(READINGS, fire_dut=False))
    driver.arm()
    assert [driver.captured(), driver.captured()] == [False, True]
    with pytest.raises(RefusedError, match="an event came before it was armed"):
        driver.fetch()


@pytest.mark.parametrize("model", ["2400", "2636B", "DMM6500", "24500"])
def test_k2450_drives_its_family_only(model: str) -> None:
    with pytest.raises(WrongInstrumentError, match=f"{model}, wanted is a Keithley 2450, 2460, 2461, 2470"):
        Played("keithley_2450", ScriptedLink.from_text(f"> *IDN?\n< KEITHLEY INSTRUMENTS,MODEL {model},1,1.7\n"), {}, HOST_CLOCK)
