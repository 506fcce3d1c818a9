"""`labd flash` with pretended tools in PATH that write down how they were called, fail or hang."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from labd.cli import flash
from labd.cli.main import run_command
from labd.errors import DutFailure, FileError, NotFound
from labd.flash import drive
from labd.flash.recipe import Boards, shipped
from labd.store.folder import default_folder
from labd.store.lock import BenchBusy, bench_lock, in_use
from tests.cli.local_app import Commands

BOARDS = shipped().names()
IMAGE = b"an image, as far as the tool is concerned"
NRFUTIL_OPTIONS = "chip_erase_mode=ERASE_RANGES_TOUCHED_BY_FIRMWARE,verify=VERIFY_READ,reset=RESET_SYSTEM"
Tools = Callable[..., Path]


@pytest.fixture
def labd(capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(capsys, flash)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Puts tools into a PATH that has no other; returns where they write their arguments."""
    folder, calls = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(*names: str, then: str = "") -> Path:
        for name in names:
            script = f"#!{sys.executable}\nimport json, sys, time\n"
            script += f"with open({str(calls)!r}, 'a') as f: f.write(json.dumps([{name!r}, *sys.argv[1:]]) + chr(10))\n"
            (folder / name).write_text(script + then)
            (folder / name).chmod(0o755)
        return calls

    return put


@pytest.fixture
def elf(tmp_path: Path) -> Path:
    path = tmp_path / "my image.elf"
    path.write_bytes(IMAGE)
    return path


@pytest.fixture
def image(tmp_path: Path) -> Callable[[str], Path]:
    def of(end: str) -> Path:
        path = tmp_path / f"my image.{end}"
        path.write_bytes(IMAGE)
        return path

    return of


