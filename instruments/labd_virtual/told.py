"""A device that is followed by what it tells over a unix socket: the agent of a Linux board, or any process of a user.

Lines of text, each with the instant it happened (ns of time.monotonic_ns; left out: now):

    phase NAME ACTIVITY [T_NS]    idle | sleep | wake | load | infer | tail; activity: of idle, whether it polls; of sleep, whether the
                                  model is kept; of running code 0..1
    mark 0|1 [T_NS]

and one byte back for each rising edge of TRIG. The process lives on without supply; nobody looks at it then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from labd_virtual.followed import Follower, Shown
from labd_virtual.load import Phase, State
from labd_virtual.spec import SpecError

PHASES = {phase.name.lower(): phase for phase in (Phase.SLEEP, Phase.WAKE, Phase.LOAD, Phase.INFER, Phase.TAIL, Phase.IDLE)}
RESTING_BEFORE = Shown(State.WFI, Phase.IDLE, 0, 0.0)
_LINE_LIMIT = 256


class ToldError(ValueError):
    """A line that is none of these; the text says what was expected."""


def told(line: str, before: Shown) -> tuple[Shown, int | None]:
    """What the device does after a line, and when that began (host ns). Raises ToldError."""
    match line.split():
        case ["phase", name, activity, *when] if name in PHASES and len(when) <= 1:
            share = _number(activity, line)
            if not 0 <= share <= 1:
                raise ToldError(f"an activity is from 0 to 1, not in {line!r}")
            return replace(before, state=_state(PHASES[name], share), phase=PHASES[name], activity=share), _instant(when, line)
        case ["mark", "0" | "1" as level, *when] if len(when) <= 1:
            return replace(before, mark=int(level)), _instant(when, line)
    raise ToldError(f"expected `phase NAME ACTIVITY [T_NS]` (NAME: {', '.join(PHASES)}) or `mark 0|1 [T_NS]`, got {line!r}")


def _state(phase: Phase, activity: float) -> State:
    match phase:
        case Phase.IDLE:
            return State.BUSY_POLL if activity else State.WFI
        case Phase.SLEEP:
            return State.SLEEP_RETAINED if activity else State.SLEEP_MODEL_OFF
        case Phase.TAIL:
            return State.WFI
        case _:
            return State.RUNNING


def _number(word: str, line: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise ToldError(f"{word!r} is no number in {line!r}") from None


def _instant(when: list[str], line: str) -> int | None:
    if not when:
        return None
    if not (when[0].isascii() and when[0].isdigit()):
        raise ToldError(f"an instant is whole nanoseconds, not {when[0]!r} in {line!r}")
    return int(when[0])


class ToldDevice:
    """A `Live`; the last process that connected is the device."""

    def __init__(self) -> None:
        self._follower: Follower | None = None
        self._shown = RESTING_BEFORE
        self._writer: asyncio.StreamWriter | None = None
        self._serving: set[asyncio.Task[None]] = set()

    def start(self, follower: Follower) -> None:
        self._follower = follower
        follower.shows(self._shown)

    def kill(self) -> None:
        self._follower = None

    def trig(self, level: int) -> None:
        if level and self._writer is not None and self._follower is not None:
            self._writer.write(b"1")

    def receives(self, payload: bytes) -> None:
        """Nothing: it has a link of its own."""

    def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer), name="told device")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        try:
            while line := await reader.readline():
                self._show(*told(line.decode("ascii", "replace"), self._shown))
        except ToldError as error:
            writer.write(f"{error}\n".encode())
        except (ConnectionError, ValueError):
            pass  # it went away, or sent a line beyond the limit
        finally:
            if self._writer is writer:  # a process that has ended shows nothing and does nothing
                self._writer = None
                self._show(RESTING_BEFORE, None)
            writer.close()

    def _show(self, shown: Shown, host_ns: int | None) -> None:
        self._shown = shown
        if self._follower is not None:
            self._follower.shows(shown, host_ns)


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[ToldDevice]:
    """The device behind a socket at `path` while the `async with` lasts. Raises SpecError."""
    device = ToldDevice()
    try:
        server = await asyncio.start_unix_server(device.connected, path, limit=_LINE_LIMIT)
    except OSError as error:
        raise SpecError(f"firmware.pins_socket: {path}: {error.strerror or error}") from error
    try:
        yield device
    finally:
        server.close()
        await device.close()
        await server.wait_closed()
