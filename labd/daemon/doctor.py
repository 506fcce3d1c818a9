"""`labd doctor`: whether this machine, its store and a bench file are fit for measuring; touches no instrument."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from serial.tools import list_ports

from labd.analyse.environment import versions
from labd.api.app import PAGE
from labd.bench.finding import Finding
from labd.daemon import udev
from labd.daemon.bench_doctor import bench_findings, tried
from labd.errors import LabdError
from labd.host import most_open_files
from labd.live.windows import FILES_KEPT
from labd.store.catalogue import Catalogue
from labd.store.folder import CATALOGUE, default_folder
from labd_instruments.links.visa import interfaces

LEAST_FILES = 256 + 4 * FILES_KEPT
LEAST_FREE = 1 << 30
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
STEP_S = 0.01
STEPS = 20


def findings(store: Path | None, bench: Path | None) -> list[Finding]:
    """Everything that can be said without opening an instrument. Blocks for up to some seconds."""
    found = [
        finding
        for look in (_versions, _page, _compiler, _visa, _ports, udev.findings, _limits, _scheduling, _clock, _zones)
        for finding in look()
    ]
    found += list(_store(store or default_folder()))
    return found + (list(bench_findings(bench, store or default_folder())) if bench is not None else [])


def _versions() -> Iterator[Finding]:
    text = ", ".join(f"{name} {version}" for name, version in versions().items())
    yield Finding("versions", True, f"{text}, SQLite {sqlite3.sqlite_version}, {sys.executable}")


def _page() -> Iterator[Finding]:
    built = (PAGE / "index.html").exists()
    yield Finding("live page", built, "built" if built else "not built in this checkout: install labd again (make venv)")


def _compiler() -> Iterator[Finding]:
    found = shutil.which("cc")
    yield Finding("C compiler", True if found else None, found or "none (cc): only virtual benches need one, for their board's firmware")


def _visa() -> Iterator[Finding]:
    try:
        there, missing = interfaces()
    except Exception as error:  # noqa: BLE001  the edge: whatever a VISA library raises is a finding
        yield Finding("VISA", False, f"pyvisa-py does not load: {error}")
        return
    yield Finding("VISA", True, f"pyvisa-py: {', '.join(there)}")
    if missing:
        yield Finding("VISA", None, f"not without more packages: {', '.join(missing)}")


def _ports() -> Iterator[Finding]:
    ports = [port.device for port in list_ports.comports()]
    barred = [port for port in ports if not os.access(port, os.R_OK | os.W_OK)]
    if not ports:
        yield Finding("serial ports", None, "none found")
    elif barred:
        yield Finding("serial ports", None, f"{', '.join(ports)}; this user may not use {', '.join(barred)}")
    else:
        yield Finding("serial ports", True, ", ".join(ports))


def _limits() -> Iterator[Finding]:
    files = most_open_files()
    if files is None:
        return
    enough = files >= LEAST_FILES
    yield Finding("open files", enough, f"at most {files}" + ("" if enough else f", {LEAST_FILES} are needed (ulimit -n)"))


def _scheduling() -> Iterator[Finding]:
    """How late a thread that sleeps wakes up: a busy machine reads its instruments late."""
    late_s = max(_late_s() for _ in range(STEPS))
    text = f"a thread was woken up to {late_s * 1e3:.1f} ms late in {STEPS} tries of {STEP_S * 1e3:g} ms"
    yield Finding("scheduling", True if late_s < STEP_S else None, text)


def _late_s() -> float:
    began_s = time.monotonic()
    time.sleep(STEP_S)
    return time.monotonic() - began_s - STEP_S


def _clock() -> Iterator[Finding]:
    known = SYNCHRONISED.exists()
    yield Finding(
        "clock", True if known else None, "synchronised" if known else "whether it is synchronised cannot be told here; runs carry its time"
    )


def _zones() -> Iterator[Finding]:
    try:
        ZoneInfo("Europe/Berlin")
    except ZoneInfoNotFoundError:
        yield Finding("time zones", False, "no data: plans that repeat need it; install the package tzdata")
    else:
        yield Finding("time zones", True, f"known; this machine's is {time.strftime('%Z (UTC%z)')}")


def _store(folder: Path) -> Iterator[Finding]:
    place = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding("store", False, f"{folder}: this user may not write to {place}; give another --store")
        return
    free = shutil.disk_usage(place).free
    yield Finding("disk", free >= LEAST_FREE, f"{folder}: {free / 1e9:.1f} GB free")
    if not (folder / CATALOGUE).exists():
        yield Finding("store", None, f"{folder}: nothing stored yet")
        return
    yield tried("store", lambda: _catalogue(folder))


def _catalogue(folder: Path) -> str:
    with Catalogue.open_read_only(folder) as catalogue:
        wrong = catalogue.check()
        if wrong:
            raise LabdError(f"{folder / CATALOGUE} is damaged: {wrong[0]}; copy what can be read with `labd archive`, and restore a backup")
        return f"{folder}: {len(catalogue.runs.newest(limit=1_000_000))} runs, the catalogue is sound"
