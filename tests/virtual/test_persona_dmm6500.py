"""The DMM6500 over a real socket with stock PyVISA: settings, refusals, buffers, the trigger model and its traps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_dmm6500
from labd_virtual.instruments.keithley_dmm6500_buffers import Buffer, Readings
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, error_after

NO_ERROR = '0,"No error;0;0 0"'
WIRES = {"ext_in": "MARK", "ext_out": "TRIG"}
DIGITIZE = ':SENS:DIG:FUNC "CURR";:SENS:DIG:CURR:RANG 0.1;SRAT 1E5;APER AUTO;:TRIG:EXT:IN:EDGE RIS'
MODEL = ':TRIG:LOAD "Empty";:TRIG:BLOC:BUFF:CLE 1,"defbuffer1";:TRIG:BLOC:MDIG 2,"defbuffer1",INF;:TRIG:BLOC:WAIT 3,{wait}'


def dmm(bench: Bench, **changes: Any) -> Persona:
    return keithley_dmm6500.create(bench.setup(wires=WIRES, **changes))


def rows(r: MessageBasedResource, count: int) -> np.ndarray:
    """Readings and relative times of the whole buffer, in order of time."""
    r.write(":FORM:DATA SRE")
    data = r.query_binary_values(f':TRAC:DATA? 1,{count},"defbuffer1",READ,REL', datatype="f", data_points=2 * count)
    r.write(":FORM:DATA ASC")
    table = np.array(data).reshape(count, 2)
    return table[np.argsort(table[:, 1], kind="stable")]


async def test_settings_in_any_spelling() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("KEITHLEY INSTRUMENTS,MODEL DMM6500,")
        assert r.query("*LANG?;:SYST:LFR?;:ROUT:TERM?") == "SCPI;50;REAR"
        assert r.query(":SENS:FUNC?;:SENS:DIG:FUNC?") == 'VOLT:DC;"NONE"', "a reset selects DC voltage"
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG:AUTO 0;UPP 0.08;:SENSe1:CURRent:DC:NPLCycles 0.5;:CURR:AZER 0')
        assert r.query(":SENS:FUNC?;:CURR:DC:NPLC?;APER?;AZER?;RANG?;RANG:AUTO?") == "CURR:DC;0.5;0.01;0;0.1;0"
        assert r.query(":SENS:CURR:NPLC? MAX;:SENS:CURR:APER? MIN;:SENS:CURR:RANG? MAX") == "12;1E-05;10"
        r.write(':DIG:FUNC "CURR"')
        assert r.query(":SENS:FUNC?;:DIG:FUNC?") == 'NONE;"CURR"'
        assert r.query("SYST:ERR?") == NO_ERROR

    await converse(dmm(Bench()), talk)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (":FOO 1", -113),
        (":SENS:CURR:AC:NPLC 1", -113),
        ("*OPT?", -113),
        (":OUTP ON", -113),
        (":SENS:CURR:NPLC 13", -222),
        (":SENS:CURR:RANG 11", -222),
        (":SENS:DIG:CURR:SRAT 2E6", -222),
        (":SENS:DIG:CURR:SRAT 1E6;APER 1E-5", -222),
        (":SENS:DIG:CURR:RANG:AUTO ON", -113),
        (':SENS:FUNC "POWER"', -224),
        (":SENS:FUNC CURR", -148),
        (":SENS:CURR:RANG", -109),
        (":SENS:CURR:RANG 1,2", -108),
        (':TRAC:POIN 5,"defbuffer1"', -222),
        (':TRAC:POIN 100,"nobody"', -224),
        (':TRAC:POIN 7000000,"defbuffer1"', 4919),
        (':TRAC:DEL "defbuffer1"', -221),
        (":TRAC:DATA? 1,2", -222),
        (":FETC?", -230),
        (":INIT", -221),
        (':TRIG:LOAD "Nothing"', -224),
        (":TRIG:BLOC:NOP 2", -221),
        (':TRIG:BLOC:MDIG 1,"nobody"', -224),
        (":TRIG:BLOC:WAIT 1,NONE", -224),
        (":TRIG:EXT:OUT:STIM SOMETIMES", -224),
        (':SENS:DIG:FUNC "CURR";:READ?', -221),
        (":READ:DIG?", -221),
        ("*LANG TSP", -221),
    ],
)
async def test_it_rejects_with_the_real_code(command: str, code: int) -> None:
    reply = await error_after(dmm(Bench()), command)
    assert reply.split(",")[0] == str(code)
    assert reply.endswith(';1;2026/01/01 00:00:00.000"'), "severity and time stand inside the quotes"


async def test_the_10_a_range_is_at_the_rear_only() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query(":ROUT:TERM?") == "FRON"
        r.write(":SENS:CURR:RANG 10")
        assert r.query("SYST:ERR?").startswith("-222")

    await converse(dmm(Bench(), options={"terminals": "front"}), talk)


async def test_a_dmm7510_answers_its_function_in_quotes() -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write(':SENS:FUNC "CURR"')
        return r.query(":SENS:FUNC?")

    assert await converse(dmm(Bench(), options={"model": "DMM7510"}), talk) == '"CURR:DC"'


async def test_a_model_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="DMM6500, DMM7510"):
        dmm(Bench(), options={"model": "DMM6501"})


async def test_a_reading_integrates_over_its_line_cycles_and_takes_board_time() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG 0.01;AZER OFF;NPLC 10')
        before = bench.clock.now_ns()
        assert float(r.query(":READ?")) == 5e-3
        assert bench.clock.now_ns() - before == pytest.approx(200e6, rel=0.01)
        assert float(r.query(":FETC?")) == 5e-3
        assert float(r.query(':MEAS:VOLT? "defbuffer2"')) == 3.0
        assert r.query(":SENS:FUNC?") == "VOLT:DC"
        r.write(':SENS:FUNC "RES"')
        assert float(r.query(":READ?")) == 9.9e37

    await converse(dmm(bench), talk)


@pytest.mark.parametrize(("ampere", "reads"), [(11.9e-3, 11.9e-3), (12.1e-3, 9.9e37)])
async def test_a_range_shows_a_fifth_more_than_its_name(ampere: float, reads: float) -> None:
    def talk(r: MessageBasedResource) -> float:
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG 0.01')
        return float(r.query(":READ?"))

    assert await converse(dmm(Bench(((0, ampere),))), talk) == pytest.approx(reads)


async def test_a_relative_offset_is_subtracted_and_an_overflow_stays_one() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG 0.01;REL 1E-3;REL:STAT ON')
        assert float(r.query(":READ?")) == pytest.approx(4e-3)
        r.write(":SENS:CURR:RANG 0.001")
        assert float(r.query(":READ?")) == 9.9e37

    await converse(dmm(bench), talk)


async def test_readings_before_an_edge_stay_and_those_after_it_follow_without_a_gap() -> None:
    bench = Bench(((0, 1e-3), (2_000_000_000, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(2_000_000_000, 1)]

    def talk(r: MessageBasedResource) -> None:
        r.write(DIGITIZE + ';:TRAC:POIN 1000,"defbuffer1";:TRAC:FILL:MODE CONT,"defbuffer1"')
        r.write(MODEL.format(wait="EXT,ENT") + ';:TRIG:BLOC:MDIG 4,"defbuffer1",700;:INIT')
        assert r.query(":TRIG:STAT?") == "RUNNING;RUNNING;3"
        bench.clock.pass_s(0.5)
        assert r.query(":TRIG:STAT?") == "WAITING;WAITING;3"
        bench.clock.pass_s(2.0)
        assert r.query("*OPC?;:TRIG:STAT?") == "1;IDLE;IDLE;4"
        assert r.query(":TRAC:ACT?") == "1000", "it stays at the size although many more readings came"
        first, last = (int(r.query(f':TRAC:ACT:{end}? "defbuffer1"')) for end in ("STAR", "END"))
        assert first == last + 1, "the ring has turned"
        table = rows(r, 1000)
        assert (table[:, 0] < 2e-3).sum() == pytest.approx(300, abs=1)
        assert np.diff(table[:, 1]) == pytest.approx(np.full(999, 1e-5), abs=1e-6)
        assert r.query("SYST:ERR?") == NO_ERROR

    await converse(dmm(bench), talk)


async def test_the_template_has_six_blocks_and_pulses_the_output_at_its_end() -> None:
    bench = Bench(((0, 1e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(DIGITIZE + ';:TRAC:POIN 100,"defbuffer1";:TRIG:EXT:OUT:LOG POS')
        r.write(':TRIG:LOAD "LoopUntilEvent",COMM,25,ENT,0,"defbuffer1"')
        assert r.query(":TRIG:BLOC:LIST?") == '"1) BUFF;2) DEL;3) MDIG;4) WAIT;5) MDIG;6) NOT"'
        r.write(":INIT;*TRG")
        assert r.query("*OPC?;:TRAC:ACT?") == "1;75"
        assert [level for _, pin, level in bench.pins.driven if pin == "TRIG"] == [0, 1, 0], "its stimulus is notify 2 after a reset"

    await converse(dmm(bench), talk)


async def test_a_buffer_that_fills_once_discards_what_follows_and_says_event_4915() -> None:
    bench = Bench(((0, 1e-3), (2_000_000_000, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(2_000_000_000, 1)]

    def talk(r: MessageBasedResource) -> None:
        r.write(DIGITIZE + ';:TRAC:POIN 1000,"defbuffer1";:TRAC:FILL:MODE ONCE,"defbuffer1";:STAT:OPER:MAP 0,4917,4916')
        r.write(MODEL.format(wait="EXT,ENT") + ';:TRIG:BLOC:MDIG 4,"defbuffer1",700;:INIT')
        r.query(":TRIG:STAT?")
        bench.clock.pass_s(2.5)
        r.query("*OPC?")
        assert rows(r, 1000)[:, 0].max() == pytest.approx(1e-3)
        assert r.query("SYST:ERR?").startswith('4915,"Attempting to store past capacity')
        assert r.query(":STAT:OPER:COND?") == "1"

    await converse(dmm(bench), talk)


@pytest.mark.parametrize(("clear", "state"), [("", "IDLE"), (",NEV", "IDLE"), (",ENT", "RUNNING"), (",ENT,OR,COMM", "RUNNING")])
async def test_an_edge_before_a_wait_satisfies_it_unless_it_clears_on_entering(clear: str, state: str) -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> str:
        r.write(DIGITIZE + f';:TRIG:LOAD "Empty";:TRIG:BLOC:DEL:CONS 1,0.01;:TRIG:BLOC:WAIT 2,EXT{clear};:TRIG:BLOC:MDIG 3,"defbuffer1",10')
        bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns() + 1_000_000, 1)]
        r.write(":INIT")
        r.query(":TRIG:STAT?")
        bench.clock.pass_s(0.05)
        return r.query(":TRIG:STAT?").split(";")[0]

    assert await converse(dmm(bench), talk) == state


async def test_a_loop_counts_and_aborting_stops_it() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG 0.1;NPLC 0.1;AZER OFF;:TRIG:LOAD "SimpleLoop",7,0.001,"defbuffer1"')
        r.write(":INIT;*WAI")
        assert r.query(":TRAC:ACT?;:TRIG:STAT?") == "7;IDLE;IDLE;5"
        r.write(":TRIG:BLOC:WAIT 6,COMM,ENT;:INIT")
        r.write(":INIT")
        assert r.query("SYST:ERR?").startswith("-213")
        r.write(':SENS:FUNC "VOLT"')
        assert r.query("SYST:ERR?").startswith("-221")
        r.write(":ABOR")
        assert r.query(":TRIG:STAT?").startswith("ABORTED;ABORTED")
        assert r.query(":SYST:EVEN:NEXT? WARN").startswith("2728,")

    await converse(dmm(Bench()), talk)


async def test_binary_data_is_an_indefinite_little_endian_block_with_few_legal_elements() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG 0.01;:SENS:COUN 3')
        r.query(":READ?")
        r.write(":FORM:DATA SRE;:FORM:BORD?")
        assert r.read() == "SWAP"
        r.write(":TRAC:DATA? 1,3")
        assert r.read_bytes(2 + 12 + 1) == b"#0" + np.full(3, 5e-3, "<f4").tobytes() + b"\n"
        r.write(':TRAC:DATA? 1,3,"defbuffer1",READ,STAT')
        assert r.query("SYST:ERR?").startswith('1133,"Parameter 4, Syntax error, expected valid name parameters;')
        r.write(':FORM:DATA ASC;:TRAC:DATA? 1,2,"defbuffer1",READ,STAT,UNIT')
        assert r.read() == "5.000000E-03,256,Amp DC,5.000000E-03,0,Amp DC"

    await converse(dmm(bench), talk)


async def test_a_short_aperture_leaves_a_part_of_every_interval_out() -> None:
    load = tuple((k * 10_000 + shift, amps) for k in range(400) for shift, amps in ((0, 1e-3), (1_000, 9e-3)))
    bench = Bench(load)

    def talk(r: MessageBasedResource) -> None:
        r.write(DIGITIZE + ";:SENS:DIG:CURR:APER 1E-6;:SENS:DIG:COUN 100")
        assert r.query(":SENS:DIG:CURR:SRAT?;APER?") == "100000;1E-06"
        assert float(r.query(":READ:DIG?")) == pytest.approx(1e-3)
        assert r.query(":TRAC:ACT?") == "100"
        r.write(":SENS:DIG:CURR:APER 1E-5;SRAT 3E5")
        assert r.query(":SENS:DIG:CURR:APER?") == "3E-06", "an aperture that no longer fits becomes AUTO: whole microseconds"

    await converse(dmm(bench), talk)


async def test_a_query_aborts_the_model_where_the_specimen_does_that() -> None:
    def talk(r: MessageBasedResource) -> list[str]:
        r.write(DIGITIZE + ";" + MODEL.format(wait="COMM,ENT") + ";:INIT")
        return [r.query(":TRIG:STAT?").split(";")[0] for _ in range(2)]

    assert await converse(dmm(Bench(), trap="query_aborts"), talk) == ["RUNNING", "ABORTED"]


def test_every_trap_is_told_in_a_sentence() -> None:
    assert all(len(sentence.split()) > 5 for sentence in keithley_dmm6500.TRAPS.values())


class Ramp:
    """Readings that are their own numbers."""

    def at_s(self, number: int) -> float:
        return float(number)

    def convert(self, first: int, count: int) -> Readings:
        values = np.arange(first, first + count, dtype=float)
        return Readings(values, values, values)


def test_a_ring_that_turned_many_times_holds_the_newest_readings() -> None:
    ring, ramp = Buffer("b", 10), Ramp()
    for first in range(0, 105, 7):
        ring.add(ramp, first, 7)
    newest = ring.read(1, 10).values
    assert sorted(newest) == list(range(95, 105))
    assert newest[ring.last_place - 1] == 104
    assert newest[ring.first_place - 1] == 95
    assert (ring.stored, ring.origin_s) == (10, 0.0)


async def test_a_second_look_at_a_buffer_sees_the_same_readings() -> None:
    def talk(r: MessageBasedResource) -> tuple[str, str]:
        r.write(DIGITIZE + ";:SENS:DIG:COUN 50;:READ:DIG?")
        r.read()
        return r.query(":TRAC:DATA? 1,50"), r.query(":TRAC:DATA? 1,50")

    first, second = await converse(dmm(Bench(((0, 5e-3),)), unkind={"noise": 1.0}), talk)
    assert first == second
    assert len(set(first.split(","))) > 10


def test_a_150_reading_run_into_100_places_ends_at_place_50() -> None:
    """The manual's own example (DMM7510-901-01 p. 3-15)."""
    ring = Buffer("b", 100)
    ring.add(Ramp(), 0, 150)
    assert (ring.first_place, ring.last_place) == (51, 50)
    assert ring.read(50, 51).values.tolist() == [149.0, 50.0]