def called(calls: Path) -> list[list[str]]:
    return [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []


# --- recipes


@pytest.mark.parametrize("board", BOARDS)
def test_every_recipe_is_right_and_says_where_its_tools_come_from(board: str) -> None:
    recipe = shipped().recipe(board)
    assert recipe.tools
    for tool in recipe.tools:
        assert tool.install
        assert any("{image}" in part for command in tool.commands for part in command)
        assert not tool.port or "{port}" in " ".join(tool.port)
        assert bool(tool.port) == any("{port}" in command for command in tool.commands)


def test_the_how_to_shows_how_each_board_is_flashed_and_no_other() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to/flash-a-board.md").read_text("utf-8")
    assert sorted(set(re.findall(r"^\$ labd flash (\S+)", page, re.MULTILINE)) - {"#"}) == BOARDS


def test_a_recipe_with_a_mistake_is_told_by_file_and_key(tmp_path: Path) -> None:
    (tmp_path / "boards/mine").mkdir(parents=True)
    (tmp_path / "boards/mine/flash.toml").write_text(
        'title = "mine"\n[[tool]]\nprogram = "x"\nimage = "exe"\ncommands = [["{image}"]]\ninstall = "-"\n'
    )
    with pytest.raises(FileError, match=r"mine/flash\.toml: tool\.0\.image: .*'elf', 'hex'"):
        Boards(tmp_path).recipe("mine")


# --- what is called


@pytest.mark.parametrize(
    ("board", "tool", "end", "port", "lines"),
    [
        (
            "nucleo-l476rg",
            "probe-rs",
            "elf",
            "0483:374b:066",
            [
                ["download", "--probe", "0483:374b:066", "--chip", "STM32L476RGTx", "--verify", "{image}"],
                ["reset", "--probe", "0483:374b:066", "--chip", "STM32L476RGTx"],
            ],
        ),
        ("nucleo-l476rg", "openocd", "elf", None, [["-f", "board/st_nucleo_l4.cfg", "-c", "program {{image}} verify reset exit"]]),
        ("nucleo-l476rg", "st-flash", "hex", None, [["--reset", "--format", "ihex", "write", "{image}"]]),
        (
            "nrf52840dk",
            "nrfjprog",
            "hex",
            "683",
            [["--family", "NRF52", "--snr", "683", "--program", "{image}", "--sectorerase", "--verify", "--reset"]],
        ),
        (
            "nrf52840dk",
            "nrfutil",
            "hex",
            "683",
            [["device", "program", "--firmware", "{image}", "--options", NRFUTIL_OPTIONS, "--serial-number", "683"]],
        ),
        (
            "nucleo-f401re",
            "STM32_Programmer_CLI",
            "hex",
            "066DFF",
            [["-c", "port=SWD", "sn=066DFF", "-w", "{image}", "-v", "-rst"]],
        ),
        (
            "nano33ble",
            "bossac",
            "bin",
            "/dev/ttyACM0",
            [["--port=/dev/ttyACM0", "--info", "--erase", "--write", "--verify", "--reset", "{image}"]],
        ),
        ("pico", "picotool", "elf", None, [["load", "--verify", "--execute", "{image}"]]),
        ("pico", "picotool", "elf", "12", [["load", "--verify", "--execute", "{image}", "--address", "12"]]),
    ],
)
def test_a_tool_is_called_as_its_manual_says(
    board: str, tool: str, end: str, port: str | None, lines: list[list[str]], tools: Tools, image: Callable[[str], Path], labd: Commands
) -> None:
    calls, path = tools(tool), image(end)
    said = labd("flash", board, "--image", path, *(["--port", port] if port else []))
    assert (said.code, said.error) == (0, "")
    assert called(calls) == [[tool, *(part.replace("{image}", str(path)) for part in line)] for line in lines]


def test_the_first_tool_of_the_recipe_that_is_installed_is_used_and_another_on_request(tools: Tools, elf: Path, labd: Commands) -> None:
    calls = tools("openocd", "probe-rs")
    labd("flash", "nucleo-l476rg", "--image", elf)
    labd("flash", "nucleo-l476rg", "--image", elf, "--tool", "openocd")
    assert [line[0] for line in called(calls)] == ["probe-rs", "probe-rs", "openocd"]


def test_without_a_board_those_that_can_be_flashed_are_listed_with_their_tools(labd: Commands) -> None:
    lines = labd("flash").out.splitlines()
    assert [line.partition(":")[0] for line in lines] == BOARDS
    assert "nucleo-f401re: probe-rs, openocd, STM32_Programmer_CLI, st-flash" in lines
    assert json.loads(labd("flash", "--json").out)["pico"] == ["picotool", "probe-rs", "openocd", "uf2"]


def test_a_dry_run_needs_no_tool(tools: Tools, elf: Path, labd: Commands) -> None:
    tools()
    assert labd("flash", "nucleo-f401re", "--image", elf, "--dry-run").out.startswith("$ probe-rs download --chip STM32F401RETx")


def test_a_dry_run_prints_the_calls_and_makes_none(tools: Tools, elf: Path, labd: Commands) -> None:
    calls = tools("probe-rs")
    said = labd("flash", "nrf52840dk", "--image", elf, "--dry-run")
    assert said.out.splitlines()[0] == f"$ probe-rs download --chip nRF52840_xxAA --verify '{elf}'"
    assert "SW6" in said.err
    assert called(calls) == []


def test_json_is_all_that_stands_on_standard_output(tools: Tools, elf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tools("picotool", then="print('picotool says this')\n")
    assert run_command(["flash", "pico", "--image", str(elf), "--json"]) == 0
    out, err = capfd.readouterr()
    found = json.loads(out)
    assert found["commands"] == [["picotool", "load", "--verify", "--execute", str(elf)]]
    assert (found["board"], found["ways"], found["done"]) == ("pico", ["picotool", "probe-rs", "openocd", "uf2"], True)
    assert "picotool says this" in err


def test_what_the_tool_says_is_shown(tools: Tools, elf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tools("picotool", then="print('picotool says this')\n")
    assert run_command(["flash", "pico", "--image", str(elf)]) == 0
    assert "picotool says this" in capfd.readouterr().out


# --- what goes wrong


def test_without_a_tool_it_is_said_which_ones_to_install(tools: Tools, elf: Path, labd: Commands) -> None:
    tools()
    said = labd("flash", "nucleo-l476rg", "--image", elf)
    assert said.code == NotFound.exit_code
    for name in ("probe-rs (https://probe.rs", "openocd (Debian: apt-get install openocd)", "st-flash (Debian"):
        assert name in said.error


def test_without_a_tool_and_without_a_drive_both_ways_are_said(tools: Tools, image: Callable[[str], Path], labd: Commands) -> None:
    tools()
    said = labd("flash", "pico", "--image", image("uf2"))
    assert said.code == NotFound.exit_code
    for words in ("no drive of a boot loader of RPI-RP2 is mounted", "hold BOOTSEL", "or install picotool (", "probe-rs ("):
        assert words in said.error


def test_a_look_needs_no_drive_and_says_which_tool_is_not_there(tools: Tools, image: Callable[[str], Path], labd: Commands) -> None:
    tools()
    said = labd("flash", "pico", "--image", image("uf2"), "--dry-run")
    assert (said.code, said.out.splitlines()[0].split()[-1]) == (0, "DRIVE")
    said = labd("flash", "nrf52840dk", "--image", image("hex"), "--dry-run")
    assert (said.code, said.out.split()[1]) == (0, "nrfutil")
    assert "labd: nrfutil is not installed here (" in said.err


def test_a_tool_that_fails_is_named_with_its_exit_code_and_nothing_follows(tools: Tools, elf: Path, labd: Commands) -> None:
    calls = tools("probe-rs", then="sys.exit(3)\n")
    said = labd("flash", "nucleo-l476rg", "--image", elf)
    assert said.code == DutFailure.exit_code
    assert "probe-rs ended with 3" in said.error
    assert len(called(calls)) == 1


def test_a_tool_that_hangs_is_stopped(tools: Tools, elf: Path, labd: Commands) -> None:
    tools("probe-rs", then="time.sleep(3600)\n")
    said = labd("flash", "nucleo-l476rg", "--image", elf, "--within", 2)
    assert said.code == DutFailure.exit_code
    assert "probe-rs did not end within 2 s" in said.error


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (("nucleo",), NotFound, "there are nano33ble, nrf52840dk, nucleo-f401re, nucleo-l476rg, pico"),
        (("nucleo-l476rg", "--tool", "bossac"), FileError, "what does: probe-rs, openocd, STM32_Programmer_CLI, st-flash"),
        (("nano33ble", "--tool", "bossac", "--image", "{bin}"), FileError, "--port: bossac asks for the port"),
        (("nucleo-l476rg", "--image", "{bin}"), FileError, "its tools take .elf, .hex"),
        (("nucleo-l476rg", "--image", "image.exe"), FileError, "must end in .elf, .hex, .bin, .uf2"),
        (("nucleo-l476rg", "--image", "nowhere.elf"), FileError, "--image: there is no file nowhere.elf"),
        (("nucleo-l476rg", "--image", "{bin}", "--energy"), FileError, "--energy"),
    ],
)
def test_what_cannot_be_is_refused_with_what_would_be_right(
    arguments: tuple[str, ...], kind: type[FileError | NotFound], words: str, tools: Tools, image: Callable[[str], Path], labd: Commands
) -> None:
    calls = tools("probe-rs", "bossac")
    said = labd("flash", *(part.replace("{bin}", str(image("bin"))) for part in arguments))
    assert (said.code, called(calls)) == (kind.exit_code, [])
    assert words in said.error


# --- a boot loader's drive


@pytest.fixture
def pico(tmp_path: Path) -> Path:
    folder = tmp_path / "RPI RP2"
    folder.mkdir()
    (folder / drive.INFO).write_text("UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n")
    return folder


def test_without_picotool_the_image_is_copied_to_the_drive(tools: Tools, pico: Path, image: Callable[[str], Path], labd: Commands) -> None:
    tools()
    said = labd("flash", "pico", "--image", image("uf2"), "--port", pico)
    assert (said.code, said.error) == (0, "")
    assert (pico / "my image.uf2").read_bytes() == IMAGE


def test_a_drive_is_found_among_what_is_mounted_by_what_it_says_of_itself(tmp_path: Path, pico: Path) -> None:
    wanted = shipped().recipe("pico").drive
    assert wanted is not None
    mounts = tmp_path / "mounts"
    escaped = str(pico).replace(" ", "\\040")
    mounts.write_text(f"proc /proc proc rw 0 0\n/dev/sdb1 {tmp_path} vfat rw 0 0\n/dev/sda1 {escaped} vfat rw 0 0\n")
    assert drive.found(wanted, None, mounts) == pico
    mounts.write_text("proc /proc proc rw 0 0\n")
    with pytest.raises(NotFound, match=r"no drive .*RPI-RP2 .*--port FOLDER"):
        drive.found(wanted, None, mounts)
    with pytest.raises(FileError, match="no drive of a boot loader"):
        drive.found(wanted, str(tmp_path), mounts)


@pytest.mark.parametrize("name", ["Prüfling", "板", "tab\there", "back\\slash", "\\040 as it stands"])
def test_a_mount_point_s_name_is_read_whatever_is_in_it(tmp_path: Path, pico: Path, name: str) -> None:
    wanted = shipped().recipe("pico").drive
    assert wanted is not None
    place = pico.rename(tmp_path / name)
    escaped = re.sub(r"[ \t\n\\]", lambda found: f"\\{ord(found[0]):03o}", str(place))
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda1 {escaped} vfat rw 0 0\n", encoding="utf-8")
    assert drive.found(wanted, None, mounts) == place


@pytest.mark.parametrize("gone", [True, False])
def test_a_copy_ends_when_the_drive_has_it_all_or_is_gone_because_it_has(pico: Path, image: Callable[[str], Path], gone: bool) -> None:
    def fails(_descriptor: int) -> None:
        if gone:
            (pico / drive.INFO).unlink()
        raise OSError(errno.EIO, "Input/output error")

    if gone:
        drive.copy(image("uf2"), pico, sync=fails)
        assert (pico / "my image.uf2").read_bytes() == IMAGE
    else:
        with pytest.raises(DutFailure, match="does not take the image: Input/output error"):
            drive.copy(image("uf2"), pico, sync=fails)


def test_an_elf_file_that_is_none_is_told_before_anything_is_copied(tools: Tools, pico: Path, elf: Path, labd: Commands) -> None:
    tools()
    said = labd("flash", "pico", "--tool", "uf2", "--image", elf, "--port", pico)
    assert said.code == FileError.exit_code
    assert "no 32-bit little-endian ELF file" in said.error
    assert [path.name for path in pico.iterdir()] == [drive.INFO]


# --- with the compiler


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """Where the cross compiler is."""
    found = shutil.which("arm-none-eabi-gcc")
    if found is None:
        pytest.skip("no arm-none-eabi-gcc: install gcc-arm-none-eabi")
    return Path(found).parent


@pytest.mark.compiler
@pytest.mark.emulator
def test_the_firmware_is_built_and_brought_into_the_tool_s_format(
    compiler: Path, tools: Tools, labd: Commands, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    calls = tools("st-flash", then=f"import shutil; shutil.copy(sys.argv[-1], {str(tmp_path / 'written.hex')!r})\n")
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{compiler}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    said = labd("flash", "nucleo-l476rg", "--tool", "st-flash", "--energy", "--out", tmp_path / "kept")
    assert (said.code, said.error) == (0, "")
    assert called(calls)[0][-1].endswith("nucleo-l476rg-energy.hex")
    assert (tmp_path / "kept" / "nucleo-l476rg-energy.elf").exists()
    assert "nucleo-l476rg-energy" in said.out
    first = (tmp_path / "written.hex").read_text().splitlines()[0]
    assert first.startswith(":020000040800")  # Intel HEX, extended linear address 0x0800: this chip's flash


def test_without_a_compiler_it_is_said_which_to_install(tools: Tools, labd: Commands) -> None:
    tools("probe-rs")
    said = labd("flash", "nucleo-l476rg")
    assert said.code == NotFound.exit_code
    assert "arm-none-eabi-gcc" in said.error
    assert "gcc-arm-none-eabi" in said.error


def test_a_bench_in_use_keeps_a_board_from_being_flashed(labd: Commands, tools: Tools, elf: Path) -> None:
    calls = tools("probe-rs")
    with bench_lock(in_use(default_folder()), "/dev/ttyACM7"):
        refused = labd("flash", "nrf52840dk", "--image", elf)
        assert refused.code == BenchBusy.exit_code
        assert f"a bench of this machine is in use: /dev/ttyACM7 (process {os.getpid()} since" in refused.error
        assert not calls.exists()
        assert labd("flash", "nrf52840dk", "--image", elf, "--dry-run").code == 0
        assert labd("flash", "nrf52840dk", "--image", elf, "--beside").code == 0
    assert labd("flash", "nrf52840dk", "--image", elf).code == 0
