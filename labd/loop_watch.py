"""Finds what holds up the event loop: long computing, by the loop thread's own processor time, and calls known to block."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any

from labd import host

LONGEST_CALLBACK_S = 1.0  # of processor time: a busy machine, or a loop that waits, does not count
LOOK_S = 0.1
AWAITED = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
PACKAGE = str(Path(__file__).parent)

# Audit events (docs.python.org/3/library/audit_events.html) of calls that wait for something outside the process.
BLOCKING = frozenset(
    {
        "time.sleep",  # raised since Python 3.13
        "sqlite3.connect",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyname",
        "os.system",
        "shutil.rmtree",
        "shutil.copyfile",
        "shutil.copytree",
        "shutil.move",
        "urllib.Request",
    }
)

log = logging.getLogger(__name__)

Report = Callable[[str], None]


def _logged(text: str) -> None:
    log.warning("%s", text)


@contextmanager
def watched_loop(report: Report = _logged, *, longest_s: float = LONGEST_CALLBACK_S) -> Iterator[None]:
    """Watch the running loop of this thread; `report` is told what held it up, with the place, once for each time."""
    watch = _Watch(asyncio.get_running_loop(), report, longest_s)
    watch.start()
    hook = _hook()
    hook.watches.append(watch)
    try:
        yield
    finally:
        hook.watches.remove(watch)
        watch.stop()


class _Watch:
    """A thread that looks whether the loop still beats, and what its thread has computed since it last did."""

    def __init__(self, loop: asyncio.AbstractEventLoop, report: Report, longest_s: float) -> None:
        self._thread = threading.get_ident()
        self.loop = loop
        self._report = report
        self._longest_s = longest_s
        self._cpu_s = host.cpu_clock_of(self._thread)
        self._beats = 0
        self._timer: asyncio.TimerHandle | None = None
        self._stopped = threading.Event()
        self._looking = threading.Thread(target=self._look, name="loop watch", daemon=True)

    def start(self) -> None:
        self._beat()
        self._looking.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._timer is not None:
            self._timer.cancel()
        self._looking.join(timeout=1.0)

    def blocking_call(self, event: str) -> None:
        place = _place(sys._getframe(1))
        if place is not None:
            self._report(f"{event} in the event loop, which waits for it: {place}")

    def _beat(self) -> None:
        self._beats += 1
        self._timer = self.loop.call_later(LOOK_S, self._beat)

    def _look(self) -> None:
        if self._cpu_s is None:
            return
        beats, computed_s, told = -1, 0.0, False
        while not self._stopped.wait(LOOK_S):
            now_s = self._cpu_s()
            if self._beats != beats or not self.loop.is_running():
                beats, computed_s, told = self._beats, now_s, False
            elif now_s - computed_s > self._longest_s and not told:
                told = True
                frame = sys._current_frames().get(self._thread)
                where = "".join(traceback.format_stack(frame)[-3:]).strip() if frame is not None else "unknown place"
                self._report(
                    f"the event loop is held up: {now_s - computed_s:.1f} s computed in one callback, now at {' '.join(where.split())}"
                )


class _Hook:
    """The process's one audit hook: it cannot be taken away again, only find nobody to tell."""

    def __init__(self) -> None:
        self.watches: list[_Watch] = []

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if event in BLOCKING and self.watches and not _at_once(event, args):
            running = asyncio._get_running_loop()
            for watch in self.watches:
                if watch.loop is running:
                    watch.blocking_call(event)


_installed: list[_Hook] = []  # an audit hook is a property of the process


def _hook() -> _Hook:
    if not _installed:
        _installed.append(_Hook())
        sys.addaudithook(_installed[0])
    return _installed[0]


def _at_once(event: str, args: tuple[Any, ...]) -> bool:
    """No name server is asked for an address, and a socket that does not block connects later."""
    if event == "socket.connect":
        return bool(args[0].gettimeout() == 0.0)
    return event == "socket.getaddrinfo" and _is_address(args[0])


def _is_address(host: object) -> bool:
    try:
        ip_address(str(host))
    except ValueError:
        return False
    return True


def _place(frame: FrameType | None) -> str | None:
    """Where labd's own code made the call, None when the call is a library's, or a test called what is not for the loop."""
    place, last = None, 0
    while frame is not None:
        file = frame.f_code.co_filename
        if file.startswith(PACKAGE) and file != __file__:
            place = place or f"{Path(file).name}:{frame.f_lineno} in {frame.f_code.co_name}"
            last = frame.f_code.co_flags
        elif "asyncio" in file or "site-packages" in file:
            return place
        elif "/tests/" in file:
            return place if last & AWAITED else None
        frame = frame.f_back
    return place
