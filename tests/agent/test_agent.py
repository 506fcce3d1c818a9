"""The agent as labd meets it over TCP: same operations as a board with firmware, and every way in which a model can fail by its name."""

from __future__ import annotations

import asyncio
import itertools
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from labd.dut.agent_link import AgentLink, read_key
from labd.dut.device import Device
from labd.dut.errors import (
    CallableCrashed,
    CallableHung,
    DutRefused,
    InputInDoubt,
    ModelDropped,
    NoAgent,
    NoMarker,
    PinsFailed,
    PortFailure,
    TakenOver,
    UnexpectedReply,
    WrongKey,
)
from labd.records import Bracket, MarkStyle, Mode
from tests.agent.apart import Agent, make_key, started

LIMIT_S = 0.4


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    with started(tmp_path_factory.mktemp("agent"), "--infer-limit", str(LIMIT_S)) as running:
        yield running


@pytest.fixture
async def device(agent: Agent) -> AsyncIterator[Device]:
    async with agent.device() as device:
        await device.set_mode(Mode.ALWAYS_ON)
        await device.set_workload("model", activity=10, seed=1)
        await device.counters(clear=True)
        yield device


async def test_it_is_taken_for_a_board_with_labds_firmware(device: Device) -> None:
    who = device.identity
    assert (who.vendor, who.model, who.build, who.extensions) == ("labd-agent", "model", "performance", "labd 1")


async def test_an_uploaded_input_gives_the_callables_own_result(device: Device) -> None:
    await device.load_input(bytes([0, 1, 100, 255]))
    inferred = await device.infer(3, warmups=2)
    assert inferred.results == (0 / 3, 1 / 3, 100 / 3, 255 / 3)  # to the last bit
    assert inferred.latency_s is not None
    assert (await device.counters())["infer"] == 5
    assert len(await device.laps()) == 3


async def test_made_up_input_depends_on_its_seed_and_nothing_else(device: Device) -> None:
    found = []
    for seed in (1, 2, 1):
        await device.set_workload("model", activity=10, seed=seed)
        found.append(((await device.infer(1)).results, await device.checksum()))
    assert found[0] == found[2] != found[1]


async def test_a_model_is_loaded_once_and_in_event_reload_after_each_rest(device: Device) -> None:
    loads = []
    for mode in (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD):
        await device.set_mode(mode)
        await device.counters(clear=True)
        before = await loaded(device)
        assert (await device.periodic(3, 100_000)).served == 3
        loads.append(await loaded(device) - before)
    assert loads == [0, 0, await rests(device)]


async def rests(device: Device) -> int:
    """Sleeps that were ended: one before each event that was not late, and one more."""
    counters = await device.counters()
    assert 1 <= counters["wake"] <= counters["wake"] + counters["missed"] <= 5
    return counters["wake"]


async def loaded(device: Device) -> float:
    """How often the model was loaded so far."""
    await device.load_input(b"L\0\0\0")
    return (await device.infer(1)).results[0]


async def test_the_laps_of_an_event_are_in_order_and_on_its_deadlines(device: Device) -> None:
    await device.set_mode(Mode.EVENT_RELOAD)
    await device.periodic(4, 30_000)
    laps = await device.laps()
    assert [b.event_us - a.event_us for a, b in itertools.pairwise(laps)] == [30_000] * 3
    for lap in laps:
        assert lap.event_us <= lap.awake_us <= lap.ready_us <= lap.ready_us + 500 <= lap.start_us <= lap.end_us
    assert await rests(device) >= 1


async def test_a_deadline_that_passes_while_it_works_is_counted_and_served(device: Device) -> None:
    await device.load_input(b"W\0\0\0")  # 20 ms each
    done = await device.periodic(3, 5_000)
    assert done.served == 3
    assert done.missed >= 2


