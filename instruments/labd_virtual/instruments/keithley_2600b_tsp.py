"""The command interface of a TSP instrument: lines of Lua as they come, scripts, common commands, the error queue, and printing.

Errors and their queue: 2600BS-901-01 Rev. B p. 7-83, Rev. C p. 8-2. A line that fails prints nothing. A script that runs answers nothing
until it has ended; `abort` ends it (2600AS-901-01 p. 19-229). An interface reads no further line while one runs, so `abort` ends here
what another session runs, and the script that a front panel has started (`stuck`).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np

from labd_virtual.front_end import Floats
from labd_virtual.instruments.keithley_2600b_buffers import NO_READING, Buffer, Subtable
from labd_virtual.instruments.keithley_2600b_lua import Script, TspError, Value, printed
from labd_virtual.instruments.keithley_2600b_things import Attributes, numeric
from labd_virtual.scpi_message import indefinite_block

_QUEUE = 1000
_ASCII, _REAL32, _REAL64 = 1, 2, 3
_DTYPES = {_REAL32: "f4", _REAL64: "f8"}


class ErrorQueue:
    """`errorqueue`: first in, first out."""

    def __init__(self) -> None:
        self.entries: deque[TspError] = deque(maxlen=_QUEUE)

    def declare(self) -> Attributes:
        thing = Attributes("errorqueue")
        thing.shown("count", lambda: float(len(self.entries)))
        thing.action("clear", self.entries.clear)

        async def following(_: list[Value]) -> list[Value]:
            if not self.entries:
                return [0.0, "Queue Is Empty", 0.0, 0.0]
            entry = self.entries.popleft()
            return [float(entry.code), entry.text, float(entry.severity), 1.0]

        thing.function("next", following)
        return thing


class Tsp:
    """names: the globals. before: brings the instrument to the present ahead of every line. finished: nothing overlapped is pending.

    changed: set when something overlapped may have ended. stuck: a script runs that nobody sees. always_big, loses: of a specimen whose
    blocks keep the other byte order, or end so many values early.
    """

    def __init__(self, identity: str, before: Callable[[], None], finished: Callable[[], bool]) -> None:
        self.names: dict[str, Value] = {}
        self.queue = ErrorQueue()
        self.stuck, self.always_big, self.loses = False, False, 0
        self.changed = asyncio.Event()
        self.reset: Callable[[], None] = lambda: None
        self.trigger: Callable[[], None] = lambda: None
        self._identity, self._before, self._finished = identity, before, finished
        self._out: list[bytes] = []
        self._collecting: list[str] | None = None
        self._runs = False
        self._busy = asyncio.Lock()
        self._running: asyncio.Task[None] | None = None
        self.restore()
        self._declare()

    def restore(self) -> None:
        """Formats after a reset: Rev. C p. 7-101, 7-102."""
        self.precision, self.data, self.order = 6, _ASCII, int(not self.always_big)

    def fail(self, problem: TspError) -> None:
        self.queue.entries.append(problem)

    # --- lines

    async def execute(self, message: str) -> bytes | None:
        """One message, which may hold several lines; what they printed, or None."""
        lines = message.rstrip("\r\n").split("\n")
        if [line.strip() for line in lines] == ["abort"]:
            self.abort()
            return None
        if self.stuck:
            return None
        async with self._busy:
            self._out = []
            self._running = asyncio.get_running_loop().create_task(self._lines(lines), name="TSP script")
            try:
                await self._running
            except asyncio.CancelledError:
                if not self._running.cancelled() or (task := asyncio.current_task()) is None or task.cancelling():
                    raise
            finally:
                self._running = None
            return b"".join(self._out) or None

    def abort(self) -> None:
        self.stuck = False
        self._collecting = None
        if self._running is not None:
            self._running.cancel()

    async def _lines(self, lines: list[str]) -> None:
        for line in lines:
            try:
                await self._line(line.strip("\r"))
            except TspError as problem:
                self.fail(problem)

    async def _line(self, line: str) -> None:
        words = line.split()
        if self._collecting is not None:
            if words == ["endscript"]:
                text, self._collecting = "\n".join(self._collecting), None
                if self._runs:
                    await self._run(text)
            else:
                self._collecting.append(line)
        elif words and words[0] in ("loadscript", "loadandrunscript"):
            self._collecting, self._runs = [], words[0] == "loadandrunscript"
        elif line.startswith("*"):
            await self._common(line.strip())
        else:
            await self._run(line)

    async def _run(self, text: str) -> None:
        self._before()
        await Script(text, self.names).run()

    async def _common(self, command: str) -> None:
        """Rev. B p. D-2: each in a message of its own."""
        self._before()
        answers = {"*IDN?": self._identity, "*TST?": "0", "*ESR?": "0", "*STB?": str(self.status()), "*SRE?": "0", "*ESE?": "0"}
        if command in answers:
            self._print(answers[command])
        elif command == "*RST":
            self.reset()
        elif command == "*CLS":
            self.queue.entries.clear()
        elif command == "*TRG":
            self.trigger()
        elif command in ("*WAI", "*OPC", "*OPC?"):
            await self._complete([])
            if command == "*OPC?":
                self._print("1")
        elif command.split(maxsplit=1)[0] not in ("*SRE", "*ESE"):
            raise TspError(-285, f"TSP Syntax error at line 1: unexpected symbol near `{command[:1]}'")

    def status(self) -> int:
        """The status byte: bit 2 tells of errors in the queue."""
        return 4 if self.queue.entries else 0

    # --- functions

    def _print(self, line: str) -> None:
        self._out.append(line.encode("latin-1", "replace") + b"\n")

    def _declare(self) -> None:
        async def print_(arguments: list[Value]) -> list[Value]:
            self._print("\t".join(printed(a, self.precision) for a in arguments))
            return []

        async def print_number(arguments: list[Value]) -> list[Value]:
            self._print_column(np.array([numeric(a) for a in arguments]))
            return []

        self.names.update(print=print_, printnumber=print_number, printbuffer=self._print_buffer, waitcomplete=self._complete)
        self.names["errorqueue"] = self.queue.declare()
        form = Attributes("format")
        form.constants(ASCII=1, SREAL=2, REAL32=2, REAL=3, REAL64=3, DREAL=3)
        form.constants(NORMAL=0, NETWORK=0, BIGENDIAN=0, SWAPPED=1, LITTLEENDIAN=1)
        form.choice("data", lambda: self.data, lambda v: setattr(self, "data", v), (1, 2, 3))
        form.choice("byteorder", lambda: self.order, self._set_order, (0, 1))
        form.number("asciiprecision", lambda: self.precision, lambda v: setattr(self, "precision", int(v) or 6), low=0, high=16)
        self.names["format"] = form

    def _set_order(self, value: int) -> None:
        self.order = 0 if self.always_big else value

    async def _complete(self, _: list[Value]) -> list[Value]:
        while not self._finished():
            await self._change()
        return []

    async def _change(self) -> None:
        self.changed.clear()
        await self.changed.wait()

    async def _print_buffer(self, arguments: list[Value]) -> list[Value]:
        """Values of one or more subtables, interleaved; 9.91e37 and an error for an index that is not there (Rev. C p. 7-167).

        While an overlapped operation fills a buffer, it waits for what has been asked for.
        """
        if len(arguments) < 3:
            raise TspError(1400, "Expected at least 3 parameters")
        first, last = (round(numeric(a)) for a in arguments[:2])
        tables = [Subtable(a, "readings") if isinstance(a, Buffer) else a for a in arguments[2:]]
        if not all(isinstance(t, Subtable) for t in tables):
            raise TspError(1401, "Parameter 3 is invalid")
        while not self._finished() and any(len(t.buffer.rows) < last for t in tables):
            await self._change()
        columns = [self._part(t.buffer.column(t.sub), first, last) for t in tables]
        self._print_column(np.column_stack(columns).ravel())
        return []

    def _part(self, column: Floats, first: int, last: int) -> Floats:
        wanted = np.arange(first, last + 1) - 1
        there = (wanted >= 0) & (wanted < len(column))
        if not there.all():
            self.fail(TspError(4900, f"Reading buffer index {int(wanted[~there][0]) + 1} is invalid"))
        part = np.full(len(wanted), NO_READING)
        part[there] = column[wanted[there]]
        return part

    def _print_column(self, values: Floats) -> None:
        if self.data == _ASCII:
            self._print(", ".join(printed(float(v), self.precision) for v in values))
            return
        kind = ("<" if self.order else ">") + _DTYPES[self.data]
        self._out.append(indefinite_block(values[: len(values) - self.loses].astype(kind).tobytes()) + b"\n")
