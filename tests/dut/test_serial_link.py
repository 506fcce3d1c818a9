"""The serial link over real pseudo-terminals: step, time-outs, reboots, each failure by its own name."""

from __future__ import annotations

import asyncio

import pytest

from labd.dut.errors import DutBusy, DutRebooted, DutRefused, HalfReply, NoAnswer, PortFailure, UnexpectedReply, WrongBaud
from labd.dut.serial_link import SerialLink
from tests.dut.fake_dut import ENERGY_BANNER, LABD, PERFORMANCE_BANNER, STOCK, FakeDut, lines

LONG_S = 20.0
SHORT_S = 0.05


async def test_a_command_gets_its_whole_reply_with_host_times() -> None:
    with FakeDut() as dut:
        async with SerialLink(dut.port) as link:
            reply = await link.command("profile", timeout_s=LONG_S)
    assert reply.texts == ("m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]")
    assert 0 < reply.sent_ns <= reply.lines[0].t_ns <= reply.ready_ns
    assert dut.heard == ["name", "profile"]


async def test_commands_of_two_tasks_go_one_after_the_other() -> None:
    with FakeDut({**STOCK, "echo": lambda text: lines(f"m-{text}")}) as dut:
        async with SerialLink(dut.port) as link, asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(link.command(f"echo {k}", timeout_s=LONG_S), name=f"echo {k}") for k in range(10)]
    assert [task.result().texts for task in asked] == [(f"m-echo {k}",) for k in range(10)]


async def test_a_refusal_carries_the_duts_words_and_leaves_the_link_in_step() -> None:
    with FakeDut() as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(DutRefused, match="refused `bogus 1`: Unknown command: bogus") as caught:
                await link.command("bogus 1", timeout_s=LONG_S)
            assert caught.value.reason == "Unknown command: bogus"
            await link.command("profile", timeout_s=LONG_S)
    assert dut.heard == ["name", "bogus 1", "profile"]


async def test_silence_says_what_to_check() -> None:
    with FakeDut({"name": b""}) as dut:
        async with SerialLink(dut.port, baud=9600) as link:
            with pytest.raises(NoAnswer, match=rf"no answer to `name` on {dut.port} .*powered.*swapped.*9600"):
                await link.resync(timeout_s=SHORT_S)