async def test_a_byte_on_the_link_triggers(device: Device) -> None:
    async with device.armed(2, timeout_s=20, wake="uart") as armed:
        await armed.poke()
        await asyncio.sleep(0.2)
        await armed.poke()
    assert armed.served == 2


async def test_a_trigger_that_has_to_wait_keeps_its_time(device: Device) -> None:
    await device.load_input(b"W\0\0\0")  # 20 ms each
    async with device.armed(3, timeout_s=20, wake="uart") as armed:
        await device._link._write(b"\n\n\n")
    assert armed.served == 3
    first, second, third = await device.laps()
    assert first.event_us == second.event_us == third.event_us
    assert third.start_us >= first.end_us + 20_000


async def test_a_trigger_that_does_not_come_is_given_up(device: Device) -> None:
    async with device.armed(2, timeout_s=0.05, wake="uart") as armed:
        pass
    assert armed.served == 0


async def test_it_rests_for_as_long_as_it_is_told(device: Device) -> None:
    await device.set_mode(Mode.ALWAYS_ON, idle_kind="busy_poll")
    first = await device.counter()
    async with device.resting(0.1):
        pass
    second = await device.counter()
    assert first is not None
    assert second is not None
    assert second.us - first.us >= 100_000


async def test_what_it_has_not_it_says(device: Device) -> None:
    with pytest.raises(NoMarker, match="started without --marker-line"):
        await device.set_marks(MarkStyle.GATE)
    with pytest.raises(DutRefused, match="No trigger pin"):
        async with device.armed(1, timeout_s=1):
            pass
    with pytest.raises(DutRefused, match="Unknown mode: clock_gated"):
        await device.set_mode(Mode.ALWAYS_ON, idle_kind="clock_gated")
    with pytest.raises(DutRefused, match="Unknown workload: dnn"):
        await device.set_workload("dnn", activity=10, seed=1)


async def test_without_a_wire_to_a_marker_none_is_needed(agent: Agent) -> None:
    async with agent.device(marker_wired=False) as device:
        await device.set_marks(MarkStyle.GATE)


@pytest.mark.parametrize(
    ("what", "kind", "says"),
    [
        (b"E", CallableCrashed, "Callable raised ValueError: no such thing"),
        (b"X", CallableCrashed, "Callable crashed: its process ended with exit code 3 in infer"),
        (b"S", CallableCrashed, "Callable crashed: killed by SIGSEGV in infer"),
        (b"H", CallableHung, f"Callable hung: infer did not end within {LIMIT_S:g} s"),
    ],
)
async def test_a_callable_that_fails_is_named_and_the_next_job_works(
    device: Device, what: bytes, kind: type[DutRefused], says: str
) -> None:
    await device.load_input(what + b"\0\0\0")
    with pytest.raises(kind, match=says):
        await device.infer(1)
    await device.load_input(b"\x03\0\0\0")
    assert (await device.infer(1)).results[0] == 1.0


async def test_a_callable_that_hangs_in_a_program_ends_it_by_name(device: Device) -> None:
    await device.set_mode(Mode.EVENT_SLEEP)
    await device.load_input(b"H\0\0\0")
    with pytest.raises(CallableHung):
        await device.periodic(3, 20_000)
    await device.load_input(b"\x03\0\0\0")
    assert (await device.periodic(2, 20_000)).served == 2
    assert await rests(device) >= 1  # it is in the mode that it was in


async def test_a_model_that_dies_between_two_commands_is_told_once(agent: Agent, device: Device) -> None:
    (child,) = agent.children()
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    with pytest.raises(ModelDropped, match="killed by SIGKILL"):
        await device.infer(1)
    await device.infer(1)


