"""The device's operations on stock and on labd's own firmware, over a real pseudo-terminal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from labd.dut.device import PROGRAM_MARGIN_S, Device
from labd.dut.errors import DutRebooted, DutRefused, InputInDoubt, NoAnswer, StockFirmware, UnexpectedReply, WrongBuild
from labd.dut.protocol import Reply
from labd.dut.replies import Build, Burnt, PeriodicDone, PhaseLap
from labd.dut.serial_link import Program, SerialLink
from labd.errors import DutFailure
from labd.records import Bracket, MarkStyle, Mode
from tests.dut.fake_dut import LABD, PERFORMANCE_BANNER, STOCK, Answer, FakeDut, lines

INFER = lines(
    "m-warmup-start-1", "m-warmup-done", "m-infer-start-2", "m-lap-us-4294967290", "m-lap-us-4", "m-infer-done", "m-results-[0.5,0.5,]"
)
SILENT_INFER = lines("m-warmup-start-1", "m-warmup-done", "m-infer-start-2", "m-infer-done", "m-results-[0.5,0.5,]")


@asynccontextmanager
async def _device(answers: dict[str, Answer], *, build: Build | None = None) -> AsyncIterator[tuple[Device, FakeDut]]:
    with FakeDut(answers) as dut:
        async with SerialLink(dut.port) as link:
            device = Device(link, build=build)
            await device.identify()
            yield device, dut


class Memory:
    """The input buffer of stock firmware; `lose` bytes are dropped from the first upload line it sees."""

    def __init__(self, lose: int = 0) -> None:
        self.expected = 0
        self.held = b""
        self.lose = lose
        self.lengths: list[int] = []

    def __call__(self, text: str) -> bytes:
        word = text.split(" ")[1]
        if word == "load":
            self.expected, self.held = int(text.split(" ")[2]), b""
            return lines(f"m-[Expecting {self.expected} bytes]")
        if word == "print":
            rows = [self.held[k : k + 8] for k in range(0, len(self.held), 8)]
            texts = ["m-buffer-" + "-".join(f"{byte:02x}" for byte in row) for row in rows]
            return lines(*texts, *([""] if len(self.held) % 8 else []))
        part = bytes.fromhex(word)
        self.lengths.append(len(part))
        self.held += part[self.lose :]
        self.lose = 0
        return lines("m-load-done") if len(self.held) >= self.expected else lines()


async def test_stock_firmware_is_told_from_labds_own() -> None:
    async with _device(STOCK) as (device, _):
        assert device.identity.vendor == "unspecified"
        assert (device.identity.model, device.identity.build, device.extended) == ("kws01", "performance", False)
    async with _device(LABD) as (device, _):
        assert device.identity.extensions == "labd 1"
        assert device.extended


async def test_an_energy_build_is_told_by_its_silent_timestamp() -> None:
    async with _device({**STOCK, "timestamp": lines()}) as (device, _):
        assert device.identity.build == "energy"


async def test_the_wrong_build_is_refused_by_name() -> None:
    with pytest.raises(WrongBuild, match="runs an energy build, the bench wants performance"):
        async with _device({**STOCK, "timestamp": lines()}, build="performance"):
            pass


async def test_a_device_that_is_no_dut_is_refused() -> None:
    with pytest.raises(UnexpectedReply, match="this DUT said 'm-name-ebaz"):
        async with _device({**STOCK, "name": lines("m-name-ebaz-4205-[xlnx]")}):
            pass


async def test_an_input_is_uploaded_in_lines_of_30_and_read_back() -> None:
    memory = Memory()
    data = bytes(range(250))
    async with _device({**STOCK, "db": memory}) as (device, dut):
        await device.load_input(data)
    assert memory.held == data
    assert set(memory.lengths[:-1]) == {30}
    assert dut.heard[-1] == "db print"


async def test_a_lost_byte_restarts_the_upload_from_the_beginning() -> None:
    memory = Memory(lose=1)
    data = bytes(range(100))
    async with _device({**STOCK, "db": memory}) as (device, dut):
        await device.load_input(data)
    assert memory.held == data
    assert dut.heard.count("db load 100") == 2


async def test_a_buffer_that_reads_back_differently_names_the_first_byte() -> None:
    memory = Memory()

    def forgetful(text: str) -> bytes:
        reply = memory(text)
        return reply.replace(b"-05", b"-55") if text == "db print" else reply

    async with _device({**STOCK, "db": forgetful}) as (device, _):
        with pytest.raises(UnexpectedReply, match="from byte 5 of 30 on"):
            await device.load_input(bytes(range(30)))


async def test_an_upload_that_is_too_large_is_refused_though_stock_says_so_in_plain_text() -> None:
    refusal = b"Supplied buffer size 30000 exceeds maximum of 27648\nm-ready\r\n"
    async with _device({**STOCK, "db": refusal}) as (device, _):
        with pytest.raises(DutRefused, match="Supplied buffer size 30000 exceeds"):
            await device.load_input(bytes(30000))


async def test_latency_is_the_difference_of_laps_across_the_wrap() -> None:
    async with _device({**STOCK, "infer": INFER}) as (device, dut):
        done = await device.infer(2, warmups=1)
    assert dut.heard[-1] == "infer 2 1"
    assert done.latency_s == pytest.approx(5e-6)
    assert done.results == (0.5, 0.5)


async def test_an_energy_build_has_results_and_no_latency() -> None:
    async with _device({**STOCK, "timestamp": lines(), "infer": SILENT_INFER}) as (device, _):
        assert (await device.infer(2, warmups=1)).latency_s is None


async def test_laps_that_do_not_fit_the_build_are_refused() -> None:
    async with _device({**STOCK, "infer": SILENT_INFER}) as (device, _):
        with pytest.raises(WrongBuild, match="gave no m-lap-us- lines"):
            await device.infer(2)
    async with _device({**STOCK, "timestamp": lines(), "infer": INFER}) as (device, _):
        with pytest.raises(WrongBuild, match="gave m-lap-us- lines"):
            await device.infer(2)


async def test_inference_on_stale_data_is_a_failure_not_a_result() -> None:
    stale = b"Input db has 4 elemented, expected 250\r\n" + INFER
    async with _device({**STOCK, "infer": stale}) as (device, _):
        with pytest.raises(DutRefused, match="Input db has 4"):
            await device.infer(2)
    async with _device({**STOCK, "infer": b"something odd\r\n" + INFER}) as (device, _):
        with pytest.raises(UnexpectedReply, match="'something odd'"):
            await device.infer(2)


EXTENSIONS: list[tuple[str, Callable[[Device], Any]]] = [
    ("mode", lambda d: d.set_mode(Mode.EVENT_SLEEP)),
    ("mode", lambda d: d.set_mode(Mode.ALWAYS_ON, idle_kind="wfi")),
    ("workload", lambda d: d.set_workload("dnn", activity=10, seed=1)),
    ("marks", lambda d: d.set_marks(MarkStyle.GATE)),
    ("clock", lambda d: d.set_clock(16e6)),
    ("periodic", lambda d: d.periodic(3, 1000)),
    ("arm", lambda d: d.armed(1, timeout_s=1.0).__aenter__()),
    ("laps", lambda d: d.laps()),
    ("stat", lambda d: d.counters()),
    ("checksum", lambda d: d.checksum()),
]


@pytest.mark.parametrize(("word", "operation"), EXTENSIONS, ids=[word for word, _ in EXTENSIONS])
async def test_stock_firmware_refuses_every_extension_by_name(word: str, operation: Callable[[Device], Any]) -> None:
    async with _device(STOCK) as (device, dut):
        heard = len(dut.heard)
        with pytest.raises(StockFirmware, match=rf"no `{word}` command .* always_on only"):
            await operation(device)
        assert len(dut.heard) == heard


async def test_what_stock_firmware_does_anyway_needs_no_command() -> None:
    async with _device(STOCK) as (device, dut):
        heard = len(dut.heard)
        await device.set_mode(Mode.ALWAYS_ON)
        await device.set_marks(MarkStyle.TEXT)
        async with device.resting(1.0):
            pass
        assert len(dut.heard) == heard


async def test_event_gated_belongs_to_the_supply() -> None:
    async with _device(LABD) as (device, _):
        with pytest.raises(DutFailure, match="made by the supply"):
            await device.set_mode(Mode.EVENT_GATED)


def _echo(text: str) -> bytes:
    name, _, words = text.partition(" ")
    return lines(f"m-{name}-[{words}]")


async def test_settings_are_confirmed_by_what_the_device_repeats() -> None:
    async with _device({**LABD, "mode": _echo, "workload": _echo, "marks": _echo, "clock": _echo}) as (device, dut):
        await device.set_mode(Mode.EVENT_RELOAD)
        await device.set_mode(Mode.ALWAYS_ON, idle_kind="clock_gated")
        await device.set_workload("snn", activity=5, seed=7)
        await device.set_clock(16e6)
        await device.set_marks(MarkStyle.PHASES)
        assert dut.heard[-4:] == ["mode always_on clock_gated", "workload snn 5 7", "clock 16000000", "marks phases"]
        dut.answers["marks"] = lines("m-marks-[phases]")
        await device.set_marks(MarkStyle.PHASES, apart_s=614.4e-6)
        assert dut.heard[-1] == "marks phases 614"
        dut.answers["mode"] = lines("m-mode-[event_sleep]")
        with pytest.raises(UnexpectedReply, match="`mode event_reload` was answered by 'event_sleep'"):
            await device.set_mode(Mode.EVENT_RELOAD)


async def test_periodic_reports_served_and_missed() -> None:
    async with _device({**LABD, "periodic": lines("m-periodic-start-24", "m-periodic-done-24-missed-2")}) as (device, dut):
        assert await device.periodic(24, 200_000) == PeriodicDone(24, 2)
        assert dut.heard[-1] == "periodic 24 200000"


async def test_resting_lasts_until_the_device_says_so() -> None:
    async with _device({**LABD, "idle": b"m-idle-start\r\n"}) as (device, dut):
        async with device.resting(1.5):
            assert dut.heard[-1] == "idle 1500"
            dut.say(b"m-idle-done\r\nm-ready\r\n")
        await device.identify()


async def test_a_board_that_hangs_is_given_up_after_one_event_s_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All are triggered when the body is left, and the first that does not come ends the program."""
    waited: list[float] = []

    async def finish(_program: Program, *, timeout_s: float) -> Reply:
        waited.append(timeout_s)
        raise NoAnswer("it hangs")

    monkeypatch.setattr(Program, "finish", finish)
    async with _device({**LABD, "arm": b"m-arm-start-600\r\n"}) as (device, _):
        with pytest.raises(NoAnswer):
            async with device.armed(600, timeout_s=2.0, backlog_s=6.0):
                pass
    assert waited == [pytest.approx(2.0 + 6.0 + PROGRAM_MARGIN_S)]


