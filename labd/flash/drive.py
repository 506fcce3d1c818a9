"""A boot loader's drive, which takes an image as a UF2 file that is copied onto it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from labd.errors import DutFailure, FileError, NotFound
from labd.flash.recipe import Drive

INFO = "INFO_UF2.TXT"  # UF2's README, "Files exposed by bootloaders"
MOUNTS = Path("/proc/mounts")


def is_one(folder: Path, drive: Drive) -> bool:
    """Whether `folder` is this boot loader's drive, by the `Board-ID` it tells."""
    try:
        lines = (folder / INFO).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    return f"Board-ID: {drive.board_id}" in (line.strip() for line in lines)


def found(drive: Drive, port: str | None, mounts: Path = MOUNTS) -> Path:
    """The drive, `port` where given. Raises FileError for a folder that is not it, NotFound for none or several."""
    if port is not None:
        if not is_one(Path(port), drive):
            raise FileError("labd flash", "--port", f"{port} is no drive of a boot loader of {drive.board_id} ({INFO} says so)")
        return Path(port)
    ones = [folder for folder in _mounted(mounts) if is_one(folder, drive)]
    if len(ones) == 1:
        return ones[0]
    if not ones:
        raise NotFound(f"no drive of a boot loader of {drive.board_id} is mounted (--port FOLDER names one that labd does not see)")
    raise NotFound(
        f"{len(ones)} drives of a boot loader of {drive.board_id} are mounted, {', '.join(map(str, ones))}: name one with --port FOLDER"
    )


def copy(image: Path, folder: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
    """The boot loader starts the image when it has it all. sync: returns when an open file is on its drive.

    Raises DutFailure when the drive does not take it.
    """
    try:
        with image.open("rb") as source, (folder / image.name).open("wb") as target:
            shutil.copyfileobj(source, target)
            target.flush()
            _written(target.fileno(), folder, sync)
    except OSError as error:
        raise DutFailure(f"the drive {folder} does not take the image: {error.strerror or error}") from error


def _written(descriptor: int, folder: Path, sync: Callable[[int], None]) -> None:
    """Until the drive has it all; what is only in this machine's memory is lost when the cable is pulled. A boot loader that has it all
    restarts at once, and its drive is gone before it can say so. Raises OSError."""
    try:
        sync(descriptor)
    except OSError:
        if folder.is_dir() and (folder / INFO).exists():
            raise


def _mounted(mounts: Path) -> Iterable[Path]:
    """Where something is mounted, by proc_mounts(5): space, tab, line end and backslash are written as octal numbers, any other byte of a
    name as itself."""
    try:
        lines = mounts.read_bytes().split(b"\n")
    except OSError:
        return
    for line in lines:
        fields = line.split(b" ")
        if len(fields) > 2 and fields[2] in {b"vfat", b"msdos"}:
            yield Path(os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), fields[1])))
