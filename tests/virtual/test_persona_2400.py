"""The 2400 over a real socket with stock PyVISA: refusals, the buffer's rules, blocks, the trigger model that queues what it is told."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_2400
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, error_after

MS = 1_000_000
NO_ERROR = '0,"No error"'
SOURCE = ":SOUR:FUNC VOLT;:SOUR:VOLT:RANG 20;:SOUR:VOLT 3;:SENS:CURR:PROT 0.1;:SENS:FUNC 'VOLT','CURR'"
ON = f"{SOURCE};:OUTP ON"
STORE = ":TRAC:FEED:CONT NEV;:TRAC:CLE;:TRAC:POIN {0};:TRAC:FEED SENS;:TRAC:FEED:CONT NEXT;:TRIG:COUN {0}"


def smu(bench: Bench | None = None, **changes: Any) -> Persona:
    return keithley_2400.create((bench or Bench(load=((0, 10e-3),))).setup(**changes))


def numbers(reply: str) -> list[float]:
    return [float(field) for field in reply.split(",")]


async def test_stock_settings_in_any_spelling() -> None:
    bench = Bench(load=((0, 10e-3),))
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("KEITHLEY INSTRUMENTS INC.,MODEL 2400,")
        r.write(f"{ON};:SENSe1:CURRent:DC:RANGe:UPPer 0.08;:SYSTem:RSENse ON")
        assert r.query(":SENS:CURR:RANG?;:CURR:RANG:AUTO?;:SYST:RSEN?") == "+1.050000E-01;0;1"
        assert r.query(":SOURce1:VOLTage:LEVel:IMMediate:AMPLitude?;:SOUR:VOLT:RANG?") == "+3.000000E+00;+2.100000E+01"
        assert r.query(":OUTP?;:OUTP:SMOD?;*OPC?") == "1;NORM;1"
        assert r.query(":SYST:ERR?") == NO_ERROR

    await converse(persona, talk)
    assert persona.output_on()
    assert bench.node.drives[-1][1:] == (3.0, 0.005, 0.1, True)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (":FOO 1", "-113"),
        (":OUTP", "-109"),
        (":OUTP ON,OFF", "-108"),
        (":SOUR:VOLT 211", "-222"),
        (":SOUR:VOLT:RANG 2;:SOUR:VOLT 3", "-221"),
        (":SENS:CURR:NPLC 11", "-222"),
        (":SENS:CURR:PROT 1.06", "-222"),
        (":SENS:FUNC 'TEMP'", "-224"),
        (":SENS:VOLT:RANG 20", "-221"),
        (":SENS:CURR:PROT 0.01;:SENS:CURR:RANG 0.1", "+824"),
        (":SENS:CURR:PROT 1;:SENS:CURR:RANG 1;:SENS:CURR:PROT 0.0005", "+822"),
        (":SENS:CURR:PROT 1;:SOUR:VOLT:RANG 200", "+826"),
        (":SOUR:VOLT:RANG 200;:SENS:CURR:PROT 1", "+826"),
        (":TRAC:POIN 2501", "-222"),
        (":TRAC:POIN 0", "-222"),
        (":TRAC:FEED:CONT NEXT;:TRAC:POIN 10", "+800"),
        (":TRAC:FEED:CONT NEXT;:TRAC:FEED CALC", "+800"),
        (":TRAC:DATA?", "-230"),
        (":FETC?", "-230"),
        (":CALC3:DATA?", "-230"),
        (":ARM:COUN 50;:TRIG:COUN 51", "-221"),
        (":ARM:TIM 0.0005", "-222"),
        (":TRIG:SOUR BUS", "-224"),
        (":READ?", "+803"),
        (":INIT", "+803"),
        (":FORM:ELEM AMPS", "-224"),
        (":OUTP:SMOD LOW", "-224"),
    ],
)
async def test_it_rejects_with_the_real_code(command: str, code: str) -> None:
    reply = await error_after(smu(), command)
    assert reply.split(",")[0] == code


async def test_every_element_is_sent_and_what_is_not_measured_is_the_mark() -> None:
    def talk(r: MessageBasedResource) -> tuple[str, str, str]:
        r.write(f"{ON};:SENS:FUNC:OFF 'VOLT'")
        all_of_it = r.query(":READ?")
        r.write(":FORM:ELEM CURR,VOLT")
        return all_of_it, r.query(":READ?"), r.query("SYST:ERR?")

    everything, chosen, error = await converse(smu(), talk)
    volt, ampere, ohm, _, status = numbers(everything)
    assert (volt, ampere, ohm) == (3.0, 0.01, 9.91e37)
    assert int(status) == 1 << 14 | 1 << 12 | 1 << 2, "voltage sourced, current measured, front terminals"
    assert numbers(chosen) == [3.0, 0.01], "in its own order"
    assert error == NO_ERROR


async def test_the_buffer_survives_a_reset_and_is_resized_only_while_nothing_is_stored() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(f"{ON};{STORE.format(5)};:INIT")
        assert r.query(":TRAC:POIN:ACT?") == "5"
        r.write("*RST")
        assert r.query(":TRAC:POIN:ACT?;:TRAC:POIN?") == "5;5"
        r.write(":TRAC:FEED:CONT NEXT;:TRAC:POIN 7")
        assert r.query(":TRAC:POIN?") == "5"
        assert r.query("SYST:ERR?") == '+800,"Illegal with storage active"'

    await converse(smu(), talk)


async def test_a_block_has_no_length_and_keeps_its_order_while_the_format_is_ascii() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(f"{ON};{STORE.format(3)};:INIT")
        r.write(":FORM:BORD SWAP")
        assert r.query(":FORM:BORD?") == "NORM", "ignored, without an error"
        r.write(":FORM:DATA REAL,32")
        big = r.query_binary_values(":TRAC:DATA?", datatype="f", is_big_endian=True, data_points=15)
        r.write(":FORM:BORD SWAP")
        assert r.query(":FORM:BORD?") == "SWAP"
        little = r.query_binary_values(":TRAC:DATA?", datatype="f", data_points=15)
        assert big == little
        assert np.reshape(little, (3, 5))[:, 1] == pytest.approx([10e-3] * 3)
        r.write(":TRAC:DATA?")
        assert r.read_bytes(2) == b"#0"
        r.read_bytes(61)
        assert r.query("SYST:ERR?") == NO_ERROR

    await converse(smu(), talk)


async def test_the_arm_timer_paces_readings_and_misses_what_comes_too_soon() -> None:
    def stamps(r: MessageBasedResource, timer_s: float) -> list[float]:
        r.write(f":ABOR;:TRIG:COUN 1;:ARM:COUN 4;:ARM:SOUR TIM;:ARM:TIM {timer_s};:SENS:CURR:NPLC 0.1;:SYST:AZER:STAT OFF")
        r.write(":TRAC:FEED:CONT NEV;:TRAC:CLE;:TRAC:POIN 4;:TRAC:FEED SENS;:TRAC:FEED:CONT NEXT;:INIT")
        assert r.query("*OPC?") == "1"
        found = numbers(r.query(":TRAC:DATA?"))[3::5]
        assert r.query("SYST:ERR?") == NO_ERROR
        return found

    def talk(r: MessageBasedResource) -> None:
        r.write(ON)
        assert stamps(r, 0.01) == pytest.approx([0, 0.01, 0.02, 0.03])
        assert stamps(r, 0.003) == pytest.approx([0, 0.006, 0.012, 0.018]), "a reading takes 5.1 ms"

    await converse(smu(), talk)


async def told(persona: keithley_2400.K2400, message: str) -> str:
    reply = await persona.scpi.execute(message)
    return "" if reply is None else reply.decode().strip()


async def test_what_is_told_to_it_while_it_waits_is_queued_in_silence_except_an_abort() -> None:
    bench = Bench(load=((0, 10e-3),))
    persona = keithley_2400.K2400(bench.setup())
    await told(persona, f"{ON};:ARM:SOUR BUS;:INIT")
    queued = [asyncio.ensure_future(told(persona, message)) for message in (":OUTP OFF", "*IDN?", "*STB?")]
    done, _ = await asyncio.wait(queued, timeout=0.01)
    assert not done
    assert persona.output_on()
    await told(persona, ":ABOR")
    _, identity, status = await asyncio.gather(*queued)
    assert identity.startswith("KEITHLEY")
    assert status == "0"
    assert not persona.output_on()
    assert await told(persona, ":SYST:ERR?") == NO_ERROR


async def test_a_bus_trigger_and_a_falling_edge_on_a_link_line_start_it() -> None:
    bench = Bench(load=((0, 10e-3),))
    persona = keithley_2400.K2400(bench.setup(wires={"line3": "MARK"}))
    await told(persona, f"{ON};:ARM:SOUR BUS;:INIT;*TRG")
    assert len(numbers(await told(persona, ":FETC?"))) == 5
    bench.pins.scripted["MARK"] = [Edge(2000 * MS, 1), Edge(3000 * MS, 0)]
    await told(persona, ":ARM:SOUR TLIN;:ARM:ILIN 3;:INIT")
    bench.clock.pass_s(5.0)
    assert numbers(await told(persona, ":FETC?"))[3] == pytest.approx(3.0), "the falling edge, not the rising one"
    assert await told(persona, ":SYST:ERR?") == NO_ERROR


async def test_compliance_and_overflow_are_bits_of_the_status_word() -> None:
    bench = Bench(load=((0, 10e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(ON)
        bench.node.clamped_ns = 0
        assert int(numbers(r.query(":READ?"))[4]) & (1 << 3 | 1 << 16) == 1 << 3
        assert r.query(":SENS:CURR:PROT:TRIP?;:STAT:MEAS:COND?").split(";")[0] == "1"
        r.write(":SENS:CURR:RANG 1e-3")
        reading = numbers(r.query(":READ?"))
        assert reading[1] == 9.91e37
        assert int(reading[4]) & (1 | 1 << 3 | 1 << 16) == 1 | 1 << 16

    await converse(smu(bench), talk)


@pytest.mark.parametrize(("state", "drive"), [("NORM", (0.0, 0.005, 5e-4, True)), ("ZERO", (0.0, 0.005, 0.1, True))])
async def test_off_states(state: str, drive: tuple[float, float, float, bool]) -> None:
    bench = Bench()
    await converse(smu(bench), lambda r: r.write(f"{ON};:SENS:CURR:RANG 0.1;:OUTP:SMOD {state};:OUTP OFF") and r.query("*OPC?"))
    assert bench.node.drives[-1][1:] == pytest.approx(drive)


async def test_a_high_impedance_off_state_opens_the_relay() -> None:
    bench = Bench()
    await converse(smu(bench), lambda r: r.write(f"{ON};:OUTP:SMOD HIMP;:OUTP OFF") and r.query("*OPC?"))
    assert bench.node.drives[-1][4] is False


async def test_the_overvoltage_limit_takes_the_lower_step() -> None:
    def talk(r: MessageBasedResource) -> list[str]:
        return [r.query(f":SOUR:VOLT:PROT {volt};:SOUR:VOLT:PROT?") for volt in (110, 5, -45, 170)]

    assert await converse(smu(), talk) == ["+1.000000E+02", "+2.000000E+01", "+4.000000E+01", "+2.100000E+02"]


async def test_what_a_stock_driver_sends_to_set_up_source_and_read_leaves_no_error() -> None:
    """The strings of pymeasure 0.16 (Keithley2400), as it sends them."""

    def talk(r: MessageBasedResource) -> None:
        for command in (
            ":FORMAT:ELEMENTS VOLTAGE, CURRENT, RESISTANCE, TIME, STATUS", "*RST", ":SOURCE:FUNCTION VOLT", ":SOURCE:VOLTAGE:RANGE 20",
            ":SENSE:CURRENT:PROTECTION 0.1", ":SENSE:CURRENT:NPLCYCLES 1", ":SENSE:CURRENT:RANGE 0.1", ":SOURCE:DELAY 0.001",
            ":SOURCE:DELAY:AUTO 1", ":SYSTEM:AZERO:STATE 1", ":SYSTEM:AZERO:STATE ONCE", ":SYSTEM:RSENSE 1", ":ROUTE:TERMINALS REAR",
            ":OUTPUT:SMODE HIMP", ":SOURCE:CLEAR:AUTO 0", ":SENSE:AVERAGE 0", ":SENSE:AVERAGE:TCONTROL REP", ":SENSE:AVERAGE:COUNT 10",
            ":SOURCE:VOLTAGE 3.3", "OUTPUT 1", ":SYST:BEEP 440, 0.1", ":DISPLAY:ENABLE 1", ":SENS:FUNC 'CURR';:SENS:CURR:NPLC 1.000000;",
            ":SENS:CURR:RANG:AUTO 1;", ":TRIGGER:CLEAR", ":ARM:SOURCE IMM", ":TRIGGER:SOURCE IMM", ":TRIGGER:DELAY 0",
            ":TRIGGER:OUTPUT NONE",
            ":ARM:OUTPUT NONE", ":TRIG:OUTP DEL;:TRIG:OLIN 1;", ":ARM:SOUR TIM;:ARM:TIM 0.100", ":ARM:SOURCE IMM",
        ):  # fmt: skip
            r.write(command)
            assert r.query("SYST:ERR?") == NO_ERROR, command
        assert numbers(r.query(":MEASURE:CURRENT?"))[1] == pytest.approx(10e-3)
        assert numbers(r.query(":MEASURE:VOLTAGE?"))[0] == pytest.approx(3.0)
        r.write(":SENSE:RESISTANCE:MODE MAN")
        r.write(":SENSE:FUNCTION:ALL")
        assert numbers(r.query(":READ?"))[2] == pytest.approx(300.0)
        r.write(":STAT:PRES;*CLS;*SRE 1;:STAT:MEAS:ENAB 512;")
        r.write(":TRAC:CLEAR;")
        r.write(":TRAC:POIN 10")
        r.write(":TRIGGER:COUNT 10")
        r.write(":TRAC:FEED SENSE;:TRAC:FEED:CONT NEXT;")
        r.write(":INIT")
        assert int(r.query("*STB?")) & 65 == 65, "the buffer is full"
        r.write(":FORM:DATA ASCII")
        assert len(numbers(r.query(":TRAC:DATA?"))) == 50
        assert numbers(r.query(":CALCULATE3:FORMAT MEAN;:CALCULATE3:DATA?;"))[1] == pytest.approx(10e-3)
        assert r.query("OUTPUT?") == "1"
        r.write("OUTPUT 0")
        assert r.query("SYST:ERR?") == NO_ERROR

    await converse(smu(), talk)


@pytest.mark.parametrize(
    ("trap", "command", "query", "reply"),
    [
        ("byte_order", ":FORM:DATA SRE;:FORM:BORD SWAP", ":FORM:BORD?;:SYST:ERR?", f"NORM;{NO_ERROR}"),
        ("ascii_only", ":FORM:DATA SRE", ":FORM:DATA?;:SYST:ERR?", 'ASC;+701,"ASCII only with RS-232"'),
        ("elements", ":FORM:ELEM CURR,STAT", ":FORM:ELEM?;:SYST:ERR?", f"VOLT,CURR;{NO_ERROR}"),
        ("old_size", ":TRAC:POIN 10", ":TRAC:POIN?;:SYST:ERR?", f"100;{NO_ERROR}"),
        ("auto_off", f":SOUR:CLE:AUTO OFF;{ON};:INIT;*WAI", ":OUTP?;:SYST:ERR?", f"0;{NO_ERROR}"),
        ("interlock", ON, ":OUTP?;:SYST:ERR?", '0;+802,"OUTPUT blocked by output enable"'),
        ("", f"{ON};:INIT;*WAI", ":OUTP?;:SYST:ERR?", f"1;{NO_ERROR}"),
    ],
)
async def test_a_trap_springs_in_silence_or_with_the_real_code(trap: str, command: str, query: str, reply: str) -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write(command)
        return r.query(query)

    assert await converse(smu(trap=trap), talk) == reply


@pytest.mark.parametrize("model", ["2410", "2420", "2430", "2440"])
async def test_the_other_models_have_their_own_ranges(model: str) -> None:
    most = {"2410": (1100, 1.05), "2420": (63, 3.15), "2430": (105, 3.15), "2440": (42, 5.25)}[model]

    def talk(r: MessageBasedResource) -> list[float]:
        assert f"MODEL {model}," in r.query("*IDN?")
        return [float(r.query(f"{header}? MAX")) for header in (":SOUR:VOLT", ":SENS:CURR:PROT")]

    assert await converse(smu(options={"model": model}), talk) == pytest.approx(most)
