"""The 2602B over a real socket with stock PyVISA: Lua lines, refusals with the instrument's own numbers, and its traps."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from pyvisa.resources import MessageBasedResource

from labd_virtual.contract import Edge
from labd_virtual.instruments import keithley_2600b
from labd_virtual.persona import Persona
from tests.virtual.persona_fakes import Bench, converse, rows, with_visa

MS = 1_000_000
EMPTY = "0.00000e+00\tQueue Is Empty\t0.00000e+00\t0.00000e+00"
WIRES = {"marker": "MARK", "fire": "TRIG"}
OPTIONS = {"trigger_line": 1, "fire_line": 2}
EXACT = rows(
    {
        "current": tuple((r, 0.0, 0.0) for r in (100e-9, 1e-6, 10e-6, 100e-6, 1e-3, 10e-3, 0.1, 1.0, 3.0)),
        "voltage": tuple((r, 0.0, 0.0) for r in (0.1, 1.0, 6.0, 40.0)),
    }
)
ON = (
    "smua.source.levelv = 3",
    "smua.source.limiti = 0.1",
    "smua.source.output = smua.OUTPUT_ON",
    "smua.measure.autozero = smua.AUTOZERO_OFF",
)


def smu(bench: Bench, **changes: Any) -> Persona:
    return keithley_2600b.create(bench.setup(**{"options": OPTIONS, "wires": WIRES, "accuracy": EXACT} | changes))


def say(r: MessageBasedResource, *lines: str) -> None:
    for line in lines:
        r.write(line)


def errors(r: MessageBasedResource) -> list[int]:
    found = []
    while (reply := r.query("print(errorqueue.next())")) != EMPTY:
        found.append(int(float(reply.split("\t")[0])))
    return found


async def test_settings_are_assigned_and_printed() -> None:
    bench = Bench()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        assert r.query("*IDN?") == "Keithley Instruments Inc., Model 2602B, VIRTUAL3, 3.3.5"
        assert r.query("print(localnode.model, localnode.linefreq)") == "2602B\t5.00000e+01"
        say(
            r,
            "smua.source.func=smua.OUTPUT_DCVOLTS smua.source.rangev=5",
            "smua.source.levelv=3.3",
            "smua.source.limiti=0.1 ; smua.sense=1",
        )
        assert r.query("print(smua.source.rangev, smua.source.autorangev)") == "6.00000e+00\t0.00000e+00"
        assert r.query("print(smua.measure.rangev)") == "6.00000e+00"  # locked to the source range
        assert r.query("print(smua.source.compliance)") == "false"
        say(r, "format.asciiprecision = 10")
        assert r.query("print(smua.source.levelv, smua.nothing)") == "3.300000000e+00\tnil"
        say(r, "*RST", "smua.source.output = 1")
        assert r.query("print(smua.source.output, smua.source.limiti)") == "1.00000e+00\t1.00000e+00"
        assert errors(r) == []

    await converse(persona, talk)
    assert persona.output_on()


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("SOUR:VOLT 3", -285),
        ("smua.source.levelv =", -285),
        ("smua.source.levelv", -285),
        ("x = {1, 2}", -285),
        ("*LANG?", -285),
        ("smuc.source.levelv = 1", -286),
        ("smua.source.volt = 1", -286),
        ("smua.source.compliance = true", -286),
        ("smua.measure.current()", -286),
        ("x = nil + 1", -286),
        ("digio.trigger[15].mode = 1", -286),
        ("smua.source.levelv = 'three'", -104),
        ("smua.source.levelv = 50", 1101),
        ("smua.source.limiti = 0", 1102),
        ("smua.source.limiti = 5", 1101),
        ("smua.measure.nplc = 0.0005", 1102),
        ("smua.measure.nplc = 26", 1101),
        ("smua.measure.interval = 2", 1101),
        ("smua.source.output = 3", -224),
        ("smua.measure.autozero = 7", -224),
        ("digio.trigger[1].mode = 9", 1800),
        ("smua.measure.overlappediv(smua.nvbuffer1)", 1400),
        ("smua.measure.overlappediv(smua.nvbuffer1, smua.nvbuffer1)", 5040),
        ("smua.measure.i(smua)", 5033),
        ("smua.trigger.measure.action = 1 smua.trigger.initiate()", 5060),
        ("smua.source.rangev = 1 smua.source.levelv = 3 smua.source.output = 1", 5005),
        ("smua.source.levelv = 12 smua.source.limiti = 2 smua.source.output = 1", 5007),
        ("smua.source.highc = 1 smua.measure.rangei = 0.1", 5069),
        ("smua.trigger.count = 5 smua.trigger.initiate()", 1100),
        ("printbuffer(1, 2, smua)", 1401),
    ],
)
async def test_what_the_instrument_refuses(line: str, code: int) -> None:
    persona = smu(Bench())

    def talk(r: MessageBasedResource) -> None:
        say(r, line)
        assert errors(r) == [code]

    await converse(persona, talk)
    assert not persona.output_on()


async def test_a_line_that_fails_prints_nothing_and_says_why_in_the_words_of_lua() -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, "print(smuc.measure.i())")
        assert r.query("print(errorqueue.count)") == "1.00000e+00"
        code, text, severity, node = r.query("print(errorqueue.next())").split("\t")
        assert float(code) == -286
        assert text == "TSP Runtime error at line 1: attempt to index global `smuc' (a nil value)"
        assert (float(severity), float(node)) == (20.0, 1.0)

    await converse(smu(Bench()), talk)


async def test_loops_and_conditions_run() -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, "sum = 0 for k = 1, 10, 3 do if k == 4 then sum = sum + 100 elseif k > 4 then sum = sum + k else sum = sum - k end end")
        assert r.query("print(sum)") == f"{-1 + 100 + 7 + 10:.5e}"
        say(r, "n = 3 while n > 0 do n = n - 1 end")
        assert r.query("print(n, 2 ^ 3 * 2 - -1, not n, n == 0 and 'yes' or 'no')") == "0.00000e+00\t1.70000e+01\tfalse\tyes"

    await converse(smu(Bench()), talk)


# --- buffers and blocks


async def test_a_block_full_of_line_feeds_is_read_by_its_length_only() -> None:
    ten = struct.unpack("<f", b"\x0a\x0a\x0a\x0a")[0]  # 6.6e-33: such bytes come up by chance in any reading

    def talk(r: MessageBasedResource) -> None:
        say(r, "format.data = format.REAL32", "format.byteorder = format.LITTLEENDIAN")
        r.write(f"printnumber({ten!r}, 1.5, {ten!r})")
        raw = r.read_bytes(2 + 12 + 1)
        assert raw == b"#0" + b"\x0a" * 4 + struct.pack("<f", 1.5) + b"\x0a" * 4 + b"\n"
        say(r, "format.byteorder = format.BIGENDIAN")
        r.write("printnumber(1.5)")
        assert r.read_bytes(7) == b"#0" + struct.pack(">f", 1.5) + b"\n"

    await converse(smu(Bench()), talk)


async def test_timed_readings_go_into_both_buffers_and_are_printed_in_turn() -> None:
    bench = Bench(load=((0, 1e-3),))

    def talk(r: MessageBasedResource) -> None:
        say(r, *ON, "smua.measure.rangei = 0.1", "smua.measure.nplc = 0.01", "smua.measure.count = 20", "smua.measure.interval = 1e-3")
        bench.node.load = ((0, 1e-3), (bench.clock.now_ns() + 10 * MS, 5e-3))
        say(r, "smua.measure.overlappediv(smua.nvbuffer1, smua.nvbuffer2)")
        say(r, "waitcomplete()")
        assert r.query("print(smua.nvbuffer1.n, smua.nvbuffer2.n)") == "2.00000e+01\t2.00000e+01"
        say(r, "format.data = format.REAL64")
        lines = "printbuffer(1, 20, smua.nvbuffer1, smua.nvbuffer2.readings, smua.nvbuffer1.timestamps, smua.nvbuffer1.statuses)"
        table = np.array(r.query_binary_values(lines, datatype="d", data_points=80)).reshape(20, 4)
        assert table[:, 0] == pytest.approx([1e-3] * 10 + [5e-3] * 10)
        assert table[:, 1] == pytest.approx([3.0] * 20)
        assert table[:, 2] == pytest.approx(np.arange(20) * 1e-3)
        assert not table[:, 3].any()
        assert errors(r) == []

    await converse(smu(bench), talk)


async def test_indices_outside_a_buffer_are_9_91e37_and_an_error() -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, *ON, "smua.measure.i(smua.nvbuffer1)")
        reply = r.query("printbuffer(1, 3, smua.nvbuffer1.readings)")
        assert [float(v) for v in reply.split(",")] == pytest.approx([1e-3, 9.91e37, 9.91e37])
        assert errors(r) == [4900]

    await converse(smu(Bench(load=((0, 1e-3),))), talk)


async def test_an_overloaded_range_gives_9_91e37_without_an_error() -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, *ON, "smua.measure.rangei = 1e-3")
        assert float(r.query("print(smua.measure.i())")) == pytest.approx(1.01e-3)
        say(r, "smua.measure.rangei = 1e-4")
        assert float(r.query("print(smua.measure.i())")) == 9.91e37
        assert errors(r) == []

    await converse(smu(Bench(load=((0, 1.01e-3),))), talk)


async def test_while_readings_are_taken_no_others_are_and_an_abort_leaves_the_count_short() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        say(r, *ON, "smua.measure.nplc = 0.001", "smua.measure.count = 1000", "smua.measure.interval = 1e-3")
        say(r, "digio.trigger[1].mode = digio.TRIG_RISINGA smua.trigger.arm.stimulus = digio.trigger[1].EVENT_ID")
        say(r, "smua.trigger.measure.i(smua.nvbuffer1) smua.trigger.measure.action = smua.ENABLE smua.trigger.initiate()")
        assert r.query("print(status.operation.sweeping.condition)") == "2.00000e+00"
        say(r, "smua.measure.i()")
        assert errors(r) == [5042]
        now = bench.clock.now_ns()
        bench.pins.scripted["MARK"] = [Edge(now + MS, 1)]
        bench.clock.pass_s(0.3)
        say(r, "smua.abort()")
        assert float(r.query("print(smua.nvbuffer1.n)")) == 299
        assert r.query("print(status.operation.sweeping.condition)") == "0.00000e+00"
        say(r, "smua.nvbuffer1.collecttimestamps = 0")
        assert errors(r) == [5032]

    await converse(smu(bench), talk)


async def test_readings_that_cannot_keep_their_interval_come_late_without_a_word() -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, *ON, "smua.measure.nplc = 1", "smua.measure.count = 5", "smua.measure.interval = 1e-3", "smua.measure.i(smua.nvbuffer1)")
        assert float(r.query("print(smua.nvbuffer1.timestamps[5])")) == pytest.approx(4 * 20.025e-3, abs=1e-5)
        assert errors(r) == []

    await converse(smu(Bench()), talk)


async def test_a_timer_fires_a_line_and_lines_pulse() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        say(r, "digio.trigger[2].mode = digio.TRIG_RISINGM digio.trigger[2].pulsewidth = 1e-4")
        say(r, "trigger.timer[1].delay = 0.25 trigger.timer[1].stimulus = trigger.EVENT_ID")
        say(r, "digio.trigger[2].stimulus = trigger.timer[1].EVENT_ID")
        assert errors(r) == []
        bench.pins.driven.clear()
        say(r, "*TRG", "delay(0.5)")
        assert r.query("*OPC?") == "1"
        assert [(t, level) for t, pin, level in bench.pins.driven if pin == "TRIG"] == [(250 * MS, 1), (250 * MS + 100_000, 0)]
        assert errors(r) == []

    await converse(smu(bench), talk)


# --- output


@pytest.mark.parametrize(
    ("mode", "drive"),
    [
        ("smua.source.offmode = smua.OUTPUT_NORMAL", (0.0, 0.005, 1e-3, True)),
        ("smua.source.offmode = smua.OUTPUT_ZERO", (0.0, 0.005, 0.1, True)),
        ("smua.source.offmode = smua.OUTPUT_HIGH_Z", (0.0, 0.005, 3.0, False)),
    ],
)
async def test_output_off_modes(mode: str, drive: tuple[float, float, float, bool]) -> None:
    bench = Bench()
    persona = smu(bench)

    def talk(r: MessageBasedResource) -> None:
        say(r, *ON, mode, "smua.source.output = smua.OUTPUT_OFF")
        assert errors(r) == []

    await converse(persona, talk)
    assert bench.node.drives[-1][1:] == drive
    assert not persona.output_on()


async def test_open_sense_leads_drive_the_output_to_the_end_of_its_range() -> None:
    bench = Bench()

    def talk(r: MessageBasedResource) -> None:
        say(r, "smua.sense = smua.SENSE_REMOTE", *ON)
        assert errors(r) == []

    await converse(smu(bench, sense_fault="open"), talk)
    assert bench.node.drives[-1][1] == pytest.approx(6.06)


# --- scripts and abort


async def test_a_script_that_runs_answers_nothing_until_another_session_aborts_it() -> None:
    persona = smu(Bench())
    name = await persona.serve()
    try:

        def stuck(r: MessageBasedResource) -> None:
            say(r, *ON, "smua.trigger.arm.stimulus = trigger.EVENT_ID", "smua.trigger.initiate()", "smua.trigger.measure.i(smua.nvbuffer1)")
            say(r, "smua.trigger.measure.action = 1", "smua.trigger.initiate()", "waitcomplete() print(1)")

        def free(r: MessageBasedResource) -> None:
            say(r, "abort", "smua.abort()", "smua.source.output = 0")
            assert r.query("print(smua.source.output)") == "0.00000e+00"

        await with_visa(name, stuck)
        await with_visa(name, free)
    finally:
        await persona.close()
    assert not persona.output_on()


async def test_a_stock_driver_sources_reads_and_runs_its_scripts() -> None:
    """What QCoDeS' Keithley_2600 sends, in its spelling."""
    bench = Bench(load=((0, 2e-3),))

    def script(lines: list[str]) -> str:
        return "loadandrunscript\r\n" + "\r\n".join(lines) + "\r\nendscript"

    def floats(r: MessageBasedResource, count: int) -> np.ndarray:
        data = b""
        while len(data) < 4 * count + 3:
            data += r.read_raw()
        assert (data[:2], data[-1:]) == (b"#0", b"\n")
        return np.frombuffer(data[2:-1], "<f4")

    def talk(r: MessageBasedResource) -> None:
        vendor, model, _, _ = (part.strip() for part in r.query("*IDN?").split(","))
        assert (vendor, model[6:]) == ("Keithley Instruments Inc.", "2602B")
        for channel in ("smua", "smub"):
            say(r, f"{channel}.reset()")
            for name in (
                "source.func",
                "source.output",
                "measure.nplc",
                "source.rangev",
                "source.autorangev",
                "measure.rangev",
                "measure.r()",
            ):
                float(r.query(f"print({channel}.{name})"))
            for name in ("measure.autorangev", "source.rangei", "source.autorangei", "measure.rangei", "source.limitv", "source.limiti"):
                float(r.query(f"print({channel}.{name})"))
        say(r, "smua.source.func=1", "smua.source.autorangev=0", "smua.source.rangev=6", "smua.source.limiti=0.1", "smua.measure.nplc=0.1")
        say(r, "smua.measure.autorangei=0", "smua.measure.rangei=0.01", f"smua.source.levelv={3:.12f}", "smua.source.output=1")
        value, status = r.query("print(smua.measure.i(), status.measurement.instrument.smua.condition)").split("\t")
        assert float(value) == pytest.approx(2e-3)
        assert int(float(status)) & 3 == 0
        value, _ = r.query("print(smua.measure.v(), status.measurement.instrument.smua.condition)").split("\t")
        assert float(value) == pytest.approx(3.0)
        trace = ["smua.measure.count=50", "oldint=smua.measure.interval", "smua.measure.interval=0.01", "smua.nvbuffer1.clear()"]
        trace += ["smua.measure.i(smua.nvbuffer1)", "smua.measure.interval=oldint", "smua.measure.count=1", "format.data = format.REAL32"]
        r.write(script([*trace, "format.byteorder = format.LITTLEENDIAN", "printbuffer(1, 50, smua.nvbuffer1.readings)"]))
        assert floats(r, 50) == pytest.approx([2e-3] * 50)
        sweep = ["smua.measure.nplc = 0.100000000000", "smua.source.output = 1", "startX = 0.000000000000", "dX = 0.500000000000"]
        sweep += [
            "smua.sense = 0",
            "smua.source.func = 1",
            "smua.measure.count = 1",
            "smua.nvbuffer1.clear()",
            "smua.nvbuffer1.appendmode = 1",
        ]
        sweep += ["for index = 1, 5 do", "  target = startX + (index-1)*dX", "  smua.source.levelv = target"]
        sweep += ["  smua.measure.i(smua.nvbuffer1)", "end", "format.data = format.REAL32", "format.byteorder = format.LITTLEENDIAN"]
        r.write(script([*sweep, "printbuffer(1, 5, smua.nvbuffer1.readings)"]))
        assert floats(r, 5) == pytest.approx([2e-3] * 5)
        say(r, 'display.settext("hello")', "display.screen = display.SMUA_SMUB", "smua.source.output=0")
        assert errors(r) == []

    persona = smu(bench)
    await converse(persona, talk)
    driven = [emf for _, emf, _, _, _ in bench.node.drives]
    assert driven[-6:] == pytest.approx([0.0, 0.5, 1.0, 1.5, 2.0, 0.0])
    assert not persona.output_on()