async def test_armed_serves_pokes_and_counts_them() -> None:
    async with _device({**LABD, "arm": b"m-arm-start-3\r\n"}) as (device, dut):
        async with device.armed(3, timeout_s=0.25, wake="uart") as armed:
            assert dut.heard[-1] == "arm 3 250 uart"
            await armed.poke()
            assert await asyncio.to_thread(dut.wait_raw, b"\n")
            dut.say(b"m-arm-done-1\r\nm-ready\r\n")
        assert armed.served == 1


async def test_a_body_that_fails_gives_the_program_up_and_keeps_its_error() -> None:
    async with _device({**LABD, "idle": b"m-idle-start\r\n"}) as (device, dut):
        with pytest.raises(ZeroDivisionError):
            async with device.resting(60.0):
                raise ZeroDivisionError
        dut.say(b"m-idle-done\r\nm-ready\r\n")
        assert (await device.identify()).extensions == "labd 1"


async def test_books_of_the_device_are_read() -> None:
    answers: dict[str, Answer] = {
        **LABD,
        "laps": lines("m-phase-[0,10,20,30,40,50]", "m-phase-[1,110,120,130,140,150]"),
        "stat": lines("m-stat-[infer=2,mac=263200,synop=0,spike=0,neuron_update=0,cycles=9,wake=3,missed=0,boot=1]"),
        "checksum": lines("m-checksum-[00c0ffee]"),
    }
    async with _device(answers) as (device, dut):
        assert await device.laps() == (PhaseLap(10, 20, 30, 40, 50), PhaseLap(110, 120, 130, 140, 150))
        assert (await device.counters(clear=True))["mac"] == 263_200
        assert dut.heard[-1] == "stat clear"
        assert await device.checksum() == 0xC0FFEE


