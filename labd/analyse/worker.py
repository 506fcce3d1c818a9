"""One process beside the daemon that computes: analysis, final trace files, reports. Paths and ids go in, records and texts come out."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import os
import pickle
import struct
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple

from labd import host
from labd.analyse import scan, tasks
from labd.analyse.run import Analysis
from labd.analyse.scan import Scanned
from labd.analyse.tasks import FiguresSoFar
from labd.deadline import deadline
from labd.errors import LabdError, StoreError
from labd.kpi.aims import Advice, Place, Standing
from labd.report.charts import Asked, ChartAnswer

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HEAD = struct.Struct("<Q")
DEADLINE_S = 3600.0  # of one task: no limit in practice, but a process that hangs does not hang for ever
END_S = 2.0
CHUNK = 1 << 14
LOUDEST = 400  # characters of a line of the process's standard error that are told

log = logging.getLogger(__name__)


class WorkerLost(StoreError):
    """The process that computes ended in the middle of a task."""


class Worker:
    """Async context manager. The process starts with the first task, serves one at a time in the order they come, and ends with this one.

    A task that is cancelled, or outlives its deadline, takes the process with it; the next task starts another.
    """

    def __init__(self) -> None:
        self._process: _Process | None = None
        self._turn = asyncio.Lock()
        self._context = contextvars.copy_context()  # of the log: what the process says belongs to none of the runs that it is asked about

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._end()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.process.pid

    async def finish_trace(self, path: Path) -> None:
        """Make the final file of a recorded trace. Raises NotFound, StoreError."""
        await self.call(tasks.finish, path)

    async def analyse(self, store: Path, run_id: str) -> Analysis:
        """All figures of a run. Raises StoreError."""
        return await self.call(tasks.analyse, store, run_id)

    async def figures_so_far(self, store: Path, run_id: str) -> FiguresSoFar:
        """Figures and windows of the captures that a run has finished. Raises StoreError."""
        return await self.call(tasks.figures_so_far, store, run_id)

    async def advised(self, standings: Sequence[Standing], places: Sequence[Place]) -> Advice:
        """What the next seconds of measuring are best spent on: seconds of computing in a large plan."""
        return await self.call(tasks.advised, standings, places)

    async def render(self, store: Path, run_id: str, form: str) -> str:
        """The report of a run: html, md, csv, json or text. Raises NotFound, StoreError."""
        return await self.call(tasks.render, store, run_id, form)

    async def scan(self, store: Path, run_id: str, order: int, asked: scan.Asked) -> Scanned:
        """One capture of a run, added up in one pass. Raises NotFound, StoreError, FileError."""
        return await self.call(scan.scan_capture, store, run_id, order, asked)

    async def chart(self, store: Path, asked: Asked, runs: Sequence[str], cards: Sequence[Mapping[str, Any]], picture: str) -> ChartAnswer:
        """Charts of runs and of cards as runs store them. picture: svg, html or empty. Raises NotFound, StoreError."""
        return await self.call(tasks.chart, store, asked, runs, cards, picture)

    async def call(self, function: Callable[[*Ts], T], *args: *Ts, deadline_s: float = DEADLINE_S) -> T:
        """Run a function of a module, by its name, in the process. Raises what it raises, WorkerLost, and TimeoutError."""
        request = pickle.dumps((function, args))
        async with self._turn:
            process = await self._started()
            try:
                async with deadline(deadline_s):
                    answer = await _exchange(process.process, request)
            except (EOFError, ConnectionError) as error:
                raise WorkerLost(f"the process that computes ended during {_name(function)}: {await self._last_words()}") from error
            except BaseException:  # its answer would be taken for the next task's
                await self._end(at_once=True)
                raise
        good, result = pickle.loads(answer)  # from our own process
        if good:
            return result  # type: ignore[no-any-return]
        raise result

    async def _started(self) -> _Process:
        if self._process is not None and self._process.process.returncode is not None:
            await self._end()
        if self._process is None:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "labd.analyse.worker_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                **host.apart(),
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
            assert process.stderr is not None
            heard = _Heard()
            hearing = asyncio.create_task(heard.all_of(process.stderr), name="standard error of the worker", context=self._context)
            self._process = _Process(process, heard, hearing)
        return self._process

    async def _last_words(self) -> str:
        process, self._process = self._process, None
        assert process is not None
        await process.ended()
        return f"exit {process.process.returncode}{f', {process.heard.last}' if process.heard.last else ''}"

    async def _end(self, *, at_once: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if at_once:
            process.kill()
        try:
            async with deadline(END_S):
                await process.ended()
        except TimeoutError:
            process.kill()
            await process.ended()


@dataclass(frozen=True, slots=True)
class _Process:
    """The process, and the task that hears its standard error: a pipe that nobody reads is full after 64 kB, and who writes to it hangs."""

    process: asyncio.subprocess.Process
    heard: _Heard
    hearing: asyncio.Task[None]

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()

    async def ended(self) -> None:
        """Without input it ends, after the task under way; what it says until then is read, for it might wait for that."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await self.process.stdout.read()
        await self.process.wait()
        await asyncio.wait((self.hearing,), timeout=END_S)  # a child that it left behind may hold the pipe open
        self.hearing.cancel()
        await asyncio.wait((self.hearing,))


class _Heard:
    """What the process says on standard error, libraries included: it goes into the log, line by line. last: the last line."""

    def __init__(self) -> None:
        self.last = ""

    async def all_of(self, stream: asyncio.StreamReader) -> None:
        rest = b""
        while data := await stream.read(CHUNK):
            *lines, rest = (rest + data).split(b"\n")
            self._tell(lines)
            rest = rest[-LOUDEST:]  # a line without an end is not kept for ever
        self._tell((rest,))

    def _tell(self, lines: Iterable[bytes]) -> None:
        for line in lines:
            if text := line[-LOUDEST:].decode(errors="replace").strip():
                self.last = text
                log.info("the process that computes says: %s", text)


async def _exchange(process: asyncio.subprocess.Process, request: bytes) -> bytes:
    """Raises EOFError, OSError when the process is gone."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(HEAD.pack(len(request)) + request)
    await process.stdin.drain()
    (length,) = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
    return await process.stdout.readexactly(length)


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__name__", repr(function))


def serve() -> None:
    """The process's end: tasks from standard input until it closes."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
        while head := requests.read(HEAD.size):
            function, args = pickle.loads(requests.read(HEAD.unpack(head)[0]))
            answer = _answer(function, args)
            answers.write(HEAD.pack(len(answer)) + answer)
            answers.flush()


def _answer(function: Callable[..., object], args: tuple[object, ...]) -> bytes:
    try:
        return pickle.dumps((True, function(*args)))
    except LabdError as error:
        return pickle.dumps((False, error))
    except Exception as error:  # noqa: BLE001  the process's edge: whatever it is belongs to the caller, and may not be picklable
        return pickle.dumps((False, StoreError(f"{_name(function)}: {type(error).__name__}: {error}")))
