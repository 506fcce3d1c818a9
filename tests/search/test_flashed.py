"""A search whose candidates are images: each is written to the board by a tool, here into the flash memory of an emulated Cortex-M55."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from labd import child, host, resources
from labd.bench.interlock import Interlock, IoLine, Power
from labd.bench_file import Bench
from labd.daemon import flashing
from labd.daemon.flashing import LOG, check_probes, flash, way_of
from labd.daemon.opened import OpenBench, load_bench, open_bench, sole_use
from labd.daemon.searching import SearchRequest, search_here
from labd.errors import DutFailure, FileError, SafetyRefusal
from labd.search.outcome import State
from labd.search.use_case import load_use_case
from labd.store.folder import default_folder
from labd.store.lock import BenchBusy, bench_lock, in_use
from tests.bench.whole_run import changed, replaced

FIXTURES, FIRMWARE = resources.path("fixtures"), resources.path("firmware")
# The tool is cp, the port the file that the emulator boots from.
COPIES = """
title = "an emulated Cortex-M55"
[[tool]]
program = "cp"
image = "elf"
commands = [["{image}", "{port}"]]
port = ["{port}"]
install = "Debian: coreutils"
"""
USE_CASE = f"""
schema = 1
name = "digits on an emulated core"
dataset = "data"
objectives = ["energy_per_inference", "memory"]
[events]
rate = "4 /s"
[search]
trials = 2
confirm = false
[measure.captures]
events = 4
floor_time = "200 ms"
event_captures = 0
warm_up_inferences = 1
[measure.conditions]
settle = "20 ms"
[platforms.m55]
bench = "benches/emulated.toml"
builder = ["{sys.executable}", "{FIRMWARE / "nets/build_quantised.py"}"]
kind = "mps3-an547"
[platforms.m55.choices]
filters = ["16-32"]
dense = ["none"]
bits = [8, 1]
"""


@pytest.fixture
def bench_path(tmp_path: Path) -> Path:
    """An emulated bench whose board boots from `flash.elf`, which is blank as yet."""
    board = (FIXTURES / "boards/virtual-mps3-an547.toml").read_text("utf-8")
    board = replaced(
        ("firmware_delay_s = 0.02 ", 'firmware_program = "flash.elf"\nfirmware_delay_s = 0.06 '),
        ('longest_event = "100 ms"', 'longest_event = "160 ms"'),
    )(board)
    path = changed(tmp_path, "benches", "emulated", replaced(("virtual-lm3s6965evb.toml", "virtual-mps3-an547.toml")))
    (tmp_path / "boards/virtual-mps3-an547.toml").write_text(board, encoding="utf-8")
    (tmp_path / "copies.toml").write_text(COPIES, encoding="utf-8")
    with path.open("a", encoding="utf-8") as file:
        file.write(f'\n[flash]\nrecipe = "../copies.toml"\ntool = "cp"\nport = "{tmp_path}/boards/flash.elf"\n')
    return path


# --- the whole way


@pytest.mark.compiler
@pytest.mark.emulator
async def test_each_image_is_on_the_board_that_is_measured(bench_path: Path, tmp_path: Path) -> None:
    for command in ("qemu-system-arm", "arm-none-eabi-gcc"):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install qemu-system-arm, gcc-arm-none-eabi and libnewlib-arm-none-eabi")
    draw, data = random.Random(7), tmp_path / "data"
    data.mkdir()
    for k in range(4):
        (data / f"{k}.bin").write_bytes(bytes(draw.choices(range(17), k=64)))
    (data / "y_labels.csv").write_text("".join(f"{k}.bin,10,{k}\n" for k in range(4)), encoding="utf-8")
    (tmp_path / "use-case.toml").write_text(USE_CASE, encoding="utf-8")

    use_case = load_use_case(tmp_path / "use-case.toml")
    folder = await search_here(SearchRequest(use_case, tmp_path / "store"), lambda _: None, asyncio.Event())

    outcomes = folder.outcomes()
    assert [(one.state, one.why) for one in outcomes] == [(State.MEASURED, "")] * 2
    # firmware holds one net and refuses any other by name: an image that was not written cannot be measured
    assert {one.model for one in outcomes} == {"digits-c16-32-d0-w8", "digits-c16-32-d0-w1"}
    assert (tmp_path / "boards/flash.elf").read_bytes()[:4] == b"\x7fELF"


# --- the tool


class Scripted:
    """A tool in PATH of a bench on the demo board, of which the test says what it does."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        self.recipe = folder / "recipe.toml"
        self.recipe.write_text(COPIES.replace('"cp"', '"flasher"').replace('port = ["{port}"]\n', ""), encoding="utf-8")
        self.image = folder / "image.elf"
        self.image.write_bytes(b"\x7fELF")

    def does(self, script: str) -> None:
        tool = self.folder / "bin/flasher"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)

    def bench(self, table: str = 'recipe = "../recipe.toml"') -> Bench:
        path = changed(self.folder, "benches", "demo", str)
        with path.open("a", encoding="utf-8") as file:
            file.write(f"\n[flash]\n{table}\n")
        return load_bench(path)

    async def flashed(self, table: str = 'recipe = "../recipe.toml"') -> None:
        await flash(self.image, self.bench(table), None, self.folder)


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripted:
    made = Scripted(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return made


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[OpenBench]:
    """Every bench that is opened to be flashed."""
    seen: list[OpenBench] = []

    class Seen:
        def __init__(self, bench: Bench) -> None:
            self._inner = open_bench(bench)

        async def __aenter__(self) -> OpenBench:
            seen.append(await self._inner.__aenter__())
            return seen[-1]

        async def __aexit__(self, *why: object) -> bool | None:
            return await self._inner.__aexit__(*why)  # type: ignore[arg-type]

    monkeypatch.setattr(flashing, "open_bench", Seen)
    return seen


@pytest.mark.compiler
async def test_the_board_has_its_supply_and_no_line_while_it_is_written_and_neither_afterwards(
    tool: Scripted, opened: list[OpenBench], tmp_path: Path
) -> None:
    for name in ("begun", "enough"):
        os.mkfifo(tmp_path / name)
    tool.does(f"echo > {tmp_path}/begun; read word < {tmp_path}/enough; echo $word $1")
    async with asyncio.TaskGroup() as group:
        group.create_task(tool.flashed())
        await asyncio.to_thread((tmp_path / "begun").read_text)  # until the tool has it open
        (bench,) = opened
        during = bench.station.interlock.state
        with pytest.raises(DutFailure, match="is not open"):
            _ = bench.board.device
        await asyncio.to_thread((tmp_path / "enough").write_text, "written\n")
    assert during is Power.ON
    assert bench.station.interlock.state is Power.OFF
    assert (tmp_path / LOG).read_text() == f"written {tool.image}\n"


@pytest.mark.compiler
async def test_a_tool_that_fails_is_told_by_its_last_words_and_the_supply_goes_off(tool: Scripted, opened: list[OpenBench]) -> None:
    tool.does("echo no probe found >&2; exit 3")
    with pytest.raises(DutFailure, match=r"flasher ended with 3; .*; its last line: no probe found \(all of it: .*flash\.log\)"):
        await tool.flashed()
    assert opened[0].station.interlock.state is Power.OFF


@pytest.mark.compiler
async def test_the_board_is_fed_with_its_nominal_supply_whatever_the_limits_allow(
    tool: Scripted, opened: list[OpenBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    real = Interlock.power_up

    async def power_up(self: Interlock, supply_v: float, lines: list[IoLine], **more: Any) -> None:
        asked.append(supply_v)
        await real(self, supply_v, lines, **more)

    monkeypatch.setattr(Interlock, "power_up", power_up)
    tool.does("true")
    await tool.flashed()
    assert asked == [3.0]
    assert opened[0].station.limits.voltage_v > 3.0


async def gone(pid: int) -> bool:
    """A process that was killed may be waited for by nobody."""
    try:
        found, _ = await asyncio.to_thread(psutil.wait_procs, [psutil.Process(pid)], timeout=20)
        return bool(found) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.mark.compiler
async def test_a_tool_that_hangs_is_ended_with_its_children_after_it_could_undo_what_it_did(
    tool: Scripted, opened: list[OpenBench], tmp_path: Path
) -> None:
    tool.does(f"trap 'echo off > {tmp_path}/relay; exit' TERM; sleep 300 & echo $! > {tmp_path}/child; echo on > {tmp_path}/relay; wait")
    with pytest.raises(DutFailure, match=r"flasher did not end within 1 s and was stopped"):
        await tool.flashed('recipe = "../recipe.toml"\nwithin = "1 s"')
    assert (tmp_path / "relay").read_text() == "off\n"
    assert await gone(int((tmp_path / "child").read_text()))
    assert opened[0].station.interlock.state is Power.OFF


@pytest.mark.compiler
async def test_a_tool_that_cannot_be_killed_keeps_no_board_powered(
    tool: Scripted, opened: list[OpenBench], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that has become another user's, or waits in a device."""
    monkeypatch.setattr(host, "kill_group", lambda _pid: None)
    monkeypatch.setattr(host, "end_group", lambda _pid: None)
    monkeypatch.setattr(child, "GRACE_S", 0.01)
    monkeypatch.setattr(child, "DIES_S", 0.01)
    tool.does(f"echo $$ > {tmp_path}/pid; exec sleep 300")
    with pytest.raises(DutFailure, match=r"did not end within 1 s"):
        await tool.flashed('recipe = "../recipe.toml"\nwithin = "1 s"')
    assert opened[0].station.interlock.state is Power.OFF
    process = psutil.Process(int((tmp_path / "pid").read_text()))
    assert process.is_running()
    process.kill()


@pytest.mark.compiler
async def test_a_cancelled_search_ends_the_tool_and_the_supply(tool: Scripted, opened: list[OpenBench], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "begun")
    tool.does(f"echo $$ > {tmp_path}/begun; exec sleep 300")
    flashing_it = asyncio.create_task(tool.flashed())
    pid = int(await asyncio.to_thread((tmp_path / "begun").read_text))
    flashing_it.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flashing_it
    assert await gone(pid)
    assert opened[0].station.interlock.state is Power.OFF


@pytest.mark.compiler
@pytest.mark.parametrize("ends", ["true", "exit 3"])
async def test_a_supply_that_tripped_explains_what_the_tool_found(ends: str, tool: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tripped(_: object) -> str:
        return "the supply failed: smu says that its over-current protection is active"

    monkeypatch.setattr(flashing, "supply_state", tripped)
    tool.does(ends)
    with pytest.raises(SafetyRefusal, match=r"over-current protection is active while the board was flashed"):
        await tool.flashed()


# --- the table


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ("", r"demo\.toml: flash\.board: expected either board = .* or recipe = .*, got neither"),
        ('board = "nucleo"', r"demo\.toml: flash\.board: no board 'nucleo' that labd can flash; there are .*nucleo-l476rg"),
        (
            'board = "pico"\ntool = "uf2"',
            r"flash\.tool: uf2 cannot write .*: picotool, uf2 asks for a hand .*; what can: probe-rs",
        ),
        ('board = "nano33ble"\ntool = "bossac"', r"flash\.tool: bossac cannot write one image after the other: bossac asks for a hand"),
        ('board = "pico"\ntool = "west"', r"demo\.toml: flash\.tool: 'west' does not flash this to pico; what does: probe-rs, openocd"),
        ('board = "pico"\nport = "066"', r"demo\.toml: flash\.tool: this key is required with port"),
        ('board = "pico"\ntool = "probe-rs"\nport = "0\\u00006"', r"demo\.toml: flash\.port: expected printable text"),
        ('recipe = "../recipe.toml"\ntool = "flasher"\nport = "066"', r"demo\.toml: flash\.port: flasher finds the board itself"),
        ('recipe = "none.toml"', r"demo\.toml: flash\.recipe: .*none\.toml: cannot be read: No such file"),
        ('recipe = "../bare.toml"', r"demo\.toml: flash: this recipe cannot write one image after the other: it has no \[\[tool\]\]"),
    ],
)
def test_a_mistake_in_the_table_names_bench_file_and_key(table: str, expected: str, tool: Scripted, tmp_path: Path) -> None:
    tool.does("true")
    (tmp_path / "bare.toml").write_text('title = "a board"\n', encoding="utf-8")
    with pytest.raises(FileError, match=expected):
        way_of(tool.bench(table))


def test_a_tool_that_is_not_installed_is_told_with_where_it_comes_from(tool: Scripted) -> None:
    with pytest.raises(FileError, match=r"flash\.tool: no tool on this machine writes to .*; install flasher \(Debian: coreutils\)"):
        way_of(tool.bench())


@pytest.mark.compiler
async def test_a_script_beside_the_recipe_is_found_from_there(tool: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.does("echo by the script")
    tool.recipe.write_text(tool.recipe.read_text("utf-8").replace('"flasher"', '"bin/flasher"'), encoding="utf-8")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    await tool.flashed()
    assert (tmp_path / LOG).read_text() == "by the script\n"


@pytest.mark.compiler
async def test_a_script_beside_the_recipe_is_named_with_its_probe_as_the_recipe_names_it(tool: Scripted, tmp_path: Path) -> None:
    tool.does("echo $1 $2")
    tool.recipe.write_text(COPIES.replace('"cp"', '"bin/flasher"'), encoding="utf-8")
    await tool.flashed('recipe = "../recipe.toml"\ntool = "bin/flasher"\nport = "066"')
    assert (tmp_path / LOG).read_text() == f"{tool.image} 066\n"


PROBE = 'recipe = "../ported.toml"\ntool = "flasher"\nport = "066"'


@pytest.mark.compiler
async def test_no_probe_is_looked_for_while_another_bench_is_in_use_and_one_that_is_named_is_nobody_else_s(
    tool: Scripted, tmp_path: Path
) -> None:
    tool.does("true")
    (tmp_path / "ported.toml").write_text(COPIES.replace('"cp"', '"flasher"'), encoding="utf-8")
    with bench_lock(in_use(default_folder()), "TCPIP::192.168.1.5::5025::SOCKET"):
        with pytest.raises(BenchBusy, match=r"flasher would take the first probe .*: TCPIP::192\.168\.1\.5::5025::SOCKET .*: flash\.port"):
            await tool.flashed()
        await tool.flashed(PROBE)
    own = tool.bench(PROBE)
    with sole_use(own, tmp_path / "store"), pytest.raises(BenchBusy, match="'066' is in use"), sole_use(own, tmp_path / "elsewhere"):
        pass


@pytest.mark.compiler
async def test_what_the_bench_itself_uses_is_no_other_bench(tool: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.does("true")
    monkeypatch.setattr(flashing, "places_of", lambda _: {"/dev/ttyACM7"})
    with bench_lock(in_use(default_folder()), "/dev/ttyACM7"):
        await tool.flashed()


def test_several_real_benches_of_a_search_name_their_probes(tool: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    tool.does("true")
    first = tool.bench()
    second = first.model_copy(update={"name": "another"})
    monkeypatch.setattr(Bench, "is_virtual", False)
    check_probes({"a": first, "b": first})
    with pytest.raises(FileError, match=r"demo\.toml: flash\.port: this key is required where a search uses several real benches"):
        check_probes({"a": first, "b": second})


async def test_an_image_that_no_tool_takes_is_refused(tool: Scripted, tmp_path: Path) -> None:
    tool.does("true")
    tool.image = tmp_path / "image.uf2"
    tool.image.write_bytes(b"UF2\n")
    with pytest.raises(FileError, match=r"image\.uf2: nothing writes this to virtual-m4: its tools take \.elf"):
        await tool.flashed()
