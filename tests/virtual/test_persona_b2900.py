"""The virtual B2900A over a real socket with stock PyVISA: what published drivers send, refusals, triggers and traps."""

from __future__ import annotations

import logging
import math
from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import keysight_b2900
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, rows

NO_ERROR = '+0,"No error"'
EXACT = rows({"current": ((1.0, 0.0, 0.0),), "voltage": ((20.0, 0.0, 0.0),)})
KIND = {"noise": 0.0, "hum_a": 0.0, "drift": 0.0, "range_transient": 0.0}
SOURCE = (
    ":OUTP:ON:AUTO OFF;:SENS:CURR:PROT 0.15;:SOUR:VOLT:RANG 20;:SOUR:VOLT 3;:SENS:CURR:RANG 0.1;APER 2e-5;:FORM:ELEM:SENS CURR,TIME,STAT"
)
OPTIONS = {"trigger_line": 1, "fire_line": 2}
WIRES = {"marker": "MARK", "fire": "TRIG"}
MODELS = [("B2901A", 1, 2e-5), ("B2902A", 2, 2e-5), ("B2911A", 1, 1e-5), ("B2912A", 2, 1e-5)]
TIMED = ":TRIG:ACQ:SOUR TIM;TIM 1e-4;COUN 100;:TRAC:CLE;POIN 100;FEED SENS;FEED:CONT NEXT"


def smu(bench: Bench, *, model: str = "B2912A", load_f: float = 0.0, **changes: Any) -> Persona:
    values: dict[str, Any] = {"options": OPTIONS, "wires": WIRES, "accuracy": EXACT}
    return keysight_b2900.create(bench.setup(**(values | {"unkind": KIND | {"model": model, "load_capacitance_f": load_f}} | changes)))


def numbers(r: MessageBasedResource, query: str) -> list[float]:
    return [float(field) for field in r.query(query).split(",")]


def steady() -> Bench:
    return Bench(load=((0, 1e-3),))


async def test_what_the_qcodes_driver_of_the_b2962a_sends_is_taken() -> None:
    bench = steady()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        vendor, model, _, _ = r.query("*IDN?").split(",")
        assert (vendor, model) == ("Agilent Technologies", "B2912A")
        r.write(":SOUR1:FUNC:MODE VOLT")
        assert r.query(":SOUR1:FUNC:MODE?") == "VOLT"
        r.write("SOURCE1:VOLT 3.3")
        r.write("SOURCE1:CURR 0.01")
        r.write("SENS1:CURR:PROT 0.1")
        r.write("SENS1:VOLT:PROT 5")
        r.write("OUTP1 1")
        assert int(r.query("OUTP1?")) == 1
        assert float(r.query("SOURCE1:VOLT?")) == pytest.approx(3.3)
        assert float(r.query("SOURCE1:CURR?")) == pytest.approx(0.01)
        assert float(r.query("SENS1:CURR:PROT?")) == pytest.approx(0.1)
        assert float(r.query("SENS1:VOLT:PROT?")) == pytest.approx(5.0)
        assert float(r.query("MEAS:VOLT? (@1)")) == pytest.approx(3.0)
        assert float(r.query("MEAS:CURR? (@1)")) == pytest.approx(1e-3)
        assert float(r.query("MEAS:RES? (@1)")) == pytest.approx(3000.0)
        for query in ("SOURCE2:VOLT?", "OUTP2?", "SENS2:CURR:PROT?", ":SOUR2:FUNC:MODE?", "MEAS:VOLT? (@2)", "MEAS:CURR? (@2)"):
            assert r.query(query)
        r.write("OUTP1 0")
        assert r.query(":SYST:ERR?") == NO_ERROR

    await converse(persona, talk)
    assert [drive[1] for drive in bench.node.drives if drive[4]] == [pytest.approx(3.3)]


