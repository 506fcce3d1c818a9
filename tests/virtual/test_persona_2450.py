"""The 2450 family over a real socket with stock PyVISA, a 2461 where nothing else is said: transcripts, the trigger model, its traps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_2450
from labd_virtual.instruments.keithley_2450_buffers import Buffer, Readings
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, error_after

NO_ERROR = '0,"No error;0;0 0"'
WIRES = {"marker": "MARK", "fire": "TRIG"}
OPTIONS: dict[str, object] = {"trigger_line": 1, "fire_line": 2}
SOURCE = ":SOUR:FUNC VOLT;:SOUR:VOLT:RANG 20;:SOUR:VOLT 3;:SOUR:VOLT:ILIM 0.1;:SOUR:VOLT:PROT PROT5"


def smu(bench: Bench, *, model: str = "2461", **changes: Any) -> Persona:
    return keithley_2450.create(bench.setup(options=OPTIONS | {"model": model}, wires=WIRES, **changes))


def digitize(r: MessageBasedResource, rate_hz: float = 1e5, points: int = 1000, fill: str = "CONT") -> None:
    r.write(f':SENS:DIG:FUNC "CURR";:SENS:DIG:CURR:RANG 0.1;SRAT {rate_hz:g};APER AUTO')
    r.write(f':TRAC:MAKE "b",{points};:TRAC:FILL:MODE {fill},"b";:DIG:LINE1:MODE TRIG,IN;:TRIG:DIG1:IN:EDGE RIS')
    assert r.query("SYST:ERR?") == NO_ERROR


def rows(r: MessageBasedResource, elements: str = "READ,REL", width: int = 2) -> np.ndarray:
    """The buffer in order of time."""
    count = int(r.query(':TRAC:ACT? "b"'))
    r.write(":FORM:DATA SRE")
    data = r.query_binary_values(f':TRAC:DATA? 1,{count},"b",{elements}', datatype="f", data_points=width * count)
    table = np.array(data).reshape(count, width)
    return table[np.argsort(table[:, 1], kind="stable")]


async def test_stock_settings_in_any_spelling() -> None:
    bench = Bench()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").startswith("KEITHLEY INSTRUMENTS,MODEL 2461,")
        assert r.query("*LANG?") == "SCPI"
        assert r.query(":SYST:LFR?") == "50"
        r.write(SOURCE + ';:SENS:FUNC "CURR";:SENS:CURR:RANG 0.08;NPLC 1;RSEN ON;AZER OFF')
        assert r.query(":SENS:FUNC?;:SENS:DIG:FUNC?") == '"CURR:DC";"NONE"'
        assert r.query(":SENSe1:CURRent:DC:RANGe:UPPer?;:CURR:RANG:AUTO?;:SENS:CURR:RSEN?") == "0.1;0;1"
        assert r.query(":SOURce1:VOLTage:LEVel:IMMediate:AMPLitude?;:SOUR:VOLT:ILIM?;:SOUR:VOLT:PROT?") == "3;0.1;PROT5"
        r.write(":OUTP ON")
        assert r.query(":OUTP?;:OUTP:VOLT:SMOD?;*OPC?") == "1;NORM;1"
        assert r.query("SYST:ERR?;:SYST:EVEN:COUN? ERR") == f"{NO_ERROR};0"

    await converse(persona, talk)
    assert persona.output_on()
    assert bench.node.drives[-1][1:] == (3.0, 0.005, 0.1, True)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (":FOO 1", -113),
        (":SOUR:VOLT 200", -222),
        (":SOUR:VOLT:RANG 2;:SOUR:VOLT 3", -222),
        (":SENS:CURR:NPLC 11", -222),
        (":SOUR:VOLT:PROT PROT3", -224),
        (':SENS:FUNC "TEMP"', -224),
        (":OUTP", -109),
        (":OUTP ON,OFF", -108),
        (":DIG:LINE7:MODE TRIG,IN", -114),
        (":INIT", -221),
        (':TRIG:LOAD "Nothing"', -224),
        (':TRIG:BLOC:DIG 1,"nobody"', -224),
        (":TRIG:BLOC:BUFF:CLE 2", -221),
        (":SENS:DIG:CURR:SRAT 1e6;APER 1e-5", -222),
        (':TRAC:MAKE "x",5', -222),
        (':TRAC:DEL "defbuffer1"', -221),
        ("*LANG TSP", -224),
    ],
)
async def test_it_rejects_with_the_real_code(command: str, code: int) -> None:
    reply = await error_after(smu(Bench()), command)
    assert reply.split(",")[0] == str(code)
    assert reply.endswith(';1;2026/01/01 00:00:00.000"'), "severity and time stand inside the quotes"


@pytest.mark.parametrize("model", ["2450", "2460", "2470"])
@pytest.mark.parametrize(
    "command",
    [
        ':SENS:DIG:FUNC "CURR"',
        ":DIG:CURR:SRAT 1000",
        ":SENSe1:DIGitize:COUNt 5",
        ":SENS:DIG:CURR:RANG?",
        ':TRIG:BLOC:DIG 1,"defbuffer1",5',
    ],
)
async def test_only_a_2461_knows_what_digitizing_is(model: str, command: str) -> None:
    assert (await error_after(smu(Bench(), model=model), command)).startswith('-113,"Undefined header;')


@pytest.mark.parametrize(
    ("model", "command", "code"),
    [
        ("2450", ":SOUR:VOLT 211", -222),
        ("2450", ":SOUR:VOLT:ILIM 1.06", -222),
        ("2450", ":SENS:CURR:RANG 1.1", -222),
        ("2450", ":SOUR:VOLT:PROT PROT180", 0),
        ("2460", ":SOUR:VOLT:PROT PROT100", -224),
        ("2460", ":SENS:CURR:RANG 7", 0),
        ("2461", ":SOUR:VOLT:PROT PROT80", 0),
        ("2470", ":SOUR:VOLT 1000", 0),
        ("2470", ":SOUR:VOLT:PROT PROT2", -224),
        ("2470", ":SOUR:VOLT:ILIM 7", -222),
    ],
)
async def test_each_member_has_its_own_limits(model: str, command: str, code: int) -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write(command)
        return r.query("*IDN?;:SYST:ERR?")

    assert (await converse(smu(Bench(), model=model), talk)).startswith(f"KEITHLEY INSTRUMENTS,MODEL {model},VIRTUAL2,1.7.12b;{code},")


def test_there_is_no_other_member() -> None:
    with pytest.raises(KeyError, match="2400"):
        smu(Bench(), model="2400")


async def test_a_range_moves_the_current_limit_with_no_more_than_a_warning() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(":SOUR:VOLT:ILIM 0.05;:SENS:CURR:RANG 0.1")
        assert r.query(":SOUR:VOLT:ILIM?;:SYST:EVEN:COUN? WARN") == "0.05;0"
        r.write(":SENS:CURR:RANG 1")
        assert r.query(":SOUR:VOLT:ILIM?;:SYST:EVEN:COUN? WARN") == "0.106;1", "10.6 % of the range"
        r.write(":SENS:CURR:RANG:AUTO ON;:SOUR:VOLT:ILIM 0.5;:SOUR:VOLT:RANG 200")
        assert r.query(":SOUR:VOLT:ILIM?;:SYST:ERR?") == f"0.105;{NO_ERROR}", "what the operating boundary leaves"

    await converse(smu(Bench(), model="2450"), talk)


async def test_a_buffer_is_filled_by_command_and_the_active_function_is_measured() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(":TRAC:MAKE 'run',100;:SENS:CURR:RANG 0.01;:SENS:COUN 4;:TRAC:TRIG 'run'")
        assert r.query(":TRAC:ACT? 'run';:TRAC:ACT?") == "4;0"
        assert float(r.query(":MEAS?")) == 5e-3
        assert r.query(":TRAC:ACT?;:SENS:FUNC?") == '4;"CURR:DC"'

    await converse(smu(bench, model="2450"), talk)


async def test_a_sweep_measures_at_each_level_and_leaves_the_output_off() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(":SENS:CURR:RANG 0.01;:SOUR:VOLT:ILIM 0.1;:SOUR:SWE:VOLT:LIN 0,3,4,0.01,2,AUTO,ON,OFF,'defbuffer1';:INIT;*WAI")
        assert r.query(":TRAC:ACT?;:OUTP?;:SOUR:VOLT?;:SYST:ERR?") == f"8;0;3;{NO_ERROR}"
        assert {float(value) for value in r.query(":TRAC:DATA? 1,8").split(",")} == {5e-3}
        r.write(":SOUR:SWE:VOLT:LIN 0,3")
        assert r.query(":SYST:ERR?").startswith("-109")

    await converse(smu(bench, model="2450"), talk)
    levels = [emf for _, emf, _, _, connected in bench.node.drives if connected and emf]
    assert levels == [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]


async def test_statistics_are_of_a_buffer_and_a_repeating_filter_takes_its_time() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(":SENS:CURR:RANG 0.01;NPLC 1;AZER OFF;:TRAC:STAT:AVER?")
        assert r.query(":SYST:ERR?").startswith("-230"), "nothing is stored yet"
        r.write(":SENS:CURR:AVER:TCON REP;COUN 5;:SENS:CURR:AVER ON;:SENS:COUN 2")
        before = bench.clock.now_ns()
        assert r.query(":SENS:CURR:AVER?;:SENS:CURR:AVER:TCON?;COUN?;:READ?").startswith("1;REP;5;5.0")
        assert bench.clock.now_ns() - before == pytest.approx(200e6, rel=0.02), "two readings of five cycles each"
        assert [float(v) for v in r.query(":TRAC:STAT:AVER?;MAX?;MIN?;STDD?").split(";")] == pytest.approx([5e-3, 5e-3, 5e-3, 0.0])
        r.write(":SOUR:VOLT:DEL 0.01")
        assert r.query(":SOUR:VOLT:DEL:AUTO?;:SYST:ERR?") == f"0;{NO_ERROR}"

    await converse(smu(bench, model="2450"), talk)


async def test_single_measurements_loop_around_an_event() -> None:
    """The blocks that every firmware has: one reading a block, counted and conditional branches."""
    bench = Bench(((0, 1e-3), (2_000_000_000, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(2_000_000_000, 1)]

    def talk(r: MessageBasedResource) -> None:
        r.write(':SENS:FUNC "CURR";:SENS:CURR:RANG 0.1;NPLC 0.05;AZER OFF;:TRAC:MAKE "b",100;:TRAC:FILL:MODE CONT,"b"')
        r.write(":DIG:LINE1:MODE TRIG,IN;:TRIG:DIG1:IN:EDGE RIS")
        blocks = (
            "BUFF:CLE 1,B",
            "MEAS 2,B",
            "BRAN:COUN 3,40,2",
            "MEAS 4,B",
            "BRAN:EVEN 5,DIG1,7",
            "BRAN:ALW 6,4",
            "MEAS 7,B",
            "BRAN:COUN 8,60,7",
        )
        r.write(':TRIG:LOAD "Empty"' + "".join(f";:TRIG:BLOC:{block}" for block in blocks).replace(",B", ',"b"') + ";:INIT")
        assert r.query(":TRIG:STAT?;:SYST:ERR?").startswith("RUNNING;RUNNING;")
        bench.clock.pass_s(2.5)
        assert r.query("*OPC?;:TRIG:STAT?") == "1;IDLE;IDLE;8"
        table = rows(r)
        assert (table[:, 0] < 2e-3).sum() in (39, 40)
        assert np.diff(table[:, 1]) == pytest.approx(np.full(99, 1.2e-3), abs=1e-6)

    await converse(smu(bench, model="2450"), talk)


@pytest.mark.parametrize(
    ("sense", "clamp"),
    [
        (':SENS:FUNC "CURR";:SENS:CURR:RANG:AUTO ON', 0.1),
        (':SENS:FUNC "CURR";:SENS:CURR:RANG 1e-4', 1.05e-4),
        (':SENS:FUNC "CURR";:SENS:CURR:RANG 1', 0.1),
        (':SENS:DIG:FUNC "CURR";:SENS:DIG:CURR:RANG 1e-3', 1.05e-3),
        (':SENS:CURR:RANG 1e-4;:SENS:FUNC "VOLT"', 0.1),
    ],
)
async def test_a_fixed_low_measure_range_limits_the_output_current(sense: str, clamp: float) -> None:
    bench = Bench()
    await converse(
        smu(bench), lambda r: r.write(SOURCE + ";:OUTP ON;" + (sense if sense.startswith(":") else f":{sense}")) and r.query("*OPC?")
    )
    assert bench.node.drives[-1][3] == pytest.approx(clamp)


async def test_settings_read_back_after_a_reset() -> None:
    def talk(r: MessageBasedResource) -> str:
        r.write(":SENS:CURR:RANG 1;:SENS:DIG:CURR:RANG 1e-3;*RST;:SENS:CURR:RANG 1e-2;:SENS:DIG:CURR:RANG 1e-5")
        return r.query(":SENS:CURR:RANG?;:SENS:DIG:CURR:RANG?;:SENS:CURR:RANG:AUTO?")

    assert await converse(smu(Bench()), talk) == "0.01;1E-05;0"


@pytest.mark.parametrize(("state", "connected"), [("NORM", True), ("HIMP", False), ("ZERO", True), ("GUAR", False)])
async def test_output_off_states(state: str, connected: bool) -> None:
    bench = Bench()
    await converse(smu(bench), lambda r: r.write(f"{SOURCE};:OUTP:VOLT:SMOD {state};:OUTP ON;:OUTP OFF") and r.query("*OPC?"))
    assert bench.node.drives[-1][4] is connected
    assert bench.node.drives[-1][1] == 0.0


async def test_open_sense_leads_take_the_output_to_the_protection_level() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> str:
        r.write(":SOUR:VOLT 0.2;:SOUR:VOLT:ILIM 0.1;:SOUR:VOLT:PROT PROT2;:SENS:CURR:RSEN ON;:OUTP ON")
        return r.query(":SOUR:VOLT:PROT:TRIP?;:OUTP?")

    assert await converse(smu(bench, sense_fault="open"), talk) == "1;1"
    assert bench.node.drives[-1][1] == 2.0


@pytest.mark.parametrize(("model", "protection", "reached_v"), [("2461", "PROT2", 2.0), ("2470", "PROT20", 20.0), ("2450", "NONE", 210.0)])
async def test_open_sense_leads_drive_up_to_the_protection_whatever_the_range(model: str, protection: str, reached_v: float) -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> str:
        r.write(f":SOUR:VOLT:RANG 2;:SOUR:VOLT 0.1;:SOUR:VOLT:ILIM 0.1;:SOUR:VOLT:PROT {protection};:SENS:CURR:RSEN ON;:OUTP ON")
        return r.query(":OUTP?")

    assert await converse(smu(bench, sense_fault="open", model=model), talk) == "1"
    assert bench.node.drives[-1][1] == reached_v


async def test_an_automatic_source_range_follows_the_level() -> None:
    def talk(r: MessageBasedResource) -> list[str]:
        return [r.query(f":SOUR:VOLT {volt};:SOUR:VOLT:RANG?") for volt in ("0.1", "3", "8")]

    assert await converse(smu(Bench()), talk) == ["0.2", "7", "10"]


async def test_read_integrates_over_its_power_line_cycles_and_takes_board_time() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(SOURCE + ';:SENS:FUNC "CURR";:SENS:CURR:RANG 0.01;AZER OFF;NPLC 10;:OUTP ON')
        r.query("*OPC?")
        before = bench.clock.now_ns()
        assert [float(v) for v in r.query(':READ? "defbuffer1",READ,SOUR').split(",")] == [5e-3, 3.0]
        assert bench.clock.now_ns() - before == pytest.approx(200e6, rel=0.01)
        assert float(r.query(":FETC?")) == 5e-3
        assert float(r.query(':MEAS:VOLT? "defbuffer1"')) == 3.0
        assert r.query(":SENS:FUNC?") == '"VOLT:DC"'

    await converse(smu(bench), talk)


async def test_mains_hum_shows_below_one_power_line_cycle_only() -> None:
    bench = Bench()
    unkind = {"hum_a": 0.2e-6, "noise": 0.0, "drift": 0.0}

    def talk(r: MessageBasedResource) -> tuple[float, float]:
        r.write(":SENS:CURR:RANG 1e-5;AZER OFF;NPLC 1")
        whole = float(r.query("READ?"))
        r.write(":SENS:CURR:NPLC 0.25;:SENS:COUN 4")
        r.query("READ?")
        r.write(":FORM:ASC:PREC 9")
        parts = [float(v) for v in r.query(':TRAC:DATA? 2,5,"defbuffer1"').split(",")]
        return whole, max(map(abs, parts))

    whole, part = await converse(smu(bench, unkind=unkind), talk)
    assert abs(whole) < 1e-11
    assert part > 5e-8


async def test_loop_until_event_keeps_the_share_before_the_event() -> None:
    bench = Bench(((0, 1e-3), (2_000_000_000, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(2_000_000_000, 1)]

    def talk(r: MessageBasedResource) -> None:
        digitize(r)
        r.write(':TRIG:LOAD "LoopUntilEvent",DIG1,25,ENT,0,"b";:INIT')
        assert r.query(":TRIG:STAT?").startswith("RUNNING;RUNNING;")
        bench.clock.pass_s(2.5)
        assert r.query("*OPC?;:TRIG:STAT?") == "1;IDLE;IDLE;2"
        table = rows(r)
        assert len(table) == 1000
        assert (table[:, 0] < 2e-3).sum() == pytest.approx(250, abs=1)
        assert np.diff(table[:, 1]) == pytest.approx(np.full(999, 1e-5), abs=1e-6)
        start, end = (int(r.query(f':TRAC:ACT:{which}? "b"')) for which in ("STAR", "END"))
        assert end == start - 1, "the ring has turned"

    await converse(smu(bench), talk)


async def test_a_once_buffer_discards_what_follows_and_says_so_in_the_event_log_only() -> None:
    bench = Bench(((0, 1e-3), (2_000_000_000, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(2_000_000_000, 1)]

    def talk(r: MessageBasedResource) -> None:
        digitize(r, fill="ONCE")
        r.write(':STAT:OPER:MAP 0,4917,4916;:TRIG:LOAD "LoopUntilEvent",DIG1,25,ENT,0,"b";:INIT')
        r.query(":TRIG:STAT?")
        bench.clock.pass_s(2.5)
        r.query("*OPC?")
        assert rows(r)[:, 0].max() == pytest.approx(1e-3)
        assert r.query("SYST:ERR?") == NO_ERROR
        assert r.query(":SYST:EVEN:NEXT? WARN").startswith("4915,")
        assert r.query(":STAT:OPER:COND?") == "1"

    await converse(smu(bench), talk)


@pytest.mark.parametrize(("clear", "state"), [("", "IDLE"), (",NEV", "IDLE"), (",ENT", "RUNNING")])
async def test_an_edge_before_a_wait_block_satisfies_it_unless_it_clears_on_entering(clear: str, state: str) -> None:
    """Edges are remembered from the start of the model; the wait is reached 10 ms later."""
    bench = Bench()

    def talk(r: MessageBasedResource) -> str:
        digitize(r, points=100)
        r.write(f':TRIG:LOAD "Empty";:TRIG:BLOC:DEL:CONS 1,0.01;:TRIG:BLOC:WAIT 2,DIG1{clear};:TRIG:BLOC:DIG 3,"b",10')
        r.query("*OPC?")
        bench.pins.scripted["MARK"] = [Edge(bench.clock.now_ns() + 1_000_000, 1)]
        r.write(":INIT")
        r.query(":TRIG:STAT?")
        bench.clock.pass_s(0.05)
        return r.query(":TRIG:STAT?").split(";")[0]

    assert await converse(smu(bench), talk) == state


async def test_the_instrument_fires_the_board_a_known_time_after_its_readings_begin() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> int:
        digitize(r, points=1000, fill="ONCE")
        r.write(":DIG:LINE2:MODE TRIG,OUT;:TRIG:DIG2:OUT:STIM NOT1;LOG POS;PULS 1e-4")
        r.write(':TRIG:LOAD "Empty";:TRIG:BLOC:BUFF:CLE 1,"b";:TRIG:BLOC:WAIT 2,COMM,ENT;:TRIG:BLOC:DIG 3,"b",INF')
        r.write(':TRIG:BLOC:DEL:CONS 4,0.002;:TRIG:BLOC:NOT 5,1;:TRIG:BLOC:DEL:CONS 6,0.004;:TRIG:BLOC:DIG 7,"b",0')
        r.write(":INIT")
        assert r.query(":TRIG:STAT?") == "RUNNING;RUNNING;2"
        began = bench.clock.now_ns()
        r.write("*TRG")
        assert r.query('*OPC?;:TRIG:STAT?;:TRAC:ACT? "b"') == "1;IDLE;IDLE;7;600"
        assert r.query("SYST:ERR?") == NO_ERROR
        return began

    began = await converse(smu(bench), talk)
    pulses = [(t - began, level) for t, pin, level in bench.pins.driven if pin == "TRIG"][-2:]
    assert pulses == [(2_000_000, 1), (2_100_000, 0)]


async def test_a_branch_counter_repeats_and_abort_stops() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        digitize(r, points=100)
        r.write(':TRIG:LOAD "Empty";:TRIG:BLOC:BUFF:CLE 1,"b";:TRIG:BLOC:DIG 2,"b",5;:TRIG:BLOC:DEL:CONS 3,0.01;:TRIG:BLOC:BRAN:COUN 4,3,2')
        r.write(":INIT;*WAI")
        assert r.query(':TRAC:ACT? "b";:TRIG:STAT?') == "15;IDLE;IDLE;4"
        gaps = np.diff(rows(r)[:, 1])
        assert (gaps > 5e-3).sum() == 2
        r.write(":TRIG:BLOC:WAIT 5,COMM,ENT;:INIT;:ABOR")
        assert r.query(":TRIG:STAT?").startswith("ABORTED;ABORTED")
        r.write(":TRIG:BLOC:MEAS 6")
        assert r.query("SYST:ERR?").startswith("-221"), "measure and digitize in one model"

    await converse(smu(bench), talk)


async def test_a_digitize_model_needs_a_digitize_function() -> None:
    assert (await error_after(smu(Bench()), ':SENS:FUNC "CURR";:TRIG:LOAD "Empty";:TRIG:BLOC:DIG 1;:INIT')).startswith("-221")


async def test_binary_data_is_an_indefinite_little_endian_block_with_few_legal_elements() -> None:
    bench = Bench(((0, 5e-3),))

    def talk(r: MessageBasedResource) -> None:
        r.write(":SENS:CURR:RANG 0.01;:SENS:COUN 3")
        r.query("READ?")
        r.write(":FORM:DATA SRE;:FORM:BORD?")
        assert r.read() == "SWAP"
        r.write(":TRAC:DATA? 1,3")
        assert r.read_bytes(2 + 12 + 1) == b"#0" + np.full(3, 5e-3, "<f4").tobytes() + b"\n"
        r.write(':TRAC:DATA? 1,3,"defbuffer1",READ,STAT')
        assert r.query("SYST:ERR?").startswith('1133,"Parameter 4, Syntax error, expected valid name parameters;')
        r.write(':FORM:DATA ASC;:TRAC:DATA? 1,2,"defbuffer1",READ,STAT,UNIT')
        assert r.read() == "5.000000E-03,256,Amp DC,5.000000E-03,0,Amp DC"
        r.write(":TRAC:DATA? 1,4")
        assert r.query("SYST:ERR?").startswith("-222")

    await converse(smu(bench), talk)


async def test_a_short_digitize_aperture_leaves_gaps() -> None:
    load = tuple((k * 10_000 + shift, amps) for k in range(400) for shift, amps in ((0, 1e-3), (1_000, 9e-3)))
    bench = Bench(load)

    def talk(r: MessageBasedResource) -> None:
        digitize(r, points=100, fill="ONCE")
        r.write(':SENS:DIG:CURR:APER 1e-6;:TRIG:LOAD "Empty";:TRIG:BLOC:DIG 1,"b",100;:INIT;*WAI')
        assert r.query("SYST:ERR?") == NO_ERROR
        assert rows(r)[:, 0] == pytest.approx(np.full(100, 1e-3))

    await converse(smu(bench), talk)


def test_a_ring_that_turned_many_times_holds_the_newest_readings() -> None:
    def ramp(first: int, count: int) -> Readings:
        values = np.arange(first, first + count, dtype=float)
        return Readings(values, values, values, values)

    ring = Buffer("b", 10, once=False)
    for first in range(0, 100, 7):
        ring.add_readings(ramp(first, 7))
    newest = ring.read(1, 10).values
    assert sorted(newest) == list(range(95, 105))
    assert newest[ring.last_index - 1] == 104
    assert newest[ring.first_index - 1] == 95
    assert ring.origin_s() == 0.0
