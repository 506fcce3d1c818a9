"""`python -m labd_virtual.firmware_images`: builds the image of every board, prints its sizes, fails where one could use a heap."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labd_virtual.firmware_build import FirmwareError, boards, build

VARIANTS = {"performance": False, "energy": True}
HEAP = frozenset({"malloc", "calloc", "realloc", "free", "_malloc_r", "_calloc_r", "_realloc_r", "_free_r", "sbrk", "_sbrk", "_sbrk_r"})


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes: flash is code, constants and the start values of variables; ram is all variables, the stack not counted."""

    flash: int
    ram: int


def sizes(image: Path) -> Sizes:
    """By arm-none-eabi-size, whose columns are text, data and bss."""
    line = _binutils("size", image).splitlines()[1]
    text, data, bss = (int(word) for word in line.split()[:3])
    return Sizes(text + data, data + bss)


def heap_symbols(image: Path) -> list[str]:
    """What of a heap is linked into the image, by arm-none-eabi-nm."""
    names = {line.split()[-1] for line in _binutils("nm", image).splitlines()}
    return sorted(names & HEAP)


def _binutils(tool: str, image: Path) -> str:
    return subprocess.run([f"arm-none-eabi-{tool}", str(image)], capture_output=True, text=True, check=True).stdout


async def _build_all(folder: Path, wanted: list[str], out: Path) -> int:
    _say(f"{'image':<28}{'flash':>8}{'RAM':>8}  bytes")
    faults = 0
    for board in wanted:
        for variant, energy_mode in VARIANTS.items():
            image = out / f"{board}-{variant}.elf"
            shutil.copyfile(await build(folder, energy_mode=energy_mode, target=board), image)
            found, heap = sizes(image), heap_symbols(image)
            _say(f"{image.stem:<28}{found.flash:>8}{found.ram:>8}" + (f"  has a heap: {', '.join(heap)}" if heap else ""))
            faults += bool(heap)
    return faults


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    """Exit codes: 0 all built, 1 one does not build, or has a heap."""
    source = Path(__file__).resolve().parents[2] / "firmware"
    parser = argparse.ArgumentParser(prog="labd_virtual.firmware_images", description=__doc__)
    parser.add_argument("boards", nargs="*", metavar="BOARD", help=f"default: all of {', '.join(boards(source))}")
    parser.add_argument("--source", type=Path, default=source, metavar="DIR", help="the firmware's folder")
    parser.add_argument("--out", type=Path, default=Path("out/firmware"), metavar="DIR", help="where the images go")
    arguments = parser.parse_args()
    try:
        arguments.out.mkdir(parents=True, exist_ok=True)
        faults = asyncio.run(_build_all(arguments.source, arguments.boards or boards(arguments.source), arguments.out))
    except (FirmwareError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
