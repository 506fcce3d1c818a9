"""Streaming wakeword and the interface board, each over a real pseudo-terminal, alone and one behind the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.dut.device import Device
from labd.dut.dialect import CLASSIC, Dialect, Relayed, dialect_of
from labd.dut.dialect import Streaming as StreamingDialect
from labd.dut.errors import DutRebooted, InterfaceBlocked, Misheard, NoAnswer, OtherDevice, UnexpectedReply
from labd.dut.interface_board import FRAMES_KEPT, TICK_S, DutyCycle, InterfaceBoard
from labd.dut.protocol import Line, Reply, ReplyCollector
from labd.dut.serial_link import SerialLink
from labd.dut.streaming import Streaming, parse_activations
from labd.errors import DutFailure
from tests.dut.met import PATIENT_S, met
from tests.dut.other_dialects import SWW, InterfaceBoardDouble, StreamingFirmware
from tests.dut.stock_dut import Fault, Speaks, StockDut, misuse
from tests.dut.stock_firmware import KWS, StockFirmware

SHORT_S = 0.3
DATA = bytes((3 + 7 * k) % 256 for k in range(SWW.input_size))
KWS_DATA = DATA[: KWS.input_size]


@asynccontextmanager
async def _linked(firmware: Speaks, dialect: Dialect) -> AsyncIterator[tuple[SerialLink, StockDut]]:
    with StockDut(firmware) as dut:
        async with SerialLink(dut.port, dialect=dialect) as link:
            yield link, dut


@asynccontextmanager
async def _device(firmware: Speaks, dialect: Dialect) -> AsyncIterator[tuple[Device, StockDut]]:
    with StockDut(firmware) as dut:
        async with met(dut, dialect) as device:
            yield device, dut


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 3) for value in values]


async def test_a_streaming_dut_is_identified_loaded_and_inferred_with() -> None:
    async with _device(StreamingFirmware(), StreamingDialect()) as (device, dut):
        assert (device.identity.profile, device.identity.model) == ("MLPerf Tiny Firmware V0.1.0", "sww01")
        await device.load_input(DATA)
        assert list((await device.infer(1)).results) == _rounded(SWW.run(DATA))
    assert misuse(bytes(dut.raw)) == []


async def test_what_a_streaming_dut_misheard_is_named_and_its_answer_is_not_taken() -> None:
    async with _linked(StreamingFirmware(), StreamingDialect()) as (link, dut):
        await Device(link, answer_s=PATIENT_S).load_input(DATA)
        dut.to_dut.set({8: Fault("flip", 0x01)})  # `infer 2 0` arrives as `infer 2 1`
        with pytest.raises(Misheard, match="heard `infer 2 1` where `infer 2 0` was sent"):
            await link.command("infer 2 0", timeout_s=PATIENT_S)
        assert "m-infer-start-2" in (await link.command("infer 2 0", timeout_s=PATIENT_S)).texts


@pytest.mark.parametrize("fault", [Fault("flip", 0x01), Fault("drop"), Fault("repeat")])
async def test_a_streaming_upload_goes_on_where_it_broke(fault: Fault) -> None:
    async with _device(StreamingFirmware(), StreamingDialect()) as (device, dut):
        dut.to_dut.set({600: fault})
        await device.load_input(DATA)
        assert list((await device.infer(1)).results) == _rounded(SWW.run(DATA))
    assert dut.heard.count(f"db load {len(DATA)}") == 1
    assert sum(text.startswith("db setptr") for text in dut.heard) == 1


async def test_a_streaming_upload_that_was_repaired_is_read_back_though_nobody_asked() -> None:
    async with _device(StreamingFirmware(), StreamingDialect()) as (device, dut):
        await device.load_input(DATA, verify=False)
        assert "db print" not in dut.heard
        dut.to_dut.set({600: Fault("drop")})
        await device.load_input(DATA, verify=False)
        assert dut.heard[-1] == "db print"


async def test_a_lost_answer_to_a_line_of_a_streaming_upload_is_repaired() -> None:
    async with _device(StreamingFirmware(loses={5}), StreamingDialect()) as (device, dut):
        device.answer_s = SHORT_S
        await device.load_input(DATA)
        device.answer_s = PATIENT_S
        assert list((await device.infer(1)).results) == _rounded(SWW.run(DATA))
    assert "db setptr 120" in dut.heard


async def test_a_streaming_dut_listens_until_it_is_stopped_and_tells_its_activations() -> None:
    firmware = StreamingFirmware(activations=(0.1, 0.25, 0.9, 0.5, 0.001), features=((1.0, 2.0), (3.0, -4.5)))
    async with _linked(firmware, StreamingDialect()) as (link, _):
        streaming = Streaming(link, answer_s=PATIENT_S)
        async with streaming.listening() as heard:
            assert firmware.listening
        assert heard.activations == firmware.activations
        found = await streaming.extract()
        assert (found.features, found.activations) == (firmware.features, (firmware.activations,))
        with pytest.raises(ZeroDivisionError):
            async with streaming.listening():
                raise ZeroDivisionError
        assert not firmware.listening


def test_activations_are_an_array_in_whatever_lines() -> None:
    def said(*texts: str) -> Reply:
        return Reply("stop", tuple(Line(text) for text in texts), None)

    assert parse_activations(said("target activations: [1, 2.5,", "-3]")) == (1.0, 2.5, -3.0)
    assert parse_activations(said("target activations:")) == ()
    with pytest.raises(UnexpectedReply, match="not a number: 'x'"):
        parse_activations(said("target activations: 1 x"))
    with pytest.raises(UnexpectedReply, match="this DUT said nothing"):
        parse_activations(said())


@pytest.mark.parametrize(
    ("inner", "dialect", "data", "run"),
    [
        (StockFirmware(energy=True), CLASSIC, KWS_DATA, KWS.run),
        (StreamingFirmware(), StreamingDialect(), DATA, SWW.run),
    ],
    ids=["classic", "streaming"],
)
async def test_a_dut_behind_an_interface_board_is_used_like_one_before_it(inner, dialect, data, run) -> None:  # type: ignore[no-untyped-def]
    async with _device(InterfaceBoardDouble(inner), Relayed(dialect)) as (device, dut):
        await device.load_input(data)
        assert list((await device.infer(2)).results) == _rounded(run(data))
    assert all(text.startswith("dut ") for text in dut.heard)
    assert misuse(bytes(dut.raw).replace(b"dut ", b"")) == []
    assert max(len(text) for text in dut.heard) <= 63


async def test_a_missing_dut_is_named_and_after_a_reset_of_the_board_all_is_well() -> None:
    board = InterfaceBoardDouble(None)
    async with _linked(board, Relayed(CLASSIC)) as (link, _):
        with pytest.raises(InterfaceBlocked, match=r"the DUT behind it gave no answer: .* then reset the interface board"):
            await link.resync(timeout_s=SHORT_S)
        assert board.blocked
        with pytest.raises(NoAnswer, match="not even from the interface board: reset it"):
            await link.resync(timeout_s=SHORT_S)
        board.dut = StockFirmware()
        board.dut.boot()
        board.reset()
        assert (await Device(link, answer_s=PATIENT_S).identify()).model == "kws01"


async def test_a_board_with_the_wrong_rate_to_its_dut_blocks_in_the_same_words() -> None:
    async with _linked(InterfaceBoardDouble(StockFirmware(), dut_baud=115200), Relayed(CLASSIC)) as (link, _):
        with pytest.raises(InterfaceBlocked, match="baud rate to it \\(dut_baud\\)"):
            await link.resync(timeout_s=SHORT_S)


async def test_a_reboot_and_a_bad_line_behind_the_board_are_told_as_before_it() -> None:
    firmware = StockFirmware()
    async with _device(InterfaceBoardDouble(firmware), Relayed(CLASSIC)) as (device, dut):
        await device.load_input(KWS_DATA)
        firmware.reboots_in.add("infer")
        with pytest.raises(DutRebooted):
            await device.infer(1)
        dut.to_dut.set({60: Fault("flip", 0x10)})
        await device.load_input(KWS_DATA)
        assert list((await device.infer(1)).results) == _rounded(KWS.run(KWS_DATA))


async def test_the_board_s_rate_is_set_only_where_it_is_another() -> None:
    board = InterfaceBoardDouble(StockFirmware(), dut_baud=115200)
    async with _linked(board, Relayed(CLASSIC)) as (link, dut):
        itself = InterfaceBoard(link, answer_s=PATIENT_S)
        assert await itself.identify() == "tinyML Enhanced Interface Board"
        assert await itself.use_baud(115200)
        assert not await itself.use_baud(115200)
        assert (board.resets, board.baud) == (1, 115200)
        assert dut.heard.count("setbaud 115200") == 1
        await Device(link, answer_s=PATIENT_S).identify()
        with pytest.raises(DutFailure, match="300 baud to the DUT: expected one of 9600"):
            await itself.use_baud(300)


async def test_a_dut_where_a_board_was_said_to_be_and_the_other_way_round() -> None:
    async with _linked(StockFirmware(), Relayed(CLASSIC)) as (link, _):
        with pytest.raises(OtherDevice, match=r"is answered by 'm-name-dut-\[unspecified\]'"):
            await InterfaceBoard(link, answer_s=PATIENT_S).identify()
        with pytest.raises(OtherDevice, match=r"not answered by an interface board but by 'e-\[Unknown command: dut\]'.* via = \"direct\""):
            await link.resync(timeout_s=SHORT_S)
    async with _linked(InterfaceBoardDouble(StockFirmware()), CLASSIC) as (link, _):
        with pytest.raises(OtherDevice, match=r"an interface board is between: write via = \"interface-board\""):
            await Device(link).identify()


async def test_a_trigger_byte_does_not_go_through_a_board() -> None:
    async with _linked(InterfaceBoardDouble(StockFirmware()), Relayed(CLASSIC)) as (link, _):
        with pytest.raises(DutFailure, match="does not pass an interface board"):
            await link.poke()


async def test_recorded_detections_are_times_in_order() -> None:
    board = InterfaceBoardDouble(StockFirmware(), detections_ms=[12, 1000, 72_345])
    async with _linked(board, Relayed(CLASSIC)) as (link, dut):
        itself = InterfaceBoard(link, answer_s=PATIENT_S)
        await itself.record_detections()
        assert await itself.detections() == pytest.approx((0.012, 1.0, 72.345))
        board.detections_ms = [5000, 20]
        with pytest.raises(UnexpectedReply, match="not in order"):
            await itself.detections()
        assert dut.heard[-3:] == ["record_detections", "print_detections", "print_detections"]


@pytest.mark.parametrize("frames", [0, 1, 3, 99, 100, 250])
async def test_a_duty_cycle_is_on_time_over_whole_periods_and_says_when_frames_were_cut(frames: int) -> None:
    board = InterfaceBoardDouble(
        StockFirmware(), rises=[3200 * k + 17 for k in range(frames)], falls=[3200 * k + 817 for k in range(frames)]
    )
    async with _linked(board, Relayed(CLASSIC)) as (link, _):
        found = await InterfaceBoard(link, answer_s=PATIENT_S).duty_cycle()
    assert len(found.rises_s) == len(found.falls_s) == min(frames, FRAMES_KEPT)
    assert found.cut == (frames >= FRAMES_KEPT)
    if frames < 2:
        with pytest.raises(DutFailure, match="needs two frames"):
            _ = found.share
    else:
        assert found.share == pytest.approx(0.25)


def test_the_uncertainty_by_the_tick_is_the_scatter_of_rounded_edges() -> None:
    rng = np.random.default_rng(3)
    shares, stated = [], 0.0
    for _ in range(400):
        rises = 0.5 + 0.032 * np.arange(30) + rng.uniform(0, 1e-4, 30)
        falls = rises + 0.008 + rng.uniform(0, 1e-4, 30)
        ticked = DutyCycle(tuple(np.round(rises / TICK_S) * TICK_S), tuple(np.round(falls / TICK_S) * TICK_S), cut=False)
        exact = float(np.sum((falls - rises)[:-1]) / (rises[-1] - rises[0]))
        shares.append(ticked.share - exact)
        stated = ticked.u_share
    assert float(np.std(shares)) == pytest.approx(stated, rel=0.15)


@given(st.sampled_from(["mlperf-tiny", "mlperf-tiny-streaming"]), st.sampled_from(["direct", "interface-board"]), st.binary(max_size=80))
def test_no_line_breaks_a_dialect(name, via, raw) -> None:  # type: ignore[no-untyped-def]
    dialect = dialect_of(name, via=via)
    collector = ReplyCollector("name", heard=dialect.heard)
    for text in raw.decode("latin-1").splitlines():
        collector.add(Line(text))
    assert dialect.relayed == (via == "interface-board")
    assert collector.add(Line("[dut]: m-ready" if dialect.relayed else "m-ready")) is not None


async def test_the_link_waits_for_a_board_that_answers_late() -> None:
    board = InterfaceBoardDouble(StockFirmware())
    async with _linked(board, Relayed(CLASSIC)) as (link, dut):
        board.blocked = True
        async with asyncio.TaskGroup() as tasks:
            found = tasks.create_task(link.resync(timeout_s=PATIENT_S), name="resync")
            assert await asyncio.to_thread(dut.wait_raw, 2 * len("dut name%"))
            board.blocked = False
        assert found.result().texts == ("m-name-dut-[unspecified]",)
        assert (await link.command("profile", timeout_s=PATIENT_S)).texts[1] == "m-model-[kws01]"
