"""A program that this process starts, waits for and, where it takes too long or is not wanted any more, ends with its children."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from labd import host
from labd.deadline import deadline

Output = IO[str] | IO[bytes] | int | None


async def status_of(
    words: Sequence[str], *, within_s: float, said: Output = None, complained: Output = None, folder: Path | None = None
) -> int:
    """Its exit status, negative where a signal ended it. said, complained: where its output and its errors go, None: where this
    process's do. folder: it runs there.

    Raises OSError where it cannot be started, TimeoutError where it did not end; then, and where this is cancelled, it is killed with its
    process group. Killed itself, this process takes the program with it on Linux.
    """
    process = await asyncio.create_subprocess_exec(
        *words, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=complained, **host.apart(with_me=True)
    )
    try:
        async with deadline(within_s):
            return await process.wait()
    finally:
        host.kill_group(process.pid)
        await process.wait()
