"""`labd flash`: the firmware onto a board that you own."""

from __future__ import annotations

import asyncio
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from labd.cli.json_option import Json, print_json
from labd.daemon.guarding import in_use_here
from labd.errors import FileError
from labd.flash import image as images
from labd.flash.recipe import Boards, Recipe, Tool, shipped
from labd.flash.run import chosen, installed, steps, ways
from labd.store.lock import BenchBusy

PATIENCE_S = 120.0


def register(app: typer.Typer) -> None:
    app.command("flash")(flash)


def flash(
    board: Annotated[str | None, typer.Argument(help="Which board; left out, they are listed, each with its tools.")] = None,
    image: Annotated[
        Path | None, typer.Option("--image", help="An image of your own (.elf, .hex, .bin, .uf2); left out, labd's firmware is built.")
    ] = None,
    port: Annotated[
        str | None, typer.Option("--port", help="Which probe, serial port or drive, as the tool names it; left out, the tool finds it.")
    ] = None,
    tool: Annotated[str | None, typer.Option("--tool", help="The tool to use; left out, the first that is installed.")] = None,
    energy: Annotated[bool, typer.Option("--energy", help="Build the variant whose timestamps are pulses of the MARK pin.")] = False,
    within: Annotated[float, typer.Option("--within", min=1.0, help="Seconds that each call of the tool may take.")] = PATIENCE_S,
    out: Annotated[Path | None, typer.Option("--out", help="Folder to keep the images in; left out, they are not kept.")] = None,
    beside: Annotated[bool, typer.Option("--beside", help="The board that is being measured on this machine is another one.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Build, print what would be called, and touch no board.")] = False,
    as_json: Json = False,
) -> None:
    """Build labd's firmware for BOARD and write it with an installed tool: probe-rs, openocd, nrfutil, nrfjprog, STM32_Programmer_CLI,
    st-flash, picotool or bossac.
    """
    if image is not None and energy:
        raise FileError("labd flash", "--energy", "is for an image that labd builds; leave it out beside --image")
    boards = shipped()
    if board is None:
        _list(boards, as_json=as_json)
        return
    recipe = boards.recipe(board)
    if image is not None:
        images.format_of(image)
    if not (dry_run or beside):
        _refuse_measured()
    way = chosen(recipe, tool, image, needed=not dry_run)
    with tempfile.TemporaryDirectory(prefix="labd-flash-") as temporary:
        folder = out or Path(temporary)
        made = image or images.build(boards.firmware, board, folder, energy=energy, progress=sys.stderr if as_json else sys.stdout)
        todo = steps(recipe, way, made, folder, port=port, within_s=within, said=sys.stderr if as_json else None, needed=not dry_run)
        _tell(recipe, way)
        for step in todo:
            print(f"$ {shlex.join(step.words)}", file=sys.stderr if as_json else sys.stdout)
            if not dry_run:
                asyncio.run(step.do())
    if as_json:
        print_json({"board": board, "ways": ways(recipe, image), "commands": [list(step.words) for step in todo], "done": not dry_run})


def _refuse_measured() -> None:
    """Raises BenchBusy while a bench of this machine is in use: a probe powers the board, and new firmware under a run spoils it unseen."""
    if taken := in_use_here():
        raise BenchBusy(
            f"a bench of this machine is in use: {'; '.join(map(str, taken))}. Wait for it, or stop it; where it measures another board "
            "than this, say so with --beside"
        )


def _list(boards: Boards, *, as_json: bool) -> None:
    able = {name: ways(boards.recipe(name)) for name in boards.names()}
    if as_json:
        print_json(able)
        return
    for name, tools in able.items():
        print(f"{name}: {', '.join(tools)}")


def _tell(recipe: Recipe, way: Tool | None) -> None:
    if way is not None and not installed(way):
        print(f"labd: {way.program} is not installed here ({way.install})", file=sys.stderr)
    print(f"{recipe.title}{f': {recipe.before}' if recipe.before else ''}", file=sys.stderr)
