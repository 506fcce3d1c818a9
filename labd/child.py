"""A program that this process starts, waits for and, where it takes too long or is not wanted any more, ends with its children."""

from __future__ import annotations

import asyncio
import logging
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from labd import host
from labd.deadline import deadline

Output = IO[str] | IO[bytes] | int | None

GRACE_S = 1.0  # for a script to undo what it has done
DIES_S = 2.0
TAIL = 4096  # bytes of a file that are looked at
LOUDEST = 500  # characters of a line that are told

log = logging.getLogger(__name__)


async def status_of(
    words: Sequence[str], *, within_s: float, said: Output = None, complained: Output = None, folder: Path | None = None
) -> int:
    """Its exit status, negative where a signal ended it. said, complained: where its output and its errors go, None: where this
    process's do. folder: it runs there.

    Raises OSError where it cannot be started, TimeoutError where it did not end; then, and where this is cancelled, its process group is
    asked to end, and killed. What left the group lives on, as does what cannot be killed (another user's, or waiting in a device): nobody
    waits for it. Killed itself, this process takes the program with it on Linux, though not what the program has started.
    """
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, stdin=DEVNULL, stdout=said, stderr=complained, **host.apart(with_me=True)
    )
    try:
        async with deadline(within_s):
            return await process.wait()
    finally:
        await _end(process)


async def _end(process: Process) -> None:
    """In bounded time: a board may be powered meanwhile."""
    if process.returncode is None:
        host.end_group(process.pid)
        await _ended(process, GRACE_S)
    host.kill_group(process.pid)
    if process.returncode is None and not await _ended(process, DIES_S):
        log.error("process %d cannot be killed; nobody waits for it any more", process.pid)


async def _ended(process: Process, within_s: float) -> bool:
    try:
        async with deadline(within_s):
            await process.wait()
    except TimeoutError:
        return False
    return True


def last_line(log: Path) -> str:
    """The last thing that a program has said into a file, in one printable line; empty where it said nothing. Blocking."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return one_line(lines[-1]) if lines else ""


def one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:LOUDEST]
