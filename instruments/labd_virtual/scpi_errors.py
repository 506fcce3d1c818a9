"""SCPI error codes, their standard texts, and the queue in which an instrument keeps them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

# SCPI-1999 volume 2, chapter 21.8; the same list in "Series N6700 User's Guide", Appendix D, p. 188.
STANDARD_TEXTS: Mapping[int, str] = MappingProxyType(
    {
        -100: "Command error",
        -101: "Invalid character",
        -102: "Syntax error",
        -103: "Invalid separator",
        -104: "Data type error",
        -108: "Parameter not allowed",
        -109: "Missing parameter",
        -112: "Program mnemonic too long",
        -113: "Undefined header",
        -114: "Header suffix out of range",
        -115: "Unexpected number of parameters",
        -121: "Invalid character in number",
        -128: "Numeric data not allowed",
        -131: "Invalid suffix",
        -138: "Suffix not allowed",
        -141: "Invalid character data",
        -148: "Character data not allowed",
        -151: "Invalid string data",
        -158: "String data not allowed",
        -161: "Invalid block data",
        -168: "Block data not allowed",
        -171: "Invalid expression",
        -178: "Expression data not allowed",
        -200: "Execution error",
        -211: "Trigger ignored",
        -213: "Init ignored",
        -221: "Settings conflict",
        -222: "Data out of range",
        -223: "Too much data",
        -224: "Illegal parameter value",
        -230: "Data corrupt or stale",
        -350: "Queue overflow",
        -410: "Query INTERRUPTED",
        -420: "Query UNTERMINATED",
        -440: "Query UNTERMINATED after indefinite response",
    }
)

NO_ERROR = (0, "No error")


class ScpiError(Exception):
    """What a parser or a command reports; the interpreter puts it into the instrument's queue."""

    def __init__(self, code: int, text: str | None = None) -> None:
        self.code = code
        self.text = STANDARD_TEXTS.get(code, "Device-specific error") if text is None else text
        super().__init__(f"{self.code}, {self.text}")

    @property
    def is_command_error(self) -> bool:
        """True in the -100 family, where the parser has lost its place in the message."""
        return -200 < self.code <= -100


class ErrorQueue:
    """First in, first out; when full the newest entry is replaced by -350 and later ones are lost (SCPI-1999 21.8.1)."""

    def __init__(self, capacity: int = 20) -> None:
        self._capacity = capacity
        self._entries: deque[tuple[int, str]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, code: int, text: str) -> None:
        if len(self._entries) < self._capacity:
            self._entries.append((code, text))
        else:
            self._entries[-1] = (-350, STANDARD_TEXTS[-350])

    def pop(self) -> tuple[int, str]:
        """The oldest entry, or (0, "No error")."""
        return self._entries.popleft() if self._entries else NO_ERROR

    def clear(self) -> None:
        self._entries.clear()
