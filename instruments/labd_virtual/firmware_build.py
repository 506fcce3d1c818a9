"""Compiles the firmware's core and host port into the user's cache, once for each content of its sources."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from pathlib import Path

FLAGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Werror")


class FirmwareError(Exception):
    """The firmware cannot be built or run; one line."""


def cache_folder() -> Path:
    """Where labd keeps what it can build again (XDG Base Directory Specification: $XDG_CACHE_HOME, else ~/.cache)."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "labd"


async def build(folder: Path, *, energy_mode: bool, cache: Path | None = None) -> Path:
    """Path of the executable for the sources in `folder`/core and `folder`/host. Raises FirmwareError."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise FirmwareError("no C compiler: the virtual board runs the real firmware; install one (Debian: apt-get install gcc libc6-dev)")
    sources = _sources(folder)
    if not any(s.suffix == ".c" for s in sources):
        raise FirmwareError(f"{folder}: no firmware sources (core/*.c and host/*.c)")
    flags = (*FLAGS, f"-DEE_CFG_ENERGY_MODE={int(energy_mode)}")
    _, version = await _run(compiler, "--version")
    target = (cache or cache_folder()) / "firmware" / _digest(sources, version, flags)
    if not target.exists():
        await _compile(compiler, [*flags, "-I", str(folder / "core"), *(str(s) for s in sources if s.suffix == ".c")], target)
    return target


def _sources(folder: Path) -> list[Path]:
    return sorted([*folder.glob("core/*.[ch]"), *folder.glob("host/*.[ch]")])


def _digest(sources: list[Path], version: str, flags: tuple[str, ...]) -> str:
    digest = hashlib.sha256("\0".join([version, *flags]).encode())
    for source in sources:
        digest.update(f"\0{source.parent.name}/{source.name}\0".encode() + source.read_bytes())
    return digest.hexdigest()[:32]


async def _compile(compiler: str, arguments: list[str], target: Path) -> None:
    """Into a name of its own first: two benches may build the same firmware at once."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            output = Path(folder) / "firmware"
            code, text = await _run(compiler, *arguments, "-o", str(output))
            if code != 0:
                where = next((line for line in text.splitlines() if "error" in line), text.strip().partition("\n")[0])
                raise FirmwareError(f"the firmware does not compile: {where}")
            output.replace(target)
    except OSError as error:
        raise FirmwareError(f"cannot write the firmware's cache {target.parent}: {error.strerror}") from error


async def _run(*command: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT)
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode(errors="replace")
