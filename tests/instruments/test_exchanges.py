"""Each driver says exactly what the transcripts say, which were written from the manuals, and refuses replies that are wrong."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd_instruments.block import BlockFlag
from labd_instruments.checks import HOST_CLOCK, Clock
from labd_instruments.contract import CaptureSetup, MeanSetup, ProtectionLevels, StreamSetup
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
from labd_instruments.loader import open_driver

EXCHANGES = Path(__file__).parents[2] / "fixtures" / "exchanges"
LATER = Clock("a clock that is far on at each look", map(float, itertools.count(0, 100)).__next__, 0.0)
VALUES: dict[str, object] = {"new_data": "values"}
N6705C: dict[str, object] = {"channel": 1, "marker_channel": 2, "fire_pin": 3}


class Played:
    """A driver on a transcript; leaving it checks that nothing is left over."""

    def __init__(self, driver: str, link: ScriptedLink, options: dict[str, object], clock: Clock) -> None:
        self._link = link
        self.driver: Any = open_driver(driver, "smu", "SCRIPT", options, link=link, clock=clock)

    def __enter__(self) -> Any:
        return self.driver

    def __exit__(self, kind: type[BaseException] | None, *exc: object) -> None:
        if kind is None:
            self._link.finish()


def play(file: str, options: dict[str, object] | None = None, clock: Clock = HOST_CLOCK) -> Played:
    return Played(file.split("/", maxsplit=1)[0], ScriptedLink.from_file(EXCHANGES / f"{file}.txt"), options or {}, clock)


def talk(driver: str, rest: str, options: dict[str, object] | None = None, clock: Clock = HOST_CLOCK) -> Played:
    """The greeting of a plain instrument, then `rest`."""
    greeting = {
        "keysight_n6705c": '> *IDN?\n< Keysight Technologies,N6705C,MY1,E.02.07\n> SYST:CHAN:MOD? (@1)\n< "N6781A"\n',
        "keithley_2450": "> *IDN?\n< KEITHLEY INSTRUMENTS,MODEL 2461,1,1.7\n> *LANG?\n< SCPI\n",
        "yokogawa_wt310e": "> *IDN?\n< YOKOGAWA,WT310E,C1,F1.03\n",
    }[driver]
    return Played(driver, ScriptedLink.from_text(greeting + rest), options or {}, clock)


def edited(file: str, old: str, new: str, options: dict[str, object] | None = None, clock: Clock = HOST_CLOCK) -> Played:
    """A transcript with one reply replaced."""
    text = (EXCHANGES / f"{file}.txt").read_text(encoding="utf-8")
    assert old in text
    return Played(file.split("/", maxsplit=1)[0], ScriptedLink.from_text(text.replace(old, new, 1)), options or {}, clock)


def power_on_and_off(driver: Any, levels: ProtectionLevels) -> ProtectionLevels:
    driver.reset()
    programmed: ProtectionLevels = driver.protect(levels)
    driver.set_remote_sense(True)
    driver.set_off_mode(True)
    driver.set_voltage(3.0)
    driver.set_output(True)
    driver.make_safe()
    return programmed


def ticking(step_s: float) -> Clock:
    ticks = itertools.count(1)
    return Clock("test clock", lambda: next(ticks) * step_s, 0.0)


def test_every_transcript_says_where_it_comes_from() -> None:
    files = sorted(EXCHANGES.glob("*/*.txt"))
    assert files
    assert all("# Origin: " in f.read_text(encoding="utf-8") and "Licence: " in f.read_text(encoding="utf-8") for f in files)


# --- Keysight N6705C


def test_n6705c_powers_on_and_off_as_written() -> None:
    levels = ProtectionLevels(3.6, 0.15, current_trip=True, current_delay_s=0.005)
    with play("keysight_n6705c/power_on_and_off", N6705C) as driver:
        assert power_on_and_off(driver, levels) == replace(levels, open_lead_v=3.6, swapped_leads_v=5.1)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("< +3.600000E+00", "< +2.200000E+01", ReadBackError),
        ("< +1.500000E-01", "< +3.060000E+00", ReadBackError),
        ("> CURR:PROT:STAT? (@1)\n< 1", "> CURR:PROT:STAT? (@1)\n< 0", ReadBackError),
        ("< VMET", "< PS2Q", ReadBackError),
        ("> OUTP? (@1)\n< 1", "> OUTP? (@1)\n< 0", ReadBackError),
        ("> EMUL? (@1)\n< PS2Q", "> EMUL? (@1)\n< PS4Q", ReadBackError),
        ("< 0,0\n> OUTP? (@1)", "< 16,0\n> OUTP? (@1)", ReadBackError),
        ("< TOUT", "< DIN", ReadBackError),
        ("< POS", "< NEG", ReadBackError),
        ("> VOLT:RANG? (@1)\n< +6.120000E+00", "> VOLT:RANG? (@1)\n< +2.040000E+01", ReadBackError),
        ("> CURR:LIM:COUP? (@1)\n< 1", "> CURR:LIM:COUP? (@1)\n< 0", ReadBackError),
        ("< -1.500000E-01", "< -1.020000E+00", ReadBackError),
        ("> VOLT:SENS:SOUR? (@1)\n< EXT", "> VOLT:SENS:SOUR? (@1)\n< INT", ReadBackError),
        ("> OUTP:TMOD? (@1)\n< LOWZ", "> OUTP:TMOD? (@1)\n< HIGHZ", ReadBackError),
        ("> VOLT? (@1)\n< +3.000000E+00", "> VOLT? (@1)\n< +5.000000E+00", ReadBackError),
        ("> OUTP? (@1,2)\n< 0,0", "> OUTP? (@1,2)\n< 1,0", OutputNotOffError),
        ("> OUTP? (@1,2)\n< 0,0", "> OUTP? (@1,2)\n<t", OutputNotOffError),
        ("> OUTP? (@1,2)\n< 0,0", "> OUTP? (@1,2)\n< what", OutputNotOffError),
        ("> OUTP? (@1,2)\n< 0,0", "> OUTP? (@1,2)\n< 0", OutputNotOffError),
        ('> SYST:ERR?\n< +0,"No error"', '> SYST:ERR?\n< -241,"Hardware missing"\n> SYST:ERR?\n< +0,"No error"', RefusedError),
        ("< +3.600000E+00", "< 9.91E37", SentinelError),
    ],
)
def test_n6705c_believes_no_setting_that_reads_back_wrong(old: str, new: str, error: type[InstrumentError]) -> None:
    levels = ProtectionLevels(3.6, 0.15, current_trip=True, current_delay_s=0.005)
    with pytest.raises(error, match="smu"):
        power_on_and_off(edited("keysight_n6705c/power_on_and_off", old, new, N6705C).driver, levels)


def test_n6705c_logs_as_written() -> None:
    clock_s = iter([0.0, 0.3, 0.3])
    with play("keysight_n6705c/log", N6705C, Clock("test clock", lambda: next(clock_s), 0.0)) as driver:
        taken = driver.configure_stream(StreamSetup(0.1024, 0.1, 20.0, with_marker=True))
        driver.start_stream()
        block = driver.read_block()
        assert driver.read_block() is None
        end = driver.stop_stream()
    assert taken.dt_ns == 102_400_000
    assert "cannot see losses below" in taken.settings["record_check"]
    assert block.current.tolist() == pytest.approx([1e-3, 2e-3, 1e-3])
    assert block.marker.tolist() == [0, 3, 0]
    assert (end.records, end.missing, end.elapsed_by) == (3, 0, "test clock")


def test_n6705c_says_how_many_records_are_lost() -> None:
    clock_s = iter([0.0, 1.1])
    played = edited("keysight_n6705c/log", "> ABOR", "> ABOR", N6705C, Clock("test clock", lambda: next(clock_s), 0.0))
    played.driver.configure_stream(StreamSetup(0.1024, 0.1, 20.0, with_marker=True))
    played.driver.start_stream()
    with pytest.raises(LostSamplesError, match=r"3 records in 1\.100 s by the test clock") as caught:
        played.driver.read_block()
    assert caught.value.expected - caught.value.received == 8


def test_n6705c_takes_no_half_record() -> None:
    played = edited("keysight_n6705c/log", "<b f4 0.001 3 0.002", "<b f4 0.001 3", N6705C, ticking(0.1))
    played.driver.configure_stream(StreamSetup(0.1024, 0.1, 20.0, with_marker=True))
    played.driver.start_stream()
    with pytest.raises(ReplyError, match="records hold 2"):
        played.driver.read_block()


def test_n6705c_marks_an_overflow_and_a_clipped_sample() -> None:
    played = edited("keysight_n6705c/log", "<b f4 0.001 3 0.002 3 0.001 3", "<b f4 9.9e37 3 0.1 3 0.001 3", N6705C, ticking(0.05))
    played.driver.configure_stream(StreamSetup(0.1024, 0.1, 20.0, with_marker=True))
    played.driver.start_stream()
    block = played.driver.read_block()
    assert block.flags == BlockFlag.OVER_RANGE | BlockFlag.CLIPPED
    assert np.isnan(block.current[0])


def test_n6705c_captures_as_written() -> None:
    with play("keysight_n6705c/capture", N6705C, ticking(3e-5)) as driver:
        driver.configure_capture(CaptureSetup(20.48e-6, 4, 2, 0.1, 20.0, fire_dut=True))
        driver.arm()
        driver.fire()
        assert [driver.captured(), driver.captured()] == [False, True]
        (block,) = driver.fetch()
    assert block.t0_ns == -2 * 20_480
    assert block.current.tolist() == pytest.approx([1e-3, 1e-3, 2e-2, 2e-2])


def test_n6705c_fetches_no_capture_with_points_missing() -> None:
    played = edited("keysight_n6705c/capture", "<b f4 0.001 0.001 0.02 0.02", "<b f4 0.001 0.001 0.02", N6705C, ticking(3e-5))
    driver = played.driver
    driver.configure_capture(CaptureSetup(20.48e-6, 4, 2, 0.1, 20.0, fire_dut=True))
    driver.arm()
    driver.fire()
    driver.captured()
    driver.captured()
    with pytest.raises(LostSamplesError, match="CURR on channel 1 holds 3 of 4 points"):
        driver.fetch()


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (CaptureSetup(20.48e-6, 100, 100, 0.1, 20.0, fire_dut=False), "allowed is 0 to 99 points"),
        (CaptureSetup(20.48e-6, 100, 10, 0.1, 20.0, fire_dut=False, count=2), "serves 1"),
        (CaptureSetup(20.48e-6, 100, 10, 0.1, 20.0, fire_dut=True), "needs option fire_pin"),
        (CaptureSetup(5.12e-6, 100, 10, 0.1, 20.0, fire_dut=False), "sample interval is 5.12e-06 s"),
        (CaptureSetup(20.48e-6, 100, 10, 0.1, 20.0, fire_dut=False, with_marker=True), "needs option marker_channel"),
        (CaptureSetup(20.48e-6, 100, 10, 0.05, 20.0, fire_dut=False), "current range is 0.05 A, N6781A has 1e-05, 0.001, 0.1, 3 A"),
        (CaptureSetup(20.48e-6, 100, 10, 0.1, 15.0, fire_dut=False), "voltage range is 15 V, N6781A has 0.1, 1, 20 V"),
    ],
)
def test_n6705c_refuses_what_it_cannot_capture(setup: CaptureSetup, complaint: str) -> None:
    allowed = "> SENS:FUNC:CURR ON,(@1)\n> SENS:FUNC:VOLT ON,(@1)"
    with pytest.raises(OutOfRangeError) as caught:
        talk("keysight_n6705c", allowed).driver.configure_capture(setup)
    assert complaint in str(caught.value)


def test_n6705c_refuses_levels_that_no_n6781a_has() -> None:
    driver = talk("keysight_n6705c", "").driver
    with pytest.raises(OutOfRangeError, match="current limit is 5 A, allowed is 0 to 3 A"):
        driver.protect(ProtectionLevels(None, 5.0))
    with pytest.raises(OutOfRangeError, match="voltage is 25 V"):
        driver.set_voltage(25.0)


def test_n6705c_refuses_high_voltage_with_a_high_current_limit() -> None:
    driver = talk("keysight_n6705c", "> CURR:LIM? (@1)\n< 3").driver
    with pytest.raises(OutOfRangeError, match="current limit above 6 V is 3 A"):
        driver.set_voltage(12.0)


def test_n6705c_with_another_module_is_the_wrong_instrument() -> None:
    text = '> *IDN?\n< Keysight Technologies,N6705C,MY1,E\n> SYST:CHAN:MOD? (@1)\n< "N6731B"'
    with pytest.raises(WrongInstrumentError, match="channel 1 holds a N6731B, wanted is an N6781A"):
        open_driver("keysight_n6705c", "smu", "SCRIPT", {}, link=ScriptedLink.from_text(text))


def test_n6705c_names_what_tripped() -> None:
    driver = talk("keysight_n6705c", "> STAT:QUES:COND? (@1)\n< 129\n> STAT:QUES:COND? (@1)\n< 0").driver
    assert driver.tripped() == "over-voltage protection, positive current limit"
    assert driver.tripped() is None


def test_n6705c_says_what_must_come_first() -> None:
    driver = talk("keysight_n6705c", "").driver
    for step in (driver.start_stream, driver.read_block, driver.stop_stream, driver.arm, driver.fire, driver.fetch, driver.read_mean):
        with pytest.raises(OutOfRangeError, match="comes first"):
            step()


# --- Yokogawa WT310E


def test_wt310e_reads_means_as_written_and_no_update_twice() -> None:
    with play("yokogawa_wt310e/mean", VALUES, LATER) as driver:
        driver.reset()
        taken = driver.configure_mean(MeanSetup(0.1, 0.02, 15.0))
        driver.zero()
        first, again, second = driver.read_mean(), driver.read_mean(), driver.read_mean()
    assert taken.columns == ("current", "voltage", "power")
    assert (first.voltage_v, again) == (3.0, None)
    assert first.power_w == pytest.approx(0.03)
    assert second.current_a == pytest.approx(0.011)


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("<b f4 3.0 0.01 0.03", "<b f4 3.0 nan 0.03", SentinelError),
        ("<b f4 3.0 0.01 0.03", "<b f4 3.0 inf inf", SentinelError),
        ("<b f4 3.0 0.01 0.03", "<b f4 3.0 0.01", ReplyError),
        (":STAT:COND?\n< 0", ":STAT:COND?\n< 256", SentinelError),
        (":STAT:COND?\n< 0", ":STAT:COND?\n< 128", SentinelError),
        (":STAT:COND?\n< 0", ":STAT:COND?\n< what", ReplyError),
        ("> *CAL?\n< 0", "> *CAL?\n< 1", RefusedError),
    ],
)
def test_wt310e_takes_no_bad_reading(old: str, new: str, error: type[InstrumentError]) -> None:
    driver = edited("yokogawa_wt310e/mean", old, new, VALUES, LATER).driver
    driver.reset()
    driver.configure_mean(MeanSetup(0.1, 0.02, 15.0))

    def zero_and_read() -> None:
        driver.zero()
        driver.read_mean()

    with pytest.raises(error):
        zero_and_read()


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ("15.0E+00;1.0E+00;100.0E-03;DC;0;1;0;0;0;0;0;0;3", r"CURR:RANG was fixed at 0\.02 and is 1 now: over-input"),
        ("15.0E+00;20.0E-03;250.0E-03;DC;0;0;0;0;0;0;0;0;3", r"RATE was fixed at 0\.1 and is 0\.25 now: was a key pressed"),
        ("15.0E+00;20.0E-03;100.0E-03;RMS;0;0;0;0;0;0;0;0;3", "MODE is RMS now, was set to DC"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;1;0;0;0;0;0;0;0;3", "VOLT:AUTO was fixed at 0 and is 1 now"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;1;0;0;0;0;0;3", "NULL was"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;1;0;0;0;0;3", "SCAL was"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;0;1;0;0;0;3", "AVER:STATE was"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;0;0;1;0;0;3", "MHOL was"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;0;0;0;1;0;3", "FILT:LINE was"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;0;0;0;0;1;3", "FILT:FREQ was"),
        ("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;0;0;0;0;0;6", "CFAC was fixed at 3 and is 6 now"),
    ],
)
def test_wt310e_notices_that_it_left_its_range_or_a_key_was_pressed(told: str, complaint: str) -> None:
    text = (EXCHANGES / "yokogawa_wt310e" / "mean.txt").read_text(encoding="utf-8")
    first, last = text.rsplit("15.0E+00;20.0E-03;100.0E-03;DC;0;0;0;0;0;0;0;0;3", 1)
    link = ScriptedLink.from_text(first + told + last)
    driver: Any = open_driver("yokogawa_wt310e", "meter", "SCRIPT", VALUES, link=link, clock=LATER)
    driver.reset()
    driver.configure_mean(MeanSetup(0.1, 0.02, 15.0))
    driver.zero()
    driver.read_mean()
    driver.read_mean()
    with pytest.raises(ReadBackError, match=complaint):
        driver.read_mean()


def test_wt310e_wants_an_answer_to_each_of_its_settings() -> None:
    driver = edited("yokogawa_wt310e/mean", ";DC;0;0;0;0;0;0;0;0;3", ";DC;0;0", VALUES, LATER).driver
    driver.reset()
    with pytest.raises(ReplyError, match="13 settings were asked for"):
        driver.configure_mean(MeanSetup(0.1, 0.02, 15.0))


def test_wt310e_power_row_comes_from_its_document() -> None:
    table = talk("yokogawa_wt310e", "").driver.accuracy()
    limit = table.limit("power", 15.0 * 0.02, 0.1)
    assert limit is not None
    assert (limit.gain, limit.offset) == (1e-3, pytest.approx(2e-3 * 0.3))
    assert "IM WT310E-02EN p7-7" in limit.source
    assert table.limit("current", 0.02, 0.1) is None


@pytest.mark.parametrize(
    ("setup", "complaint"),
    [
        (MeanSetup(0.1, None, 15.0), "current range is automatic"),
        (MeanSetup(0.1, 0.03, 15.0), "current range is 0.03 A, a WT310E has 0.005, 0.01"),
        (MeanSetup(0.1, 0.02, 5.0), "voltage range is 5 V"),
        (MeanSetup(0.01, 0.02, 15.0), "update interval is 0.01 s"),
    ],
)
def test_wt310e_refuses_what_it_has_not(setup: MeanSetup, complaint: str) -> None:
    with pytest.raises(OutOfRangeError) as caught:
        talk("yokogawa_wt310e", "").driver.configure_mean(setup)
    assert complaint in str(caught.value)


def test_wt310e_tells_updates_apart_by_its_register() -> None:
    settings = (
        "> :INP:VOLT:RANG?;:INP:CURR:RANG?;:RATE?;:INP:MODE?;:INP:VOLT:AUTO?;:INP:CURR:AUTO?;:INP:NULL?;:INP:SCAL?;:MEAS:AVER:STATE?;"
        ":MEAS:MHOL?;:INP:FILT:LINE?;:INP:FILT:FREQ?;:INP:CFAC?\n< 15;1;1;DC;0;0;0;0;0;0;0;0;3\n"
    )
    script = (
        '> :INP:VOLT:RANG 15\n> :INP:CURR:RANG 1A\n> :RATE 1S\n> :STAT:ERR?\n< 0,"No error"\n'
        f"{settings}> :STAT:EESR?\n< 0\n> :STAT:EESR?\n< 1\n> :NUM:NORM:VAL?\n<b f4 3 0.5 1.5\n> :STAT:EESR?\n< 1\n"
        f"{settings}> :STAT:COND?\n< 0\n> :STAT:EESR?\n< 0"
    )
    with talk("yokogawa_wt310e", script, clock=LATER) as driver:
        driver.configure_mean(MeanSetup(1.0, 1.0, 15.0))
        assert driver.read_mean() is None
        assert driver.read_mean().power_w == 1.5, "whose update has ended before or after the first look"
        assert driver.read_mean() is None


def test_n6705c_watchdog_is_programmed_read_back_fed_and_switched_off_as_written() -> None:
    with play("keysight_n6705c/watchdog") as smu:
        smu.set_watchdog(1.0)
        smu.feed_watchdog()
        smu.set_watchdog(None)


@pytest.mark.parametrize(("old", "new"), [("?\n< 1\n> OUTP", "?\n< 0\n> OUTP"), ("DEL?\n< 1", "DEL?\n< 60")])
def test_n6705c_believes_no_watchdog_that_reads_back_wrong(old: str, new: str) -> None:
    text = (EXCHANGES / "keysight_n6705c/watchdog.txt").read_text()
    assert old in text
    smu: Any = open_driver("keysight_n6705c", "smu", "SCRIPT", {}, link=ScriptedLink.from_text(text.replace(old, new, 1)))
    with pytest.raises(ReadBackError, match="watchdog"):
        smu.set_watchdog(1.0)


@pytest.mark.parametrize("delay_s", [0.5, 1.5, 3601.0])
def test_n6705c_refuses_a_watchdog_it_does_not_have(delay_s: float) -> None:
    with talk("keysight_n6705c", "") as smu, pytest.raises(OutOfRangeError, match="watchdog"):
        smu.set_watchdog(delay_s)
