"""What systemd wants to hear of a service: ready, alive, stopping (sd_notify(3): datagrams to the socket NOTIFY_SOCKET names)."""

from __future__ import annotations

import asyncio
import os
import socket
import sys

WATCHDOG_SHARE = 3  # messages in one interval


def notify(*lines: str) -> None:
    """Nothing where no systemd listens. `READY=1`, `STOPPING=1`, `STATUS=...`, `WATCHDOG=1`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or sys.platform != "linux":
        return
    target = f"\0{address[1:]}" if address.startswith("@") else address  # @: the abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as end:
        end.setblocking(False)  # a full queue loses a message; the next one says the same
        try:
            end.sendto("\n".join(lines).encode(), target)
        except OSError:
            return


def watchdog_s() -> float | None:
    """The interval in which systemd wants to hear of this process (WATCHDOG_USEC), None where it does not."""
    usec, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) * 1e-6 if usec.isdigit() and int(usec) and pid == str(os.getpid()) else None


async def keep_alive() -> None:
    """Tell systemd for ever that the loop turns; returns at once where it does not want to know."""
    interval_s = watchdog_s()
    while interval_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s / WATCHDOG_SHARE)