async def test_bytes_that_are_not_text_mean_the_wrong_baud_rate() -> None:
    with FakeDut({"name": b"\xf8\x00\x86\x1e\x80\xfe"}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(WrongBaud, match="115200 baud is probably wrong"):
                await link.resync(timeout_s=0.3)


async def test_half_a_reply_names_where_it_stopped() -> None:
    with FakeDut({**STOCK, "profile": b"m-profile-[x]\r\nm-mod"}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(HalfReply, match="stopped after 'm-mod', without m-ready"):
                await link.command("profile", timeout_s=0.3)


async def test_after_a_time_out_the_link_finds_its_way_back_without_a_lone_terminator() -> None:
    with FakeDut({**STOCK, "slow": b""}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(NoAnswer):
                await link.command("slow", timeout_s=SHORT_S)
            dut.say(lines("m-late"))  # comes when nobody waits for it any more
            assert (await link.command("profile", timeout_s=LONG_S)).texts[1] == "m-model-[kws01]"
    assert "" not in dut.heard
    assert dut.heard[:3] == ["name", "slow", "name"]


async def test_a_cancelled_command_does_not_shift_the_replies() -> None:
    with FakeDut({**STOCK, "slow": b""}) as dut:
        async with SerialLink(dut.port) as link:
            async with asyncio.TaskGroup() as tasks:
                task = tasks.create_task(link.command("slow", timeout_s=LONG_S), name="slow")
                await asyncio.to_thread(dut.wait_heard, "slow")
                task.cancel()
            dut.say(lines("m-late"))
            assert (await link.command("timestamp", timeout_s=LONG_S)).texts == ("m-lap-us-712",)


async def test_a_dut_that_drops_commands_while_it_boots_is_waited_for() -> None:
    with FakeDut() as dut:
        name = iter([b"", PERFORMANCE_BANNER])
        dut.answers["name"] = lambda _: next(name, lines("m-name-dut-[x]"))
        async with SerialLink(dut.port) as link:
            reply = await link.resync(timeout_s=LONG_S)
            assert reply.texts == ("m-name-dut-[x]",)
            assert link.boot_build == "performance"
            assert (await link.command("profile", timeout_s=LONG_S)).texts[1] == "m-model-[kws01]"


async def test_a_banner_in_the_middle_of_a_reply_is_a_reboot() -> None:
    with FakeDut({**STOCK, "infer": b"m-warmup-start-0\r\nm-infer-start-5\r\n" + ENERGY_BANNER}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(DutRebooted, match="rebooted during `infer 5 0`: its supply browned out"):
                await link.command("infer 5 0", timeout_s=LONG_S)
            assert link.boot_build == "energy"
            await link.command("profile", timeout_s=LONG_S)
    assert dut.heard == ["name", "infer 5 0", "profile"]


async def test_a_banner_that_does_not_end_is_still_a_reboot() -> None:
    with FakeDut({**STOCK, "infer": b"m-timestamp-mode-performance\r\n"}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(DutRebooted):
                await link.command("infer 5 0", timeout_s=0.2)


async def test_a_banner_between_commands_is_a_reboot_told_once() -> None:
    with FakeDut() as dut:
        async with SerialLink(dut.port) as link:
            await link.command("profile", timeout_s=LONG_S)
            dut.say(b"\x00" + PERFORMANCE_BANNER)
            async with asyncio.timeout(LONG_S):
                while not any(line.text == "m-ready" for line in link._lines):  # noqa: ASYNC110  lines that came unasked have no event
                    await asyncio.sleep(0)
            with pytest.raises(DutRebooted, match="rebooted before `profile`"):
                await link.command("profile", timeout_s=LONG_S)
            await link.command("profile", timeout_s=LONG_S)


async def test_a_banner_that_came_while_the_link_was_out_of_step_is_a_reboot_told_once() -> None:
    with FakeDut({**STOCK, "slow": b""}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(NoAnswer):
                await link.command("slow", timeout_s=SHORT_S)
            names = iter([PERFORMANCE_BANNER + lines("m-name-dut-[x]")])
            dut.answers["name"] = lambda _: next(names, lines("m-name-dut-[x]"))
            with pytest.raises(DutRebooted, match="rebooted before `profile`"):
                await link.command("profile", timeout_s=LONG_S)
            assert (await link.command("profile", timeout_s=LONG_S)).texts[1] == "m-model-[kws01]"


async def test_a_dut_that_reboots_again_and_again_is_told_as_that() -> None:
    with FakeDut({"name": PERFORMANCE_BANNER}) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(DutRebooted, match="5 times in a row while it was asked for its name: its supply browned out"):
                await link.resync(timeout_s=LONG_S)


async def test_a_program_runs_from_its_start_line_to_its_end_and_takes_no_command() -> None:
    with FakeDut({**LABD, "idle": b"m-idle-start\r\n"}) as dut:
        async with SerialLink(dut.port) as link:
            program = await link.start("idle 500", until="m-idle-start", timeout_s=LONG_S)
            with pytest.raises(DutBusy, match="`profile` cannot be sent: the DUT is busy with `idle 500`"):
                await link.command("profile", timeout_s=LONG_S)
            dut.say(b"m-idle-done\r\nm-ready\r\n")
            reply = await program.finish(timeout_s=LONG_S)
            assert reply.texts == ("m-idle-start", "m-idle-done")
            await link.command("profile", timeout_s=LONG_S)


async def test_a_program_that_does_not_start_is_told_as_what_it_is() -> None:
    answers = {**LABD, "idle": lines("e-[Idle time must be 1..4294967 ms]"), "arm": lines("m-nothing")}
    with FakeDut(answers) as dut:
        async with SerialLink(dut.port) as link:
            with pytest.raises(DutRefused, match="Idle time must be"):
                await link.start("idle 0", until="m-idle-start", timeout_s=LONG_S)
            with pytest.raises(UnexpectedReply, match="ended without 'm-arm-start-1': 'm-nothing'"):
                await link.start("arm 1 1", until="m-arm-start-1", timeout_s=LONG_S)
            await link.command("profile", timeout_s=LONG_S)


async def test_an_abandoned_program_is_left_behind_by_the_next_command() -> None:
    with FakeDut({**LABD, "idle": b"m-idle-start\r\n"}) as dut:
        async with SerialLink(dut.port) as link:
            program = await link.start("idle 500", until="m-idle-start", timeout_s=LONG_S)
            program.abandon()
            dut.say(b"m-idle-done\r\nm-ready\r\n")
            assert (await link.command("profile", timeout_s=LONG_S)).texts[1] == "m-model-[kws01]"


async def test_a_port_that_goes_away_is_told_at_once() -> None:
    with FakeDut({**STOCK, "slow": b""}) as dut:
        async with SerialLink(dut.port) as link:
            async with asyncio.TaskGroup() as tasks:
                waiting = tasks.create_task(_failure(link.command("slow", timeout_s=LONG_S)), name="slow")
                await asyncio.to_thread(dut.wait_heard, "slow")
                dut.unplug()
            assert "the port is gone" in str(waiting.result())
            with pytest.raises(PortFailure):
                await link.command("profile", timeout_s=LONG_S)


async def _failure(command: object) -> PortFailure | None:
    try:
        await command  # type: ignore[misc]
    except PortFailure as error:
        return error
    return None


async def test_a_port_has_one_user() -> None:
    with FakeDut() as dut:
        async with SerialLink(dut.port):
            with pytest.raises(PortFailure, match="in use by another program"):
                await SerialLink(dut.port).__aenter__()
        async with SerialLink(dut.port) as again:
            await again.command("profile", timeout_s=LONG_S)


@pytest.mark.parametrize(("port", "text"), [("/dev/labd-no-such-port", "is the board plugged in"), ("", "no serial port is given")])
async def test_a_port_that_is_not_there_is_told_by_name(port: str, text: str) -> None:
    with pytest.raises(PortFailure, match=text):
        await SerialLink(port).__aenter__()


async def test_a_long_reply_arrives_whole() -> None:
    rows = [f"m-buffer-{k:02x}" for k in range(256)] * 14  # as many lines as the largest upload prints
    with FakeDut({**STOCK, "db": lines(*rows)}) as dut:
        async with SerialLink(dut.port) as link:
            assert list((await link.command("db print", timeout_s=LONG_S)).texts) == rows
            assert link.lost_lines == 0
