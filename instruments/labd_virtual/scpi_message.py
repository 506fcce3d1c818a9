"""Takes a program message apart: where it ends, its units, headers and arguments (IEEE 488.2 chapter 7)."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass

from labd_virtual.scpi_errors import ScpiError

_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*([A-Za-z%/]*)\Z")
_RADIX = re.compile(r"#([HQB])([0-9A-F]+)\Z", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_HEADER = re.compile(r"(:?\*[A-Za-z]+|:?[A-Za-z][A-Za-z0-9_]*(?::[A-Za-z][A-Za-z0-9_]*)*)(\?)?")
_BLANKS = " \t\r\n"
_RADIX_BASE = {"H": 16, "Q": 8, "B": 2}


class Kind(enum.Enum):
    NUMBER = "number"
    WORD = "word"
    STRING = "string"
    CHANNELS = "channels"
    EXPRESSION = "expression"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Argument:
    """One program data element. text: the number without suffix, the word, the unquoted string, or the bytes of a block (latin-1)."""

    kind: Kind
    text: str
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """One program message unit. nodes: header mnemonics in upper case; rooted: it began with a colon or is a common command."""

    nodes: tuple[str, ...]
    rooted: bool
    common: bool
    query: bool
    arguments: tuple[Argument, ...]


def message_end(buffer: bytes | bytearray) -> int | None:
    """Index just past the LF that ends the first whole message, None while it is incomplete.

    A LF inside a definite-length block belongs to the block; one inside quotes ends the message all the same (and leaves a string
    error behind), so that a client's missing quote cannot block a session.
    """
    position, quote = 0, 0
    while position < len(buffer):
        byte = buffer[position]
        if byte == 0x0A:
            return position + 1
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == 0x23:
            jump = _block_span(buffer, position)
            if jump is None:
                return None
            position += jump - 1
        position += 1
    return None


def _block_span(buffer: bytes | bytearray, start: int) -> int | None:
    """Bytes a definite block at `start` spans (1 when it is none), None while its header is incomplete."""
    if start + 1 >= len(buffer):
        return None
    digits = buffer[start + 1] - 0x30
    if not 1 <= digits <= 9:
        return 1
    length = bytes(buffer[start + 2 : start + 2 + digits])
    if len(length) < digits:
        return None
    return 2 + digits + int(length) if length.isdigit() else 1


def split(text: str, separator: str) -> Iterator[str]:
    """Parts of `text` between separators that stand outside quotes, parentheses and blocks. Raises ScpiError(-151, -161, -171)."""
    start = position = depth = 0
    quote = ""
    while position < len(text):
        char = text[position]
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#":
            span = _block_span(text.encode("latin-1"), position) or 0
            if span == 0 or position + span > len(text):
                raise ScpiError(-161)
            position += span - 1
        elif char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == separator and depth == 0:
            yield text[start:position]
            start = position + 1
        position += 1
    if quote:
        raise ScpiError(-151)
    if depth:
        raise ScpiError(-171)
    yield text[start:]


def parse_unit(text: str) -> Unit:
    """One unit without its separator. Raises ScpiError(-101, -102, -103, ...)."""
    text = text.lstrip(_BLANKS)
    found = _HEADER.match(text)
    if found is None:
        raise ScpiError(-101 if text and not text[0].isascii() else -102)
    header, mark = found.groups()
    if any(len(node) > 24 for node in header.split(":")):
        raise ScpiError(-112)
    rest = text[found.end() :]
    if rest and rest[0] not in _BLANKS:
        raise ScpiError(-102 if rest[0] == ":" else -103)
    arguments = tuple(parse_argument(part) for part in split(rest, ",")) if rest.strip() else ()
    # ":*CLS" is strictly illegal; real instruments take it.
    return Unit(
        nodes=tuple(header.lstrip(":").upper().split(":")),
        rooted=header[0] in ":*",
        common=header.lstrip(":").startswith("*"),
        query=mark is not None,
        arguments=arguments,
    )


def parse_argument(text: str) -> Argument:
    """Raises ScpiError when the text is no legal program data element."""
    text = text.lstrip(_BLANKS)
    if text[:1] == "#" and text[1:2].isdigit():
        return _block(text)  # blanks at its end may be data
    text = text.rstrip(_BLANKS)
    if not text:
        raise ScpiError(-109)
    first = text[0]
    if first in "\"'":
        return _string(text)
    if first == "(":
        return _expression(text)
    radix = _RADIX.match(text)
    if radix:
        try:
            return Argument(Kind.NUMBER, str(int(radix[2], _RADIX_BASE[radix[1].upper()])))
        except ValueError:
            raise ScpiError(-121) from None
    number = _NUMBER.match(text)
    if number:
        return Argument(Kind.NUMBER, number[1], number[2].upper())
    if first.isdigit() or first in "+-.#":
        raise ScpiError(-121)
    if _WORD.match(text):
        return Argument(Kind.WORD, text.upper())
    raise ScpiError(-141 if first.isalpha() else -102)


def _string(text: str) -> Argument:
    quote, body = text[0], text[1:-1]
    if len(text) < 2 or text[-1] != quote or quote in body.replace(quote * 2, ""):
        raise ScpiError(-151)
    return Argument(Kind.STRING, body.replace(quote * 2, quote))


def _expression(text: str) -> Argument:
    if not text.endswith(")"):
        raise ScpiError(-171)
    body = text[1:-1].replace(" ", "")
    return Argument(Kind.CHANNELS, body[1:]) if body.startswith("@") else Argument(Kind.EXPRESSION, body)


def _block(text: str) -> Argument:
    if text[1] == "0":
        return Argument(Kind.BLOCK, text[2:])
    start = 2 + int(text[1])
    end = start + int(text[2:start]) if text[2:start].isdigit() else 0
    if not start <= end <= len(text) or text[end:].strip(_BLANKS):
        raise ScpiError(-161)
    return Argument(Kind.BLOCK, text[start:end])


def definite_block(data: bytes) -> bytes:
    """`#<digits><length><data>` (IEEE 488.2 8.7.9)."""
    length = str(len(data)).encode()
    return b"#" + str(len(length)).encode() + length + data


def indefinite_block(data: bytes) -> bytes:
    """`#0<data>`; ends with the message terminator, so nothing can follow it in one response (IEEE 488.2 8.7.10)."""
    return b"#0" + data
