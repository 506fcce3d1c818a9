"""A boot loader's drive, which takes an image as a UF2 file that is copied onto it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
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


def copy(image: Path, folder: Path) -> None:
    """The boot loader starts the image when it has it all. Raises DutFailure when the drive does not take it."""
    try:
        shutil.copyfile(image, folder / image.name)
    except OSError as error:
        raise DutFailure(f"the drive {folder} does not take the image: {error.strerror or error}") from error


def _mounted(mounts: Path) -> Iterable[Path]:
    """Where something is mounted, by proc_mounts(5): spaces and the like are written as octal numbers."""
    try:
        lines = mounts.read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split(" ")
        if len(fields) > 2 and fields[2] in {"vfat", "msdos"}:
            yield Path(fields[1].encode().decode("unicode_escape"))
