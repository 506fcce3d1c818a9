"""Modules `gpib` and `Gpib` in place of linux-gpib's: one instrument at address 5, every message of it ended by EOI."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from tests.instruments.double_talker import Talker

RESOURCE = "GPIB0::5::INSTR"
TIMO, END = 0x4000, 0x2000  # of ibsta
IBA_TMO = 3


class GpibError(Exception):
    """As linux-gpib's."""


def modules(talker: Talker) -> dict[str, ModuleType]:
    """By name, for `sys.modules`."""

    class Gpib:
        """A device descriptor, or a board's."""

        def __init__(
            self, name: int = 0, pad: int | None = None, sad: int = 0, timeout: int = 13, send_eoi: int = 1, eos_mode: int = 0
        ) -> None:
            assert (name, sad, eos_mode) == (0, 0, 0)
            assert send_eoi, "an instrument knows the end of a message by EOI"
            self._pad, self._timeout = pad, timeout
            self._sta = self._cnt = 0
            self._open = True

        def __del__(self) -> None:
            self._open = False

        def timeout(self, value: int) -> None:
            assert 0 < value < 18
            self._timeout = value

        def ask(self, option: int) -> int:
            assert option == IBA_TMO
            return self._timeout

        def ibsta(self) -> int:
            return self._sta

        def ibcnt(self) -> int:
            return self._cnt

        def write(self, data: bytes) -> None:
            self._there()
            talker.take(data, end=True)
            self._sta, self._cnt = END, len(data)

        def read(self, count: int) -> bytes:
            self._there()
            data, ends = talker.give(count)
            if not data:
                self._sta = TIMO
                raise GpibError("read() failed: Timeout")
            self._sta, self._cnt = END if ends else 0, len(data)
            return data

        def clear(self) -> None:
            self._there()
            talker.clear()

        def _there(self) -> None:
            assert self._open, "used after it was closed"
            assert self._pad == 5, "nobody listens"

    library: Any = ModuleType("gpib")
    library.GpibError = GpibError
    library.version = lambda: "double"
    classes: Any = ModuleType("Gpib")
    classes.Gpib = Gpib
    return {"gpib": library, "Gpib": classes}
