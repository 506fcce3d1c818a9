"""What operating systems do differently; the rest of labd does not ask which it runs on.

The guard apart: it needs what only Linux has (credentials of a socket's other end, descriptors of processes), and says so.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

if sys.platform == "win32":
    import errno
    import msvcrt
    import subprocess
else:
    import fcntl
    import resource
    import termios

if sys.platform == "linux":
    import ctypes

    _LIBC = ctypes.CDLL(None)  # loaded before any fork
    _PR_SET_PDEATHSIG = 1  # linux/prctl.h

    def _end_with_parent(parent: int) -> None:
        """Between fork and exec. A parent that ended before it was asked for can send nothing any more."""
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


NICE = 10
HAS_GUARD = sys.platform == "linux"
HAS_TRIGGER = sys.platform == "linux"  # a process with real-time scheduling and locked memory, given descriptors
HAS_GPIO = sys.platform == "linux"
HAS_VIRTUAL_BENCH = hasattr(os, "openpty")  # its board is at a pseudo-terminal
TIOCGICOUNT = 0x545D  # <asm-generic/ioctls.h>; the module termios has no name for it in every version
LOCKED_AT = 1 << 30  # on Windows nobody else can read what is locked: a byte far beyond the end leaves the content to all


if sys.platform == "win32":

    def lock(descriptor: int) -> bool:
        """Whether this process now has the open file for itself; the lock ends with the process, kill -9 included. Raises OSError."""
        os.lseek(descriptor, LOCKED_AT, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EDEADLK}:
                return False
            raise
        return True

    def unlocked(descriptor: int) -> bool:
        """Whether nobody has the open file for itself. Raises OSError."""
        free = lock(descriptor)
        if free:
            os.lseek(descriptor, LOCKED_AT, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)
        return free

else:

    def lock(descriptor: int) -> bool:
        """Whether this process now has the open file for itself; the lock ends with the process, kill -9 included. Raises OSError."""
        return _flock(descriptor, fcntl.LOCK_EX)

    def unlocked(descriptor: int) -> bool:
        """Whether nobody has the open file for itself. Raises OSError."""
        return _flock(descriptor, fcntl.LOCK_SH)

    def _flock(descriptor: int, how: int) -> bool:
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def sync_samples(descriptor: int) -> None:
    """Make content and length of a file survive a power cut; its times need not, where the system tells them apart.

    macOS's fsync leaves it to the drive when it writes [fsync(2) there], F_FULLFSYNC does not.
    """
    if sys.platform == "linux":
        os.fdatasync(descriptor)
    elif sys.platform == "darwin":
        fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)
    else:
        os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make new and renamed names in a folder survive a power cut. Windows opens no folder; its file system keeps a journal of names."""
    if sys.platform != "win32":
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def set_aside(file: BinaryIO, size: int) -> None:
    """Give an empty file so many bytes of the disk. Raises OSError."""
    if sys.platform == "linux":
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.write(bytes(size))


def keep_lines_on_close(descriptor: int) -> None:
    """Closing this serial port leaves DTR alone, so that it resets no board [termios(3), HUPCL]. Windows has no such setting."""
    if sys.platform != "win32":
        with suppress(termios.error):  # what is no terminal has no lines
            attributes = termios.tcgetattr(descriptor)
            attributes[2] &= ~termios.HUPCL
            termios.tcsetattr(descriptor, termios.TCSANOW, attributes)


def modem_counts(descriptor: int) -> tuple[int, int] | None:
    """How often CTS and DSR have changed, as the driver counted [tty_ioctl(2), TIOCGICOUNT]; None where none counts."""
    if sys.platform == "linux":
        with suppress(OSError):
            cts, dsr, *_ = struct.unpack("20i", fcntl.ioctl(descriptor, TIOCGICOUNT, bytes(80)))
            return cts, dsr
    return None


def apart(*, with_me: bool = False) -> dict[str, Any]:
    """Arguments for a child process that Ctrl-C in the terminal is not for: this process ends it, in its order. with_me: on Linux the
    kernel ends it where this process is killed; only for children of a thread that lives as long as the process."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    if sys.platform == "linux" and with_me:
        return {"start_new_session": True, "preexec_fn": partial(_end_with_parent, os.getpid())}
    return {"start_new_session": True}


def end_group(pid: int) -> None:
    """Ask a child that was started `apart`, and what it has started, to end. Windows has no such request."""
    if sys.platform != "win32":
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGTERM)


def kill_group(pid: int) -> None:
    """End a child that was started `apart`, and all that it has started and that did not leave its group; fine where nothing is left."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/T", "/F", "/PID", str(pid)], capture_output=True, check=False)
    else:
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only a zombie is left
            os.killpg(pid, signal.SIGKILL)


def most_open_files() -> int | None:
    """None where there is no such limit."""
    if sys.platform == "win32":
        return None
    else:  # noqa: RET505  names of the other system's modules are unknown beyond a branch
        return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def stand_back() -> None:
    """Let every other process go first."""
    if sys.platform != "win32":
        os.nice(NICE)


def cpu_clock_of(thread: int) -> Callable[[], float] | None:
    """Tells the processor time of a thread of this process, by its ident, s; None where only a thread itself can ask for its own."""
    if sys.platform != "linux":
        return None
    clock = time.pthread_getcpuclockid(thread)
    return lambda: time.clock_gettime(clock)
