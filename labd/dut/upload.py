"""Brings an input tensor into the DUT and proves that it is there whole: no result may come from a damaged upload."""

from __future__ import annotations

from dataclasses import dataclass

from labd.dut import replies
from labd.dut.errors import DutRefused, HalfReply, LineNoise, NoAnswer, UnexpectedReply
from labd.dut.protocol import Reply, upload_commands
from labd.dut.serial_link import SerialLink

TRIES = 3
REPAIRS = 5  # of one upload, where the DUT can go on where it broke
PRINT_BYTE_S = 5e-3  # of `db print`: three characters a byte at 9600 baud, and the ends of lines

# What leaves in doubt what the DUT holds. A reboot, a port that is gone or the wrong baud rate end everything instead.
DOUBT = (UnexpectedReply, DutRefused, NoAnswer, HalfReply)


@dataclass(frozen=True, slots=True)
class Upload:
    """How inputs are brought in over a link. answer_s: for one answer."""

    link: SerialLink
    answer_s: float

    async def load(self, data: bytes, *, verify: bool) -> None:
        """Upload and, with `verify` or where something was odd, read back. After any doubt it begins again with `db load`: there is no
        other way to repair a classic upload, and bytes behind its end would be written over the firmware's own memory.

        Raises one of DOUBT where no attempt succeeds, and what ends everything (DutRebooted, WrongBaud, PortFailure) at once.
        """
        for left in reversed(range(TRIES)):
            try:
                repaired = await self._send(data)
                if verify or repaired or left < TRIES - 1:
                    await self._verify(data)
            except DOUBT as error:
                self.link.doubt()
                if not left or _is_too_large(error):
                    raise
            else:
                return
            await self.link.find_step()

    async def _send(self, data: bytes) -> int:
        """How many repairs it took."""
        begin, *lines = upload_commands(data, line_bytes=self.link.dialect.upload_bytes)
        reply = await self._ask(begin)
        refuse_warnings(reply)
        if (expected := replies.parse_expecting(reply)) != len(data):
            raise UnexpectedReply(f"`{begin}`: the DUT expects {expected} bytes")
        repairs = REPAIRS if self.link.dialect.repairs_uploads else 0
        for number, line in enumerate(lines, start=1):
            repairs -= await self._line(line, number, len(lines), repairs=repairs)
        return REPAIRS - repairs if self.link.dialect.repairs_uploads else 0

    async def _line(self, line: str, number: int, count: int, *, repairs: int) -> int:
        """One `db` line; how many repairs it took. A repair sets the DUT's pointer back to where the line begins."""
        used = 0
        while True:
            try:
                if used:
                    await self._set_pointer((number - 1) * self.link.dialect.upload_bytes)
                _check_line(await self._ask(line), number, count)
            except DOUBT:
                self.link.doubt()
                if used == repairs:
                    raise
                used += 1
            else:
                return used
            await self.link.find_step()

    async def _ask(self, text: str, *, more_s: float = 0.0) -> Reply:
        return await self.link.command(text, timeout_s=self.answer_s + more_s)

    async def _set_pointer(self, at: int) -> None:
        await self._ask(f"db setptr {at}")
        if (found := replies.parse_pointer(await self._ask("db getptr"))) != at:
            raise UnexpectedReply(f"`db setptr {at}` left the DUT's pointer at {found}")

    async def _verify(self, data: bytes) -> None:
        held = replies.parse_buffer(await self._ask("db print", more_s=len(data) * PRINT_BYTE_S))
        if held != data:
            first = next((k for k, (a, b) in enumerate(zip(held, data, strict=False)) if a != b), min(len(held), len(data)))
            raise UnexpectedReply(f"the DUT holds other data than was uploaded, from byte {first} of {len(data)} on")


def refuse_warnings(reply: Reply) -> None:
    """Between `db load` and results a line without a prefix means that the inference runs on other data."""
    if not all(line.clean for line in reply.lines):
        raise LineNoise(f"`{reply.command}`: bytes that are no text stand in the reply: noise on the line, so nothing in it is certain")
    if reply.warnings:
        raise UnexpectedReply(f"`{reply.command}`: the DUT says {reply.warnings[0]!r}; what it computes on is not certain")


def _check_line(reply: Reply, number: int, count: int) -> None:
    refuse_warnings(reply)
    done = replies.load_is_done(reply)
    if done != (number == count):
        raise UnexpectedReply(f"upload line {number} of {count}: m-load-done at the wrong place; bytes were lost")
    if odd := replies.beside_load(reply):
        raise UnexpectedReply(f"upload line {number} of {count}: the DUT says {odd!r}; bytes were lost")


def _is_too_large(error: Exception) -> bool:
    """The firmware goes on to believe the size it refused: nothing may be sent but another `db load`."""
    return isinstance(error, DutRefused) and error.reason.startswith("Supplied buffer size")
