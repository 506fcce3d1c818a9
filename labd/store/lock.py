"""Locks: one process at a time drives a bench, one daemon keeps a store."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from labd import host
from labd.errors import LabdError, StoreError, WrongState
from labd.store.folder import file_slug


class BenchBusy(WrongState):
    """Another process holds the bench; the message names it and since when."""


class StoreServed(WrongState):
    """Another daemon keeps the store: a store has one queue, and a queue one bench."""


@contextmanager
def bench_lock(folder: Path, bench_name: str) -> Iterator[Path]:
    """Hold the bench for the length of the `with`; raises BenchBusy at once when somebody else does.

    A lock beside the catalogue: it ends with the process, kill -9 included, so there are no stale locks. The file itself stays
    (removing it would let two processes hold locks on two files of one name).
    """
    path = _path(folder, bench_name)
    with _locked(path, bench_name, lambda holder: BenchBusy(f"{bench_name!r} is in use by {holder} ({path})")):
        yield path


@contextmanager
def store_lock(folder: Path, bench_name: str) -> Iterator[Path]:
    """Keep the store as its one daemon for the length of the `with`; raises StoreServed at once when there is one."""
    path = folder / "daemon.lock"
    refusal = "a daemon has a store of its own, give this one another with --store"
    with _locked(path, bench_name, lambda holder: StoreServed(f"{folder} is served by {holder}; {refusal}")):
        yield path


@contextmanager
def _locked(path: Path, bench_name: str, refused: Callable[[str], LabdError]) -> Iterator[None]:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise StoreError(f"{path}: the lock cannot be opened: {error}") from error
    try:
        try:
            ours = host.lock(handle)
        except OSError as error:
            raise StoreError(f"{path}: cannot be locked here: {error}") from error
        if not ours:
            raise refused(_holder(handle))
        _sign(handle, bench_name)
        yield
    finally:
        os.close(handle)


def in_use(folder: Path) -> Path:
    """Where the locks on instruments and ports are, which are this machine's whatever the store. folder: of the user's data."""
    return folder / "in-use"


@dataclass(frozen=True, slots=True)
class Held:
    """A lock that somebody holds, and who that is, as far as it can be said."""

    place: str
    holder: str

    def __str__(self) -> str:
        return f"{self.place} ({self.holder})"


def held(folder: Path) -> list[Held]:
    """Every lock in a folder that is held."""
    found = []
    for path in sorted(folder.glob("bench-*.lock")):
        try:
            with path.open("rb") as file:  # of whatever user: a shared lock needs no more
                if not host.unlocked(file.fileno()):
                    found.append(Held(_named(file.fileno()), _holder(file.fileno())))
        except OSError:  # gone meanwhile, or another user's
            continue
    return found


def lock_holder(folder: Path, bench_name: str) -> int | None:
    """The process that holds this lock now, None where none does or it cannot be said.

    That the lock is refused proves that it is held; that the process which signed it still has the file open, that it is the one and no
    later process with its number.
    """
    path = _path(folder, bench_name)
    try:
        with path.open("rb") as file:
            return None if host.unlocked(file.fileno()) else _signer(path)
    except OSError:
        return None


def _signer(path: Path) -> int | None:
    try:
        pid = int(json.loads(path.read_bytes())["pid"])
        return pid if any(_leads_to(link, path) for link in Path(f"/proc/{pid}/fd").iterdir()) else None
    except (OSError, ValueError, KeyError, TypeError):  # not signed yet, gone meanwhile, or another user's
        return None


def _leads_to(link: Path, path: Path) -> bool:
    try:
        return link.samefile(path)
    except OSError:  # closed meanwhile
        return False


def _path(folder: Path, bench_name: str) -> Path:
    return folder / f"bench-{file_slug(bench_name)}.lock"


def _sign(handle: int, bench_name: str) -> None:
    text = json.dumps({"bench": bench_name, "pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())})
    os.ftruncate(handle, 0)
    os.lseek(handle, 0, os.SEEK_SET)
    os.write(handle, text.encode())


def _named(handle: int) -> str:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        return str(json.loads(os.read(handle, 4096))["bench"])
    except (ValueError, KeyError, TypeError):
        return "something"


def _holder(handle: int) -> str:
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        facts = json.loads(os.read(handle, 4096))
        return f"process {facts['pid']} since {facts['since']}"
    except (ValueError, KeyError, TypeError):  # it has the lock and has not signed yet
        return "another process"
