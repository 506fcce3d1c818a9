"""labd against the hazards of stock firmware, and of a POSIX build that LABD_STOCK_FIRMWARE names, which speaks on its standard streams."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.dut.device import Device
from labd.dut.dialect import CLASSIC, Dialect, Relayed, Streaming
from labd.dut.errors import (
    DutRebooted,
    DutRefused,
    HalfReply,
    InputInDoubt,
    LineNoise,
    NoAnswer,
    OtherDevice,
    UnexpectedReply,
    WrongBaud,
    WrongBuild,
)
from labd.dut.protocol import upload_commands
from labd.dut.serial_link import SerialLink
from labd.errors import DutFailure
from labd.records import MarkStyle, Mode
from tests.dut.met import PATIENT_S, met
from tests.dut.other_dialects import InterfaceBoardDouble, StreamingFirmware
from tests.dut.stock_dut import OVER_STDIO, Fault, Speaks, StockDut, misuse
from tests.dut.stock_firmware import KWS, UPLOAD_SIZE, StockFirmware

NAMED = os.environ.get("LABD_STOCK_FIRMWARE", "")
SIZES = {"sww01": 1200, "kws01": 490, "vww01": 27648, "ad01": 2560, "ic01": 3072}
SIZE = int(os.environ.get("LABD_STOCK_INPUT_SIZE", "0"))  # where the named build's model takes another than its data set has

PROGRAMS = [pytest.param((), id="double"), pytest.param(OVER_STDIO, id="double over stdio")]
if NAMED:
    PROGRAMS.append(pytest.param((NAMED,), id="named"))

SHORT_S = 0.3  # only where an answer is known not to come, or may be missed


def _input(device: Device, first: int = 0) -> bytes:
    size = SIZE or SIZES[device.identity.model]
    return bytes((first + 7 * k) % 256 for k in range(size))


async def _truth(device: Device, data: bytes) -> tuple[float, ...]:
    """What the DUT makes of the data over a line that is good."""
    await device.load_input(data)
    return (await device.infer(1)).results


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_whole_session_sends_nothing_that_kills(program: Sequence[str]) -> None:
    with StockDut(program=program) as dut:
        async with met(dut) as device:
            assert not device.extended
            await device.set_mode(Mode.ALWAYS_ON)
            await device.set_marks(MarkStyle.TEXT if device.identity.build == "performance" else MarkStyle.PULSES)
            data = _input(device)
            done = [await _truth(device, data), (await device.infer(3, warmups=2)).results]
            await device.counter()
            await device.identify()
            done.append((await device.infer(1)).results)
        assert misuse(bytes(dut.raw)) == []
    assert done[0] == done[1] == done[2]


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_refused_command_leaves_the_link_in_step(program: Sequence[str]) -> None:
    with StockDut(program=program) as dut:
        async with SerialLink(dut.port) as link:
            for text, reason in (
                ("bogus", r"Unknown command: bogus"),
                ("db", "requires a subcommand"),
                ("db load", "requires the # of bytes"),
                ("db load 0", "must be >0 bytes"),
                ("db 123", "Insufficent number of hex digits"),
                ("db zz", "Invalid hex digit 'zz'"),
                ("infer 0 0", "iterations must be >0"),
                ("infer 1 -1", "warmup must be >=0"),
            ):
                with pytest.raises(DutRefused, match=reason):
                    await link.command(text, timeout_s=PATIENT_S)
            assert (await link.command("name", timeout_s=PATIENT_S)).texts[0].startswith("m-name-dut-")


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("kind", ["drop", "repeat", "flip"])
async def test_an_upload_over_a_line_with_one_fault_is_made_again_and_is_right(program: Sequence[str], kind: str) -> None:
    with StockDut(program=program) as dut:
        async with met(dut) as device:
            data = _input(device)
            truth = await _truth(device, data)
            dut.to_dut.set({60: Fault(kind)})  # type: ignore[arg-type]
            await device.load_input(data)
            assert (await device.infer(1)).results == truth
        assert dut.heard.count(f"db load {len(data)}") == 3


@pytest.mark.parametrize("program", PROGRAMS)
async def test_an_input_of_the_wrong_size_is_an_error_not_a_result(program: Sequence[str]) -> None:
    with StockDut(program=program) as dut:
        async with met(dut) as device:
            await device.load_input(_input(device)[:-2])
            with pytest.raises(DutRefused, match="Input db has"):
                await device.infer(1)


@pytest.mark.parametrize("program", PROGRAMS)
async def test_an_input_that_is_too_large_is_refused_once_and_nothing_of_it_is_sent(program: Sequence[str]) -> None:
    with StockDut(program=program) as dut:
        async with met(dut) as device:
            with pytest.raises(DutRefused, match="exceeds maximum"):
                await device.load_input(bytes(UPLOAD_SIZE + 1))
            with pytest.raises(InputInDoubt, match="load the input again"):
                await device.infer(1)
            assert [text for text in dut.heard if text.startswith("db")] == [f"db load {UPLOAD_SIZE + 1}"]
            await device.load_input(_input(device))
            await device.infer(1)


FAULT = st.one_of(
    st.just(Fault("drop")),
    st.just(Fault("repeat")),
    st.builds(lambda flip: Fault("flip", flip), st.integers(1, 255)),
)
FAULTS = st.dictionaries(st.integers(0, 1100), FAULT, max_size=3)


EXAMPLES = int(os.environ.get("LABD_EXAMPLES", "0"))  # so many, and other ones each time
DUTS: dict[str, tuple[Callable[[], Speaks] | None, Dialect]] = {
    "double": (StockFirmware, CLASSIC),
    "double that trusts": (lambda: StockFirmware(trusts_announcement=True), CLASSIC),
    "streaming": (StreamingFirmware, Streaming()),
    "relayed": (lambda: InterfaceBoardDouble(StockFirmware(energy=True)), Relayed(CLASSIC)),
    "streaming, relayed": (lambda: InterfaceBoardDouble(StreamingFirmware()), Relayed(Streaming())),
    **({"named": (None, CLASSIC)} if NAMED else {}),
}


@pytest.mark.parametrize("name", DUTS)
@settings(max_examples=EXAMPLES or 20, derandomize=not EXAMPLES, deadline=None)
@given(to_dut=FAULTS, to_host=FAULTS)
def test_whatever_the_line_does_to_an_upload_a_result_is_right_or_an_error_with_a_name(
    name: str, to_dut: dict[int, Fault], to_host: dict[int, Fault]
) -> None:
    make, dialect = DUTS[name]
    dut = StockDut(program=(NAMED,)) if make is None else StockDut(make())
    asyncio.run(_over_a_bad_line(dut, dialect, to_dut, to_host))


async def _over_a_bad_line(at: StockDut, dialect: Dialect, to_dut: dict[int, Fault], to_host: dict[int, Fault]) -> None:
    with at as dut:
        async with SerialLink(dut.port, dialect=dialect) as link:
            device = Device(link, answer_s=PATIENT_S)
            await device.identify()
            data = _input(device)
            truth, stale = await _truth(device, data), await _truth(device, _input(device, 1))
            assert truth != stale
            device.answer_s = SHORT_S
            dut.to_dut.set(to_dut)
            dut.to_host.set(to_host)
            failure = await _failure(device.load_input(data))
            dut.to_dut.set({})
            dut.to_host.set({})
            device.answer_s = PATIENT_S
            if failure is not None:
                with pytest.raises(InputInDoubt):
                    await device.infer(1)
                again = await _failure(device.load_input(data))
                assert again is None or dut.dead  # a repeated terminator kills: nothing can be done from here
            if not dut.dead:
                assert (await device.infer(1)).results == truth
            inner = getattr(dut.firmware, "dut", dut.firmware)
            assert not isinstance(inner, StockFirmware) or inner.written_past_end == 0


async def _failure(work: Awaitable[object]) -> DutFailure | None:
    try:
        await work
    except DutFailure as error:
        return error
    return None


async def test_without_reading_back_a_flipped_digit_would_give_another_result() -> None:
    """What the verification is for: the line's own signs do not show it."""
    with StockDut() as dut:
        async with met(dut) as device:
            data = _input(device)
            truth = await _truth(device, data)
            sent = "".join(f"{text}%" for text in upload_commands(data))
            dut.to_dut.set({sent.index("db ", 12) + 3 + data[:20].hex().index("3"): Fault("flip", 0x01)})
            await device.load_input(data, verify=False)
            assert (await device.infer(1)).results != truth