@pytest.mark.parametrize("what", [b"X", b"H"])
async def test_an_upload_that_went_with_its_process_is_not_made_up_for(agent: Agent, device: Device, what: bytes) -> None:
    await device.load_input(what + b"\0\0\0")
    with pytest.raises((CallableCrashed, CallableHung)):
        await device.infer(1)
    with pytest.raises(InputInDoubt, match=r"the input is lost: .*Callable"):
        await device.infer(1)
    for text in ("infer 1 0", "periodic 1 1000", "arm 1 10 uart"):  # and the agent itself says so, to whoever does not keep count
        with pytest.raises(DutRefused, match=r"Input lost: .* load it again"):
            await device._link.command(text, timeout_s=20)
    await device.load_input(b"\x03\0\0\0")
    assert (await device.infer(1)).results[0] == 1.0


async def test_an_upload_that_was_dropped_is_in_doubt(agent: Agent, device: Device) -> None:
    await device.load_input(b"\x03\0\0\0")
    (child,) = agent.children()
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    with pytest.raises(ModelDropped):
        await device.counters()
    with pytest.raises(InputInDoubt):
        await device.infer(1)
    with pytest.raises(DutRefused, match="Input lost"):
        await device._link.command("infer 1 0", timeout_s=20)
    await device.set_workload("model", activity=10, seed=1)
    await device.infer(1)


async def test_who_proves_the_key_takes_over_and_the_one_before_is_told(agent: Agent) -> None:
    """It may be a host that lost its power in a program and said no goodbye."""
    async with agent.device() as before:
        with pytest.raises(TakenOver, match="another client has proven the key"):
            async with before.resting(3600), agent.device() as device:
                await device.infer(1)
        with pytest.raises(PortFailure, match="another client took it over"):
            await before.infer(1)


async def test_who_comes_next_begins_as_after_a_boot(tmp_path: Path) -> None:
    for name, score in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}.py").write_text(f"def infer(data):\n    return {score}\n", encoding="utf-8")
    with started(tmp_path, *(word for name in ("one", "two") for word in ("--callable", f"{tmp_path / name}.py:infer"))) as running:
        async with running.device() as device:
            await device.set_workload("two", activity=0, seed=0)
            await device.set_mode(Mode.EVENT_SLEEP)
            await device.set_bracket(Bracket(1000, 5, 3))
            await device.infer(1)
        async with running.device() as device:
            assert device.identity.model == "one"
            assert (await device.infer(1)).results == (1.0,)
            assert (await device.counters())["infer"] == 1
            await device.periodic(2, 20_000)  # which finds no signature where none was asked for
            assert (await device.counters())["wake"] == 0


async def test_a_wrong_key_is_named_and_is_in_no_message(agent: Agent) -> None:
    wrong = b"w" * 64
    with pytest.raises(WrongKey, match="has another key than key_file") as caught:
        async with AgentLink(agent.place, wrong):
            pass
    assert wrong.decode() not in str(caught.value)
    assert agent.key.decode() not in str(caught.value)
    async with agent.device() as device:  # who has the right one waits for nobody
        await device.infer(1)


