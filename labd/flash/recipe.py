"""How a board is flashed: `flash.toml` in its folder of the firmware, which names the tools in the order they are tried in."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from labd import resources
from labd.errors import FileError, NotFound

FORMATS = ("elf", "hex", "bin", "uf2")
Format = Literal["elf", "hex", "bin", "uf2"]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tool(_Table):
    """program: its command. commands: arguments of each call; in them `{image}` is the image and `{port}` becomes the arguments of `port`.

    port: how the tool is told which probe or port, left out where none was given. install: where it comes from. by_hand: somebody has to
    press something on the board for every image.
    """

    program: str
    image: Format
    commands: Annotated[tuple[tuple[str, ...], ...], Field(min_length=1)]
    port: tuple[str, ...] = ()
    needs_port: bool = False
    by_hand: bool = False
    install: str

    def lines(self, image: Path, port: str | None) -> list[list[str]]:
        """The calls, program first. Raises FileError for a port that is missing, or that the tool cannot be told."""
        if port is None and self.needs_port:
            raise FileError("labd flash", "--port", f"{self.program} asks for the port that the board is on, such as /dev/ttyACM0")
        if port is not None and not self.port:
            raise FileError("labd flash", "--port", f"{self.program} finds the board itself and takes no port; leave it out")
        chosen = [] if port is None else [part.replace("{port}", port) for part in self.port]
        return [[self.program, *_filled(command, str(image), chosen)] for command in self.commands]


class Drive(_Table):
    """A boot loader that shows itself as a drive which takes UF2 files. board_id: of its INFO_UF2.TXT. family: of the blocks."""

    board_id: str
    family: int


class Recipe(_Table):
    """board: of the image. title: what is printed on it. before: what to do by hand first."""

    board: str
    title: str
    before: str = ""
    tools: Annotated[tuple[Tool, ...], Field(alias="tool")] = ()
    drive: Drive | None = None


@dataclass(frozen=True, slots=True)
class Boards:
    """All that have a recipe, in a folder of the firmware."""

    firmware: Path

    def names(self) -> list[str]:
        return sorted(path.parent.name for path in self.firmware.glob("boards/*/flash.toml"))

    def recipe(self, board: str) -> Recipe:
        """Raises NotFound for a board that has none, FileError for a recipe that is wrong."""
        if board not in self.names():
            raise NotFound(f"no board {board!r} that labd can flash; there are {', '.join(self.names())}")
        return read_recipe(self.firmware / "boards" / board / "flash.toml", board)


def read_recipe(path: Path, board: str) -> Recipe:
    """Of one file. board: what it is for. Raises FileError."""
    try:
        return Recipe.model_validate({**tomllib.loads(path.read_text(encoding="utf-8")), "board": board})
    except OSError as error:
        raise FileError(str(path), "", f"cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FileError(str(path), "", f"is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise FileError(str(path), ".".join(str(part) for part in first["loc"]), first["msg"]) from error


def shipped() -> Boards:
    """Of the firmware that labd came with."""
    return Boards(resources.path("firmware"))


def _filled(command: Sequence[str], image: str, port: Sequence[str]) -> list[str]:
    filled: list[str] = []
    for part in command:
        if part == "{port}":
            filled += port
        else:
            filled.append(part.replace("{image}", image))
    return filled
