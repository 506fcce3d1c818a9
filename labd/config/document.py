"""A TOML file read from disk: its text, its hash, and the section model made from it."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import PrivateAttr, ValidationError

from labd.config.problems import file_error, wrongs_of
from labd.config.section import Section, Wrong, every_wrong, written_name

S = TypeVar("S", bound=Section)

MOST_DOTS = 100  # in a key: tomllib takes time and memory that grow with the square of them
NO_KEY = re.compile(r"""[^A-Za-z0-9_\-."' \t]+""")  # what may stand between keys and in none


@dataclass(frozen=True, slots=True)
class Source:
    """Where a section came from: the path as given, the raw text and the SHA-256 (hex) of the file's bytes."""

    path: Path
    text: str
    sha256: str


class FileSection(Section):
    """The section that is a whole file; it knows which. kind: what people call such a file."""

    kind: ClassVar[str] = ""
    _source: Source = PrivateAttr()

    @property
    def path(self) -> Path:
        return self._source.path

    @property
    def text(self) -> str:
        return self._source.text

    @property
    def sha256(self) -> str:
        return self._source.sha256


def read_section(path: Path, model: type[S]) -> tuple[S, Source]:
    """Read a file into a section. Raises FileError: unreadable, not UTF-8, not TOML (with line and column), or wrong keys and values."""
    source = read_source(path)
    return parse_section(source, model), source


def read_source(path: Path) -> Source:
    """Raises FileError when the file cannot be opened or is not UTF-8 text."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise file_error(str(path), [Wrong("", f"cannot be read: {error.strerror or error}")]) from error
    except ValueError as error:  # a zero byte in the name
        raise file_error(str(path), [Wrong("", f"cannot be read: {error}")]) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise file_error(str(path), [Wrong("", f"is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line})")]) from error
    return Source(path, text, hashlib.sha256(data).hexdigest())


def parse_section(source: Source, model: type[S]) -> S:
    """The section a text describes. Raises FileError with every problem that can be told at once."""
    file = str(source.path)
    data = parse_toml(source)
    try:
        section = model.model_validate(data)
    except ValidationError as error:
        other = _other_kind(data, model)
        raise file_error(file, [Wrong("", other)] if other else wrongs_of(error, model)) from error
    wrongs = list(every_wrong(section))
    if wrongs:
        raise file_error(file, wrongs)
    return section


def _other_kind(data: Mapping[str, Any], model: type[Section]) -> str:
    """Two files given in the wrong order: what is said in place of each key that one kind has and the other has not."""
    if not issubclass(model, FileSection) or not model.kind or _needed(model) <= data.keys():
        return ""
    others = [one.kind for one in FileSection.__subclasses__() if one.kind and one is not model and _needed(one) <= data.keys()]
    return f"this is {others[0]}, expected {model.kind}: are the files in the right order?" if others else ""


def _needed(model: type[Section]) -> set[str]:
    return {written_name(name, field) for name, field in model.model_fields.items() if field.is_required()}


def parse_toml(source: Source) -> dict[str, Any]:
    """What a text says, before any model is held against it. Raises FileError where it is not TOML, or has too long a key."""
    file = str(source.path)
    if any(token.count(".") > MOST_DOTS for token in NO_KEY.split(source.text)):
        raise file_error(file, [Wrong("", f"is not TOML that can be read: a key of more than {MOST_DOTS} parts")])
    try:
        return tomllib.loads(source.text)
    except ValueError as error:  # TOMLDecodeError, or an integer with more digits than Python converts
        raise file_error(file, [Wrong("", f"is not TOML: {error}")]) from error
    except RecursionError as error:
        raise file_error(file, [Wrong("", "is not TOML that can be read: brackets nested too deeply")]) from error
