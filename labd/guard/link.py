"""The daemon's end of the guard: armed while outputs can be on, with a beat that only a working event loop sends."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType

from labd.deadline import deadline
from labd.errors import OutputNotVerifiedOff, SafetyRefusal
from labd.guard import wire
from labd.guard.wire import Armament, Message, OffResult, WireError

log = logging.getLogger(__name__)

BEATS = 4  # beats in one heartbeat: three may be late
ARM_S = 70.0  # a cold guard imports its drivers first, within twice its PREPARE_S: who gave up before would be taken for hung
ANSWER_S = 2.0
OFF_S = 15.0
RETRY_S = 0.5


class GuardLost(SafetyRefusal):
    """The guard does not answer: nobody would switch off should this process die."""


class TakenByGuard(SafetyRefusal):
    """The guard has switched the outputs off, or holds them off after an emergency stop: a person decides when it goes on."""


class GuardLink:
    """Async context manager. `alive`: a guard is connected and answers.

    on_change: told the new state, and why, whenever it changes: `on_change(alive, text)`. patience_s: how long to wait for a guard that is
    not there when it is to be armed.
    """

    def __init__(
        self, socket: Path, *, on_change: Callable[[bool, str], None] = lambda _alive, _text: None, patience_s: float = 0.0
    ) -> None:
        self.socket = socket
        self.alive = False
        self._on_change = on_change
        self._patience_s = patience_s
        self._connecting = asyncio.Lock()
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Message]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._stack = AsyncExitStack()
        self._tasks = asyncio.TaskGroup()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> GuardLink:
        """Connects when a guard is there; raises nothing when not."""
        await self._stack.enter_async_context(self._tasks)
        with suppress(GuardLost):
            await self.connect()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._drop("closed", tell=False)
        if self._reading is not None:
            self._reading.cancel()
        await self._stack.aclose()

    async def connect(self) -> None:
        """Connect unless connected. Raises GuardLost."""
        async with self._connecting:
            if self.alive:
                return
            if sys.platform == "win32":
                raise GuardLost("there is no guard on Windows")
            try:
                reader, self._writer = await asyncio.open_unix_connection(self.socket, limit=wire.LONGEST_LINE)
            except OSError as error:
                raise GuardLost(f"no guard serves {self.socket}: {error.strerror or error}") from error
            self.alive = True
            self._reading = self._tasks.create_task(self._read(reader, self._writer), name="guard link")
            self._on_change(True, "connected")

    async def status(self) -> Message:
        """What the guard is armed for and what it is switching off. Raises GuardLost."""
        return await self._ask({"op": "status"}, ANSWER_S)

    async def off(self, armament: Armament, *, by: str = "") -> list[OffResult]:
        """The emergency stop through the guard, which holds the bench off until `release`. by: who wants it, where not this process's user.

        Raises GuardLost, SafetyRefusal (it refuses).
        """
        answer = await self._ask({"op": "off", "by": by} | wire.write_armament(armament), OFF_S + armament.off_time_s)
        _refused(answer)
        try:
            return [wire.read_result(one) for one in answer["results"]]
        except (WireError, KeyError, TypeError) as error:
            raise GuardLost(f"the guard answers what labd does not understand: {error}") from error

    async def release(self, bench: str, *, by: str = "") -> None:
        """End what an emergency stop of this bench holds off. Raises GuardLost, SafetyRefusal (it refuses)."""
        await self.connect()
        _refused(await self._ask({"op": "release", "bench": bench, "by": by}, OFF_S))

    @asynccontextmanager
    async def armed(self, armament: Armament, *, beyond_help: Callable[[], bool] = lambda: False) -> AsyncIterator[None]:
        """The guard answers for these sources as long as the body runs. Raises GuardLost, TakenByGuard or SafetyRefusal before it begins.

        beyond_help: True withholds the beat: an instrument's thread hangs for longer than the bench's own way out needs.
        A body that ends in OutputNotVerifiedOff leaves its sources to the guard, which goes on trying. Should the guard switch off while
        the body runs (an emergency stop; this process did not run for a heartbeat), the body is ended with TakenByGuard; so it ends too
        where an output that is suddenly off has made it fail before it could hear of that. A guard that is lost meanwhile is told to
        `on_change`, and armed again as soon as one is back; the body goes on.
        """
        await self._appeared()
        try:
            await self._arm(armament)
        except BaseException:  # given up while the guard arms: it would take a process for hung that never beats
            await self._leave({"op": "disarm"}, ARM_S)
            raise
        why: list[str] = []
        end: Message = {"op": "disarm"}
        try:
            async with deadline(None) as taken:
                beats = self._tasks.create_task(self._beat(armament, beyond_help, taken, why), name=f"guard's beat for {armament.bench}")
                try:
                    yield
                finally:
                    beats.cancel()
        except TimeoutError as error:
            if not why:
                raise
            raise _taken(armament, "".join(why)) from error
        except BaseException as error:
            if _not_verified(error):
                end = {"op": "take", "why": str(error)}
            raise
        finally:
            ended_by = sys.exception()
            late = await self._leave(end)
            if late and not why and (ended_by is None or isinstance(ended_by, Exception)):
                raise _taken(armament, late)

    async def _appeared(self) -> None:
        """Raises GuardLost when there is none for patience_s."""
        loop = asyncio.get_running_loop()
        end_s = loop.time() + self._patience_s
        while True:
            try:
                return await self.connect()
            except GuardLost:
                if loop.time() >= end_s:
                    raise
            await asyncio.sleep(RETRY_S)

    async def _arm(self, armament: Armament, *, again: bool = False) -> str:
        """Why the guard has taken the outputs meanwhile (asked only when `again`), or nothing. Raises GuardLost, SafetyRefusal."""
        await self.connect()
        answer = await self._ask({"op": "arm", "again": again} | wire.write_armament(armament), ARM_S)
        _refused(answer)
        return str(answer.get("taken", ""))

    async def _leave(self, end: Message, within_s: float = ANSWER_S) -> str:
        """Why the guard has taken the outputs before, or nothing."""
        with suppress(GuardLost):
            return str((await self._ask(end, within_s)).get("taken", ""))
        return ""

    async def _beat(self, armament: Armament, beyond_help: Callable[[], bool], taken: asyncio.Timeout, why: list[str]) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while not why:
            if (late_s := loop.time() - due_s) > armament.heartbeat_s / 2:
                log.warning(
                    "%s: a beat for the guard is %.1f s late: the event loop did not run, or the guard did not answer",
                    armament.bench,
                    late_s,
                )
            due_s = loop.time() + armament.heartbeat_s / BEATS
            try:
                if not beyond_help():
                    answer = await self._ask({"op": "beat"}, ANSWER_S)
                    why += [str(answer["taken"])] if "taken" in answer else []
            except GuardLost:
                why += [text] if (text := await self._arm_again(armament)) else []
            if not why:
                await asyncio.sleep(armament.heartbeat_s / BEATS)
        taken.reschedule(asyncio.get_running_loop().time())

    async def _arm_again(self, armament: Armament) -> str:
        """A guard that only lost its way to this process has switched off by now, and says so."""
        while True:
            try:
                return await self._arm(armament, again=True)
            except SafetyRefusal:  # GuardLost too: nobody there, or one that is not ready to be armed
                await asyncio.sleep(RETRY_S)

    async def _ask(self, request: Message, within_s: float) -> Message:
        """The request is on its way before anything is awaited, so that a cancelled caller has still said it. Raises GuardLost."""
        if self._writer is None:
            raise GuardLost(f"no guard serves {self.socket}")
        number = next(self._numbers)
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        self._writer.write(wire.line(request | {"n": number}))
        try:
            async with deadline(within_s):
                return await answer
        except TimeoutError as error:
            text = f"the guard did not answer {request['op']} within {within_s:g} s"
            self._drop(text)
            raise GuardLost(text) from error
        finally:
            self._waiting.pop(number, None)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        text = "the guard is gone"
        try:
            while line := await reader.readline():
                answer = wire.read(line)
                waiting = self._waiting.get(answer.get("n", 0))
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (OSError, ValueError) as error:  # ValueError: a line too long or no JSON, so it is no guard
            text = f"the guard's connection failed: {error}"
        finally:
            if writer is self._writer:
                self._drop(text)

    def _drop(self, text: str, *, tell: bool = True) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(GuardLost(text))
        if self.alive:
            self.alive = False
            if tell:
                self._on_change(False, text)


def _refused(answer: Message) -> None:
    if answer.get("stopped"):
        raise TakenByGuard(f"the guard refuses: {answer['error']}")
    if "error" in answer:
        raise SafetyRefusal(f"the guard refuses: {answer['error']}")


def _taken(armament: Armament, why: str) -> TakenByGuard:
    return TakenByGuard(f"the guard has switched {armament.bench} off: {why}")


def _not_verified(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(OutputNotVerifiedOff) is not None
    return isinstance(error, OutputNotVerifiedOff)
