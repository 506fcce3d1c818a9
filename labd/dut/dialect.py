"""In which ways a DUT's protocol differs from the classic one of MLPerf Tiny: what goes out, and what a line that comes in means. Pure.

Source: the public device API and runner of mlcommons/tiny, its streaming-wakeword reference and its interface board's firmware.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Protocol

from labd.dut.protocol import COMMAND_MAX, ECHO, UPLOAD_BYTES, Reply, encode_command

STREAMING_COMMAND_MAX = 1028
RELAYED_UPLOAD_BYTES = 26  # what the MLCommons runner sends through a board: `dut db ` and 52 digits are within 64 bytes
RELAYED_BAUDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)  # of a board's line to its DUT

DialectName = Literal["mlperf-tiny", "mlperf-tiny-streaming"]
Via = Literal["direct", "interface-board"]


class Dialect(Protocol):
    """command_max: characters of a command. upload_bytes: input bytes in one `db` line. repairs_uploads: an upload can go on where it
    broke, by `db getptr` and `db setptr`. relayed: another board stands between, which takes whole commands only."""

    @property
    def command_max(self) -> int: ...

    @property
    def upload_bytes(self) -> int: ...

    @property
    def repairs_uploads(self) -> bool: ...

    @property
    def relayed(self) -> bool: ...

    def encode(self, text: str) -> bytes:
        """A command as it goes out. Raises ValueError for what the firmware would choke on."""

    def heard(self, text: str) -> str | None:
        """A line in the words of the classic protocol; None where it is not of who was asked."""

    def is_name(self, reply: Reply) -> bool:
        """Whether this answers `name`."""


@dataclass(frozen=True, slots=True)
class Classic:
    """The four classic reference firmwares, and labd's own."""

    command_max: int = COMMAND_MAX
    upload_bytes: int = UPLOAD_BYTES
    repairs_uploads: bool = False
    relayed: bool = False

    def encode(self, text: str) -> bytes:
        return encode_command(text, most=self.command_max)

    def heard(self, text: str) -> str | None:
        return text

    def is_name(self, reply: Reply) -> bool:
        return any(text.startswith("m-name-") for text in reply.texts)


@dataclass(frozen=True, slots=True)
class Streaming(Classic):
    """The streaming-wakeword reference: each command is echoed first, uploads are counted and can be repaired."""

    command_max: int = STREAMING_COMMAND_MAX
    repairs_uploads: bool = True

    def heard(self, text: str) -> str | None:
        if found := re.fullmatch(r"Received command: (.*)", text):
            return f"{ECHO}{found[1].removesuffix('%').rstrip(' ')}]"
        if found := re.fullmatch(r"Expecting (\d+) bytes", text):
            return f"m-[Expecting {found[1]} bytes]"
        if found := re.fullmatch(r"(\d+) bytes received", text):
            return f"m-received-{found[1]}"
        return text


@dataclass(frozen=True, slots=True)
class Relayed:
    """A DUT behind an interface board: `dut <cmd>%` is answered twice, by the board and then by the DUT with `[dut]: ` before each line."""

    inner: Dialect
    relayed: bool = True

    @property
    def command_max(self) -> int:
        return self.inner.command_max

    @property
    def upload_bytes(self) -> int:
        return min(self.inner.upload_bytes, RELAYED_UPLOAD_BYTES)

    @property
    def repairs_uploads(self) -> bool:
        return self.inner.repairs_uploads

    def encode(self, text: str) -> bytes:
        return b"dut " + self.inner.encode(text)

    def heard(self, text: str) -> str | None:
        found = re.fullmatch(r"\[dut\]: ?(.*)", text)
        return None if found is None else self.inner.heard(found[1])

    def is_name(self, reply: Reply) -> bool:
        return self.inner.is_name(reply)


@dataclass(frozen=True, slots=True)
class BoardItself(Classic):
    """The interface board's own commands. What the DUT behind it says meanwhile is not its answer."""

    def heard(self, text: str) -> str | None:
        return None if text.startswith("[dut]:") else text

    def is_name(self, reply: Reply) -> bool:
        return any("interface board" in text.lower() for text in reply.texts)


CLASSIC = Classic()


def dialect_of(name: DialectName, *, via: Via) -> Dialect:
    """What the board file says the DUT speaks, through what the bench file says lies between."""
    spoken = Streaming() if name == "mlperf-tiny-streaming" else CLASSIC
    return Relayed(spoken) if via == "interface-board" else spoken