async def test_who_does_not_know_the_key_is_no_agent_of_ours(tmp_path: Path) -> None:
    """It takes any proof, and would be believed whatever it says of energy."""

    async def impostor(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"%")
        writer.write(b"m-challenge-[00]\r\nm-ready\r\n")
        await reader.readuntil(b"%")
        writer.write(b"m-welcome-[00]\r\nm-ready\r\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(impostor, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        with pytest.raises(WrongKey, match="not your agent"):
            async with AgentLink(f"{host}:{port}", b"k" * 64):
                pass


async def test_who_is_no_agent_at_all_is_named() -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(100):
            writer.write(b"SSH-2.0-OpenSSH_9.2\r\nm-ready\r\n")
        writer.close()

    async with await asyncio.start_server(other, "127.0.0.1", 0) as server:
        place = "{}:{}".format(*server.sockets[0].getsockname())
        with pytest.raises(UnexpectedReply, match=r"is no agent, it says 'SSH-2\.0-OpenSSH_9\.2' to `hello`"):
            async with AgentLink(place, b"k" * 64):
                pass


async def test_nobody_at_the_address_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = "{}:{}".format(*taken.getsockname())
    with pytest.raises(NoAgent, match=f"no agent at {place}: nobody listens there"):
        async with AgentLink(place, b"k" * 64):
            pass


async def test_an_agent_whose_board_boots_is_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place = "{}:{}".format(*taken.getsockname())
    link = AgentLink(place, read_key(make_key(tmp_path)), patience_s=60)
    waiting = asyncio.create_task(link.__aenter__(), name="waits for the board")
    await asyncio.sleep(0.2)
    with started(tmp_path, listen=place):
        await waiting
        await link.__aexit__(None, None, None)


async def test_an_agent_that_is_killed_in_a_program_is_named(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        async with running.device() as device:
            (child,) = running.children()
            with pytest.raises(PortFailure, match=r"is gone .*: it was ended, its board has lost its supply, or another client"):
                async with device.resting(60):
                    running.process.kill()
            child.wait(20)  # and takes its child along


async def test_a_program_ends_with_the_client_that_asked_for_it(tmp_path: Path) -> None:
    with started(tmp_path) as running:
        with pytest.raises(RuntimeError, match="changed my mind"):
            async with running.device() as device, device.resting(3600):
                raise RuntimeError("changed my mind")
        async with running.device() as device:
            await device.infer(1)


async def test_a_client_that_is_silent_for_too_long_is_dropped(tmp_path: Path) -> None:
    with started(tmp_path, "--idle", "0.3") as running:
        async with running.device() as device:
            async with device.resting(0.6):  # a program is no silence
                pass
            await asyncio.sleep(0.6)
            with pytest.raises(PortFailure):
                await device.infer(1)
        async with running.device() as device:
            await device.infer(1)


async def test_a_command_is_kept_running_and_dropped_as_the_mode_asks(tmp_path: Path) -> None:
    script = tmp_path / "lengths.py"
    script.write_text(
        "print('ready', flush=True)\nwhile True:\n    print(len(bytes.fromhex(input())), 0.5, flush=True)\n", encoding="utf-8"
    )
    with started(tmp_path, "--command", f"lengths={sys.executable} {script}", "--input-bytes", "7") as running:
        async with running.device() as device:
            assert (await device.infer(1)).results == (7.0, 0.5)
            await device.load_input(b"abc")
            assert (await device.infer(2)).results == (3.0, 0.5)
            (first,) = (one for one in running.children() if str(script) in one.cmdline())
            await device.set_mode(Mode.EVENT_RELOAD)
            assert (await device.periodic(2, 300_000)).served == 2
            assert not first.is_running()


async def test_a_command_that_ends_is_named(tmp_path: Path) -> None:
    with started(tmp_path, "--command", f"short={sys.executable} -c 'print(\"ready\")'") as running:
        async with running.device() as device:
            with pytest.raises(CallableCrashed, match="the command ended with exit code 0"):
                await device.infer(1)


async def test_several_models_are_chosen_by_name(tmp_path: Path) -> None:
    for name, score in (("one", 1), ("two", 2)):
        (tmp_path / f"{name}.py").write_text(f"def infer(data):\n    return {score}\n", encoding="utf-8")
    options = ("--callable", f"{tmp_path / 'one.py'}:infer", "--callable", f"second={tmp_path / 'two.py'}:infer")
    with started(tmp_path, *options) as running:
        async with running.device() as device:
            found = []
            for name in ("one", "second", "one"):
                await device.set_workload(name, activity=0, seed=0)
                found.append((await device.infer(1)).results)
    assert found == [(1.0,), (2.0,), (1.0,)]


async def test_marks_phases_and_triggers_pass_a_unix_socket(tmp_path: Path) -> None:
    path, heard = tmp_path / "pins.socket", asyncio.Queue[str]()
    writers: list[asyncio.StreamWriter] = []

    async def pins(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while line := await reader.readline():
            heard.put_nowait(line.decode())
        writer.close()

    async with await asyncio.start_unix_server(pins, path):
        with started(tmp_path, "--pins-socket", str(path)) as running:
            async with running.device() as device:
                await device.set_mode(Mode.EVENT_RELOAD)
                await device.set_marks(MarkStyle.PHASES)
                async with device.armed(1, timeout_s=20) as armed:
                    while (await heard.get()).split()[:3] != ["phase", "sleep", "0"]:
                        pass
                    writers[0].write(b"1")
                assert armed.served == 1
                lines = [heard.get_nowait().split() for _ in range(heard.qsize())]
    told = [" ".join(words[:-1]) for words in lines]
    assert told[:9] == [
        "mark 1",
        "phase wake 1",
        "phase load 1",
        "mark 0",
        "phase wake 1",
        "mark 1",
        "phase infer 1",
        "mark 0",
        "phase tail 1",
    ]
    assert told[-1] == "phase idle 0"
    instants = [int(words[-1]) for words in lines]
    assert instants == sorted(instants)


async def test_it_burns_its_signature_around_a_program(device: Device) -> None:
    pattern = Bracket(1000, 5, 3)
    burnt = await device.signature(pattern)
    assert burnt.end_us - burnt.start_us == 31_000
    await device.set_bracket(pattern)
    try:
        done = await device.periodic(2, 100_000)
    finally:
        await device.set_bracket(None)
    first, last = done.signatures
    laps = await device.laps()
    assert first.end_us < laps[0].event_us
    assert laps[-1].end_us < last.start_us
    assert (await device.periodic(1, 20_000)).signatures == ()


async def test_the_signature_is_that_of_the_protocol(tmp_path: Path) -> None:
    """By its own account of what it does, which a virtual board draws: busy where the lowest bit of the register is set."""
    chips, register = [], 3
    for _ in range(31):
        chips.append(register & 1)
        register = (register >> 1) ^ (0x14 if register & 1 else 0)
    path, heard = tmp_path / "pins.socket", asyncio.Queue[list[str]]()

    async def pins(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            heard.put_nowait(line.decode().split())
        writer.close()

    async with await asyncio.start_unix_server(pins, path):
        with started(tmp_path, "--pins-socket", str(path)) as running:
            async with running.device() as device:
                await device.signature(Bracket(1000, 5, 3))
    told = [heard.get_nowait() for _ in range(heard.qsize())]
    assert [words[:2] for words in told] == [["phase", "idle"]] * len(told)
    busy = [int(words[2]) for words in told]
    assert busy == [level for level, _ in itertools.groupby([0, *chips, 0])][1:]  # it was idle before


async def test_pins_that_nobody_listens_to_are_named(tmp_path: Path) -> None:
    with started(tmp_path, "--pins-socket", str(tmp_path / "nobody")) as running:
        async with running.device() as device:
            with pytest.raises(PinsFailed, match=r"No pins: .*nobody: No such file"):
                await device.infer(1)


GONE_AFTER_REQUEST = """
import errno
class LineSettings:
    def __init__(self, **settings): pass
class Request:
    def set_value(self, line, value): raise OSError(errno.ENODEV, "No such device")
    def release(self): pass
def request_lines(path, consumer, config): return Request()
"""
LINE = """
class Direction: INPUT, OUTPUT = "in", "out"
class Value: ACTIVE, INACTIVE = 1, 0
class Edge: RISING = "rising"
"""


async def test_a_chip_that_went_away_is_no_crash_of_the_callable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "packages" / "gpiod"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(GONE_AFTER_REQUEST, encoding="utf-8")
    (package / "line.py").write_text(LINE, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    with started(tmp_path, "--marker-line", "gpiochip7:3") as running:
        async with running.device() as device:
            with pytest.raises(PinsFailed, match="No pins: the marker line 3: No such device"):
                await device.set_marks(MarkStyle.GATE)
