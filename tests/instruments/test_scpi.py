"""SCPI text in and out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_instruments import scpi
from labd_instruments.errors import LinkTimeoutError, RefusedError, ReplyError, SentinelError
from labd_instruments.links.scripted import ScriptedLink


@pytest.mark.parametrize(
    ("reply", "maker", "model"),
    [
        ("KEITHLEY INSTRUMENTS,MODEL 2461,04089762,1.6.7d", "KEITHLEY INSTRUMENTS", "2461"),
        ("Keithley Instruments Inc., Model 2601B, 1398687, 3.0.0", "Keithley Instruments Inc.", "2601B"),
        ("Agilent Technologies,N6705B,MY50001897,D.01.08", "Agilent Technologies", "N6705B"),
        ("YOKOGAWA,760304-40-MV,0,F5.01", "YOKOGAWA", "760304-40-MV"),
        ('"ACME,X,1,2,build 3"', "ACME", "X"),
    ],
)
def test_identities_in_every_form_seen_are_parsed(reply: str, maker: str, model: str) -> None:
    who = scpi.identity(reply)
    assert (who.maker, who.model) == (maker, model)


@pytest.mark.parametrize("reply", ["", "ACME", "a,b,c"])
def test_what_is_no_identity_is_a_reply_error(reply: str) -> None:
    with pytest.raises(ReplyError):
        scpi.identity(reply)


@pytest.mark.parametrize(
    ("reply", "entry"),
    [
        ('+0,"No error"', (0, "No error")),
        ('-113,"Undefined header"', (-113, "Undefined header")),
        ('1133,"Parameter 4, Syntax error, expected valid name parameters;1;2026/01/01 10:00:00"', (1133, None)),
        ("0", (0, "")),
        ('113,"Undefined Header"', (113, "Undefined Header")),
    ],
)
def test_error_entries_of_three_makers_are_parsed(reply: str, entry: tuple[int, str | None]) -> None:
    code, text = scpi.error_entry(reply)
    assert code == entry[0]
    assert entry[1] is None or text == entry[1]


def test_the_error_queue_is_read_to_its_end_oldest_first() -> None:
    link = ScriptedLink.from_text('> SYST:ERR?\n< -113,"a"\n> SYST:ERR?\n< -222,"b"\n> SYST:ERR?\n< +0,"No error"')
    entries = scpi.error_queue(link)
    link.finish()
    assert entries == ((-113, "a"), (-222, "b"))
    with pytest.raises(RefusedError, match=r"smu: refused a range: -113 a; -222 b") as caught:
        scpi.raise_errors(entries, "smu", "a range")
    assert caught.value.messages == entries


def test_an_error_queue_that_never_ends_is_a_reply_error() -> None:
    link = ScriptedLink(["> SYST:ERR?", '< -350,"Queue overflow"'] * scpi.QUEUE_LIMIT)
    with pytest.raises(ReplyError, match="did not end"):
        scpi.error_queue(link)


def test_a_silence_is_explained_by_the_error_queue() -> None:
    link = ScriptedLink.from_text('> X?\n<t\n> SYST:ERR?\n< -113,"Undefined header"\n> SYST:ERR?\n< +0,"No error"')
    with pytest.raises(RefusedError, match="-113"), scpi.explained(link, "smu", "a question"):
        link.query("X?")
    link.finish()


@pytest.mark.parametrize("queue", ['< +0,"No error"', "<t"])
def test_a_silence_without_a_reason_stays_a_time_out(queue: str) -> None:
    link = ScriptedLink.from_text(f"> X?\n<t\n> SYST:ERR?\n{queue}")
    with pytest.raises(LinkTimeoutError, match=r"X\?"), scpi.explained(link, "smu", "a question"):
        link.query("X?")


@given(st.floats(min_value=-1e30, max_value=1e30))
def test_numbers_read_back_as_sent_to_nine_digits(number: float) -> None:
    assert math.isclose(float(scpi.number(number)), number, rel_tol=1e-8, abs_tol=0.0)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_nothing_infinite_is_sent(number: float) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        scpi.number(number)


@pytest.mark.parametrize("reply", ["9.9E37", "+9.910000E+37", "-9.9e37", "NAN", "INF", "-inf", "9e36"])
def test_marks_for_overflow_and_no_data_are_no_readings(reply: str) -> None:
    with pytest.raises(SentinelError):
        scpi.value(reply, "the current")


def test_a_large_but_honest_reading_passes() -> None:
    assert scpi.value("8.9e36", "x") == 8.9e36


@pytest.mark.parametrize("reply", ["", "abc", "1,2"])
def test_what_is_no_number_is_a_reply_error(reply: str) -> None:
    with pytest.raises(ReplyError):
        scpi.value(reply, "the current")


def test_sentinels_in_a_block_become_nan_and_are_reported() -> None:
    clean, bad = scpi.without_sentinels(np.array([1.0, 9.91e37, -np.inf, np.nan], np.float32))
    assert bad
    assert clean[0] == 1.0
    assert np.isnan(clean[1:]).all()


@given(st.lists(st.floats(-(2.0**100), 2.0**100, width=32), max_size=20))
def test_a_block_without_sentinels_is_left_alone(samples: list[float]) -> None:
    block = np.array(samples, np.float32)
    clean, bad = scpi.without_sentinels(block)
    assert not bad
    assert np.array_equal(clean, block)


@pytest.mark.parametrize(("reply", "states"), [("1,0", (True, False)), ("ON", (True,)), ("+0", (False,)), ("off", (False,))])
def test_states_are_read_in_every_form(reply: str, states: tuple[bool, ...]) -> None:
    assert scpi.booleans(reply, "x") == states


def test_a_state_that_is_none_is_a_reply_error() -> None:
    with pytest.raises(ReplyError):
        scpi.booleans("2", "the output state")


def test_status_registers_of_several_channels_are_integers() -> None:
    assert scpi.integers("+32,+0", "x") == (32, 0)
    with pytest.raises(ReplyError):
        scpi.integers("x", "x")


def test_the_wrong_count_of_readings_is_a_reply_error() -> None:
    assert scpi.values("1,2", "x", 2) == (1.0, 2.0)
    with pytest.raises(ReplyError):
        scpi.values("1", "x", 2)