async def test_a_bracketed_program_tells_where_its_signatures_lay() -> None:
    done = lines("m-signature-[1000,64000]", "m-signature-[900000,963000]", "m-periodic-done-2-missed-0")
    answers = {**LABD, "bracket": lines("m-bracket-[1000 6 5]"), "periodic": lines("m-periodic-start-2")[: -len(b"m-ready\r\n")] + done}
    async with _device(answers) as (device, dut):
        await device.set_bracket(Bracket(1000, 6, 5))
        assert "bracket 1000 6 5" in dut.heard
        assert await device.periodic(2, 300000) == PeriodicDone(2, 0, (Burnt(1000, 64000), Burnt(900000, 963000)))


async def test_a_program_without_the_signatures_that_were_asked_for_is_not_taken() -> None:
    """The board lost its setting in a reset: nothing would tie its counter to the record."""
    done = lines("m-periodic-start-2", "m-periodic-done-2-missed-0")
    async with _device({**LABD, "bracket": lines("m-bracket-[1000 6 5]"), "periodic": done}) as (device, _):
        await device.set_bracket(Bracket(1000, 6, 5))
        with pytest.raises(UnexpectedReply, match="0 signatures, the bracket is"):
            await device.periodic(2, 300000)


async def test_no_bracket_is_asked_of_firmware_that_knows_none() -> None:
    async with _device(STOCK) as (device, dut):
        await device.set_bracket(None)
        assert not [text for text in dut.heard if "bracket" in text]
        with pytest.raises(StockFirmware, match="no `bracket` command"):
            await device.set_bracket(Bracket(1000, 6, 5))


