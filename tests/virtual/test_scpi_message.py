"""Messages, arguments and parameters: what is taken, and the code of what is not."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.scpi_errors import ErrorQueue, ScpiError
from labd_virtual.scpi_message import definite_block, message_end, parse_argument, parse_unit, split
from labd_virtual.scpi_params import BlockData, Boolean, Channels, Choice, Integer, Limit, Number, Parameter, Text, bind


def code_of(work: Any, *arguments: Any) -> int:
    with pytest.raises(ScpiError) as caught:
        work(*arguments)
    return caught.value.code


def value(parameter: Parameter, text: str) -> Any:
    return bind((parameter,), (parse_argument(text),))[0]


@given(st.binary(max_size=300))
def test_a_block_comes_through_whatever_bytes_it_holds(data: bytes) -> None:
    message = b"DATA " + definite_block(data) + b";*IDN?\n"
    assert message_end(message) == len(message)
    first, second = split(message.decode("latin-1"), ";")
    assert bind((BlockData(),), parse_unit(first).arguments) == (data,)
    assert parse_unit(second).query


@given(st.binary(max_size=60), st.integers(0, 80))
def test_a_cut_block_message_is_incomplete(data: bytes, cut: int) -> None:
    message = b"DATA " + definite_block(data) + b"\n"
    if cut < len(message):
        assert message_end(message[:cut]) is None


@given(st.text(st.characters(max_codepoint=126, min_codepoint=32), max_size=40))
def test_a_quoted_string_comes_through_with_its_quotes_doubled(text: str) -> None:
    for quote in "\"'":
        assert value(Text(), quote + text.replace(quote, quote * 2) + quote) == text


@given(st.floats(1e-12, 1e6), st.sampled_from(("", "V", "MV", "uV", "KV", "k", "MAV")))
def test_si_suffixes_scale_the_number(number: float, suffix: str) -> None:
    factor = {"": 1.0, "V": 1.0, "MV": 1e-3, "UV": 1e-6, "KV": 1e3, "K": 1e3, "MAV": 1e6}[suffix.upper()]
    assert math.isclose(value(Number("V"), f"{number!r} {suffix}"), number * factor, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [("A", "200MA", 0.2), ("HZ", "1MHZ", 1e6), ("S", "100MS", 0.1), ("", "#HFF", 255.0), ("", "#B101", 5.0), ("V", "+.5e1", 5.0)],
)
def test_numbers_are_read_as_the_standard_writes_them(unit: str, text: str, expected: float) -> None:
    assert value(Number(unit), text) == pytest.approx(expected)


@pytest.mark.parametrize(("text", "expected"), [("MIN", 0.0), ("maximum", 5.0), ("DEF", 1.0)])
def test_min_max_and_def_stand_for_their_values(text: str, expected: float) -> None:
    assert value(Number("V", 0.0, 5.0, 1.0), text) == expected


@pytest.mark.parametrize(
    ("parameter", "text", "code"),
    [
        (Number("V", 0, 5), "5.1", -222),
        (Number("V", 0, 5), "1 A", -131),
        (Number("", 0, 5), "1 V", -138),
        (Number("V"), "ON", -224),
        (Number("V"), '"3"', -158),
        (Number("V"), "(@1)", -178),
        (Number("V"), "1.2.3", -121),
        (Integer(1, 10), "11", -222),
        (Boolean(), "MAYBE", -224),
        (Choice("INTernal|EXTernal"), "INTE", -224),
        (Choice("INTernal|EXTernal"), "1", -128),
        (Text(), "CURR", -148),
        (Text(), '"CURR', -151),
        (BlockData(), "#15ab", -161),
        (Channels((1, 2)), "(@3)", -222),
        (Channels((1, 2)), "(@1:)", -171),
        (Channels((1, 2)), "1", -128),
    ],
)
def test_a_wrong_parameter_has_its_own_code(parameter: Parameter, text: str, code: int) -> None:
    assert code_of(value, parameter, text) == code


@pytest.mark.parametrize(("text", "numbers"), [("(@1)", (1,)), ("(@1,2)", (1, 2)), ("(@1:3)", (1, 2, 3)), ("(@ 3 , 1:2 )", (3, 1, 2))])
def test_channel_lists(text: str, numbers: tuple[int, ...]) -> None:
    assert value(Channels((1, 2, 3)), text) == numbers


def test_an_optional_leading_parameter_is_recognised_by_its_kind() -> None:
    parameters = (Limit(), Channels((1, 2)))
    assert bind(parameters, (parse_argument("(@1)"),)) == (None, (1,))
    assert bind(parameters, (parse_argument("MAX"), parse_argument("(@1)"))) == ("MAX", (1,))


def test_too_few_and_too_many_parameters() -> None:
    one = parse_argument("1")
    assert code_of(bind, (Number(), Number()), (one,)) == -109
    assert code_of(bind, (Number(),), (one, one)) == -108


@pytest.mark.parametrize(("text", "code"), [("VOLT::LEV 1", -102), ("VOLT,1", -103), ("1VOLT", -102), ("VOLT 1,,2", -109), ("é", -101)])
def test_broken_units_have_their_codes(text: str, code: int) -> None:
    assert code_of(parse_unit, text) == code


def test_the_last_entry_of_a_full_queue_is_queue_overflow() -> None:
    queue = ErrorQueue(3)
    for code in (-113, -222, -224, -221):
        queue.push(code, "x")
    assert [queue.pop()[0] for _ in range(4)] == [-113, -222, -350, 0]
