"""What labd asks of the builder of candidates and what it answers: two JSON files and their schemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal

from pydantic import Field

from labd.config.section import Section, Wrong
from labd.config.types import Name, Words
from labd.flash.recipe import FORMATS

REQUEST = "request.json"
ANSWER = "answer.json"
LOG = "builder.log"
HOST = "host"
Parameter = bool | int | float | str


class TargetBoard(Section):
    """What the candidate is built for."""

    name: Words = Field(description="of the board, as its board file says it")
    kind: Words = Field(
        description=f"`{HOST}`: a program that runs on this host as a virtual board's firmware; else which board an image is for"
    )
    clock_hz: float = Field(gt=0, description="core clock that it will run at, Hz")
    supply_v: float = Field(gt=0, description="supply that it will run at, V")


class Request(Section):
    """`request.json`, whose path is the last argument of the command."""

    schema_version: Literal[1] = Field(default=1, alias="schema", description="version of this contract")
    parameters: Mapping[str, Parameter] = Field(description="of the candidate, by name; which there are is between use case and builder")
    board: TargetBoard = Field(description="what it is built for")
    folder: Words = Field(description="absolute path of an empty folder: everything is written there")
    answer: Words = Field(description="absolute path of the file that the answer is written to, in that folder")


class Size(Section):
    """What the candidate takes of the device's memory."""

    flash: int = Field(strict=True, ge=0, description="bytes that stay without supply")
    ram: int = Field(strict=True, ge=0, description="bytes of variables, the stack not counted")
    of: Literal["image", "net"] = Field(description="of the whole image as its linker says, or of the net alone: parameters and buffers")


class Answer(Section):
    """`answer.json`. File names are relative to the request's folder. With `refused` the rest may be left out."""

    schema_version: Literal[1] = Field(alias="schema", description="version of this contract")
    model: Name | None = Field(default=None, description="name that the firmware knows the net by, as plans name it")
    image: Words | None = Field(default=None, description="file to flash: .elf, .hex, .bin or .uf2; the bench file's `[flash]` says how")
    program: Words | None = Field(default=None, description="program to run as a virtual board's firmware, in place of an image")
    card: Words | None = Field(default=None, description="file of its model card (TOML)")
    toolchain: Words | None = Field(default=None, description="file of its toolchain card (TOML)")
    size: Size | None = Field(default=None, description="what it takes of the device's memory")
    expected_accuracy: float | None = Field(
        default=None, ge=0, le=1, description="top-1 accuracy that its maker computed without the device; a hint, never a result"
    )
    messages: tuple[str, ...] = Field(default=(), description="what a reader of the search should know")
    refused: Words | None = Field(default=None, description="why there is no such candidate: a file was wrong, it does not fit ...")

    def wrong(self) -> Iterator[Wrong]:
        if self.refused is not None:
            return
        for key in ("model", "card", "size"):
            if getattr(self, key) is None:
                yield Wrong(key, "this key is required unless the candidate is refused")
        if (self.image is None) == (self.program is None):
            yield Wrong("image", 'expected either "image" or "program"')
        if self.image is not None and PurePosixPath(self.image).suffix.lower().removeprefix(".") not in FORMATS:
            yield Wrong("image", f"expected a name that ends in .{', .'.join(FORMATS)}, got {self.image!r}")
        for key in self.files:
            if escapes(self.files[key]):
                yield Wrong(key, f"expected a file in the request's folder, got {self.files[key]!r}")

    @property
    def files(self) -> Mapping[str, str]:
        """The files that it names, by key."""
        named = {key: getattr(self, key) for key in ("image", "program", "card", "toolchain")}
        return {key: name for key, name in named.items() if name is not None}


def escapes(name: str) -> bool:
    """Whether a relative name leads out of its folder, on any system."""
    paths = (PurePosixPath(name), PureWindowsPath(name))
    return any(path.is_absolute() or path.drive or ".." in path.parts for path in paths)


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema (draft 2020-12) of both files, by file name of the schema."""
    made = {}
    for name, model in (("request", Request), ("answer", Answer)):
        file = f"builder-{name}.schema.json"
        head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:labd:schema:builder-{name}:1"}
        made[file] = {**head, **model.model_json_schema(by_alias=True), "title": f"labd candidate builder, {name}, version 1"}
    return made
