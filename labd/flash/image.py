"""The image that a tool takes: built from the firmware that labd came with, or the user's own, and brought into the tool's format."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TextIO

from labd.errors import FileError, LabdError, NotFound
from labd.flash.recipe import FORMATS, Drive, Format
from labd.flash.uf2 import segments, uf2

OBJCOPY = "arm-none-eabi-objcopy"
BUILD_S = 300.0


def build(firmware: Path, board: str, folder: Path, *, energy: bool, progress: TextIO) -> Path:
    """The ELF image of `board` in `folder`; what it takes of flash and RAM goes to `progress`.

    Raises NotFound without a compiler, LabdError when it does not build.
    """
    command = [sys.executable, "-m", "labd_virtual.firmware_images", board, "--source", str(firmware), "--out", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=BUILD_S)
    except subprocess.TimeoutExpired as error:
        raise LabdError(f"the image of {board} was not built within {BUILD_S:g} s") from error
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or ["no reason given"]
        raise (NotFound if "no C compiler" in said[-1] else LabdError)(said[-1])
    progress.write(done.stdout)
    progress.flush()
    return folder / f"{board}-{'energy' if energy else 'performance'}.elf"


def format_of(image: Path) -> Format:
    """By the end of its name. Raises FileError for another one, and for a file that is not there."""
    end = image.suffix.lower().removeprefix(".")
    for known in FORMATS:
        if end == known:
            break
    else:
        raise FileError("labd flash", "--image", f"{image} does not say what it is: its name must end in .{', .'.join(FORMATS)}")
    if not image.is_file():
        raise FileError("labd flash", "--image", f"there is no file {image}")
    return known  # type: ignore[return-value]  # one of FORMATS


def takes(image: Path, wanted: Format) -> bool:
    """Whether `image` is of this format or can be brought into it: an ELF file says where everything lies, the others do not."""
    return format_of(image) in {wanted, "elf"}


def converted(image: Path, wanted: Format, folder: Path, drive: Drive | None = None) -> Path:
    """`image` where it is what is wanted, else a new file in `folder`. Raises FileError or NotFound."""
    if format_of(image) == wanted:
        return image
    target = folder / f"{image.stem}.{wanted}"
    if wanted == "uf2":
        assert drive is not None
        try:
            target.write_bytes(uf2(segments(image.read_bytes()), drive.family))
        except ValueError as error:
            raise FileError("labd flash", "--image", f"{image}: {error}") from error
        return target
    _copy(image, target, {"hex": "ihex", "bin": "binary"}[wanted])
    return target


def _copy(image: Path, target: Path, name: str) -> None:
    objcopy = shutil.which(OBJCOPY)
    if objcopy is None:
        raise NotFound(f"no {OBJCOPY} to make {target.name} of {image.name} (Debian: apt-get install binutils-arm-none-eabi)")
    try:
        done = subprocess.run([objcopy, "-O", name, str(image), str(target)], capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired as error:
        raise FileError("labd flash", "--image", f"{image}: {OBJCOPY} did not end within 60 s") from error
    if done.returncode != 0:
        raise FileError("labd flash", "--image", f"{image}: {done.stderr.strip()}")
