"""What the daemon itself takes of its machine: in a process that runs for weeks each of these must stay where it is."""

from __future__ import annotations

import asyncio
import mmap
import threading
from pathlib import Path

from labd.api.answers import Footprint


def footprint() -> Footprint:
    """Of this process, from /proc; 0 where a system has none. Called in the event loop, whose tasks it counts."""
    return Footprint(_resident_bytes(), _descriptors(), threading.active_count(), len(asyncio.all_tasks()))


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0


def _descriptors() -> int:
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0
