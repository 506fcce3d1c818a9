"""One process beside the daemon that computes: analysis, final trace files, reports. Paths and ids go in, records and texts come out."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar, TypeVarTuple

from labd.analyse import tasks
from labd.analyse.run import Analysis
from labd.analyse.tasks import FiguresSoFar
from labd.deadline import deadline
from labd.errors import LabdError, StoreError

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

HEAD = struct.Struct("<Q")
DEADLINE_S = 3600.0  # of one task: no limit in practice, but a process that hangs does not hang for ever
END_S = 2.0
LOUDEST = 400  # characters of the process's last words in an error


class WorkerLost(StoreError):
    """The process that computes ended in the middle of a task."""


class Worker:
    """Async context manager. The process starts with the first task, serves one at a time in the order they come, and ends with this one.

    A task that is cancelled, or outlives its deadline, takes the process with it; the next task starts another.
    """

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def __aenter__(self) -> Worker:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._end()

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    async def finish_trace(self, path: Path) -> None:
        """Make the final file of a recorded trace. Raises NotFound, StoreError."""
        await self.call(tasks.finish, path)

    async def analyse(self, store: Path, run_id: str) -> Analysis:
        """All figures of a run. Raises StoreError."""
        return await self.call(tasks.analyse, store, run_id)

    async def figures_so_far(self, store: Path, run_id: str) -> FiguresSoFar:
        """Figures and windows of the captures that a run has finished. Raises StoreError."""
        return await self.call(tasks.figures_so_far, store, run_id)

    async def render(self, store: Path, run_id: str, form: str) -> str:
        """The report of a run: html, md, csv, json or text. Raises NotFound, StoreError."""
        return await self.call(tasks.render, store, run_id, form)

    async def call(self, function: Callable[[*Ts], T], *args: *Ts, deadline_s: float = DEADLINE_S) -> T:
        """Run a function of a module, by its name, in the process. Raises what it raises, WorkerLost, and TimeoutError."""
        request = pickle.dumps((function, args))
        async with self._turn:
            process = await self._started()
            try:
                async with deadline(deadline_s):
                    answer = await _exchange(process, request)
            except (EOFError, ConnectionError) as error:
                raise WorkerLost(f"the process that computes ended during {_name(function)}: {await self._last_words()}") from error
            except BaseException:  # its answer would be taken for the next task's
                await self._end(at_once=True)
                raise
        good, result = pickle.loads(answer)  # from our own process
        if good:
            return result  # type: ignore[no-any-return]
        raise result

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "labd.analyse.worker_process",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in a terminal is for the process that stops things in order
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            )
        return self._process

    async def _last_words(self) -> str:
        process, self._process = self._process, None
        assert process is not None
        _, complaint = await process.communicate()
        lines = complaint.decode(errors="replace").strip()[-LOUDEST:].splitlines()
        return f"exit {process.returncode}{f', {lines[-1]}' if lines else ''}"

    async def _end(self, *, at_once: bool = False) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        if at_once:
            process.kill()
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with deadline(END_S):
                await process.communicate()  # without input it ends, after the task under way
        except TimeoutError:
            process.kill()
            await process.communicate()


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