async def test_bytes_that_are_cut_by_a_cancelled_upload_do_not_reach_the_next_one() -> None:
    with StockDut() as dut:
        async with met(dut) as device:
            data = _input(device)
            truth = await _truth(device, data)
            sent = len(dut.raw)
            dut.to_dut.set({700: Fault("drop")})
            async with asyncio.TaskGroup() as tasks:
                loading = tasks.create_task(device.load_input(data), name="upload")
                assert await asyncio.to_thread(dut.wait_raw, sent + 600)
                loading.cancel()
            with pytest.raises(InputInDoubt, match="did not come to its end"):
                await device.infer(1)
            assert await _truth(device, data) == truth
        assert misuse(bytes(dut.raw)) == []


async def test_commands_dropped_during_the_boot_are_asked_again() -> None:
    firmware = StockFirmware()
    with StockDut(firmware, boots=False) as dut:
        async with SerialLink(dut.port) as link, asyncio.TaskGroup() as tasks:
            dut.say(firmware.power_on())
            found = tasks.create_task(link.resync(timeout_s=PATIENT_S), name="resync")
            assert await asyncio.to_thread(dut.wait_raw, len("name%"))
            dut.say(firmware.finish_boot())
            assert (await found).texts == ("m-name-dut-[unspecified]",)
            assert link.boot_build == "performance"


