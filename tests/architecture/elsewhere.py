"""`python -m tests.architecture.elsewhere labd ARGS`: labd's command line as on Windows, as far as this system can be made to look like it.

Libraries are imported first and keep what they need. Then POSIX's modules are gone, the calls that Windows lacks are taken away, event
loops refuse what its event loop refuses (docs.python.org/3/library/asyncio-platforms.html, "Windows"), and labd is imported.
"""

from __future__ import annotations

import asyncio
import fcntl
import importlib
import os
import signal
import subprocess
import sys
import time
import types
from typing import Any, NoReturn

LIBRARIES = (
    "asyncio.unix_events", "httpx", "numba", "numpy", "pint", "platformdirs", "pyarrow.parquet", "pydantic", "pyvisa_py", "rich.live",
    "scipy.stats", "serial.tools.list_ports", "sqlite3", "typer", "uvicorn", "websockets.asyncio.client", "xxhash", "multiprocessing.util",
    "fastapi", "concurrent.futures.thread", "getpass", "ssl", "zeroconf", "uncertainties", "pydantic_settings",
)  # fmt: skip
MODULES = ("fcntl", "grp", "gpiod", "posix_ipc", "pty", "pwd", "resource", "syslog", "termios", "tty")
CALLS: dict[types.ModuleType, tuple[str, ...]] = {
    os: ("fdatasync", "posix_fallocate", "pread", "pwrite", "readv", "nice", "sysconf", "pidfd_open", "O_DIRECTORY", "sched_setaffinity"),
    signal: ("SIGHUP", "SIGUSR1", "pidfd_send_signal"),
    time: ("pthread_getcpuclockid",),
}
LOOPS = ("add_reader", "add_writer", "add_signal_handler")
NEW_GROUP = 0x200  # CREATE_NEW_PROCESS_GROUP, which this system's subprocess refuses


def refused(*_: object, **__: object) -> NoReturn:
    raise NotImplementedError


def locking(descriptor: int, how: int, count: int) -> None:
    """msvcrt.locking, of bytes from where the file stands; a lock of another process is a `PermissionError`."""
    at = os.lseek(descriptor, 0, os.SEEK_CUR)
    fcntl.lockf(descriptor, fcntl.LOCK_UN if how == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB, count, at)


def become_another() -> None:
    for name in LIBRARIES:
        try:
            importlib.import_module(name)
        except ImportError:  # not among what labd needs any more: then it is not used either
            continue
    sys.modules["msvcrt"] = types.SimpleNamespace(locking=locking, LK_UNLCK=0, LK_NBLCK=2)  # type: ignore[assignment]
    subprocess.CREATE_NEW_PROCESS_GROUP = NEW_GROUP  # type: ignore[attr-defined]
    started = asyncio.create_subprocess_exec

    async def create(*args: Any, creationflags: int = 0, **kwargs: Any) -> asyncio.subprocess.Process:
        assert creationflags in {0, NEW_GROUP}
        return await started(*args, **kwargs)

    asyncio.create_subprocess_exec = create
    for name in LOOPS:
        setattr(asyncio.SelectorEventLoop, name, refused)
    for module in MODULES:
        sys.modules[module] = None  # type: ignore[assignment]  # importing it fails
    for owner, names in CALLS.items():
        for name in names:
            if hasattr(owner, name):
                delattr(owner, name)
    sys.platform = "win32"


if __name__ == "__main__":
    become_another()
    from labd.cli.main import main

    sys.argv = sys.argv[1:]
    main()
