"""The NGU and NGM driver says exactly what the dialogues say, which were written from the manuals, and refuses replies that are wrong."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock
from labd_instruments.contract import ProtectionLevels, StreamEnd, StreamSetup
from labd_instruments.errors import InstrumentError, LostSamplesError, OutputNotOffError, ReadBackError, RefusedError, ReplyError
from labd_instruments.links.scripted import ScriptedLink
from labd_instruments.loader import open_driver

EXCHANGES = Path(__file__).parents[2] / "fixtures" / "exchanges" / "rohde_schwarz_ngu"
LEVELS = ProtectionLevels(3.6, 0.15, current_trip=True, current_delay_s=0.005)
SKIPPED = "> STAT:QUES:INST:ISUM1:EVEN?\n<"


def ticking(step_s: float) -> Clock:
    ticks = itertools.count(1)
    return Clock("test clock", lambda: next(ticks) * step_s, 0.0)


def played(file: str, old: str = "", new: str = "") -> tuple[Any, ScriptedLink]:
    """The driver on a dialogue, in which one reply may be another."""
    text = (EXCHANGES / f"{file}.txt").read_text(encoding="utf-8")
    assert old in text
    link = ScriptedLink.from_text(text.replace(old, new, 1))
    return open_driver("rohde_schwarz_ngu", "smu", "SCRIPT", {}, link=link, clock=ticking(4e-3)), link


def power_on_and_off(driver: Any) -> None:
    driver.reset()
    assert driver.protect(LEVELS) == LEVELS
    driver.set_remote_sense(True)
    driver.set_off_mode(False)
    driver.set_voltage(3.0)
    driver.set_output(True)
    driver.make_safe()


def log_two_pairs(driver: Any) -> tuple[Block, StreamEnd]:
    driver.configure_stream(StreamSetup(0.01, 0.1, 6.0))
    driver.start_stream()
    return driver.read_block(), driver.stop_stream()


def test_it_powers_on_and_off_as_written() -> None:
    driver, link = played("power_on_and_off")
    power_on_and_off(driver)
    link.finish()


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("< 3.600", "< 20.000", ReadBackError),
        ("> VOLT:PROT?\n< 1", "> VOLT:PROT?\n< 0", ReadBackError),
        ("< 0.1500", "< 8.0000", ReadBackError),
        ("< -0.1500", "< -8.0000", ReadBackError),
        ("> FUSE?\n< 1", "> FUSE?\n< 0", ReadBackError),
        ("< 0.005", "< 0.010", ReadBackError),
        ("> POW:PROT?\n< 0", "> POW:PROT?\n< 1", ReadBackError),
        ("< EXT", "< AUTO", ReadBackError),
        ("< 3.000", "< 3.100", ReadBackError),
        ("< VOLT", "< CURR", ReadBackError),
        ("> INST:NSEL?\n< 1", "> INST:NSEL?\n< 2", ReadBackError),
        ("> OUTP:SEL?\n< 1\n> OUTP:GEN?\n< 1", "> OUTP:SEL?\n< 1\n> OUTP:GEN?\n< 0", ReadBackError),
        ("> OUTP:SEL?\n< 1\n> OUTP:GEN?\n< 1", "> OUTP:SEL?\n< 0\n> OUTP:GEN?\n< 1", ReadBackError),
        ("> OUTP:GEN?\n< 0", "> OUTP:GEN?\n< 1", OutputNotOffError),
        ("> OUTP:SEL?\n< 0", "> OUTP:SEL?\n< 1", OutputNotOffError),
        ("> SYST:ERR?\n< 0,", '> SYST:ERR?\n< -222,"Data out of range"\n> SYST:ERR?\n< 0,', RefusedError),
    ],
)
def test_it_believes_no_setting_that_reads_back_wrong(old: str, new: str, error: type[InstrumentError]) -> None:
    with pytest.raises(error, match="smu"):
        power_on_and_off(played("power_on_and_off", old, new)[0])


def test_it_logs_as_written() -> None:
    driver, link = played("log")
    block, end = log_two_pairs(driver)
    link.finish()
    assert (block.seq, block.t0_ns, block.dt_ns) == (0, 0, 10_000_000)
    assert block.voltage is not None
    assert block.current is not None
    assert block.voltage.tolist() == [3.0, 3.0]
    assert block.current.tolist() == pytest.approx([1e-3, 20e-3])
    assert (end.records, end.missing, end.elapsed_by) == (2, 0, "test clock")


@pytest.mark.parametrize(
    ("old", "new", "error"),
    [
        ("> FLOG:TARG?\n< SCPI", "> FLOG:TARG?\n< USB", ReadBackError),
        ("> FLOG:SRAT?\n< S100", "> FLOG:SRAT?\n< S500k", ReadBackError),
        ("> FLOG:SRAT?\n< S100", "> FLOG:SRAT?\n< S122", ReadBackError),
        ("> FLOG:TRIG?\n< 0", "> FLOG:TRIG?\n< 1", ReadBackError),
        ("> SENS:CURR:RANG?\n< 0.1", "> SENS:CURR:RANG?\n< 3", ReadBackError),
        ("> SENS:VOLT:RANG?\n< 6", "> SENS:VOLT:RANG?\n< 20", ReadBackError),
        ("> FLOG?\n< 1", "> FLOG?\n< 0", ReadBackError),
        (
            "ISUM1:EVEN?\n< 4096\n> STAT:QUES:INST:ISUM1:EVEN?\n< 0",
            "ISUM1:EVEN?\n< 4096\n> STAT:QUES:INST:ISUM1:EVEN?\n< 2048",
            LostSamplesError,
        ),
        ("<b f4 3 0.001 3 0.02", "<b f4 3 0.001 3", ReplyError),
        ("<b f4 3 0.001 3 0.02", "<b f4 2.3e-41 0.001 3 0.02", ReplyError),
        ("<b f4 3 0.001 3 0.02", "<b f4 2.7e23 0.001 3 0.02", ReplyError),
        ("< 4096", "< what", ReplyError),
    ],
)
def test_it_takes_no_log_that_is_not_as_asked(old: str, new: str, error: type[InstrumentError]) -> None:
    with pytest.raises(error, match="smu"):
        log_two_pairs(played("log", old, new)[0])


def test_a_rate_may_come_back_without_its_zeros() -> None:
    driver, _ = played("log", "> FLOG:SRAT?\n< S100", "> FLOG:SRAT?\n< S0100")
    assert len(log_two_pairs(driver)[0]) == 2


def test_values_beyond_everything_are_no_number() -> None:
    driver, _ = played("log", "<b f4 3 0.001 3 0.02", "<b f4 3 9.91e37 3 nan")
    block, _ = log_two_pairs(driver)
    assert BlockFlag.OVER_RANGE in block.flags
    assert block.current is not None
    assert np.isnan(block.current).all()