@pytest.mark.parametrize("energy", [False, True])
async def test_the_build_is_told_with_and_without_its_banner(energy: bool) -> None:
    for boots in (True, False):
        with StockDut(StockFirmware(energy=energy, greeting=("Initialized", "")), boots=boots) as dut:
            async with met(dut) as device:
                assert device.identity.build == ("energy" if energy else "performance")
                assert (device.identity.model, device.extended) == ("kws01", False)


async def test_the_build_for_the_other_mode_is_refused_with_what_to_change() -> None:
    with StockDut(StockFirmware(energy=True)) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(WrongBuild, match="EE_CFG_ENERGY_MODE"):
                await Device(link, build="performance").identify()


async def test_a_device_of_another_name_is_told_how_it_must_be_called() -> None:
    with StockDut(StockFirmware(device_name="ebaz-4205")) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(OtherDevice, match=r"its device name is 'ebaz-4205'.*build its firmware with the name 'dut'"):
                await Device(link).identify()


async def test_half_a_reply_is_named_and_the_next_command_is_answered_for_itself() -> None:
    firmware = StockFirmware(cut_in={"infer"})
    with StockDut(firmware) as dut:
        async with met(dut) as device:
            data = _input(device)
            await device.load_input(data)
            with pytest.raises(HalfReply, match=r"half a reply to `infer 1 0` .* it stopped after .*, without m-ready"):
                await device.infer(1, timeout_s=SHORT_S)
            assert list((await device.infer(1)).results) == [round(value, 3) for value in KWS.run(data)]


async def test_a_reboot_in_the_middle_is_named_and_the_lost_input_is_not_inferred_on() -> None:
    firmware = StockFirmware(greeting=("Initialized",))
    with StockDut(firmware) as dut:
        async with met(dut) as device:
            data = _input(device)
            await device.load_input(data)
            firmware.reboots_in.add("infer")
            with pytest.raises(DutRebooted, match="its supply browned out"):
                await device.infer(1)
            with pytest.raises(InputInDoubt, match="rebooted"):
                await device.infer(1)
            firmware.reboots_in.add("db")
            with pytest.raises(DutRebooted):
                await device.load_input(data)
            await device.load_input(data)
            assert list((await device.infer(1)).results) == [round(value, 3) for value in KWS.run(data)]
    assert firmware.boots == 3


