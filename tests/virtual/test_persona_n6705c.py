"""The N6705C over a real socket with stock PyVISA: transcripts, refusals and traps."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import keysight_n6705c
from labd_virtual.instruments.keysight_n6705c_acquire import State
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, error_after, with_visa

OPTIONS = {"channel": 1, "marker_channel": 2, "fire_pin": 3}
WIRES = {"fire": "TRIG", "marker": "MARK"}
NO_ERROR = '+0,"No error"'
STEP = ((0, 1e-6), (2_000_000_000, 10e-3))


def smu(bench: Bench, **changes: Any) -> Persona:
    return keysight_n6705c.create(bench.setup(options=OPTIONS, wires=WIRES, **changes))


def floats(r: MessageBasedResource, query: str) -> np.ndarray:
    return np.array(r.query_binary_values(query, datatype="f", is_big_endian=True))


def turn_on(r: MessageBasedResource, volts: float = 3.0, *, sense: str = "EXT") -> None:
    r.write(f"VOLT:PROT 3.6,(@1);:VOLT:SENS:SOUR {sense},(@1);:CURR:LIM 0.15,(@1);:VOLT {volts},(@1);:OUTP ON,(@1)")
    assert r.query("*OPC?") == "1"


def start_log(r: MessageBasedResource, period: float = 0.0002048) -> None:
    r.write("FORM REAL;:SENS:ELOG:FUNC:CURR ON,(@1);:SENS:ELOG:FUNC:VOLT ON,(@1);:SENS:ELOG:CURR:RANG:AUTO ON,(@1)")
    r.write(f"SENS:ELOG:PER {period},(@1);:TRIG:ELOG:SOUR IMM,(@1);:INIT:ELOG (@1)")
    assert r.query("SYST:ERR?") == NO_ERROR


async def test_source_settings_read_back_in_any_spelling() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").split(",")[:2] == ["Keysight Technologies", "N6705C"]
        assert r.query("SYST:CHAN:COUN?;MOD? (@1:2)") == '2;"N6781A","N6781A"'
        turn_on(r)
        assert [float(v) for v in r.query("sour:volt:lev:imm:ampl? (@1);:VOLTage? MAX,(@1)").split(";")] == [3.0, 20.4]
        assert float(r.query("CURRent:LIMit:POSitive:IMMediate:AMPLitude? (@1)")) == 0.15
        assert r.query("OUTP? (@1:2);:VOLT:SENS:SOUR? (@1);:OUTP:TMOD? (@1)") == "1,0;EXT;LOWZ"
        r.write("OUTP OFF,(@1)")
        assert r.query("OUTP? (@1);:SYST:ERR?;*OPC?") == f"0;{NO_ERROR};1"

    await converse(smu(bench), talk)
    connected = [drive[4] for drive in bench.node.drives]
    assert connected[-3:] == [True, True, False], "on, sinking at 0 V, then relays open"
    assert bench.node.drives[-2][1] == 0.0


async def test_the_high_impedance_off_mode_does_not_sink() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        r.write("OUTP:TMOD HIGHZ,(@1)")
        turn_on(r)
        r.write("OUTP OFF,(@1)")
        r.query("*OPC?")

    await converse(smu(bench), talk)
    assert not any(emf == 0.0 and connected for _, emf, _, _, connected in bench.node.drives)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("FOO 1,(@1)", -113),
        ("VOLT 99,(@1)", -222),
        ("VOLT 1,(@3)", -222),
        ("VOLT 1, @1", -102),
        ("VOLT 1", -109),
        ("VOLT 1,(@1),2", -108),
        ("VOLT:SENS:SOUR NEAR,(@1)", -224),
        ("FUNC CURR,(@1)", -221),
        ("FETC:ELOG? 10,(@1)", -230),
        ("FETC:ARR:CURR? (@1)", -230),
        ("TRIG:ELOG (@1)", -211),
        ("TRIG:ACQ (@1)", -211),
        ("INIT:ELOG (@1)", -221),
        ("DIG:PIN8:FUNC TOUT", -114),
        ("SENS:ELOG:PER 0.00001,(@1)", -222),
    ],
)
async def test_it_rejects_with_the_real_code(command: str, code: int) -> None:
    assert (await error_after(smu(Bench()), command)).split(",")[0] == f"{code:+d}"


async def test_the_log_delivers_current_then_voltage_without_gaps() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r)
        start_log(r)
        began = bench.clock.now_ns()
        bench.clock.pass_s(1.0)
        first = floats(r, "FETC:ELOG? 1000,(@1)")
        bench.clock.pass_s(1.5)
        parts = [first]
        while len(parts[-1]):
            parts.append(floats(r, "FETC:ELOG? 4096,(@1)"))
        table = np.concatenate(parts).reshape(-1, 2)
        assert len(first) == 2000
        assert len(table) == int(2.5 / 204.8e-6)
        assert np.all(table[:, 1] == np.float32(3.0))
        charge = table[:, 0].astype(float).sum() * 204.8e-6
        expected = bench.node.integrals(np.array([began, began + len(table) * 204_800])).charge
        assert charge == pytest.approx(expected[1] - expected[0], rel=1e-6)
        r.write("ABOR:ELOG (@1)")
        assert r.query("SYST:ERR?") == NO_ERROR
        r.write("FETC:ELOG? 10,(@1)")
        assert r.query("SYST:ERR?").startswith("-230")

    await converse(smu(bench), talk)


async def test_the_period_has_a_floor_over_the_whole_logger_and_a_raster() -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write("FORM REAL;:SENS:ELOG:FUNC:CURR ON,(@1);:SENS:ELOG:PER MIN,(@1)")
        assert float(r.query("SENS:ELOG:PER? (@1)")) == pytest.approx(102.4e-6)
        r.write("SENS:ELOG:FUNC:VOLT ON,(@1:2)")
        assert float(r.query("SENS:ELOG:PER? (@1)")) == pytest.approx(307.2e-6)
        r.write("SENS:ELOG:PER 0.001,(@1)")
        assert float(r.query("SENS:ELOG:PER? (@1)")) == pytest.approx(49 * 20.48e-6)
        r.write("FORM ASC;:SENS:ELOG:PER MIN,(@1)")
        assert float(r.query("SENS:ELOG:PER? (@1)")) == pytest.approx(5 * 307.2e-6)
        r.write("SENS:ELOG:FUNC:CURR:MINM ON,(@1);:INIT:ELOG (@1)")
        assert r.query("SYST:ERR?").startswith("-221")
        r.write("SENS:SWE:TINT:RES RES40,(@1);:INIT:ELOG (@1)")
        assert r.query("SYST:ERR?") == NO_ERROR

    await converse(smu(Bench()), talk)


async def test_min_and_max_stand_between_the_averages() -> None:
    bench = Bench(((0, 1e-3), (1_000_000_000, 5e-3), (1_000_100_000, 1e-3)))

    def talk(r: MessageBasedResource) -> np.ndarray:
        r.write("FORM REAL;:SENS:SWE:TINT:RES RES40,(@1);:SENS:ELOG:CURR:RANG 0.1,(@1);:SENS:ELOG:FUNC:VOLT ON,(@1)")
        r.write("SENS:ELOG:FUNC:CURR ON,(@1);:SENS:ELOG:FUNC:CURR:MINM ON,(@1);:SENS:ELOG:PER 0.01,(@1);:INIT:ELOG (@1)")
        r.query("*OPC?")
        bench.clock.pass_s(2)
        return floats(r, "FETC:ELOG? 1000,(@1)").reshape(-1, 4)

    table = await converse(smu(bench), talk)
    peak = table[:, 2].argmax()
    assert table[peak][:3] == pytest.approx([1.04e-3, 1e-3, 5e-3], rel=0.01)


async def test_a_host_that_is_too_slow_loses_the_oldest_and_only_the_count_shows_it() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        start_log(r, 0.001024)
        bench.clock.pass_s(30)
        received = 0
        while len(block := floats(r, "FETC:ELOG? 16384,(@1)")):
            received += len(block) // 2
        assert received == int(20 / 0.001024)
        assert received < int(30 / 0.001024)
        assert r.query("SYST:ERR?;:STAT:QUES:COND? (@1)") == f"{NO_ERROR};0"

    await converse(smu(bench), talk)


async def test_a_log_limits_stepped_time_to_a_quarter_of_its_fifo_ahead_of_the_host() -> None:
    bench = Bench()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        start_log(r, 0.001024)
        began = bench.clock.limits["smu.elog1"] - 5_000_000_000
        bench.clock.pass_s(1)
        count = len(floats(r, "FETC:ELOG? 500,(@1)")) // 2
        assert bench.clock.limits["smu.elog1"] == began + 5_000_000_000 + count * 1_024_000
        r.write("ABOR:ELOG (@1)")
        r.query("*OPC?")
        assert not bench.clock.limits
        start_log(r)

    name = await persona.serve()
    await with_visa(name, talk)
    async with asyncio.timeout(5):
        await persona.close()
    assert not bench.clock.limits, "nobody is left to fetch"


async def test_seamless_ranging_and_a_fixed_range_that_is_too_low() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        r.write("FORM REAL;:SENS:ELOG:FUNC:CURR ON,(@1);:SENS:ELOG:CURR:RANG 0.0005,(@1);:SENS:ELOG:PER 0.001024,(@1);:INIT:ELOG (@1)")
        assert float(r.query("SENS:ELOG:CURR:RANG? (@1)")) == 1e-3
        assert r.query("SENS:ELOG:CURR:RANG:AUTO? (@1)") == "0"
        bench.clock.pass_s(3)
        values = floats(r, "FETC:ELOG? 16384,(@1)")
        assert values[0] == pytest.approx(1e-6)
        assert values[-1] == pytest.approx(9.91e37)

    await converse(smu(bench), talk)


async def test_a_bus_trigger_fires_the_board_and_the_sweep_at_one_instant() -> None:
    bench = Bench()
    edge_ns: list[int] = []

    def talk(r: MessageBasedResource) -> np.ndarray:
        r.write("FORM REAL;:DIG:PIN3:FUNC TOUT;POL POS;:DIG:TOUT:BUS ON;:SENS:CURR:RANG 0.1,(@1);:SENS:FUNC:VOLT OFF,(@1);CURR ON,(@1)")
        r.write("SENS:SWE:POIN 1000,(@1);TINT 5.12e-6,(@1);OFFS:POIN -100,(@1);:TRIG:ACQ:SOUR BUS,(@1);:INIT:ACQ (@1)")
        assert r.query("STAT:OPER:COND? (@1)") == "36"
        r.query("*OPC?")
        edge_ns.append(bench.clock.now_ns())
        bench.node.load = ((0, 1e-3), (edge_ns[0], 20e-3))
        r.write("*TRG")
        return floats(r, "FETC:ARR:CURR? (@1)")

    persona = smu(bench)
    values = await converse(persona, talk)
    assert len(values) == 1000
    assert values[99] == pytest.approx(1e-3)
    assert values[100] == pytest.approx(20e-3)
    rises = [t for t, pin, level in bench.pins.driven if pin == "TRIG" and level]
    assert rises == edge_ns
    assert (edge_ns[0] + 10_000, "TRIG", 0) in bench.pins.driven
    assert bench.clock.now_ns() >= edge_ns[0] + 900 * 5120


async def test_a_trigger_before_the_pretrigger_points_are_in_is_ignored() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        r.write("FORM REAL;:SENS:SWE:POIN 100,(@1);OFFS:POIN -50,(@1);:INIT:ACQ (@1);*TRG")
        assert r.query("*OPC?;:STAT:OPER:COND? (@1)") == "1;36"
        r.write("*TRG")
        assert len(floats(r, "FETC:ARR:VOLT? (@1)")) == 100
        r.write("INIT:ACQ (@1);:INIT:ACQ (@1)")
        assert r.query("SYST:ERR?").startswith("-213")

    await converse(smu(bench), talk)


async def test_a_pin_can_trigger_a_sweep_and_its_edge_is_the_zero_of_the_axis() -> None:
    bench = Bench(((0, 1e-3), (500_000_000, 20e-3)))
    bench.pins.scripted["MARK"] = [Edge(500_000_000, 1)]
    persona = keysight_n6705c.create(bench.setup(options=OPTIONS, wires={"pin1": "MARK"}))

    def talk(r: MessageBasedResource) -> np.ndarray:
        r.write("FORM REAL;:SENS:FUNC:CURR ON,(@1);:SENS:CURR:RANG 0.1,(@1)")
        r.write("SENS:SWE:POIN 100,(@1);OFFS:POIN -20,(@1);:TRIG:ACQ:SOUR PIN1,(@1);:INIT:ACQ (@1)")
        r.query("*OPC?")
        bench.clock.pass_s(1)
        return floats(r, "FETC:ARR:CURR? (@1)")

    values = await converse(persona, talk)
    assert values[[0, 19, 20, 99]] == pytest.approx([1e-3, 1e-3, 20e-3, 20e-3])


async def test_the_second_channel_reads_the_marker_pin() -> None:
    bench = Bench()
    bench.pins.scripted["MARK"] = [Edge(500_000_000, 1), Edge(750_000_000, 0)]

    def talk(r: MessageBasedResource) -> np.ndarray:
        r.write("EMUL VMET,(@2);:FORM REAL;:SENS:ELOG:FUNC:VOLT ON,(@2);:SENS:ELOG:PER 0.001024,(@2);:INIT:ELOG (@2)")
        assert r.query("EMUL? (@2);:SYST:ERR?") == f"VMET;{NO_ERROR}"
        bench.clock.pass_s(1)
        return floats(r, "FETC:ELOG? 1000,(@2)")

    values = await converse(smu(bench), talk)
    assert values.max() == pytest.approx(3.0)
    assert values.sum() * 0.001024 == pytest.approx(0.75, rel=1e-3)


@pytest.mark.parametrize(("fault", "steps", "most_v"), [("open", 5, 3.6), ("swapped", 1, 5.1)])
async def test_wrong_sense_leads_drive_the_output_up_to_the_protection_and_trip(fault: Any, steps: int, most_v: float) -> None:
    bench = Bench()
    persona = smu(bench, sense_fault=fault)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r, 0.2)
        assert r.query("OUTP? (@1);:STAT:QUES:COND? (@1)") == "0;1"
        r.write("OUTP:PROT:CLE (@1)")
        assert r.query("STAT:QUES:COND? (@1)") == "1", "the cause is still there"
        r.write("OUTP OFF,(@1);:OUTP:PROT:CLE (@1)")
        assert r.query("STAT:QUES:COND? (@1)") == "0"

    await converse(persona, talk)
    assert not persona.output_on()
    driven = [emf for _, emf, _, _, connected in bench.node.drives if connected]
    assert max(driven) == pytest.approx(most_v)
    assert len(driven) == 2 * steps


async def test_two_wire_sensing_does_not_care_about_sense_leads() -> None:
    bench = Bench()
    persona = smu(bench, sense_fault="open", lead_ohm=0.03)
    await converse(persona, lambda r: turn_on(r, sense="INT"))
    assert persona.output_on()
    assert bench.node.drives[-1][2] == pytest.approx(0.062)


async def test_a_held_current_limit_latches_when_the_trip_is_armed() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        r.write("CURR:PROT:STAT ON,(@1);:OUTP:PROT:DEL 0.005,(@1)")
        turn_on(r)
        bench.node.clamped_ns = bench.clock.now_ns()
        assert r.query("STAT:QUES:COND? (@1);:OUTP? (@1)") == "128;1"
        bench.clock.pass_s(0.006)
        assert r.query("STAT:QUES:COND? (@1);:OUTP? (@1)") == "2;0"
        bench.node.clamped_ns = None
        r.write("OUTP:PROT:CLE (@1)")
        assert r.query("STAT:QUES:COND? (@1);:OUTP? (@1)") == "0;1", "clearing restores the state before the trip"

    await converse(smu(bench), talk)


async def test_measuring_takes_board_time_and_sees_the_leads_with_two_wires() -> None:
    bench = Bench(((0, 0.1),))

    def talk(r: MessageBasedResource) -> tuple[float, float]:
        turn_on(r, sense="INT")
        before = bench.clock.now_ns()
        volts = float(r.query("MEAS:VOLT? (@1)"))
        assert bench.clock.now_ns() - before == 1024 * 20480
        return volts, float(r.query("MEAS:CURR? (@1)"))

    assert await converse(smu(bench, lead_ohm=0.05), talk) == pytest.approx((3.01, 0.1))


async def test_a_second_session_switches_off_while_the_first_waits_for_a_trigger() -> None:
    bench = Bench()
    persona = keysight_n6705c.N6705C(bench.setup(options=OPTIONS, wires=WIRES))
    name = await persona.serve()

    def wait_for_ever(r: MessageBasedResource) -> bytes:
        turn_on(r)
        r.write("FORM REAL;:SENS:FUNC:CURR ON,(@1);:INIT:ACQ (@1);:FETC:ARR:CURR? (@1)")
        return r.read_bytes(1)

    stuck = asyncio.create_task(with_visa(name, wait_for_ever))
    async with asyncio.timeout(10):
        while persona.sweeps[1].state is not State.ARMED:  # noqa: ASYNC110 - the other session is a thread
            await asyncio.sleep(0.001)
        assert persona.output_on()
        await with_visa(name, lambda r: (r.write("OUTP OFF,(@1)"), r.query("OUTP? (@1)")))
        assert not persona.output_on()
        await with_visa(name, lambda r: (r.write("TRIG:ACQ (@1)"), r.query("*OPC?")))
        assert await stuck == b"#"
        await persona.close()


async def test_reset_switches_off_and_forgets_the_log() -> None:
    bench = Bench()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r)
        start_log(r)
        r.write("*RST;*CLS")
        assert r.query("FORM?;:OUTP? (@1);:SYST:ERR?") == f"ASC;0;{NO_ERROR}"
        r.write("FETC:ELOG? 1,(@1)")
        assert r.query("SYST:ERR?").startswith("-230")

    await converse(persona, talk)
    assert not bench.clock.limits


async def test_the_watchdog_is_off_and_at_sixty_seconds_until_it_is_set_and_after_a_reset() -> None:
    def talk(r: MessageBasedResource) -> None:
        assert r.query("OUTP:PROT:WDOG?;WDOG:DEL?") == "0;60"
        r.write("OUTP:PROT:WDOG:DEL 600;:OUTPut:PROTection:WDOG:STATe ON")
        assert r.query("OUTP:PROT:WDOG:STAT?;DEL?") == "1;600"
        r.write("*RST")
        assert r.query("OUTP:PROT:WDOG?;WDOG:DEL?;:SYST:ERR?") == f"0;60;{NO_ERROR}"

    await converse(smu(Bench()), talk)


@pytest.mark.parametrize("delay", ["0", "3601"])
async def test_a_watchdog_delay_outside_of_its_range_is_refused(delay: str) -> None:
    def talk(r: MessageBasedResource) -> None:
        r.write(f"OUTP:PROT:WDOG:DEL {delay}")
        assert r.query("SYST:ERR?").startswith("-222")
        assert r.query("OUTP:PROT:WDOG:DEL?") == "60"

    await converse(smu(Bench()), talk)


@pytest.mark.parametrize(("mode", "sinks"), [("LOWZ", True), ("HIGHZ", False)])
async def test_silence_for_the_delay_puts_every_output_into_protection_until_it_is_cleared(mode: str, *, sinks: bool) -> None:
    bench = Bench()
    persona = smu(bench)
    name = await persona.serve()
    try:

        def start(r: MessageBasedResource) -> None:
            r.write(f"OUTP:TMOD {mode},(@1);:OUTP:PROT:WDOG:DEL 2;:OUTP:PROT:WDOG ON")
            turn_on(r)

        await with_visa(name, start)
        heard_ns = bench.clock.now_ns()
        await bench.clock.sleep_until(heard_ns + 1_900_000_000)
        assert persona.output_on()
        await bench.clock.sleep_until(heard_ns + 2_100_000_000)
        assert not persona.output_on()

        def look(r: MessageBasedResource) -> None:
            assert r.query("STAT:QUES:COND? (@1:2)") == "2048,2048"
            assert r.query("OUTP? (@1)") == "1", "the programmed state stays"
            r.write("OUTP OFF,(@1);:OUTP:PROT:CLE (@1:2)")
            assert r.query("STAT:QUES:COND? (@1:2);:OUTP? (@1)") == "0,0;0"

        await with_visa(name, look)
        assert not persona.output_on()
    finally:
        await persona.close()
    assert any(emf == 0.0 and connected for _, emf, _, _, connected in bench.node.drives) == sinks
