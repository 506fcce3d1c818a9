"""Starts a guard where no service does: detached, so that what ends the daemon does not end it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from labd.deadline import deadline
from labd.errors import SafetyRefusal

START_S = 20.0
LINGER_S = 30.0


async def ensure_guard(socket: Path, journal: Path, *, linger_s: float = LINGER_S) -> None:
    """Return once a guard serves `socket`, one that ends by itself linger_s after its last client if none served it before.

    Under systemd a process stays in the control group of the service that started it, whatever it does: run the guard as a service of
    its own there (docs/reference/guard.md). Raises SafetyRefusal.
    """
    arguments = ["--socket", socket, "--journal", journal, "--linger", linger_s, "--detach"]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "labd.guard",
        *map(str, arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with deadline(START_S):
            _, complaint = await process.communicate()
    except TimeoutError as error:
        process.kill()
        await process.wait()
        raise SafetyRefusal(f"the guard did not start within {START_S:g} s (socket {socket})") from error
    if process.returncode:
        last = complaint.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise SafetyRefusal(f"the guard did not start: {last[-1]}")
