"""Lets an installed tool write an image to a board."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from labd.child import status_of
from labd.errors import DutFailure, FileError, NotFound
from labd.flash import drive
from labd.flash.image import converted, takes
from labd.flash.recipe import Recipe, Tool

DRIVE = "uf2"  # what the drive of a boot loader is called beside the tools' names


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a program, or a copy to a drive: `words` as in a shell. do: raises DutFailure or NotFound; cancelled, the program ends
    with its process group."""

    words: tuple[str, ...]
    do: Callable[[], Coroutine[Any, Any, None]]


def ways(recipe: Recipe, image: Path | None = None) -> list[str]:
    """Names of the tools that this board can be flashed with, and that take this image."""
    names = [tool.program for tool in recipe.tools if image is None or takes(image, tool.image)]
    return [*names, DRIVE] if recipe.drive is not None and (image is None or takes(image, "uf2")) else names


def chosen(recipe: Recipe, named: str | None, image: Path | None = None, *, needed: bool = True) -> Tool | None:
    """The tool to use, None for the boot loader's drive: the one named, else the first that is installed, else the drive.

    needed: false for a look at what would be done, which takes the first tool where none is installed.
    Raises FileError for a name that this board has no recipe for and for an image that nothing takes, NotFound when nothing is installed.
    """
    possible = ways(recipe, image)
    if named is not None and named not in possible:
        raise FileError(
            "labd flash", "--tool", f"{named!r} does not flash this to {recipe.board}; what does: {', '.join(possible) or 'nothing'}"
        )
    if not possible:
        takers = ", ".join(sorted({f".{tool.image}" for tool in recipe.tools} | {".elf"}))
        raise FileError("labd flash", "--image", f"{image}: nothing writes this to {recipe.board}: its tools take {takers}")
    if named == DRIVE:
        return None
    tools = [tool for tool in recipe.tools if tool.program in ({named} if named else possible)]
    for tool in tools:
        if installed(tool):
            return tool
    if named is None and DRIVE in possible:
        return None
    if tools and not needed:
        return tools[0]
    wanted = "; or ".join(f"{tool.program} ({tool.install})" for tool in tools)
    raise NotFound(f"no tool on this machine writes to {recipe.board}; install {wanted}")


def steps(
    recipe: Recipe,
    tool: Tool | None,
    image: Path,
    folder: Path,
    *,
    port: str | None,
    within_s: float,
    said: IO[str] | IO[bytes] | None = None,
    needed: bool = True,
) -> list[Step]:
    """What is to be done, in order. folder: for the image in the tool's format. said: where the words of the tools go, None: where this
    process's do. needed: false for a look, which takes a drive that is not there as `DRIVE`.

    Raises FileError, NotFound.
    """
    if tool is None:
        assert recipe.drive is not None
        made = converted(image, "uf2", folder, recipe.drive)
        try:
            there = drive.found(recipe.drive, port)
        except NotFound as error:
            if needed:
                raise NotFound(f"{error}; {_otherwise(recipe)}") from error
            there = Path("DRIVE")
        return [Step(("cp", str(made), str(there)), partial(asyncio.to_thread, drive.copy, made, there))]
    made = converted(image, tool.image, folder)
    return [Step(tuple(words), partial(_call, words, tool, within_s, said)) for words in tool.lines(made, port)]


def _otherwise(recipe: Recipe) -> str:
    """What a user without a drive can do."""
    tools = "; or ".join(f"{tool.program} ({tool.install})" for tool in recipe.tools)
    return f"{recipe.before}{f', or install {tools}' if tools else ''}"


def installed(tool: Tool | None) -> bool:
    """Whether the program of a tool is on this machine; a drive needs none."""
    return tool is None or shutil.which(tool.program) is not None


async def _call(words: Sequence[str], tool: Tool, within_s: float, said: IO[str] | IO[bytes] | None) -> None:
    sys.stdout.flush()
    try:
        status = await status_of(words, within_s=within_s, said=said, complained=said)
    except TimeoutError:
        raise DutFailure(
            f"{tool.program} did not end within {within_s:g} s and was stopped; is the probe plugged in, the board powered?"
        ) from None
    except OSError as error:
        raise NotFound(f"{tool.program} cannot be started: {error.strerror or error} ({tool.install})") from error
    if status != 0:
        raise DutFailure(f"{tool.program} ended with {status}; the board may hold half an image")
