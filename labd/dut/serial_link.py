"""The serial link to a DUT: one command at a time, each answered whole, refused, or failed by name."""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from types import TracebackType

import serial

from labd.deadline import deadline
from labd.dut.errors import DutBusy, DutRebooted, DutRefused, HalfReply, NoAnswer, PortFailure, UnexpectedReply, WrongBaud
from labd.dut.port import PortSettings, open_port
from labd.dut.protocol import BANNER, Line, LineDecoder, Reply, ReplyCollector, encode_command
from labd.dut.replies import Build
from labd.errors import DutFailure

__all__ = ["DutRebooted", "Program", "SerialLink"]

BOOT_S = 5.0  # from the banner's first line to its m-ready; EEMBC's host gives up after the same time
RESYNC_FIRST_S = 0.3
RESYNC_LONGEST_S = 2.0
QUIET_S = 0.05
KEPT_LINES = 10_000


class SerialLink:
    """Async context manager around an open port. Half duplex: a command waits until the one before it is answered.

    After a time-out or a cancelled command the link is out of step and finds its way back by `name%` before the next one
    (never by a bare `%`, which crashes the reference firmware).
    """

    def __init__(self, port: str, *, baud: int = 115200, dtr: bool = True, rts: bool = True) -> None:
        self.settings = PortSettings(port, baud, dtr, rts)
        self.lost_lines = 0
        self.boot_build: Build | None = None  # as the last banner seen said it
        self._decoder = LineDecoder()
        # size: 10000 lines; policy: the oldest is lost (nobody asked for that many); counter: lost_lines
        self._lines: deque[Line] = deque(maxlen=KEPT_LINES)
        self._news = asyncio.Event()
        self._turn = asyncio.Lock()
        self._fault: PortFailure | None = None
        self._serial: serial.Serial | None = None
        self._fd = -1
        self._program: Program | None = None
        self._in_step = False

    async def __aenter__(self) -> SerialLink:
        self._serial = open_port(self.settings)
        self._fd = self._serial.fileno()
        asyncio.get_running_loop().add_reader(self._fd, self._readable)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._serial is not None:
            asyncio.get_running_loop().remove_reader(self._fd)
            self._serial.close()
            self._serial = None
            self._fault = PortFailure(f"{self.settings.port}: the link is closed")
            self._news.set()

    async def command(self, text: str, *, timeout_s: float) -> Reply:
        """Send a command and return its whole reply. Raises DutRefused for `e-[..]`, and NoAnswer, WrongBaud, HalfReply,
        DutRebooted, DutBusy, PortFailure."""
        async with self._turn:
            await self._ready_for(text)
            collector = self._collector(text)
            return await self._exchange(collector, timeout_s)

    async def start(self, text: str, *, until: str, timeout_s: float) -> Program:
        """Send a command that runs a program on the DUT; returns at its start line `until`. Until `finish` no other command is taken."""
        async with self._turn:
            await self._ready_for(text)
            collector = self._collector(text)
            await self._exchange(collector, timeout_s, until=until)
            self._program = Program(self, collector)
            return self._program

    async def resync(self, *, timeout_s: float = 6.0) -> Reply:
        """Get into step with a DUT that may be booting, or in the middle of a reply; returns a clean reply to `name`.

        Also forgets a program that was not finished, and any boot banner seen. Raises like `command`.
        """
        async with self._turn:
            return await self._resync(timeout_s)

    async def poke(self) -> None:
        """Send one byte that is no command: the trigger of `arm .. uart`."""
        await self._write(b"\n")

    async def _ready_for(self, text: str) -> None:
        if self._program is not None:
            raise DutBusy(f"`{text}` cannot be sent: the DUT is busy with `{self._program.command}` and listens to nothing else")
        if not self._in_step:
            await self._resync(6.0)
        self._look_for_reboot(text)

    def _collector(self, text: str) -> ReplyCollector:
        self._decoder.reset_counts()
        return ReplyCollector(text)

    async def _exchange(self, collector: ReplyCollector, timeout_s: float, *, until: str | None = None) -> Reply:
        self._in_step = False
        try:
            async with deadline(timeout_s):
                collector.sent_ns = time.monotonic_ns()
                await self._write(encode_command(collector.command))
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
        self._in_step = True
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
                await self._after_banner(reply, line, f"during `{collector.command}`")
            if reply is not None:
                return reply
            if until is not None and line.text.startswith(until):
                return Reply(collector.command, (), None)

    async def _after_banner(self, reply: Reply | None, line: Line, when: str) -> None:
        """Read the banner to its end, so that the next command finds a DUT that listens."""
        self._note_build(line)
        try:
            async with deadline(BOOT_S):
                collector = ReplyCollector("boot")
                while reply is None:
                    line = await self._next_line()
                    self._note_build(line)
                    reply = collector.add(line)
            self._in_step = True
        except TimeoutError:
            self._in_step = False
        self._program = None
        raise self._rebooted(when)

    def _rebooted(self, when: str) -> DutRebooted:
        return DutRebooted(f"the DUT on {self.settings.port} rebooted {when}: its supply browned out, or a watchdog or reset line fired")

    def _look_for_reboot(self, text: str) -> None:
        """What came unasked since the last reply; a banner among it means a reboot."""
        lines = list(self._lines)
        self._lines.clear()
        for line in lines:
            self._note_build(line)
        if any(line.text.startswith(BANNER) for line in lines):
            self._in_step = any(line.text == "m-ready" for line in lines)
            raise self._rebooted(f"before `{text}`")

    def _note_build(self, line: Line) -> None:
        build = line.text.removeprefix("m-timestamp-mode-")
        if build != line.text and build in {"performance", "energy"}:
            self.boot_build = "energy" if build == "energy" else "performance"

    async def _resync(self, timeout_s: float) -> Reply:
        loop = asyncio.get_running_loop()
        end_s = loop.time() + timeout_s
        self._program = None
        self._in_step = False
        self._forget()
        asked, patience_s = 0, RESYNC_FIRST_S
        collector = self._collector("name")
        while (left_s := end_s - loop.time()) > 0:
            collector = ReplyCollector("name", time.monotonic_ns())
            await self._write(encode_command("name"))
            asked += 1
            reply = await self._within(collector, min(patience_s, left_s))
            if reply is None:
                patience_s = min(2 * patience_s, RESYNC_LONGEST_S)
            elif _is_name(reply) and asked == 1:
                self._in_step = True
                return reply
            elif _is_name(reply):
                await self._drain()
                asked = 0  # ask once more, with nothing left on the way
        raise self._silence(collector, timeout_s)

    async def _drain(self) -> None:
        while await self._within(ReplyCollector("name"), QUIET_S) is not None:
            pass
        self._forget()

    async def _within(self, collector: ReplyCollector, limit_s: float) -> Reply | None:
        try:
            async with deadline(limit_s):
                while True:
                    line = await self._next_line()
                    self._note_build(line)
                    if (reply := collector.add(line)) is not None:
                        return reply
        except TimeoutError:
            return None

    def _forget(self) -> None:
        for line in self._lines:
            self._note_build(line)
        self._lines.clear()
        self._decoder.discard()

    def _overdue(self, collector: ReplyCollector, timeout_s: float) -> DutFailure:
        if collector.rebooted:  # the banner had begun and time was up before its m-ready
            return self._rebooted(f"during `{collector.command}`")
        return self._silence(collector, timeout_s)

    def _silence(self, collector: ReplyCollector, timeout_s: float) -> NoAnswer | WrongBaud | HalfReply:
        port, baud = self.settings.port, self.settings.baud
        received, garbage = self._decoder.received, self._decoder.garbage
        said = f"`{collector.command}` on {port} within {timeout_s:g} s"
        if received == 0:
            return NoAnswer(
                f"no answer to {said}; check that the DUT is powered and flashed, that this is its port, that TX and RX are not swapped, "
                f"and the baud rate ({baud}; stock energy builds use 9600)"
            )
        if 4 * garbage > received:
            return WrongBaud(
                f"{garbage} of {received} bytes in answer to {said} are not text: {baud} baud is probably wrong "
                "(115200 or 921600 in performance builds, 9600 in stock energy builds)"
            )
        last = self._decoder.pending or collector.last
        return HalfReply(f"half a reply to {said}: it stopped after {last!r}, without m-ready")

    async def _next_line(self) -> Line:
        while not self._lines:
            if self._fault is not None:
                raise self._fault
            self._news.clear()
            await self._news.wait()
        return self._lines.popleft()

    def _readable(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        except OSError as error:  # EIO: the other end of a pseudo-terminal, or a USB adapter, has gone
            self._gone(error.strerror or str(error))
            return
        if not data:
            self._gone("end of file")
            return
        lines = self._decoder.feed(data, time.monotonic_ns())
        self.lost_lines += max(0, len(self._lines) + len(lines) - KEPT_LINES)
        self._lines.extend(lines)
        self._news.set()

    def _gone(self, why: str) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        self._fault = PortFailure(f"{self.settings.port}: the port is gone ({why}); was the board unplugged?")
        self._news.set()

    async def _write(self, data: bytes) -> None:
        if self._fault is not None:
            raise self._fault
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                await self._writable()
            except OSError as error:
                raise PortFailure(f"{self.settings.port}: cannot be written: {error.strerror}") from error

    async def _writable(self) -> None:
        loop = asyncio.get_running_loop()
        free = asyncio.Event()
        loop.add_writer(self._fd, free.set)
        try:
            await free.wait()
        finally:
            loop.remove_writer(self._fd)


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


def _is_name(reply: Reply) -> bool:
    return any(text.startswith("m-name-") for text in reply.texts)