async def test_noise_between_commands_harms_nothing_and_noise_in_them_is_an_error() -> None:
    with StockDut() as dut:
        async with met(dut) as device:
            data = _input(device)
            truth = await _truth(device, data)
            dut.say(b"\x00\xff\xfe")
            assert await _truth(device, data) == truth
            dut.to_host.set({90: Fault("flip", 0x80)})
            with pytest.raises(LineNoise, match="bytes that are no text stand in the reply"):
                await device.infer(1)
            assert (await device.infer(1)).results == truth
            dut.to_host.set({k: Fault("flip", 0x80) for k in range(300)})
            with pytest.raises(LineNoise, match="at a baud rate that has worked: noise on the line"):
                await device.infer(1, timeout_s=SHORT_S)
            dut.to_host.set({})
            assert (await device.infer(1)).results == truth


async def test_a_damaged_count_of_inferences_gives_no_latency() -> None:
    with StockDut() as dut:
        async with met(dut) as device:
            await device.load_input(_input(device))
            dut.to_dut.set({6: Fault("flip", 0x01)})  # `infer 4 0` arrives as `infer 5 0`
            with pytest.raises(UnexpectedReply, match="made 5 inferences after 0 warm-ups"):
                await device.infer(4)


async def test_a_bare_terminator_made_by_the_line_ends_in_words_that_say_to_reset() -> None:
    with StockDut() as dut:
        async with met(dut) as device:
            dut.to_dut.set({11: Fault("repeat")})  # of `db load 490%`
            device.answer_s = SHORT_S
            with pytest.raises(NoAnswer, match="a DUT that has crashed answers after a reset"):
                await device.load_input(_input(device))
            device.answer_s = PATIENT_S
            assert dut.dead
            dut.to_dut.set({})
            dut.reboot()
            await device.identify()
            await device.load_input(_input(device))
            await device.infer(1)


@pytest.mark.parametrize(("ours", "its"), [(115200, 9600), (9600, 115200), (115200, 921600), (921600, 115200)])
async def test_the_wrong_baud_rate_is_named_by_a_banner_and_suspected_in_silence(ours: int, its: int) -> None:
    with StockDut(boots=False) as dut:
        dut.to_dut.bauds, dut.to_host.bauds = (ours, its), (its, ours)
        async with SerialLink(dut.port, baud=ours) as link:
            silent = await _failure(link.resync(timeout_s=SHORT_S))
            assert isinstance(silent, NoAnswer)
            assert f"the baud rate ({ours}; stock energy builds use 9600)" in str(silent)
            async with asyncio.TaskGroup() as tasks:
                sent = len(dut.raw)
                failing = tasks.create_task(_failure(link.resync(timeout_s=2.0)), name="resync")
                assert await asyncio.to_thread(dut.wait_raw, sent + 5)
                dut.reboot()
            assert isinstance(failing.result(), WrongBaud)
            assert f"{ours} baud is probably wrong" in str(failing.result())


@pytest.mark.parametrize(("energy", "baud"), [(True, 9600), (False, 115200)])
async def test_text_around_a_window_is_bounded_by_what_the_firmware_printed(energy: bool, baud: int) -> None:
    firmware = StockFirmware(energy=energy, baud=baud)
    with StockDut(firmware) as dut:
        async with SerialLink(dut.port, baud=baud) as link:
            device = Device(link, answer_s=PATIENT_S)
            await device.identify()
            await device.load_input(_input(device))
            firmware.counter_us += 1e7  # all earlier text has left
            before = len(firmware.done)
            found = await device.infer(20)
    did = firmware.done[before:]
    at = next(k for k, one in enumerate(did) if one.what == "infer")
    printed = [one for one in did[:at] if one.what == "uart"]
    lap = printed.pop() if not energy else None
    left_s = max(0.0, printed[-1].end_us - did[at].start_us) * 1e-6
    assert left_s - 1e-9 <= found.text_left_s <= left_s + 2 * firmware.hold_us * 1e-6
    assert found.lap_text_s == pytest.approx((lap.end_us - lap.start_us) * 1e-6 / 20 if lap else 0.0)


async def test_the_counter_of_a_lap_wraps_within_a_window() -> None:
    with StockDut(StockFirmware(counter_us=2**32 - 60_000)) as dut:
        async with met(dut) as device:
            await device.load_input(_input(device))
            done = await device.infer(50)
            assert done.laps_us[1] < done.laps_us[0]
            assert done.latency_s == pytest.approx(2059e-6)
