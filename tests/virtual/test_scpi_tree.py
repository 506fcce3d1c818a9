"""Spellings of a header: short and long forms, any case, optional nodes, numeric suffixes."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.scpi_errors import ScpiError
from labd_virtual.scpi_message import parse_unit
from labd_virtual.scpi_params import short_form
from labd_virtual.scpi_tree import CommandTree, pattern_keywords

PATTERNS = (
    "[SOURce[1]:]VOLTage[:LEVel][:IMMediate][:AMPLitude]",
    "SENSe:ELOG:FUNCtion:CURRent[:STATe]",
    "SENSe:ELOG:FUNCtion:CURRent:MINMax",
    "[SENSe[1]:]DIGitize:CURRent:SRATe",
    "DIGital:LINE<1-6>:MODE",
    "[SOURce[1]:]VOLTage:PROTection[:LEVel]",
)


def tree() -> CommandTree:
    built = CommandTree()
    for pattern in PATTERNS:
        built.add(pattern, lambda _: None)
    return built


def find(header: str, *, query: bool = False) -> tuple[str, tuple[int, ...]]:
    unit = parse_unit(header)
    found = tree().find(unit.nodes, query=query)
    return found.command.pattern, found.suffixes


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, str, tuple[int, ...]]:
    """A pattern, one legal way to write it, and the suffixes that must be found."""
    pattern = draw(st.sampled_from(PATTERNS))
    names, optional = pattern_keywords(pattern)
    words, suffixes = [], []
    for name, skippable in zip(names, optional, strict=True):
        if skippable and draw(st.booleans()):
            continue
        word = name if draw(st.booleans()) else short_form(name)
        word = "".join(draw(st.sampled_from((c.upper(), c.lower()))) for c in word)
        if name == "LINE":
            number = draw(st.integers(1, 6))
            suffixes.append(number)
            word += str(number)
        elif draw(st.booleans()):
            word += "1"
        words.append(word)
    return pattern, draw(st.sampled_from(("", ":"))) + ":".join(words), tuple(suffixes)


@given(spellings())
def test_every_legal_spelling_is_the_same_command(case: tuple[str, str, tuple[int, ...]]) -> None:
    pattern, header, suffixes = case
    assert find(header) == (pattern, suffixes)


@given(st.sampled_from(("VOLTAG", "VOL", "VOLTAGES", "SOUR", "SENS:ELOG", "SENS:ELOG:FUNC:CURR:MIN", "DIG:LINE1", "XYZ")))
def test_a_form_that_is_neither_short_nor_long_is_undefined(header: str) -> None:
    with pytest.raises(ScpiError) as caught:
        find(header)
    assert caught.value.code == -113


@pytest.mark.parametrize("header", ["DIG:LINE7:MODE", "DIG:LINE0:MODE", "SOUR2:VOLT", "VOLT3"])
def test_a_suffix_outside_its_range_says_so(header: str) -> None:
    with pytest.raises(ScpiError) as caught:
        find(header)
    assert caught.value.code == -114


def test_keywords_that_share_a_short_form_are_told_apart_by_what_follows() -> None:
    assert find("DIG:CURR:SRAT")[0] == "[SENSe[1]:]DIGitize:CURRent:SRATe"
    assert find("DIG:LINE3:MODE") == ("DIGital:LINE<1-6>:MODE", (3,))


def test_a_command_has_no_query_unless_one_is_declared() -> None:
    with pytest.raises(ScpiError) as caught:
        find("VOLT", query=True)
    assert caught.value.code == -113


def test_two_commands_under_one_header_are_refused_when_built() -> None:
    built = tree()
    with pytest.raises(ValueError, match="collides"):
        built.add("VOLTage[:STATe]", lambda _: None)


def test_patterns_of_this_test_are_distinct() -> None:
    assert all(a != b for a, b in pairwise(sorted(PATTERNS)))
