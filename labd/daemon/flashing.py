"""Writes the image of a search's candidate to the board of its bench, with the tool that the bench file names."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from labd.bench.supply_state import supply_state
from labd.bench_file import Bench
from labd.bench_file.flash import FlashSection
from labd.child import last_line
from labd.daemon.guarding import guarded, in_use_here
from labd.daemon.opened import OpenBench, open_bench, places_of
from labd.errors import DutFailure, FileError, NotFound, SafetyRefusal, StoreError
from labd.flash.recipe import Recipe, Tool, read_recipe, shipped
from labd.flash.run import DRIVE, Step, chosen, steps
from labd.guard.link import GuardLink
from labd.search.contract import HOST
from labd.search.use_case import UseCase
from labd.store.lock import BenchBusy

LOG = "flash.log"
_ANY = Path("image.elf")


@dataclass(frozen=True, slots=True)
class Way:
    """How the board of a bench is written."""

    section: FlashSection
    recipe: Recipe
    tool: Tool


def check_flash(use_case: UseCase, platform: str, bench: Bench) -> None:
    """That images of this platform can be written, before the first is made. Raises FileError, BenchBusy."""
    if bench.flash is not None:
        _alone(way_of(bench), bench)
    elif (kind := use_case.platforms[platform].kind) != HOST:
        text = f"expected {HOST!r}, or a [flash] table in {bench.path} that says how an image for {kind!r} gets onto its board"
        raise FileError(str(use_case.path), f"platforms.{platform}.kind", text)


def check_probes(benches: Mapping[str, Bench]) -> None:
    """That benches which are used at once each name their probe. Raises FileError."""
    real = {bench.name: bench for bench in benches.values() if not bench.is_virtual}
    for bench in real.values() if len(real) > 1 else ():
        if bench.flash is not None and bench.flash.port is None:
            raise FileError(
                str(bench.path), "flash.port", "this key is required where a search uses several real benches: which probe is whose?"
            )


def recipe_sha256(bench: Bench) -> str:
    """Of the recipe in effect. Raises FileError."""
    assert bench.flash is not None  # the caller's
    return hashlib.sha256(_recipe(bench, bench.flash).model_dump_json().encode()).hexdigest()


def way_of(bench: Bench) -> Way:
    """Of its `[flash]` table. Raises FileError for one that cannot be meant, also where no tool of it is installed."""
    section = bench.flash
    if section is None:
        text = "there is no such table, and an image needs one that says how it gets onto the board"
        raise FileError(str(bench.path), "flash", text)
    recipe = _recipe(bench, section)
    with _named_by(bench):
        try:
            tool = chosen(recipe, section.tool and _program(bench, section, section.tool))
        except NotFound as error:
            raise FileError(str(bench.path), "flash.tool", str(error)) from error
        assert tool is not None  # a recipe without a drive
        tool.lines(_ANY, section.port)
    return Way(section, recipe, tool)


def _recipe(bench: Bench, section: FlashSection) -> Recipe:
    """Without what asks for a hand at the board for every image: some tools, and the drive of a boot loader."""
    try:
        recipe = _of_file(bench, section) if section.recipe is not None else shipped().recipe(section.board or "")
    except NotFound as error:
        raise FileError(str(bench.path), "flash.board", str(error)) from error
    except FileError as error:
        raise FileError(str(bench.path), "flash.recipe" if section.recipe is not None else "flash.board", str(error)) from error
    able = tuple(tool for tool in recipe.tools if not tool.by_hand)
    by_hand = [*(tool.program for tool in recipe.tools if tool.by_hand), *([DRIVE] if recipe.drive is not None else [])]
    named = section.tool
    if not able or named in by_hand:
        asking = ", ".join(by_hand)
        text = f"{named or asking or 'this recipe'} cannot write one image after the other"
        why = f"{asking} asks for a hand at the board each time" if by_hand else "it has no [[tool]]"
        what = f"; what can: {', '.join(tool.program for tool in able)}" if able else ""
        raise FileError(str(bench.path), "flash.tool" if named else "flash", f"{text}: {why}{what}")
    return recipe.model_copy(update={"drive": None, "tools": able})


def _of_file(bench: Bench, section: FlashSection) -> Recipe:
    """A user's own."""
    recipe = read_recipe(bench.path.parent / (section.recipe or ""), bench.board.name)
    tools = [tool.model_copy(update={"program": _program(bench, section, tool.program)}) for tool in recipe.tools]
    return recipe.model_copy(update={"tools": tuple(tools)})


def _program(bench: Bench, section: FlashSection, named: str) -> str:
    """One with a slash in its name lies where it does from the recipe's folder."""
    if section.recipe is None or "/" not in named:
        return named
    return str(((bench.path.parent / section.recipe).parent / named).resolve())


async def flash(image: Path, bench: Bench, guard: GuardLink | None, folder: Path) -> None:
    """The board of `bench` holds `image` and has been without supply since: a debugger would leave its debug unit on. It is fed with its
    nominal supply meanwhile, its lines float. folder: what the tool says is kept there, after what it said before.

    Raises FileError, NotFound, StoreError, DutFailure where the tool fails, BenchBusy where its probe may hang at the board of another
    bench that is in use, SafetyRefusal where a protection acts. Cancelled, the tool is ended.
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
                await asyncio.to_thread(_alone, way, bench)
                await _done(step, opened, log)
    finally:
        await asyncio.to_thread(said.close)


def _prepared(way: Way, image: Path, folder: Path) -> tuple[list[Step], IO[bytes]]:
    """What is to be called, and the file for what that says. Of the tools that are installed it is one that takes this image. Blocking."""
    tool = chosen(way.recipe, way.section.tool and way.tool.program, image)
    try:
        said = (folder / LOG).open("ab")
    except OSError as error:
        raise StoreError(f"{folder / LOG}: cannot be written: {error.strerror or error}") from error
    try:
        return steps(way.recipe, tool, image, folder, port=way.section.port, within_s=way.section.within, said=said), said
    except BaseException:
        said.close()
        raise


async def _done(step: Step, opened: OpenBench, log: Path) -> None:
    """What the supply did explains what the tool found, not the other way round."""
    try:
        await step.do()
    except DutFailure as error:
        if state := await supply_state(opened.station):
            raise SafetyRefusal(f"{state} while the board was flashed; {error}") from error
        raise DutFailure(f"{error}{await asyncio.to_thread(_last_words, log)}") from error
    if state := await supply_state(opened.station):
        raise SafetyRefusal(f"{state} while the board was flashed")


def _last_words(log: Path) -> str:
    last = last_line(log)
    return f"; its last line: {last} (all of it: {log})" if last else "; it said nothing"


def _alone(way: Way, bench: Bench) -> None:
    """A probe that is not named may hang at another board, which then restarts under its run. Raises BenchBusy."""
    if way.section.port is not None:
        return
    own = places_of(bench)
    if others := [str(one) for one in in_use_here() if one.place not in own]:
        raise BenchBusy(
            f"{way.tool.program} would take the first probe that it finds, and another bench of this machine is in use: "
            f"{'; '.join(others)}. Name the probe of {bench.name} in {bench.path}: flash.port"
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
