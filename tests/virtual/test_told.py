"""A board that does what a process tells over a unix socket: each line means one thing, and what is none ends the telling."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.followed import Shown
from labd_virtual.load import Phase, State
from labd_virtual.spec import BenchSpec, BoardSpec, FirmwareSpec, SpecError
from labd_virtual.told import RESTING_BEFORE, ToldError, told
from tests.virtual.test_followed import until

PLAIN = BoardSpec(power_dispersion=0.0, boot_s=0.0, thermal_k_per_w=0.0, ambient_c=25.0)


@pytest.mark.parametrize(
    ("line", "state", "phase", "activity"),
    [
        ("phase idle 0", State.WFI, Phase.IDLE, 0.0),
        ("phase idle 1", State.BUSY_POLL, Phase.IDLE, 1.0),
        ("phase sleep 1", State.SLEEP_RETAINED, Phase.SLEEP, 1.0),
        ("phase sleep 0", State.SLEEP_MODEL_OFF, Phase.SLEEP, 0.0),
        ("phase tail 1", State.WFI, Phase.TAIL, 1.0),
        ("phase wake 1", State.RUNNING, Phase.WAKE, 1.0),
        ("phase load 0.5", State.RUNNING, Phase.LOAD, 0.5),
        ("phase infer 0.25", State.RUNNING, Phase.INFER, 0.25),
    ],
)
def test_each_phase_is_a_state_of_the_board(line: str, state: State, phase: Phase, activity: float) -> None:
    before = Shown(State.WFI, Phase.IDLE, 1, 0.0)
    assert told(line, before) == (Shown(state, phase, 1, activity), None)
    assert told(f"{line} 12345\n", before) == (Shown(state, phase, 1, activity), 12345)


def test_a_mark_changes_the_pin_alone() -> None:
    before = Shown(State.RUNNING, Phase.INFER, 0, 0.5)
    assert told("mark 1 7", before) == (Shown(State.RUNNING, Phase.INFER, 1, 0.5), 7)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "phase",
        "phase infer",
        "phase off 1",
        "phase infer 2",
        "phase infer x",
        "phase infer nan",
        "mark",
        "mark 2",
        "mark 1 x",
        "mark 1 2 3",
    ],
)
def test_what_is_no_line_is_refused(line: str) -> None:
    with pytest.raises(ToldError):
        told(line, RESTING_BEFORE)


@given(st.text(max_size=60))
def test_nothing_but_its_own_error_comes_of_any_text(line: str) -> None:
    try:
        shown, when = told(line, RESTING_BEFORE)
    except ToldError:
        return
    assert 0 <= shown.activity <= 1
    assert when is None or when >= 0


@asynccontextmanager
async def bench(path: Path, *, delay_s: float = 0.0) -> AsyncIterator[VirtualBench]:
    spec = BenchSpec(board=PLAIN, time="real", firmware=FirmwareSpec(pins_socket=str(path), delay_s=delay_s))
    async with run_bench(spec, keep_truth=True) as running:
        running.board.supply.drive(emf_v=3.0, resistance_ohm=0.1, clamp_a=1.0, connected=True)
        yield running


async def test_the_board_shows_what_it_is_told_at_the_instant_it_happened(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    async with bench(path, delay_s=1.0) as running:
        await until(lambda: running.board.silicon.doing.phase is Phase.IDLE)
        _, writer = await asyncio.open_unix_connection(path)
        began_ns = time.monotonic_ns()
        writer.write(
            f"phase infer 1 {began_ns}\nmark 1 {began_ns}\nmark 0 {began_ns + 4_000_000}\nphase sleep 1 {began_ns + 4_000_000}\n".encode()
        )
        await until(lambda: running.board.silicon.doing.state is State.SLEEP_RETAINED)
        start, end = running.board.pins.edges("MARK", 0, running.clock.now_ns())
        assert end.t_ns - start.t_ns == 4_000_000
        assert start.t_ns == running.clock.at_host_ns(began_ns) + 1_000_000_000
        writer.close()
        await writer.wait_closed()


async def test_a_trigger_reaches_the_process_while_there_is_supply(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    async with bench(path) as running:
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"phase sleep 1\n")
        await until(lambda: running.board.silicon.doing.state is State.SLEEP_RETAINED)
        for level in (1, 0, 1):
            running.board.pins.drive("TRIG", level)
        assert await reader.readexactly(2) == b"11"
        writer.close()
        await writer.wait_closed()


async def test_a_process_that_ends_leaves_a_board_at_rest(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    async with bench(path) as running:
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"mark 1\nphase infer 1\n")
        await until(lambda: running.board.silicon.doing.phase is Phase.INFER)
        writer.close()
        await until(lambda: running.board.silicon.doing.phase is Phase.IDLE)
        assert running.board.pins.level("MARK") == 0


async def test_a_wrong_line_is_answered_and_ends_the_connection(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    async with bench(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"phase dream 1\n")
        assert b"expected `phase NAME ACTIVITY [T_NS]`" in await reader.read()
        writer.close()
        await writer.wait_closed()


async def test_without_supply_nothing_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "pins"
    async with bench(path) as running:
        await until(lambda: running.board.silicon.doing.phase is Phase.IDLE)
        running.board.supply.drive(emf_v=0.0, resistance_ohm=0.1, clamp_a=1.0, connected=True)
        await until(lambda: running.board.silicon.doing.state is State.UNPOWERED)
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"phase infer 1\n")
        await asyncio.sleep(0.05)
        assert running.board.silicon.doing.state is State.UNPOWERED
        running.board.supply.drive(emf_v=3.0, resistance_ohm=0.1, clamp_a=1.0, connected=True)
        await until(lambda: running.board.silicon.doing.phase is Phase.INFER)  # it went on all the time
        writer.close()
        await writer.wait_closed()


async def test_a_place_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"firmware\.pins_socket: .*nowhere/pins: No such file"):
        async with bench(tmp_path / "nowhere/pins"):
            pass
