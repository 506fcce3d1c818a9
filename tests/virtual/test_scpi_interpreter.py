"""Whole messages: chaining, inherited paths, common commands, status and errors."""

from __future__ import annotations

import pytest

from labd_virtual.scpi_interpreter import Interpreter
from labd_virtual.scpi_message import indefinite_block
from labd_virtual.scpi_params import Number


def instrument() -> Interpreter:
    scpi = Interpreter("MAKER,MODEL,SERIAL,FIRMWARE")
    values = {"volt": 0.0, "prot": 0.0, "curr": 0.0}
    for key, pattern in (
        ("volt", "[SOURce:]VOLTage[:LEVel]"),
        ("prot", "[SOURce:]VOLTage:PROTection"),
        ("curr", "[SOURce:]CURRent[:LEVel]"),
    ):
        scpi.tree.add(pattern, lambda c, k=key: values.__setitem__(k, c[0]), Number("", 0, 10))  # type: ignore[misc]
        scpi.tree.query(pattern, lambda _, k=key: f"{values[k]:g}")  # type: ignore[misc]
    scpi.tree.query("SYSTem:ERRor", lambda _: '{},"{}"'.format(*scpi.errors.pop()))
    scpi.tree.query("BLOCk", lambda _: indefinite_block(b"\x00\n;"))
    return scpi


async def ask(scpi: Interpreter, message: str) -> str:
    return (await scpi.execute(message) or b"").decode("latin-1").removesuffix("\n")


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ("VOLT 1;CURR 2;:VOLT?;:CURR?", "1;2"),
        ("SOUR:VOLT 1;CURR 2;:VOLT?;CURR?", "1;2"),
        ("VOLT:LEV 1;PROT 3;*ESE 4;LEV?;PROT?;*ESE?", "1;3;4"),
        (":sour:volt:lev 1.5 ; prot 3 ; :volt:prot?", "3"),
        ("*IDN?;:*ESE?", "MAKER,MODEL,SERIAL,FIRMWARE;0"),
        ("VOLT?;;", "0"),
    ],
)
async def test_a_chain_inherits_the_path_of_the_unit_before_it(message: str, reply: str) -> None:
    scpi = instrument()
    assert await ask(scpi, message) == reply
    assert len(scpi.errors) == 0


async def test_the_path_is_that_of_the_header_as_it_was_sent() -> None:
    scpi = instrument()
    assert await ask(scpi, "VOLT:PROT 3;VOLT?") == ""
    assert await ask(scpi, "SYST:ERR?") == '-113,"Undefined header"'


async def test_a_command_error_ends_the_message_and_an_execution_error_does_not() -> None:
    scpi = instrument()
    assert await ask(scpi, "VOLT 11;VOLT 2;VOLT?") == "2"
    assert await ask(scpi, "VOLT 3;NONSENSE;VOLT 4") == ""
    assert await ask(scpi, "VOLT?") == "3"
    assert await ask(scpi, "SYST:ERR?;ERR?;ERR?") == '-222,"Data out of range";-113,"Undefined header";0,"No error"'


async def test_errors_reach_the_event_register_and_the_status_byte() -> None:
    scpi = instrument()
    await scpi.execute("*CLS;*ESE 48;*SRE 32")
    await scpi.execute("NONSENSE")
    assert await ask(scpi, "*STB?") == str(4 + 32 + 64)
    await scpi.execute("VOLT 99")
    assert await ask(scpi, "*ESR?;*ESR?") == "48;0"
    await scpi.execute("*CLS")
    assert await ask(scpi, "*STB?;:SYST:ERR?") == '0;0,"No error"'


async def test_opc_sets_its_bit_and_answers() -> None:
    scpi = instrument()
    await scpi.execute("*CLS;*OPC;*WAI")
    assert await ask(scpi, "*ESR?;*OPC?;*TST?") == "1;1;0"


async def test_a_query_after_an_indefinite_block_is_an_error() -> None:
    scpi = instrument()
    assert (await scpi.execute("BLOC?")) == b"#0\x00\n;\n"
    await scpi.execute("BLOC?;VOLT?")
    assert (await ask(scpi, "SYST:ERR?")).startswith("-440")


async def test_a_query_form_that_does_not_exist_is_an_undefined_header_without_a_reply() -> None:
    scpi = instrument()
    assert await scpi.execute("*CLS?") is None
    assert await ask(scpi, "SYST:ERR?") == '-113,"Undefined header"'
