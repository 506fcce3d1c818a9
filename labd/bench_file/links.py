"""The `[links.NAME]` and `[lines.NAME]` tables: what else is connected to the board, at which level and how isolated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from labd.config.section import Section, Wrong
from labd.config.types import Count, Flag, Volts, Words

Isolation = Literal["none", "level_shifter", "isolator"]


class LinkSection(Section):
    """How labd talks to the board."""

    kind: Literal["serial"] = Field(description="a serial port")
    port: Words | None = Field(default=None, description="the port of a real board, such as /dev/ttyACM0 or COM4; this or `virtual`")
    virtual: Flag = Field(default=False, description="true: the virtual board's port; this or `port`")
    baud: Count = Field(default=115200, description="bits per second; stock firmware in its energy build uses 9600")
    io_level: Volts = Field(description="high level of the lines into the board")
    isolation: Isolation = Field(description="what stands between: nothing, a level shifter, or an isolator")
    tx_idle: Literal["high_z", "low", "driven"] = Field(default="high_z", description="the line into the board during captures")

    def wrong(self) -> Iterator[Wrong]:
        if self.port is None and not self.virtual:
            yield Wrong("port", 'this key is required: port = "/dev/ttyACM0" or the like (or virtual = true)')
        if self.port is not None and self.virtual:
            yield Wrong("port", "expected either port or virtual = true, got both")


class LineSection(Section):
    """A wire between the board and an instrument, apart from the supply."""

    start: Words = Field(alias="from", description='where the signal comes from: "INSTRUMENT.LINE" or "board.PIN"')
    end: Words = Field(alias="to", description='where it goes to: "INSTRUMENT.LINE" or "board.PIN"')
    level: Volts = Field(description="its high level")
    isolation: Isolation = Field(description="what stands between: nothing, a level shifter, or an isolator")

    @property
    def into_board(self) -> bool:
        """Whether the bench drives it (and could feed the board through its pin)."""
        return self.end.startswith("board.")

    def wrong(self) -> Iterator[Wrong]:
        for key, text in (("from", self.start), ("to", self.end)):
            owner, dot, line = text.partition(".")
            if not (owner and dot and line):
                yield Wrong(key, f'expected an owner and a line such as "smu.fire" or "board.TRIG", got "{text}"')
        if self.start.startswith("board.") == self.end.startswith("board."):
            yield Wrong("to", "a line has the board at exactly one of its ends")