@pytest.mark.parametrize("text", ["m-signature-[5,4]", "m-signature-[5]", "m-signature-[a,b]"])
async def test_times_of_a_signature_that_cannot_be_are_refused(text: str) -> None:
    async with _device({**LABD, "signature": lines("m-signature-start", text)}) as (device, _):
        with pytest.raises(UnexpectedReply, match="not the times of a signature"):
            await device.signature(Bracket(1000, 6, 5))


async def test_it_is_known_which_input_is_in_the_device_until_a_reboot() -> None:
    async with _device({**STOCK, "db": Memory(), "infer": INFER}) as (device, dut):
        assert not device.holds(b"abc")
        await device.load_input(b"abc")
        await device.infer(2, warmups=1)
        assert device.holds(b"abc")
        assert not device.holds(b"abd")
        names = iter([PERFORMANCE_BANNER + lines("m-name-dut-[labd]")])
        dut.answers["name"] = lambda _: next(names, lines("m-name-dut-[labd]"))
        await device.identify()
        assert not device.holds(b"abc")


async def test_a_reboot_in_a_program_loses_the_input() -> None:
    start = b"m-periodic-start-3\r\n"
    async with _device({**LABD, "db": Memory(), "periodic": start + PERFORMANCE_BANNER, "infer": SILENT_INFER}) as (device, _):
        await device.load_input(b"abc")
        with pytest.raises(DutRebooted):
            await device.periodic(3, 1000)
        with pytest.raises(InputInDoubt, match="rebooted"):
            await device.infer(2, warmups=1)


async def test_a_reboot_before_it_is_identified_again_loses_the_input() -> None:
    async with _device({**LABD, "db": Memory(), "infer": INFER}) as (device, dut):
        await device.load_input(b"abc")
        await device.identify()
        await device.infer(2, warmups=1)
        names = iter([PERFORMANCE_BANNER + lines("m-name-dut-[labd]")])
        dut.answers["name"] = lambda _: next(names, lines("m-name-dut-[labd]"))
        await device.identify()
        with pytest.raises(InputInDoubt, match="rebooted"):
            await device.infer(2, warmups=1)
