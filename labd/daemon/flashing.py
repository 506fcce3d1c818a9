"""Writes the image of a search's candidate to the board of its bench, with the tool that the bench file names."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labd.bench.supply_state import supply_state
from labd.bench_file import Bench
from labd.bench_file.flash import FlashSection
from labd.daemon.guarding import guarded
from labd.daemon.opened import OpenBench, open_bench, places_of
from labd.errors import DutFailure, FileError, NotFound, SafetyRefusal
from labd.flash.recipe import Recipe, Tool, read_recipe, shipped
from labd.flash.run import Step, chosen, steps
from labd.guard.link import GuardLink
from labd.search.contract import HOST
from labd.search.use_case import UseCase
from labd.store.folder import default_folder
from labd.store.lock import BenchBusy, held, in_use

LOG = "flash.log"
_ANY = Path("image.elf")


@dataclass(frozen=True, slots=True)
class Way:
    """How the board of a bench is written. bench: its path, for messages."""

    bench: Path
    section: FlashSection
    recipe: Recipe
    tool: Tool


def check_flash(use_case: UseCase, platform: str, bench: Bench) -> None:
    """That images of this platform can be written, before the first is made. Raises FileError, NotFound where no tool is installed."""
    if bench.flash is not None:
        way_of(bench)
    elif (kind := use_case.platforms[platform].kind) != HOST:
        text = f"expected {HOST!r}, or a [flash] table in {bench.path} that says how an image for {kind!r} gets onto its board"
        raise FileError(str(use_case.path), f"platforms.{platform}.kind", text)


def way_of(bench: Bench) -> Way:
    """Of its `[flash]` table. Raises FileError for one that cannot be meant, NotFound where no tool is installed."""
    section = bench.flash
    if section is None:
        text = "there is no such table, and an image needs one that says how it gets onto the board"
        raise FileError(str(bench.path), "flash", text)
    recipe = _recipe(bench, section)
    with _named_by(bench):
        tool = chosen(recipe, section.tool)
        assert tool is not None  # a recipe without a drive
        tool.lines(_ANY, section.port)
    return Way(bench.path, section, recipe, tool)


def _recipe(bench: Bench, section: FlashSection) -> Recipe:
    """Without the drive of a boot loader, which asks for a hand at the board for every image."""
    if section.recipe is not None:
        path = bench.path.parent / section.recipe
        recipe = read_recipe(path, bench.board.name)
    else:
        assert section.board is not None  # the section's
        try:
            recipe = shipped().recipe(section.board)
        except NotFound as error:
            raise FileError(str(bench.path), "flash.board", str(error)) from error
    return recipe.model_copy(update={"drive": None})


async def flash(image: Path, bench: Bench, guard: GuardLink | None, folder: Path) -> None:
    """The board of `bench` holds `image` and has been without supply since: a debugger would leave its debug unit on. It is fed with its
    nominal supply meanwhile, its lines float. folder: what the tool says is kept there.

    Raises FileError, NotFound, DutFailure where the tool fails, BenchBusy where its probe may hang at the board of another bench that is in
    use, SafetyRefusal where a protection acts. Cancelled, the tool is killed.
    """
    way = await asyncio.to_thread(way_of, bench)
    await asyncio.to_thread(_alone, way, bench)
    log = folder / LOG
    with _named_by(bench, image):
        todo, said = await asyncio.to_thread(_prepared, way, image, folder)
    try:
        async with guarded(bench, guard) as hangs, open_bench(bench) as opened:  # which leaves it off, verified
            hangs.opened = opened
            await opened.station.interlock.power_up(bench.board.supply, [])
            for step in todo:
                await _done(step, opened, log)
    finally:
        await asyncio.to_thread(said.close)


def _prepared(way: Way, image: Path, folder: Path) -> tuple[list[Step], IO[bytes]]:
    """What is to be called, and the file for what that says. Of the tools that are installed it is one that takes this image. Blocking."""
    tool = chosen(way.recipe, way.section.tool, image)
    said = (folder / LOG).open("wb")
    return steps(way.recipe, tool, image, folder, port=way.section.port, within_s=way.section.within, said=said), said


async def _done(step: Step, opened: OpenBench, log: Path) -> None:
    """What the supply did explains what the tool found, not the other way round."""
    try:
        await step.do()
    except DutFailure as error:
        if state := await supply_state(opened.station):
            raise SafetyRefusal(f"{state} while the board was flashed; {error}") from error
        raise DutFailure(f"{error}{_last_words(log)}") from error
    if state := await supply_state(opened.station):
        raise SafetyRefusal(f"{state} while the board was flashed")


def _last_words(log: Path) -> str:
    lines = log.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
    last = "".join(c if c.isprintable() else " " for c in lines[-1])[:300] if lines else ""
    return f"; its last line: {last} (all of it: {log})" if last else "; it said nothing"


def _alone(way: Way, bench: Bench) -> None:
    """A probe that is not named may hang at another board, which then restarts under its run. Raises BenchBusy."""
    if way.section.port is not None:
        return
    own = set(places_of(bench))
    if others := [str(one) for one in held(in_use(default_folder())) if one.place not in own]:
        raise BenchBusy(
            f"{way.tool.program} would take the first probe that it finds, and another bench of this machine is in use: "
            f"{'; '.join(others)}. Name the probe of {bench.name} in {way.bench}: flash.port"
        )


@contextmanager
def _named_by(bench: Bench, image: Path | None = None) -> Iterator[None]:
    """What the command line calls by an option is a key of the bench file here, and the image the builder's."""
    try:
        yield
    except FileError as error:
        if error.file != "labd flash":
            raise
        if error.key == "--image":
            raise FileError(str(image), "", error.text.removeprefix(f"{image}: ")) from error
        raise FileError(str(bench.path), f"flash.{error.key.removeprefix('--')}", error.text) from error