async def test_a_timed_array_as_public_scripts_take_it() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write('*RST;:SOUR:FUNC:MODE VOLT;:SOUR:VOLT 3;:SENS:FUNC "CURR";:SENS:CURR:PROT 0.1')
        r.write(":SENS:CURR:RANG:AUTO OFF;:SENS:CURR:RANG 0.1;APER 1e-4")
        r.write(":TRIG:SOUR TIM;:TRIG:TIM 5e-4;:TRIG:COUN 6")
        r.write(":OUTP ON")
        r.write(":INIT (@1)")
        found = numbers(r, ":FETC:ARR:CURR? (@1)")
        assert found == pytest.approx([1e-3] * 6)
        at = numbers(r, ":FETC:ARR:TIME? (@1)")
        assert np.diff(at) == pytest.approx(5e-4, rel=1e-6)
        assert r.query(":SYST:ERR:ALL?") == NO_ERROR

    await converse(smu(steady()), talk)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (":FOO 1", -113),
        (":SOUR:VOLT 211", -222),
        (":SOUR:VOLT:RANG 2;:SOUR:VOLT 3", -222),
        (":SENS:CURR:PROT 3.1", -222),
        (":SOUR:VOLT 12;:SENS:CURR:PROT 2", -222),
        (":SENS:CURR:RANG 4", -222),
        (":OUTP", -109),
        (":OUTP ON,OFF", -108),
        (":SOUR3:VOLT 1", -114),
        (":INIT (@3)", -222),
        (":SOUR:DIG:EXT15:FUNC TINP", -114),
        (":SOUR:DIG:EXT1:FUNC NONE", -224),
        (":SOUR:DIG:EXT1:TOUT:WIDT 1", -222),
        (":TRIG:ACQ:TIM 9e-6", -222),
        (":TRIG:ACQ:COUN 100001", -222),
        (":TRIG:ACQ:SOUR NOISE", -224),
        (":FORM REAL,16", -222),
        (":FORM REAL", -109),
        (":FORM:ELEM:SENS POW", -224),
        (':SENS:FUNC "TEMP"', -224),
        (":SENS:CURR:RANG VOLT", -224),
        (":TRAC:FEED:CONT NEXT;:TRAC:POIN 100", -221),
        (":TRAC:FEED:CONT NEXT;:TRAC:CLE", -221),
        (":OUTP:HCAP ON", -221),
        (":SENS:CURR:RANG 100e-9;:OUTP:HCAP ON", -221),
        (":SENS:CURR:RANG 1e-6;:OUTP:HCAP ON;:SENS:CURR:RANG:AUTO ON", -221),
        (":SENS:CURR:RANG 1e-6;:OUTP:HCAP ON;:SENS:CURR:PROT 5e-7", -221),
        ("*TRG", -211),
        (":ARM:ACQ:SOUR BUS;:INIT:ACQ;:INIT:ACQ", -213),
        (":ARM:ACQ:SOUR BUS;:INIT:ACQ;:MEAS:CURR?", -221),
        (":SYST:LFR 55", -224),
    ],
)
async def test_what_the_instrument_refuses(command: str, code: int) -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(command)
        assert r.query(":SYST:ERR?").startswith(f"{code},")
        assert r.query(":SYST:ERR?") == NO_ERROR

    await converse(smu(steady()), talk)


@pytest.mark.parametrize(("model", "channels", "shortest"), MODELS)
async def test_the_models_differ(model: str, channels: int, shortest: float) -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").split(",")[1] == model
        assert float(r.query(":TRIG:ACQ:TIM? MIN")) == pytest.approx(shortest)
        r.write(":SOUR2:VOLT 1")
        assert r.query(":SYST:ERR?").startswith("+0" if channels == 2 else "-114")
        r.write(":SENS:CURR:RANG 10e-9")
        assert float(r.query(":SENS:CURR:RANG?")) == pytest.approx(10e-9 if model.startswith("B291") else 100e-9)

    await converse(smu(steady(), model=model), talk)


async def test_an_integration_time_that_cannot_be_had_is_changed_without_an_error() -> None:
    def talk(r: MessageBasedResource) -> None:
        for asked, got in ((1e-6, 8e-6), (5.0, 2.0), (1e-3, 1e-3)):
            r.write(f":SENS:CURR:APER {asked}")
            assert float(r.query(":SENS:VOLT:APER?")) == pytest.approx(got)
        assert float(r.query(":SENS:CURR:NPLC?")) == pytest.approx(0.05)
        assert r.query(":SENS:CURR:APER:AUTO?;:SYST:ERR?") == f"0;{NO_ERROR}"

    await converse(smu(steady()), talk)


