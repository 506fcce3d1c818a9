"""The serial link to a DUT: one command at a time, each answered whole, refused, or failed by name."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from types import TracebackType

import serial

from labd.deadline import deadline
from labd.dut.carrier import Carrier
from labd.dut.dialect import CLASSIC, RELAYED_BAUDS, Dialect
from labd.dut.errors import DutBusy, DutRebooted, DutRefused, Misheard, OtherDevice, PortFailure, UnexpectedReply
from labd.dut.open_port import OpenPort
from labd.dut.port import PortSettings
from labd.dut.protocol import BANNER, BUILD, Line, LineDecoder, Reply, ReplyCollector
from labd.dut.replies import Build
from labd.dut.silence import Line as SilentLine
from labd.dut.silence import silence
from labd.errors import DutFailure

__all__ = ["DutRebooted", "Program", "SerialLink"]

BOOT_S = 5.0  # from the banner's first line to its m-ready; EEMBC's host gives up after the same time
RESYNC_S = 6.0
RESYNC_FIRST_S = 0.3
RESYNC_LONGEST_S = 2.0
STRANGE = 5  # answers to other commands may still be on their way, but not so many
QUIET_S = 0.05
NAME_BITS = 1000  # `name%` and its reply, with room for a longer vendor
KEPT_LINES = 10_000


class SerialLink:
    """Async context manager around an open port. Half duplex: a command waits until the one before it is answered.

    After a time-out or a cancelled command the link is out of step and finds its way back by `name%` before the next one
    (never by a bare `%`, which crashes the reference firmware).
    """

    def __init__(
        self, port: str, *, baud: int = 115200, dtr: bool = True, rts: bool = True, dialect: Dialect = CLASSIC, resync_s: float = RESYNC_S
    ) -> None:
        """resync_s: how long the link tries to get into step before a command that finds it out of step fails."""
        self.settings = PortSettings(port, baud, dtr, rts)
        self._resync_s = resync_s
        self.dialect = dialect
        self.lost_lines = 0
        self.boot_build: Build | None = None  # as the last banner seen said it
        self._decoder = LineDecoder()
        # size: 10000 lines; policy: the oldest is lost (nobody asked for that many); counter: lost_lines
        self._lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._fault: PortFailure | None = None
        self._port: Carrier | None = None
        self._program: Program | None = None
        self._in_step = False
        self._met = False  # it was in step before
        self.rebooted_unseen = False  # a banner came while the link found its way

    @property
    def slowest_baud(self) -> int:
        """Of the lines to the DUT; of an interface board's own line it is not known, and the slowest that one has is taken."""
        return min(self.settings.baud, RELAYED_BAUDS[0]) if self.dialect.relayed else self.settings.baud

    async def __aenter__(self) -> SerialLink:
        self._port = await self._carrier().__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._port is not None:
            port, self._port = self._port, None
            self._fault = PortFailure(f"{self.settings.port}: the link is closed")
            self._news.set()
            await port.__aexit__(kind, error, trace)

    @property
    def serial(self) -> serial.Serial:
        """The open port, for its modem lines and for a process that fires on its descriptor. Raises PortFailure."""
        if not isinstance(self._port, OpenPort):
            raise PortFailure(f"{self.settings.port}: the link is not open, or is no serial port")
        return self._port.serial

    def _carrier(self) -> Carrier:
        return OpenPort(self.settings, on_data=self._heard, on_gone=self._gone)

    async def command(self, text: str, *, timeout_s: float, to: Dialect | None = None) -> Reply:
        """Send a command and return its whole reply. to: whom, where that is not the DUT (an interface board itself). Raises DutRefused for
        `e-[..]`, and NoAnswer, WrongBaud, HalfReply, InterfaceBlocked, Misheard, DutRebooted, DutBusy, PortFailure."""
        whom = to or self.dialect
        async with self._turn:
            await self._ready_for(text, whom)
            collector = self._collector(text, whom)
            return await self._exchange(collector, whom, timeout_s)

    async def start(self, text: str, *, until: str, timeout_s: float) -> Program:
        """Send a command that runs a program on the DUT; returns at its start line `until`. Until `finish` no other command is taken."""
        async with self._turn:
            await self._ready_for(text, self.dialect)
            collector = self._collector(text, self.dialect)
            await self._exchange(collector, self.dialect, timeout_s, until=until)
            self._program = Program(self, collector)
            return self._program

    async def resync(self, *, timeout_s: float = RESYNC_S, to: Dialect | None = None) -> Reply:
        """Get into step with a DUT that may be booting, or in the middle of a reply; returns a clean reply to `name`.

        Also forgets a program that was not finished, and any boot banner seen. Raises like `command`.
        """
        async with self._turn:
            self.rebooted_unseen = False
            return await self._resync(timeout_s, to or self.dialect)

    async def find_step(self) -> None:
        """Into step again after `doubt` or a failure, as before any command. Raises what keeps the link from it, and DutRebooted."""
        async with self._turn:
            await self._ready_for("name", self.dialect)

    def doubt(self) -> None:
        """A reply was not what it should be, so the next one may belong to another command: first find the way back."""
        self._in_step = False

    async def poke(self) -> None:
        """Send one byte that is no command: the trigger of `arm .. uart`."""
        if self.dialect.relayed:
            raise DutFailure("a trigger by UART does not pass an interface board, which sends whole commands; trigger by pin")
        await self._write(b"\n")

    async def _ready_for(self, text: str, whom: Dialect) -> None:
        if self._program is not None:
            raise DutBusy(f"`{text}` cannot be sent: the DUT is busy with `{self._program.command}` and listens to nothing else")
        if not self._in_step:
            met, self.rebooted_unseen = self._met, False
            await self._resync(self._resync_s, whom)
            if met and self.rebooted_unseen:
                raise self._rebooted(f"before `{text}`")
        self._look_for_reboot(text)

    def _collector(self, text: str, whom: Dialect) -> ReplyCollector:
        self._decoder.reset_counts()
        return ReplyCollector(text, heard=whom.heard)

    async def _exchange(self, collector: ReplyCollector, whom: Dialect, timeout_s: float, *, until: str | None = None) -> Reply:
        self._in_step = False
        try:
            async with deadline(timeout_s):
                collector.sent_ns = time.monotonic_ns()
                await self._write(whom.encode(collector.command))
                reply = await self._collect(collector, until)
        except TimeoutError:
            raise self._overdue(collector, timeout_s) from None
        return self._accepted(reply, until)

    async def _finish(self, collector: ReplyCollector, timeout_s: float) -> Reply:
        self._decoder.reset_counts()
        self._in_step = False
        try:
            async with deadline(timeout_s):
                reply = await self._collect(collector, None)
        except TimeoutError:
            raise self._overdue(collector, timeout_s) from None
        finally:
            self._program = None
        return self._accepted(reply, None)

    def _accepted(self, reply: Reply, until: str | None) -> Reply:
        self._in_step = not reply.misheard
        if reply.misheard:
            raise Misheard(
                f"the DUT on {self.settings.port} heard `{reply.misheard}` where `{reply.command}` was sent: noise on the line, a missing "
                "ground, or bytes that come faster than it reads them"
            )
        if reply.error is not None:
            raise DutRefused(f"the DUT refused `{reply.command}`: {reply.error}", reply.error)
        if until is not None and reply.ready_ns:
            raise UnexpectedReply(f"`{reply.command}` ended without {until!r}: {', '.join(map(repr, reply.texts[:4])) or 'nothing'}")
        return reply

    async def _collect(self, collector: ReplyCollector, until: str | None) -> Reply:
        while True:
            line = await self._next_line()
            reply = collector.add(line)
            if collector.rebooted:
                await self._after_banner(reply, collector, f"during `{collector.command}`")
            if reply is not None:
                return reply
            if until is not None and collector.last.startswith(until):
                return Reply(collector.command, (), None)

    async def _after_banner(self, reply: Reply | None, collector: ReplyCollector, when: str) -> None:
        """Read the banner to its end, so that the next command finds a DUT that listens."""
        try:
            async with deadline(BOOT_S):
                while reply is None:
                    reply = collector.add(await self._next_line())
            self._in_step = True
        except TimeoutError:
            self._in_step = False
        self._note_build(collector.build)
        self._program = None
        raise self._rebooted(when)

    def _rebooted(self, when: str) -> DutRebooted:
        return DutRebooted(f"the DUT on {self.settings.port} rebooted {when}: its supply browned out, or a watchdog or reset line fired")

    def _look_for_reboot(self, text: str) -> None:
        """What came unasked since the last reply; a banner among it means a reboot."""
        texts = self._unasked()
        if any(text.startswith(BANNER) for text in texts):
            self._in_step = "m-ready" in texts
            raise self._rebooted(f"before `{text}`")

    def _unasked(self) -> list[str]:
        """What the DUT has said meanwhile, and nobody takes."""
        texts = [text for line in self._lines if (text := self.dialect.heard(line.text)) is not None]
        self._lines.clear()
        for text in texts:
            if text.startswith(BUILD):
                self._note_build(text.removeprefix(BUILD))
        return texts

    def _note_build(self, build: str) -> None:
        if build in {"performance", "energy"}:
            self.boot_build = "energy" if build == "energy" else "performance"

    async def _resync(self, timeout_s: float, whom: Dialect) -> Reply:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        self._program = None
        self._in_step = False
        self._forget()
        asked, patience_s, strange, boots = 0, RESYNC_FIRST_S, 0, 0
        collector = self._collector("name", whom)
        while (left_s := end_s - loop.time()) > 0:
            collector = ReplyCollector("name", time.monotonic_ns(), whom.heard, passed_on=collector.passed_on)
            try:
                async with deadline(left_s):
                    await self._write(whom.encode("name"))
            except TimeoutError:
                if asked:
                    break
                raise PortFailure(f"{self.settings.port}: the device took no bytes within {timeout_s:g} s") from None
            asked += 1
            reply = await self._within(collector, min(patience_s, left_s))
            if reply is None:
                patience_s = min(2 * patience_s, RESYNC_LONGEST_S)
            elif whom.is_name(reply) and not reply.misheard and asked == 1:
                self._in_step = self._met = True
                return reply
            elif whom.is_name(reply):
                await self._drain(whom)
                asked = 0  # ask once more, with nothing left on the way
            elif collector.rebooted:
                boots += 1
                if boots == STRANGE:
                    raise self._rebooted(f"{boots} times in a row while it was asked for its name")
            else:
                strange += 1
                if strange == STRANGE:
                    raise self._stranger(reply)
        raise self._silence(collector, timeout_s)

    def _stranger(self, reply: Reply) -> OtherDevice:
        said = ", ".join(map(repr, reply.texts[:4])) or "nothing"
        board = any("interface board" in text.lower() for text in reply.texts)
        hint = 'an interface board is between: write via = "interface-board"' if board else "is this the right port?"
        return OtherDevice(
            f"`name` on {self.settings.port} is answered by {said}, as no DUT (or interface board, where one is asked) does; {hint}"
        )

    async def _drain(self, whom: Dialect) -> None:
        """Until nothing more comes for longer than a DUT needs to answer `name`, at the pace of the slowest line on the way."""
        while await self._within(ReplyCollector("name", heard=whom.heard), QUIET_S + NAME_BITS / self.slowest_baud) is not None:
            pass
        self._forget()

    async def _within(self, collector: ReplyCollector, limit_s: float) -> Reply | None:
        try:
            async with deadline(limit_s):
                while (reply := collector.add(await self._next_line())) is None:
                    pass
                return reply
        except TimeoutError:
            return None
        finally:
            self._note_build(collector.build)
            self.rebooted_unseen = self.rebooted_unseen or collector.rebooted

    def _forget(self) -> None:
        self.rebooted_unseen = any(text.startswith(BANNER) for text in self._unasked()) or self.rebooted_unseen
        self._decoder.discard()

    def _overdue(self, collector: ReplyCollector, timeout_s: float) -> DutFailure:
        if collector.rebooted:  # the banner had begun and time was up before its m-ready
            return self._rebooted(f"during `{collector.command}`")
        return self._silence(collector, timeout_s)

    def _silence(self, collector: ReplyCollector, timeout_s: float) -> DutFailure:
        return silence(collector, self._decoder, SilentLine(self.settings, self.dialect.relayed, self._met), timeout_s)

    async def _next_line(self) -> Line:
        while not self._lines:
            if self._fault is not None:
                raise self._fault
            self._news.clear()
            await self._news.wait()
        return self._lines.popleft()

    def _heard(self, data: bytes, t_ns: int) -> None:
        lines = self._decoder.feed(data, t_ns)
        self.lost_lines += max(0, len(self._lines) + len(lines) - KEPT_LINES)
        self._lines.extend(lines)
        self._news.set()

    def _gone(self, why: str) -> None:
        self._fault = PortFailure(f"{self.settings.port}: the port is gone ({why}); was the board unplugged?")
        self._news.set()

    async def _write(self, data: bytes) -> None:
        if self._fault is not None:
            raise self._fault
        if self._port is None:
            raise PortFailure(f"{self.settings.port}: the link is not open")
        await self._port.write(data)


class Program:
    """A program under way on the DUT, between its start line and its done line."""

    def __init__(self, link: SerialLink, collector: ReplyCollector) -> None:
        self.command = collector.command
        self._link = link
        self._collector = collector

    async def finish(self, *, timeout_s: float) -> Reply:
        """Wait for its end; the reply holds all lines. Raises like `SerialLink.command`."""
        return await self._link._finish(self._collector, timeout_s)

    def abandon(self) -> None:
        """Wait for it no more; the next command first waits until the DUT listens again."""
        self._link._program = None
        self._link._in_step = False
