"""The NGU and NGM over a real socket with stock PyVISA: spellings, refusals, FastLog and its traps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import rohde_schwarz_ngu
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, error_after

MS = 1_000_000
NO_ERROR = '0,"No error"'
STEP = ((0, 1e-3), (400 * MS, 20e-3))
READY, SKIPPED = "STAT:OPER:INST:ISUM1:EVEN?", "STAT:QUES:INST:ISUM1:EVEN?"


def smu(bench: Bench, model: str = "NGU201", **changes: Any) -> Persona:
    options = {"model": model, **changes.pop("options", {})}
    return rohde_schwarz_ngu.create(bench.setup(options=options, wires={"start": "MARK", "marker_out": "TRIG"}, **changes))


def turn_on(r: MessageBasedResource, volts: float = 3.0) -> MessageBasedResource:
    r.write(f"VOLT:PROT:LEV 3.6;:VOLT:PROT 1;:VOLT:SENS EXT;:CURR 0.15;:VOLT {volts};:OUTP:SEL 1;:OUTP:GEN 1")
    assert r.query("*OPC?") == "1"
    return r


def start_log(r: MessageBasedResource, rate: str = "S001k") -> MessageBasedResource:
    r.write(f"FLOG:TARG SCPI;SRAT {rate};:SENS:CURR:RANG 0.1;:STAT:OPER:INST:ISUM1:NTR 0;PTR 4096;:FLOG 1")
    assert r.query("SYST:ERR?") == NO_ERROR
    return r


def chunk(r: MessageBasedResource) -> np.ndarray:
    values = r.query_binary_values("FLOG:DATA?", datatype="f", is_big_endian=False, expect_termination=True)
    return np.array(values).reshape(-1, 2)


async def test_settings_read_back_in_any_spelling() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?").split(",")[:2] == ["Rohde&Schwarz", "NGU201"]
        turn_on(r)
        assert [float(v) for v in r.query("sour:volt:lev:imm:ampl?;:CURRent?;:VOLT:PROT:LEVel?").split(";")] == [3.0, 0.15, 3.6]
        assert r.query("OUTPut:SELect?;GENeral?;STATe?;:VOLT:SENS?") == "1;1;1;EXT"
        assert r.query("INST?;:INST:NSEL?;:SOUR:PRI?;:SYST:ERR?") == f"OUTP1;1;VOLT;{NO_ERROR}"

    await converse(smu(bench), talk)
    assert bench.node.drives[-1][1:] == (3.0, 0.002, 0.15, True)


async def test_the_output_is_on_only_when_both_switches_are() -> None:
    bench = Bench()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> list[tuple[str, bool]]:
        r.write("VOLT 3")
        seen = []
        for command in ("OUTP:SEL 1", "OUTP:GEN 1", "OUTP:SEL 0", "OUTP:SEL 1", "OUTP:GEN 0", "OUTP 1", "OUTP 0"):
            r.write(command)
            seen.append((r.query("OUTP?"), persona.output_on()))
        return seen

    assert await converse(persona, talk) == [(str(int(on)), on) for on in (False, True, False, True, False, True, False)]


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("FOO 1", -113),
        ("DIO:OUT 1,1", -113),
        ("VOLT 21", -222),
        ("VOLT -1", -222),
        ("CURR 9", -222),
        ("VOLT", -109),
        ("VOLT 1,2", -108),
        ("VOLT:SENS INT", -224),
        ("FLOG:TARG DISK", -224),
        ("FLOG:SRAT S125K", -224),
        ("FLOG:SRAT 100", -128),
        ("FLOG:DATA?", -221),
        ("INST:NSEL 2", -222),
        ("INST OUT2", -222),
        ("STAT:OPER:INST:ISUM2:EVEN?", -114),
        ("VOLT 9;:CURR 4", -222),
        ("CURR 4;:VOLT 9", -221),
        ("FLOG 1;:FLOG:SRAT S100", -221),
        ("TRIG:SOUR BUS", -224),
        ("DIO:OUTP 3,1", -222),
    ],
)
async def test_it_rejects_with_the_real_code(command: str, code: int) -> None:
    assert (await error_after(smu(Bench()), command)).split(",")[0] == str(code)


async def test_models_differ_in_what_they_have() -> None:
    def asked(command: str) -> Any:
        def talk(r: MessageBasedResource) -> str:
            r.write(command)
            return r.query("SYST:ERR?")

        return talk

    assert (await converse(smu(Bench(), "NGU401"), asked("VOLT -5"))) == NO_ERROR
    assert (await converse(smu(Bench(), "NGM202"), asked("INST:NSEL 2"))) == NO_ERROR
    assert (await converse(smu(Bench(), "NGM202"), asked("CURR:NEG -1"))).startswith("-113")
    both = "FLOG:TARG SCPI;SRAT S500k;:FLOG 1;:INST:NSEL 2;:FLOG:TARG SCPI;SRAT S100;:FLOG 1"
    assert (await converse(smu(Bench(), "NGM202"), asked(both))).startswith("-221"), "500 kS/s over all channels"


async def test_the_log_comes_in_chunks_of_voltage_and_current_without_gaps() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r)
        start_log(r)
        begun = bench.clock.now_ns()
        bench.clock.pass_s(0.24)
        assert r.query(READY) == "0"
        chunks = []
        for _ in range(3):
            bench.clock.pass_s(0.015)
            assert r.query(READY) == "4096"
            assert r.query(READY) == "0", "an event is read once"
            chunks.append(chunk(r))
            bench.clock.pass_s(0.235)
        table = np.concatenate(chunks)
        assert table.shape == (750, 2)
        assert np.all(table[:, 0] == np.float32(3.0))
        expected = bench.node.integrals(np.array([begun, begun + 750 * MS])).charge
        assert table[:, 1].astype(float).sum() * 1e-3 == pytest.approx(expected[1] - expected[0], rel=1e-6)
        assert int(r.query(SKIPPED)) & 2048 == 0
        assert r.query("SYST:ERR?") == NO_ERROR
        r.write("FLOG 0")
        assert r.query("FLOG?") == "0"

    await converse(smu(bench), talk)


async def test_a_chunk_that_nobody_fetches_in_20_ms_is_gone_and_only_a_register_says_so() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r)
        start_log(r)
        bench.clock.pass_s(0.28)
        assert r.query("STAT:OPER:INST:ISUM1:COND?") == "0"
        assert len(chunk(r)) == 0
        assert int(r.query(SKIPPED)) & 2048
        assert r.query("SYST:ERR?") == NO_ERROR
        bench.clock.pass_s(10.0)
        assert len(chunk(r)) == 0

    await converse(smu(bench), talk)


async def test_the_status_byte_sums_up_the_log() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        r.write("STAT:OPER:ENAB 8192;PTR 8192;INST:ENAB 7;:STAT:OPER:INST:ISUM1:ENAB 4096")
        start_log(r)
        assert int(r.query("*STB?")) & 128 == 0
        bench.clock.pass_s(0.255)
        assert int(r.query("*STB?")) & 128
        assert r.query("STAT:OPER:EVEN?;:STAT:OPER:INST:EVEN?") == "8192;2"

    await converse(smu(bench), talk)


async def test_a_log_limits_stepped_time_to_a_chunk_that_waits() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        start_log(r)
        begun = bench.clock.now_ns()
        assert bench.clock.limits["smu.flog1"] == begun + 260 * MS
        bench.clock.pass_s(0.255)
        chunk(r)
        assert bench.clock.limits["smu.flog1"] == begun + 510 * MS
        r.write("FLOG 0")
        r.query("*OPC?")
        assert not bench.clock.limits
        start_log(r)

    await converse(smu(bench), talk)
    assert not bench.clock.limits, "nobody is left to fetch"


async def test_a_fixed_range_that_is_too_low_gives_no_number() -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r)
        bench.clock.pass_s(0.5)
        r.write("SENS:CURR:RANG 0.0007")
        assert r.query("SENS:CURR:RANG?;RANG:AUTO?") == "0.001;0"
        assert r.query("MEAS:CURR?") == "NAN"
        r.write("SENS:CURR:RANG:AUTO 1")
        assert float(r.query("MEAS:CURR?")) == pytest.approx(20e-3)

    await converse(smu(bench), talk)


async def test_a_pin_starts_the_log() -> None:
    bench = Bench(STEP)
    bench.pins.scripted["MARK"] = [Edge(300 * MS, 1)]

    def talk(r: MessageBasedResource) -> np.ndarray:
        turn_on(r)
        r.write("TRIG:SOUR DIO;:TRIG:SOUR:DIO:PIN IN;:TRIG 1;:FLOG:TRIG 1")
        start_log(r)
        assert r.query("FLOG?") == "0"
        bench.clock.pass_s((555 * MS - bench.clock.now_ns()) * 1e-9)
        assert r.query("FLOG?") == "1"
        return chunk(r)

    table = await converse(smu(bench), talk)
    assert int(np.argmax(table[:, 1] > 10e-3)) == 100


@pytest.mark.parametrize("fault", ["open", "swapped"])
async def test_wrong_sense_leads_drive_the_output_to_the_protection_and_trip(fault: Any) -> None:
    bench = Bench()
    persona = smu(bench, sense_fault=fault)

    def talk(r: MessageBasedResource) -> None:
        turn_on(r, 0.2)
        assert r.query("OUTP?;:VOLT:PROT:TRIP?;:STAT:QUES:INST:ISUM1:COND?") == "0;1;512"
        r.write("VOLT:PROT:CLE")
        assert r.query("OUTP?;:VOLT:PROT:TRIP?") == "0;0", "clearing does not bring the output back"

    await converse(persona, talk)
    assert max(emf for _, emf, _, _, connected in bench.node.drives if connected) == pytest.approx(3.6)


async def test_a_held_current_limit_blows_the_fuse_only_when_it_is_on() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        turn_on(r)
        bench.node.clamped_ns = bench.clock.now_ns()
        bench.clock.pass_s(0.1)
        assert r.query("STAT:QUES:INST:ISUM1:COND?;:OUTP?") == "1;1"
        r.write("CURR:PROT:DEL 0.2;:FUSE 1")
        assert r.query("FUSE:TRIP?;:OUTP?") == "0;1"
        bench.clock.pass_s(0.11)
        assert r.query("FUSE:TRIP?;:OUTP?;:STAT:QUES:INST:ISUM1:COND?") == "1;0;1024"

    await converse(smu(bench), talk)


def logged(r: MessageBasedResource, bench: Bench) -> bytes:
    turn_on(r)
    start_log(r)
    bench.clock.pass_s(0.255)
    r.write("FLOG:DATA?")
    return r.read_raw()


@pytest.mark.parametrize(
    ("trap", "said"),
    [
        ("usb_target", lambda r: (r.write("FLOG:TARG SCPI"), r.query("FLOG:TARG?"))[1] == "USB"),
        ("trigger_gated", lambda r: (r.write("FLOG:TRIG 0"), r.query("FLOG:TRIG?"))[1] == "1"),
        ("auto_range", lambda r: start_log(r).query("SENS:CURR:RANG:AUTO?") == "1"),
        ("one_switch", lambda r: turn_on(r).query("OUTP?;:OUTP:GEN?") == "1;0"),
        ("stays_on", lambda r: (turn_on(r).write("OUTP:GEN 0;:OUTP:SEL 0;:*RST"), r.query("OUTP?"))[1] == "1"),
        ("old_rates", lambda r: (r.write("FLOG:SRAT S010k"), r.query("FLOG:SRAT?;:SYST:ERR?"))[1].startswith("S500K;-224")),
        ("rate_kept", lambda r: (r.write("FLOG:SRAT S010k"), r.query("FLOG:SRAT?;:SYST:ERR?"))[1] == f"S500k;{NO_ERROR}"),
        ("nan_reading", lambda r: r.query("MEAS:CURR?") == "NAN"),
    ],
)
async def test_a_sprung_trap_does_what_it_says(trap: str, said: Any) -> None:
    assert await converse(smu(Bench(), trap=trap), said)
    with pytest.raises(AssertionError):
        assert await converse(smu(Bench()), said)


@pytest.mark.parametrize(
    ("trap", "count", "kind"),
    [("", 250, "<f4"), ("fast_clock", 262, "<f4"), ("byte_order", 250, ">f4"), ("odd_block", 249.5, "<f4")],
)
async def test_a_sprung_trap_shows_in_a_block(trap: str, count: float, kind: str) -> None:
    bench = Bench(STEP)
    raw = await converse(smu(bench, trap=trap), lambda r: logged(r, bench))
    digits = int(raw[1:2])
    assert int(raw[2 : 2 + digits]) == 8 * count
    first = np.frombuffer(raw[2 + digits : 10 + digits], kind)
    assert first.tolist() == pytest.approx([3.0, 1e-3])


@pytest.mark.parametrize(("trap", "bit"), [("overrun", 0), ("skipped", 2048)])
async def test_a_sprung_overrun_drops_the_third_chunk(trap: str, bit: int) -> None:
    bench = Bench(STEP)

    def talk(r: MessageBasedResource) -> tuple[list[int], int]:
        turn_on(r)
        start_log(r)
        seen = []
        bench.clock.pass_s(0.005)
        for _ in range(4):
            bench.clock.pass_s(0.25)
            seen.append(len(chunk(r)))
        return seen, int(r.query(SKIPPED)) & 2048

    assert await converse(smu(bench, trap=trap), talk) == ([250, 250, 0, 250], bit)
