"""`python -m labd.guard --socket PATH --journal FILE`: the guard's process."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labd import host, systemd
from labd.errors import InstrumentFailure
from labd.guard.journal import Journal, open_incidents, stops
from labd.guard.server import Guard

BACKLOG = 16


class TakenError(Exception):
    """Another guard serves this socket."""


def main() -> int:
    """Exit codes: 0 ended as asked (or, with --detach, a guard serves the socket), 1 another guard serves it or files cannot be used."""
    arguments = _arguments()
    if arguments.detach:
        return _detached(arguments)
    return _serve(arguments, ready=None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="labd.guard", description="Switches outputs off when the daemon that armed it does not.")
    parser.add_argument("--socket", type=_absolute, required=True, metavar="PATH", help="where clients connect (created with mode 0600)")
    parser.add_argument("--group", metavar="NAME", help="who of this group connects may ask for the emergency stop (mode 0660)")
    parser.add_argument("--journal", type=_absolute, required=True, metavar="FILE", help="what happened, one JSON object a line")
    parser.add_argument("--linger", type=float, metavar="SECONDS", help="end when nobody has been connected for this long")
    parser.add_argument("--detach", action="store_true", help="leave the terminal and the process group; return once it serves")
    return parser.parse_args()


def _absolute(text: str) -> Path:
    return Path(text).absolute()  # a detached guard leaves the working directory


def _serve(arguments: argparse.Namespace, *, ready: int | None) -> int:
    logging.basicConfig(level=logging.INFO, format="labd guard: %(message)s")
    try:
        with _listening(arguments.socket, arguments.group) as listener:
            asyncio.run(_run(listener, arguments, ready))
    except TakenError as error:
        return _say(str(error), ready)
    except (OSError, LookupError, InstrumentFailure) as error:
        return _say(str(error), None)
    return 0


def _say(text: str, ready: int | None) -> int:
    """A detached guard that finds another one at work has what it was started for."""
    if ready is not None:
        os.write(ready, b"1")
        return 0
    sys.stderr.write(f"labd guard: {text}\n")
    return 1


async def _run(listener: socket.socket, arguments: argparse.Namespace, ready: int | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Journal(arguments.journal) as journal:
        for incident in open_incidents(arguments.journal):
            await journal.note(
                "abandoned", incident.bench, "the guard was ended before it could tell that all is off", incident=incident.id
            )
        await journal.note("started", "", f"process {os.getpid()} serves {arguments.socket}")
        if ready is not None:
            os.write(ready, b"1")
        systemd.notify("READY=1", f"STATUS=serving {arguments.socket}")
        await Guard(journal, linger_s=arguments.linger, stops=stops(arguments.journal)).serve(listener, stop)


@contextmanager
def _listening(path: Path, group: str | None) -> Iterator[socket.socket]:
    """The lock, not the socket's file, tells whether another guard serves: a killed one leaves its file behind.

    Raises TakenError, OSError, LookupError (there is no such group).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not host.lock(lock):
            raise TakenError(f"another guard serves {path}")
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)  # bind creates the file; chmod afterwards would leave a gap
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if group is not None:
            shutil.chown(path, group=group)  # before it is opened to its group
            path.chmod(0o660)
        listener.listen(BACKLOG)
        try:
            yield listener
        finally:
            listener.close()
            with contextlib.suppress(OSError):
                path.unlink()
    finally:
        os.close(lock)


def _detached(arguments: argparse.Namespace) -> int:
    """Two forks and a session of its own: neither a signal to the caller's group nor the caller's end reaches the guard."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.close(told)
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        _leave_terminal(arguments.journal)
        os._exit(_serve(arguments, ready=tell))
    os.close(tell)
    if os.read(told, 1):
        return 0
    sys.stderr.write(f"labd guard: it did not start; see {_errors(arguments.journal)}\n")
    return 1


def _leave_terminal(journal: Path) -> None:
    """A pipe that stayed open would keep whoever waits for the caller's output waiting."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    nothing = os.open(os.devnull, os.O_RDWR)
    errors = os.open(_errors(journal), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for number, target in ((0, nothing), (1, nothing), (2, errors)):
        os.dup2(target, number)
    os.chdir("/")


def _errors(journal: Path) -> Path:
    return journal.with_name(journal.name + ".log")


if __name__ == "__main__":
    sys.exit(main())
