"""GPIO chips and their lines as libgpiod tells of them: which there are, by path, label, name and offset, and whether they are free."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labd.dut.errors import LineFailure

if TYPE_CHECKING:
    import gpiod

Bias = Literal["as_is", "pull_up", "pull_down", "disabled"]


@dataclass(frozen=True, slots=True)
class Wire:
    """A line of a chip by its name or its offset. bias: of an input."""

    line: str | int
    active_low: bool = False
    bias: Bias = "as_is"


def chip_path(chip: str) -> str:
    """Of a chip by its path, its name or its label. Raises LineFailure, which names the chips there are."""
    import gpiod

    paths = sorted(str(path) for path in Path("/dev").glob("gpiochip*"))
    if chip in paths or f"/dev/{chip}" in paths:
        return chip if chip in paths else f"/dev/{chip}"
    found: dict[str, str] = {}
    for path in paths:
        with suppress(OSError), gpiod.Chip(path) as opened:
            found[path] = opened.get_info().label
    alike = [path for path, label in found.items() if label == chip]
    if len(alike) == 1:
        return alike[0]
    there = ", ".join(
        f"{path} ({found.get(path, 'not readable: add yourself to the group that owns it, gpio on most systems')})" for path in paths
    )
    if alike:
        raise LineFailure(f"{chip}: more than one chip has this label: {', '.join(alike)}; name one by its path")
    raise LineFailure(f"{chip}: there is no such GPIO chip; there {f'are {there}' if there else 'is none (is its driver loaded?)'}")


def offsets(chip: gpiod.Chip, wires: Mapping[str, Wire]) -> dict[str, int]:
    """Raises LineFailure for a line that is not there, is there twice, or is held."""
    lines = [chip.get_line_info(offset) for offset in range(chip.get_info().num_lines)]
    found: dict[str, int] = {}
    for name, wire in wires.items():
        where = f"{chip.path}: {name}"
        alike = [info for info in lines if wire.line in {info.offset, info.name}]
        if not alike:
            names = ", ".join(info.name for info in lines if info.name) or "none"
            raise LineFailure(f"{where}: there is no line {wire.line!r}; offsets are 0 to {len(lines) - 1}, names: {names}")
        if len(alike) > 1:
            raise LineFailure(
                f"{where}: lines {', '.join(str(info.offset) for info in alike)} are all called {wire.line!r}; give the offset"
            )
        if alike[0].used:
            raise LineFailure(f"{where}: line {wire.line!r} is held by {alike[0].consumer or 'the kernel'}")
        if alike[0].offset in found.values():
            raise LineFailure(f"{where}: line {wire.line!r} has another name on this bench already")
        found[name] = alike[0].offset
    return found


def input_settings(wire: Wire) -> gpiod.LineSettings:
    import gpiod
    from gpiod.line import Bias as GpiodBias
    from gpiod.line import Clock, Direction
    from gpiod.line import Edge as GpiodEdge

    bias = {"as_is": GpiodBias.AS_IS, "pull_up": GpiodBias.PULL_UP, "pull_down": GpiodBias.PULL_DOWN, "disabled": GpiodBias.DISABLED}
    return gpiod.LineSettings(
        direction=Direction.INPUT,
        edge_detection=GpiodEdge.BOTH,
        bias=bias[wire.bias],
        active_low=wire.active_low,
        event_clock=Clock.MONOTONIC,
    )


def why(error: OSError) -> str:
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "permission denied; add yourself to the group that owns the chip (gpio on most systems)"
    if error.errno == errno.EBUSY:
        return "a line is held by another program"
    if error.errno in {errno.ENODEV, errno.ENXIO}:
        return "the chip is gone; was its adapter unplugged?"
    return str(error.strerror or error)
