"""The `[links.NAME]` and `[lines.NAME]` tables: what else is connected to the board, at which level and how isolated."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from labd.config.quantity import shown
from labd.config.section import Section, Wrong
from labd.config.types import Count, Flag, SecondsOrZero, Volts, Words
from labd.dut.dialect import RELAYED_BAUDS, Via

Isolation = Literal["none", "level_shifter", "isolator"]


class LinkSection(Section):
    """How labd talks to the board."""

    kind: Literal["serial", "agent"] = Field(description="a serial port, or the agent on a Linux board (over TCP, or a serial port)")
    port: Words | None = Field(
        default=None,
        description="the port of a real board, such as /dev/ttyACM0 or COM4; this or `virtual`, to an agent this or `address`",
    )
    virtual: Flag = Field(default=False, description="true: the virtual board's port; this or `port`")
    baud: Count = Field(default=115200, description="bits per second; stock firmware in its energy build uses 9600")
    io_level: Volts | None = Field(default=None, description="high level of the lines into the board; required but with an `address`")
    isolation: Isolation | None = Field(
        default=None, description="what stands between: nothing, a level shifter, or an isolator; required but with an `address`"
    )
    via: Via = Field(default="direct", description="what lies between: nothing, or an MLPerf Tiny interface board that passes commands on")
    dut_baud: Count | None = Field(
        default=None,
        description="bits per second from the interface board to the board; set there where it has another, which writes its flash",
    )
    tx_idle: Literal["high_z", "low", "driven"] = Field(default="high_z", description="the line into the board during captures")
    address: Words | None = Field(default=None, description='where an agent listens, such as "192.168.1.20:8471"')
    key_file: Words | None = Field(default=None, description="file with the key that the agent was started with, relative to this one")
    boot_time: SecondsOrZero = Field(default=0.0, description="how long after its supply came on an agent may take to be there")

    @property
    def wired(self) -> bool:
        """Whether a line of it ends at a pin of the board. A network does not: its transformers, or its antenna, isolate."""
        return self.address is None

    def wrong(self) -> Iterator[Wrong]:
        yield from self._agent() if self.kind == "agent" else self._serial()
        for key, example in (("io_level", "3.3 V"), ("isolation", "none")):
            if self.wired and getattr(self, key) is None:
                yield Wrong(key, f'this key is required: {key} = "{example}" or the like')
            if not self.wired and getattr(self, key) is not None:
                yield Wrong(key, "a link over a network has no line into the board: leave this key out")

    def _serial(self) -> Iterator[Wrong]:
        if self.port is None and not self.virtual:
            yield Wrong("port", 'this key is required: port = "/dev/ttyACM0" or the like (or virtual = true)')
        if self.port is not None and self.virtual:
            yield Wrong("port", "expected either port or virtual = true, got both")
        if self.via == "interface-board" and self.virtual:
            yield Wrong("via", 'expected "direct": a virtual board has no interface board before it')
        if self.dut_baud is not None and self.via == "direct":
            yield Wrong("dut_baud", 'only an interface board has this rate: write via = "interface-board", or set baud')
        if self.dut_baud is not None and self.dut_baud not in RELAYED_BAUDS:
            yield Wrong("dut_baud", f"expected one of {', '.join(map(str, RELAYED_BAUDS))}, got {self.dut_baud}")
        for key in sorted({"address", "key_file", "boot_time"} & self.model_fields_set):
            yield Wrong(key, 'only a link of kind = "agent" has this key')

    def _agent(self) -> Iterator[Wrong]:
        if self.virtual:
            yield Wrong("virtual", "an agent is a process of its own, also for a virtual board: name its address")
        elif (self.address is None) == (self.port is None):
            found = "neither" if self.port is None else "both"
            yield Wrong("address", f'expected an address such as "192.168.1.20:8471", or a serial port (port), got {found}')
        if self.address is not None and not re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):[0-9]{1,5}", self.address):
            yield Wrong("address", f'expected an address and a port such as "192.168.1.20:8471", got {shown(self.address)}')
        for key in sorted({"via", "dut_baud"} & self.model_fields_set):
            yield Wrong(key, 'only a link of kind = "serial" has this key')
        if self.address is not None and "baud" in self.model_fields_set:
            yield Wrong("baud", "a link over a network has no baud rate: leave this key out")
        if self.key_file is None:
            yield Wrong("key_file", 'this key is required: key_file = "agent.key" or the like; `--make-key` of the agent makes one')


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
