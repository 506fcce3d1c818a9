"""Compiles the firmware, for this host or for a board's image, into the user's cache, once for each content of its sources."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labd_virtual.rp2040_boot import seal

HOST = "host"
FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")
CROSS = "arm-none-eabi-gcc"
# The references spin 100 000 turns while their timestamp pin is low: 4 cycles a turn on a Cortex-M4.
STOCK_FLAGS = ("-DLABD_STOCK=1", "-DLABD_PULSE_HOLD_CYCLES=400000u")
# -ffreestanding: nothing of the compiler's may assume a heap, files or a main that returns.
CROSS_FLAGS = ("-mthumb", "-mfloat-abi=soft", "-ffreestanding", "-ffunction-sections", "-fdata-sections")
CROSS_LINK = ("-nostartfiles", "--specs=nano.specs", "-Wl,--gc-sections")


class FirmwareError(Exception):
    """The firmware cannot be built or run; one line."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """compiler: a path. sources: whatever the result depends on, the C files among them are compiled. sealed: with a boot ROM's sum."""

    compiler: str
    flags: tuple[str, ...]
    includes: tuple[Path, ...]
    link: tuple[str, ...]
    sources: tuple[Path, ...]
    sealed: bool = False


def cache_folder() -> Path:
    """Where labd keeps what it can build again (XDG Base Directory Specification: $XDG_CACHE_HOME, else ~/.cache)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "labd"


def boards(folder: Path) -> list[str]:
    """The targets that have an image: every folder of `folder`/boards that says how in a board.toml."""
    return sorted(path.parent.name for path in folder.glob("boards/*/board.toml"))


def clock_of(folder: Path, target: str) -> float:
    """The core clock that a board's image sets, Hz. Raises FirmwareError."""
    return float(_board(folder, target)["clock_hz"])


async def build(
    folder: Path, *, energy_mode: bool, stock: bool = False, target: str = HOST, net: Path | None = None, cache: Path | None = None
) -> Path:
    """Path of the executable, or of the image (ELF), for the sources in `folder`. net: folder of a deployed net's net_image.h and
    net_image.c, which the image then holds in place of its own two. Raises FirmwareError."""
    made = recipe(folder, energy_mode=energy_mode, stock=stock, target=target)
    if net is not None:
        made = with_net(made, net)
    _, version = await run(made.compiler, "--version")
    output = (cache or cache_folder()) / "firmware" / _digest(folder, made, version)
    if not output.exists():
        await _compile(made, output)
    return output


def recipe(folder: Path, *, energy_mode: bool, stock: bool = False, target: str = HOST) -> Recipe:
    """How `target` is built. stock: without labd's extensions, for this host only. Raises FirmwareError."""
    variant = f"-DEE_CFG_ENERGY_MODE={int(energy_mode)}"
    if stock and target != HOST:
        raise FirmwareError(f"firmware without extensions is built for this host only, not for {target}")
    core = folder / "core"
    if target == HOST:
        compiler = _found("cc", "the virtual board runs the real firmware; install one (Debian: apt-get install gcc libc6-dev)")
        return Recipe(compiler, (*FLAGS, variant, *(STOCK_FLAGS if stock else ())), (core,), (), _sources(folder, "core", "host"))
    board = _board(folder, target)
    compiler = _found(CROSS, f"the image of {target} is made with it (Debian: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi)")
    clock_hz = board["clock_hz"]
    flags: tuple[str, ...] = (
        *FLAGS,
        *CROSS_FLAGS,
        f"-mcpu={board['cpu']}",
        f"-DBOARD_CLOCK_HZ={clock_hz}u",
        f"-DLABD_PULSE_HOLD_CYCLES={clock_hz * board['pulse_hold_us'] // 1_000_000}u",
        *((board["optimize"],) if "optimize" in board else ()),
        *(f"-D{define}" for define in board.get("defines", ())),
        variant,
    )
    if "script" in board:  # a port and a place in memory of its own
        own = dict.fromkeys((f"boards/{board.get('code', target)}", f"boards/{target}"))
        link: tuple[str, ...] = (*CROSS_LINK, "-Wl,--no-warn-rwx-segments", "-T", str(folder / "boards" / target / board["script"]))
        sealed = bool(board.get("boot_checksum", False))
        return Recipe(compiler, flags, (core, *(folder / part for part in own)), link, _sources(folder, "core", *own), sealed=sealed)
    shared = folder / "boards/cortex_m"
    flags = (*flags, f"-DBOARD_COUNTER_HZ={board['counter_hz']}u")
    places = [f"-Wl,--defsym={name}_{what}={board[name.lower()][what.lower()]}" for name in ("ROM", "RAM") for what in ("ORIGIN", "LENGTH")]
    link = (*CROSS_LINK, *places, "-T", str(shared / "image.ld"))
    return Recipe(compiler, flags, (core, shared), link, _sources(folder, "core", "boards/cortex_m", f"boards/{board.get('code', target)}"))


def with_net(made: Recipe, net: Path) -> Recipe:
    """The same with a deployed net. Raises FirmwareError where its two files are not there."""
    files = (net / "net_image.h", net / "net_image.c")
    for file in files:
        if not file.is_file():
            raise FirmwareError(f"no deployed net: there is no {file}")
    flags, includes = (*made.flags, "-DLABD_NET=1"), (*made.includes, net)
    return replace(made, flags=flags, includes=includes, sources=(*made.sources, *files))


def _board(folder: Path, target: str) -> dict[str, Any]:
    path = folder / "boards" / target / "board.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FirmwareError(f"no firmware for {target!r}: cannot read {path}; there are {', '.join(boards(folder)) or 'none'}") from error
    except tomllib.TOMLDecodeError as error:
        raise FirmwareError(f"{path}: {error}") from error


def _found(compiler: str, why: str) -> str:
    path = shutil.which(compiler)
    if path is None:
        raise FirmwareError(f"no C compiler {compiler}: {why}")
    return path


def _sources(folder: Path, *parts: str) -> tuple[Path, ...]:
    folders = [folder / part for part in parts if (folder / part).is_dir()]
    found = tuple(source for part in folders for source in sorted(part.iterdir()) if source.is_file())
    if not any(source.suffix == ".c" for source in found):
        raise FirmwareError(f"{folder}: no firmware sources ({', '.join(f'{part}/*.c' for part in parts)})")
    return found


def _digest(folder: Path, made: Recipe, version: str) -> str:
    link = (part.replace(str(folder), "") for part in made.link)
    digest = hashlib.sha256("\0".join([version, *made.flags, *link]).encode())
    for source in made.sources:
        digest.update(f"\0{source.parent.name}/{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:32]


async def _compile(made: Recipe, target: Path) -> None:
    """Into a name of its own first: two benches may build the same firmware at once."""
    includes = [part for include in made.includes for part in ("-I", str(include))]
    sources = [str(source) for source in made.sources if source.suffix == ".c"]
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            output = Path(folder) / "firmware"
            code, text = await run(made.compiler, *made.flags, *includes, *sources, *made.link, "-o", str(output))
            if code != 0:
                raise FirmwareError(f"the firmware does not compile: {first_error(text)}")
            if made.sealed:
                seal(output)
            output.replace(target)
    except OSError as error:
        raise FirmwareError(f"cannot write the firmware's cache {target.parent}: {error.strerror}") from error


def first_error(text: str) -> str:
    """The first line of a tool's words that tells of an error, else its first line."""
    return next((line for line in text.splitlines() if "error" in line), text.strip().partition("\n")[0])


async def run(*command: str) -> tuple[int, str]:
    """Exit status and all that the command said."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