async def test_a_measurement_switches_the_output_on_unless_told_otherwise() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query(":OUTP:ON:AUTO?") == "1"
        r.query(":MEAS:CURR?")
        assert r.query(":OUTP?") == "0"
        r.query(":READ:CURR?")
        assert r.query(":OUTP?") == "1"
        r.write(":OUTP OFF;:OUTP:ON:AUTO OFF")
        r.query(":READ:CURR?")
        assert r.query(":OUTP?") == "0"

    await converse(smu(steady()), talk)


async def test_blocks_have_a_length_and_the_most_significant_byte_first() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:OUTP ON")
        r.write(TIMED + ";:INIT:ACQ")
        assert r.query("*OPC?;:TRAC:POIN:ACT?;:TRAC:FEED:CONT?") == "1;100;NEV"
        r.write(":FORM REAL,64")
        big = r.query_binary_values(":TRAC:DATA? 0,10", datatype="d", is_big_endian=True)
        r.write(":FORM:BORD SWAP")
        little = r.query_binary_values(":TRAC:DATA? 0,10", datatype="d", is_big_endian=False)
        assert big == little
        assert big[0::3] == pytest.approx([1e-3] * 10)
        assert big[1::3] == pytest.approx([k * 1e-4 for k in range(10)], abs=1e-9)
        r.write(":FORM REAL,32")
        assert r.query_binary_values(":TRAC:DATA?", datatype="f", is_big_endian=False)[0] == pytest.approx(1e-3)

    await converse(smu(steady()), talk)


async def test_no_data_is_not_a_number() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query(":FETC:CURR?") == "+9.910000E+37"
        r.write(":FORM REAL,64")
        assert math.isnan(r.query_binary_values(":FETC:ARR:CURR?", datatype="d", is_big_endian=True)[0])

    await converse(smu(steady()), talk)


async def test_an_edge_arms_and_the_status_tells_where_the_action_is() -> None:
    bench = steady()

    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:OUTP ON;:SOUR:DIG:EXT1:FUNC TINP;POL POS;:ARM:ACQ:SOUR EXT1")
        r.write(TIMED)
        assert int(r.query(":STAT:OPER:COND?")) == 2 + 16 + 128 + 1024
        r.write(":INIT:ACQ")
        assert int(r.query(":STAT:OPER:COND?")) >> 4 & 7 == 4
        bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns() + 5_000_000, 1)]
        bench.clock.pass_s(0.001)
        assert int(r.query(":TRAC:POIN:ACT?")) == 0
        bench.clock.pass_s(0.1)
        assert r.query("*OPC?") == "1"
        assert int(r.query(":STAT:OPER:COND?")) >> 4 & 7 == 1
        assert int(r.query(":TRAC:POIN:ACT?")) == 100
        assert r.query(":SYST:ERR?") == NO_ERROR

    await converse(smu(bench), talk)


async def test_the_transient_action_pulses_its_pin_after_its_delay_and_sets_its_level() -> None:
    bench = steady()
    seen: list[int] = []

    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:OUTP ON;:SOUR:DIG:EXT2:FUNC TOUT;POL POS;:SOUR:TOUT:SIGN EXT2;:SOUR:TOUT ON;:SOUR:VOLT:TRIG 2.5")
        r.write(TIMED + ";:ARM:ACQ:SOUR BUS;:ARM:TRAN:SOUR BUS;:TRIG:TRAN:DEL 3e-3;:INIT (@1)")
        assert r.query(":SYST:ERR?") == NO_ERROR
        seen.append(bench.clock.now_ns())
        r.write("*TRG")
        assert r.query("*OPC?;:SOUR:VOLT?") == "1;+2.50000000E+00"

    await converse(smu(bench), talk)
    pulses = [(t - seen[0], level) for t, pin, level in bench.pins.driven if pin == "TRIG" and t > seen[0]]
    assert pulses == [(3_000_000, 1), (3_100_000, 0)]
    assert bench.node.drives[-1][1] == pytest.approx(2.5)


