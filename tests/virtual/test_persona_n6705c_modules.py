"""Each module and mainframe of the virtual N6705C over a real socket with stock PyVISA: what it has, and what it refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.instruments import keysight_n6705c
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse

NO_ERROR = '+0,"No error"'
MODULES = ("N6781A", "N6782A", "N6784A", "N6785A", "N6786A")
SMALL, LARGE = ("N6781A", "N6782A", "N6784A"), ("N6785A", "N6786A")


def smu(bench: Bench, module: str = "N6781A", /, wires: dict[str, str] | None = None, **options: Any) -> Persona:
    return keysight_n6705c.create(bench.setup(options={"channel": 1, "module": module} | options, wires=wires or {}))


async def said(module: str, *commands: str, ask: str = "SYST:ERR?", **options: Any) -> str:
    """What is answered to `ask` after some commands."""

    def talk(r: MessageBasedResource) -> str:
        for command in commands:
            r.write(command)
        answer: str = r.query(ask)
        return answer

    return await converse(smu(Bench(), module, **options), talk)


@pytest.mark.parametrize("module", MODULES)
async def test_it_names_the_module_that_it_holds(module: str) -> None:
    assert await said(module, ask="SYST:CHAN:MOD? (@1);OPT? (@1)") == f'"{module}";""'
    assert await said(module, ask="SYST:CHAN:OPT? (@1)", module_options="054,761") == '"054,761"'


@pytest.mark.parametrize(
    ("mainframe", "begins"),
    [
        ("N6705C", "Keysight Technologies,N6705C,"),
        ("N6705B", "Agilent Technologies,N6705B,"),
        ("N6700C", "Keysight Technologies,N6700C,"),
        ("", "Keysight Technologies,N6705C,"),
    ],
)
async def test_it_is_the_mainframe_that_was_asked_for(mainframe: str, begins: str) -> None:
    assert (await said("N6781A", ask="*IDN?", mainframe=mainframe)).startswith(begins)


@pytest.mark.parametrize("options", [{"module": "N6762A"}, {"mainframe": "N6706A"}])
def test_what_is_not_virtual_here_is_refused_with_what_is(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"expected one of N67\d\d"):
        keysight_n6705c.create(Bench().setup(options=options))


@pytest.mark.parametrize(
    ("module", "mode", "code"),
    [
        ("N6781A", "BATT", 0),
        ("N6785A", "CHAR", 0),
        ("N6784A", "PS4Q", 0),
        *((module, "VMET", 0) for module in MODULES),
        ("N6782A", "BATT", 310),
        ("N6784A", "CHAR", 310),
        ("N6786A", "BATT", 310),
        ("N6781A", "PS4Q", 310),
        ("N6785A", "PS4Q", 310),
        ("N6781A", "TOASter", -224),
    ],
)
async def test_an_emulation_that_the_module_has_not_is_refused(module: str, mode: str, code: int) -> None:
    assert (await said(module, f"EMUL {mode},(@1)")).split(",")[0] == f"{code:+d}"


@pytest.mark.parametrize(("module", "mode"), [("N6784A", "PS4Q"), ("N6782A", "PS2Q")])
async def test_a_reset_leaves_the_quadrants_that_the_module_has(module: str, mode: str) -> None:
    assert await said(module, "EMUL VMET,(@1)", "*RST", ask="EMUL? (@1)") == mode


@pytest.mark.parametrize("root", ["SENS", "SENS:ELOG"])
@pytest.mark.parametrize(("module", "code"), [(m, 310 if m == "N6784A" else 0) for m in MODULES])
async def test_seamless_ranging_is_refused_by_the_module_without_it(module: str, code: int, root: str) -> None:
    answer = await said(module, f"{root}:CURR:RANG:AUTO ON,(@1)", ask=f"SYST:ERR?;:{root}:CURR:RANG:AUTO? (@1)")
    assert answer.split(",")[0] == f"{code:+d}"
    assert answer.endswith(f";{int(not code)}")
    assert await said(module, f"{root}:CURR:RANG:AUTO OFF,(@1)") == NO_ERROR


@pytest.mark.parametrize(
    ("module", "quantity", "asked", "taken"),
    [
        *((m, "CURR", 5e-6, 10e-6) for m in SMALL),
        *((m, "CURR", 2.0, 3.0) for m in SMALL),
        *((m, "CURR", 5e-6, 1e-3) for m in LARGE),
        *((m, "CURR", 0.05, 0.1) for m in LARGE),
        *((m, "CURR", 5.0, 8.0) for m in LARGE),
        *((m, "VOLT", 0.5, 1.0) for m in SMALL),
        *((m, "VOLT", 0.05, 0.1) for m in SMALL),
        *((m, "VOLT", 0.5, 20.0) for m in LARGE),
    ],
)
async def test_the_lowest_range_of_the_module_that_reaches_is_taken(module: str, quantity: str, asked: float, taken: float) -> None:
    assert float(await said(module, f"SENS:{quantity}:RANG {asked},(@1)", ask=f"SENS:{quantity}:RANG? (@1)")) == taken


@pytest.mark.parametrize(
    ("module", "command", "code"),
    [
        ("N6782A", "SENS:CURR:RANG 8,(@1)", -222),
        ("N6786A", "SENS:CURR:RANG 9,(@1)", -222),
        ("N6785A", "VOLT 20.5,(@1)", -222),
        ("N6781A", "VOLT -1,(@1)", -222),
        ("N6785A", "CURR:LIM 8,(@1)", -222),  # its source range is that of 20 V, with 4 A
        ("N6785A", "CURR:LIM 4,(@1)", 0),
        ("N6785A", "VOLT:RANG 6,(@1);:CURR:LIM 8,(@1)", 0),
        ("N6786A", "VOLT:RANG 10,(@1);:CURR:LIM 6.8,(@1)", 0),
        ("N6786A", "VOLT:RANG 10,(@1);:CURR:LIM 7,(@1)", -222),
        ("N6782A", "CURR:LIM 2,(@1)", -222),
        ("N6782A", "VOLT:RANG 6,(@1);:CURR:LIM 3,(@1)", 0),
        ("N6782A", "VOLT:RANG 6,(@1);:VOLT 12,(@1)", -222),
        ("N6785A", "VOLT 12,(@1);:VOLT:RANG 6,(@1)", -221),
        ("N6785A", "VOLT:RANG 6,(@1);:CURR:LIM 8,(@1);:VOLT:RANG 20,(@1)", -221),
        ("N6784A", "VOLT -12,(@1)", 0),
        ("N6784A", "EMUL PS2Q,(@1);:VOLT -12,(@1)", -222),
        ("N6784A", "VOLT:RANG 6,(@1);:VOLT -12,(@1)", -222),
        ("N6781A", "DIG:OUTP:DATA 128", -222),
        ("N6781A", "DIG:OUTP:DATA", -109),
    ],
)
async def test_limits_are_those_of_the_module_in_its_source_range(module: str, command: str, code: int) -> None:
    assert (await said(module, command)).split(",")[0] == f"{code:+d}"


@pytest.mark.parametrize(("module", "ranges"), [("N6782A", (0.612, 6.12, 20.4)), ("N6785A", (6.12, 10.2, 15.3, 20.4))])
async def test_a_source_range_reads_back_as_the_most_that_it_takes(module: str, ranges: tuple[float, ...]) -> None:
    for most in ranges:
        assert float(await said(module, f"VOLT:RANG {most - 0.1},(@1)", ask="VOLT:RANG? (@1)")) == pytest.approx(most)
    assert float(await said(module, "VOLT:RANG MIN,(@1)", "*RST", ask="VOLT:RANG? (@1)")) == pytest.approx(20.4)


async def test_a_negative_voltage_of_the_four_quadrant_module_reaches_the_board() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        r.write("VOLT -2,(@1);:OUTP ON,(@1)")
        assert r.query("*OPC?") == "1"

    await converse(smu(bench, "N6784A"), talk)
    assert min(emf for _, emf, _, _, connected in bench.node.drives if connected) == -2.0


async def test_a_voltage_beyond_a_low_measuring_range_is_no_number() -> None:
    def talk(r: MessageBasedResource) -> float:
        r.write("VOLT 3,(@1);:OUTP ON,(@1);:SENS:VOLT:RANG 1,(@1)")
        r.query("*OPC?")
        return float(r.query("MEAS:VOLT? (@1)"))

    assert await converse(smu(Bench(), "N6784A"), talk) == pytest.approx(9.91e37)


async def test_plain_outputs_of_the_port_follow_their_bits() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> str:
        r.write("DIG:OUTP:DATA 16;:DIG:PIN5:FUNC DIO;:DIG:OUTP:DATA 15;:DIG:PIN5:POL NEG")
        answer: str = r.query("DIG:OUTP:DATA?;:DIG:PIN5:FUNC?;:SYST:ERR?")
        return answer

    assert await converse(smu(bench, wires={"pin5": "TRIG"}), talk) == f"15;DIO;{NO_ERROR}"
    assert [level for _, pin, level in bench.pins.driven if pin == "TRIG"] == [1, 0, 1]


async def test_an_oscillating_output_latches_off() -> None:
    bench = Bench()
    persona = keysight_n6705c.create(bench.setup(options={"module": "N6786A"}, trap="oscillation"))

    def talk(r: MessageBasedResource) -> str:
        r.write("VOLT 3,(@1);:OUTP ON,(@1)")
        answer: str = r.query("OUTP? (@1);:STAT:QUES:COND? (@1)")
        return answer

    assert await converse(persona, talk) == "0;4096"
    assert not persona.output_on()


@pytest.mark.parametrize(("module", "deviation"), [("N6785A", 409.7e-6), ("N6782A", 409.7e-6 * 3 / 8)])
async def test_a_reading_of_the_highest_range_is_as_noisy_as_its_page_says(module: str, deviation: float) -> None:
    bench = Bench(((0, 1.0),))
    setup = bench.setup(options={"module": module}, unkind={"hum_a": 0.0, "drift": 0.0, "range_transient": 0.0})

    def talk(r: MessageBasedResource) -> float:
        r.write("FORM REAL;:SENS:FUNC:CURR ON,(@1)")
        r.write("SENS:SWE:POIN 4000,(@1);TINT 102.4e-6,(@1);:TRIG:ACQ:SOUR BUS,(@1);:INIT:ACQ (@1);:TRIG:ACQ (@1)")
        return float(np.std(r.query_binary_values("FETC:ARR:CURR? (@1)", datatype="f", is_big_endian=True)))

    assert await converse(keysight_n6705c.create(setup), talk) == pytest.approx(deviation, rel=0.05)


async def test_its_channels_go_by_their_own_numbers() -> None:
    assert await said("N6781A", ask="SYST:GRO:CAT?;:SYST:CHAN:COUN?", channel=3) == '"3";1'
    assert await said("N6781A", ask="SYST:GRO:CAT?", channel=2, marker_channel=4) == '"2","4"'
    assert (await said("N6781A", "OUTP OFF,(@1)", channel=3)).startswith("-222")


async def test_the_negative_limit_follows_the_positive_one_while_they_are_coupled() -> None:
    asked = "CURR:LIM? (@1);:CURR:LIM:NEG? (@1);:CURR:LIM:COUP? (@1);:SYST:ERR?"

    async def limits(*commands: str) -> tuple[list[float], str]:
        *numbers, error = (await said("N6781A", *commands, ask=asked)).split(";")
        return [float(number) for number in numbers], error

    assert await limits("CURR:LIM 0.2,(@1)") == ([0.2, -1.02, 0.0], NO_ERROR)
    assert await limits("CURR:LIM:COUP ON,(@1)", "CURR:LIM 0.2,(@1)") == ([0.2, -0.2, 1.0], NO_ERROR)
    assert await limits("CURR:LIM 0.2,(@1)", "CURR:LIM:COUP ON,(@1)") == ([0.2, -0.2, 1.0], NO_ERROR)
    assert await limits("CURR:LIM 0.2,(@1)", "CURR:LIM:NEG -0.5,(@1)") == ([0.2, -0.5, 0.0], NO_ERROR)
    assert (await limits("CURR:LIM:COUP ON,(@1)", "CURR:LIM:NEG -0.5,(@1)"))[1].startswith("-221")
    assert (await limits("CURR:LIM:NEG -2,(@1)"))[1].startswith("-222")