# --- traps


async def test_every_trap_is_a_sentence() -> None:
    assert all(len(sentence.split()) > 4 for sentence in keithley_2600b.TRAPS.values())


async def test_a_running_script_swallows_what_is_sent_until_it_is_aborted() -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, "smua.measure.nplc = 1", "smua.source.output = 1", "abort")
        assert r.query("print(smua.source.output)") == "0.00000e+00"

    await converse(smu(Bench(), trap="script"), talk)


@pytest.mark.parametrize(
    ("trap", "line", "question", "answer"),
    [
        ("autorange", "smua.measure.rangei = 0.1", "smua.measure.autorangei", 1.0),
        ("autozero", "smua.measure.autozero = 0", "smua.measure.autozero", 2.0),
        ("byteorder", "format.byteorder = format.LITTLEENDIAN", "format.byteorder", 0.0),
        ("off_mode", "smua.source.offmode = smua.OUTPUT_NORMAL", "smua.source.offmode", 2.0),
    ],
)
async def test_settings_that_do_not_stay(trap: str, line: str, question: str, answer: float) -> None:
    def talk(r: MessageBasedResource) -> None:
        say(r, line)
        assert float(r.query(f"print({question})")) == answer
        assert errors(r) == []

    await converse(smu(Bench(), trap=trap), talk)