async def test_a_timer_shorter_than_a_reading_loses_triggers_without_an_error() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:OUTP ON")
        r.write(TIMED + ";:SENS:CURR:APER 1.5e-4;:INIT:ACQ")
        assert r.query("*OPC?") == "1"
        at = numbers(r, ":FETC:ARR:TIME?")
        assert np.diff(at) == pytest.approx(2e-4, rel=1e-3)
        assert int(r.query(":STAT:QUES:COND?")) == 4096
        assert r.query(":SYST:ERR?") == NO_ERROR

    await converse(smu(steady()), talk)


async def test_the_limit_shows_in_the_status_data_and_can_switch_off() -> None:
    bench = steady()

    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:OUTP ON")
        assert r.query(":SENS:CURR:PROT:TRIP?") == "0"
        bench.node.clamped_ns = bench.clock.now_ns()
        assert r.query(":SENS:CURR:PROT:TRIP?") == "1"
        assert int(numbers(r, ":MEAS?")[2]) == 2
        assert r.query(":OUTP?") == "1"
        r.write(":OUTP:PROT ON")
        assert r.query(":OUTP?;:STAT:QUES:COND?") == "0;+4"

    await converse(smu(bench), talk)


async def test_an_overflow_is_infinite_and_has_its_bit() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:SENS:CURR:RANG 1e-4;:OUTP ON")
        current, _, status = numbers(r, ":MEAS?")
        assert current == pytest.approx(9.9e37)
        assert int(status) == 8192

    await converse(smu(steady()), talk)


@pytest.mark.parametrize(("load_f", "mode", "warned"), [(1e-9, "OFF", False), (1e-6, "OFF", True), (1e-6, "ON", False), (1e-4, "ON", True)])
async def test_it_warns_of_a_load_that_its_mode_does_not_drive(load_f: float, mode: str, warned: bool, caplog: Any) -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + f";:OUTP:HCAP {mode};:OUTP ON")
        rung = [numbers(r, ":MEAS?") for _ in range(2)]
        assert [int(status) for _, _, status in rung] == [2 if warned else 0] * 2
        assert r.query(":SYST:ERR?") == NO_ERROR

    with caplog.at_level(logging.WARNING):
        await converse(smu(steady(), load_f=load_f), talk)
    assert ("may oscillate" in caplog.text) == warned


async def test_off_states() -> None:
    bench = steady()

    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ";:OUTP:OFF:MODE ZERO;:OUTP ON;:OUTP OFF")
        assert r.query(":OUTP:OFF:MODE?") == "ZERO"
        assert bench.node.drives[-1][1:] == (0.0, 0.005, 1e-4, True)
        r.write(":OUTP:OFF:MODE HIZ")
        assert r.query(":OUTP:OFF:MODE?") == "HIZ"
        assert bench.node.drives[-1][4] is False

    await converse(smu(bench), talk)


async def test_each_trap_changes_what_a_careless_program_gets() -> None:
    """Each is sprung once as its sentence says; how the driver finds it is tested with the driver."""
    assert all(sentence for sentence in keysight_b2900.TRAPS.values())

    def border(r: MessageBasedResource) -> None:
        r.write(":FORM:BORD SWAP")
        assert r.query(":FORM:BORD?;:SYST:ERR?") == f"NORM;{NO_ERROR}"

    def points(r: MessageBasedResource) -> None:
        r.write(":TRAC:FEED:CONT NEV;:TRAC:POIN 100")
        assert r.query(":SYST:ERR?").startswith("-221")

    def auto_range(r: MessageBasedResource) -> None:
        r.write(":SENS:CURR:RANG:AUTO OFF;:SENS:CURR:RANG 0.1")
        assert r.query(":SENS:CURR:RANG:AUTO?") == "1"

    def auto_output(r: MessageBasedResource) -> None:
        r.write(":OUTP:ON:AUTO OFF")
        r.query(":READ:CURR?")
        assert r.query(":OUTP?") == "1"

    for trap, talk in (("byte_order", border), ("trace_points", points), ("auto_range", auto_range), ("auto_output", auto_output)):
        await converse(smu(steady(), trap=trap), talk)
