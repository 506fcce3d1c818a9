"""One plain daemon thread per instrument session, called from asyncio with a deadline on every call."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar, TypeVarTuple

from labd.errors import InstrumentFailure

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

log = logging.getLogger(__name__)

WAITING_CALLS = 64


class SessionStuck(InstrumentFailure):
    """A call into the instrument's thread did not return within its deadline, or waits behind one that does not."""


class SessionBusy(SessionStuck):
    """The call was refused at once: as many as may wait do already."""


class SessionAbandoned(InstrumentFailure):
    """The session was given up or closed; it takes no calls any more."""


class _Job:
    """One call on its way through the thread. Whoever claims it first decides: the thread runs it, or the caller takes it back unrun."""

    def __init__(self, what: str, work: Callable[[], object], future: asyncio.Future[object]) -> None:
        self.what = what
        self.work = work
        self.future = future
        self.loop = future.get_loop()
        self.began_s = 0.0
        self.late = False
        self.ended = threading.Event()
        self._decided = threading.Lock()

    def claim(self) -> bool:
        return self._decided.acquire(blocking=False)

    def run(self) -> None:
        self.began_s = time.monotonic()
        try:
            result = self.work()
        except BaseException as error:  # noqa: BLE001  the thread's edge: whatever it is belongs to the caller
            self.ended.set()
            self.settle(None, error)
        else:
            self.ended.set()
            self.settle(result, None)

    def settle(self, result: object, error: BaseException | None) -> None:
        """Hand the outcome to the waiting task; from any thread."""
        try:
            self.loop.call_soon_threadsafe(_settle, self, result, error)
        except RuntimeError:  # the loop has closed meanwhile: nobody is left to hear it
            log.debug("%s ended after its event loop", self.what)


def _settle(job: _Job, result: object, error: BaseException | None) -> None:
    if job.future.done():
        level = logging.WARNING if job.late or error is not None else logging.DEBUG  # who was cancelled does not wait for it
        log.log(level, "%s returned after it had been given up (%s)", job.what, "no error" if error is None else error)
    elif error is None:
        job.future.set_result(result)
    elif isinstance(error, StopIteration):  # a future refuses StopIteration
        job.future.set_exception(RuntimeError(f"{job.what} raised StopIteration"))
    else:
        job.future.set_exception(error)


class InstrumentSession:
    """Async context manager around one daemon thread; calls run in it one after the other, in the order they were made.

    The thread is never joined by the interpreter, so a read that hangs in C code cannot delay an exit. A call given up before it
    started never runs: nobody has to fear that an output is switched on late.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.refused = 0
        # size: 64 calls; policy: a further call is refused with an error; counter: refused
        self._jobs: queue.Queue[_Job | None] = queue.Queue(maxsize=WAITING_CALLS)
        self._running: _Job | None = None
        self._given_up: _Job | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name=f"instrument {name}", daemon=True)

    async def __aenter__(self) -> InstrumentSession:
        self._thread.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    @property
    def stuck(self) -> bool:
        """True while the thread is inside a call whose caller has given up (deadline or cancellation)."""
        return self._given_up is not None and not self._given_up.ended.is_set()

    @property
    def abandoned(self) -> bool:
        return self._closed

    async def call(self, fn: Callable[[*Ts], T], *args: *Ts, deadline_s: float) -> T:
        """Run `fn(*args)` in the thread and return what it returns; its exception is raised here.

        deadline_s counts from now and includes waiting for earlier calls. Raises SessionStuck when it passes, SessionBusy where too
        many calls wait, SessionAbandoned after `abandon` or `close`. Cancelling the caller leaves the thread alone; the session is
        `stuck` until that call returns.
        """
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        job = _Job(_name_of(fn), lambda: fn(*args), outcome)  # type: ignore[arg-type]  # a Future is invariant, a job is not
        self._enqueue(job)
        try:
            done, _ = await asyncio.wait((outcome,), timeout=deadline_s)
        except asyncio.CancelledError:
            self._give_up(job)
            raise
        if not done:
            raise self._give_up_late(job, deadline_s)
        return outcome.result()

    def abandon(self) -> None:
        """Take no more calls, fail those that wait, and let the thread end when (if ever) its present call returns."""
        self._closed = True
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is not None and job.claim():
                job.settle(None, SessionAbandoned(f"instrument {self.name}: the session was given up before {job.what} began"))
        self._jobs.put_nowait(None)

    async def close(self, *, deadline_s: float = 1.0) -> None:
        """End the thread after the calls already made; abandon it when that takes longer than deadline_s."""
        if not self._closed:
            try:
                await self.call(_nothing, deadline_s=deadline_s)
            except SessionStuck:
                log.warning("instrument %s: the thread hangs in %s and is abandoned", self.name, self._busy_with())
            self.abandon()
        if not self.stuck and self._thread.is_alive():
            self._thread.join(timeout=0.2)

    def _enqueue(self, job: _Job) -> None:
        if self._closed:
            raise SessionAbandoned(f"instrument {self.name}: {job.what} was called after the session was given up")
        if not self._thread.is_alive():
            raise SessionAbandoned(f"instrument {self.name}: {job.what} was called before the session was entered")
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.refused += 1
            raise SessionBusy(f"instrument {self.name}: {job.what} refused, {WAITING_CALLS} calls wait already") from None

    def _give_up(self, job: _Job) -> bool:
        """Returns True when the job had already begun (the session is then stuck until it ends)."""
        began = not job.claim()
        if began and not job.ended.is_set():
            self._given_up = job
        if job.future.done():
            if not job.future.cancelled():
                job.future.exception()  # mark as seen
        else:
            job.future.cancel()
        return began

    def _give_up_late(self, job: _Job, deadline_s: float) -> SessionStuck:
        job.late = True
        if self._give_up(job):
            return SessionStuck(f"instrument {self.name}: {job.what} did not return within {deadline_s:g} s")
        return SessionStuck(f"instrument {self.name}: {job.what} never began within {deadline_s:g} s, the thread is in {self._busy_with()}")

    def _busy_with(self) -> str:
        job = self._running
        if job is None:
            return "no call"
        return f"{job.what} since {time.monotonic() - job.began_s:.1f} s"

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.claim():
                self._running = job
                job.run()
                self._running = None
            if self._closed:
                return


def _name_of(fn: Callable[..., object]) -> str:
    inner = getattr(fn, "func", fn)  # functools.partial
    return str(getattr(inner, "__name__", type(inner).__name__))


def _nothing() -> None:
    return None
