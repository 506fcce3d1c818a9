"""What the guard did, as JSON lines that survive a power cut, for the daemon to report at its next start."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from labd.stream.session import InstrumentSession

WRITE_S = 5.0
ENDS = ("done", "abandoned")
REPORTED = ("lost", "not_verified", "verified", *ENDS)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. what: started, armed, disarmed, stopped, released, lost, not_verified, verified, done, abandoned.

    incident: the same for all lines of one switching off.
    """

    t_ns: int
    what: str
    bench: str
    incident: str
    text: str
    source: str = ""
    took_s: float | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One time that the guard had to act. off: every source it answered for was verified off in the end. ended: nothing more comes."""

    id: str
    bench: str
    t_ns: int
    off: bool
    ended: bool
    text: str
    entries: tuple[Entry, ...]


class Journal:
    """Async context manager; writes go through a thread of their own, each synced to the disk before `note` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._session = InstrumentSession("guard's journal")
        self._file = -1

    async def __aenter__(self) -> Journal:
        await self._session.__aenter__()
        await self._session.call(self._open, deadline_s=WRITE_S)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.call(self._close, deadline_s=WRITE_S)
        await self._session.close()

    async def note(self, what: str, bench: str, text: str, *, incident: str = "", source: str = "", took_s: float | None = None) -> None:
        """Raises OSError, InstrumentFailure (the disk hangs)."""
        entry = Entry(time.time_ns(), what, bench, incident, text, source, None if took_s is None else round(took_s, 3))
        await self._session.call(self._append, _line(entry), deadline_s=WRITE_S)

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._file).st_size
        if size:
            os.lseek(self._file, size - 1, os.SEEK_SET)
            if os.read(self._file, 1) != b"\n":  # a line torn by a power cut must not swallow the next one
                os.write(self._file, b"\n")

    def _append(self, text: bytes) -> None:
        os.write(self._file, text)
        os.fsync(self._file)

    def _close(self) -> None:
        os.close(self._file)


def read(path: Path) -> list[Entry]:
    """Every whole line, oldest first; torn or foreign ones are passed over. An absent journal is an empty one. Raises OSError."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return []
    return [entry for line in text.splitlines() if (entry := _entry(line)) is not None]


def unreported(path: Path) -> list[Incident]:
    """Incidents that `mark_reported` has not been told of, oldest first. Raises OSError."""
    known = _reported(path)
    return [incident for incident in _incidents(read(path)) if incident.id not in known]


def open_incidents(path: Path) -> list[Incident]:
    """Those whose end is not written down: a guard that starts finds here what an earlier one was killed in. Raises OSError."""
    return [incident for incident in _incidents(read(path)) if not incident.ended]


def stops(path: Path) -> dict[str, str]:
    """Emergency stops that nobody has released, by bench. Raises OSError."""
    found: dict[str, str] = {}
    for entry in read(path):
        if entry.what == "stopped":
            found[entry.bench] = entry.text
        elif entry.what == "released":
            found.pop(entry.bench, None)
    return found


def mark_reported(path: Path, incidents: Iterable[Incident]) -> None:
    """Synced to the disk when it returns. An incident still under way stays unreported until its outcome is known. Raises OSError."""
    names = [incident.id for incident in incidents if incident.ended]
    if names:
        with _aside(path).open("a") as file:
            file.write("\n" + "".join(f"{name}\n" for name in names))
            file.flush()
            os.fsync(file.fileno())


def _incidents(entries: Iterable[Entry]) -> list[Incident]:
    by_id: dict[str, list[Entry]] = {}
    for entry in entries:
        if entry.incident and entry.what in REPORTED:
            by_id.setdefault(entry.incident, []).append(entry)
    return [_incident(name, found) for name, found in by_id.items()]


def _incident(name: str, entries: list[Entry]) -> Incident:
    first = entries[0]
    last = {entry.source: entry for entry in entries if entry.source}
    ends = [entry for entry in entries if entry.what in ENDS]
    off = any(entry.what == "done" for entry in ends)
    told = [f"{source}: {entry.text}" for source, entry in last.items()] + [entry.text for entry in ends if entry.what != "done"]
    return Incident(
        name, first.bench, first.t_ns, off, bool(ends), f"{first.text}: {'; '.join(told) or 'being switched off'}", tuple(entries)
    )


def _aside(path: Path) -> Path:
    return path.with_name(path.name + ".reported")


def _reported(path: Path) -> set[str]:
    try:
        return set(_aside(path).read_text().split())
    except FileNotFoundError:
        return set()


def _line(entry: Entry) -> bytes:
    said: Mapping[str, object] = {name: value for name in Entry.__slots__ if (value := getattr(entry, name)) not in ("", None)}
    return json.dumps(said).encode() + b"\n"


def _entry(line: bytes) -> Entry | None:
    try:
        said = json.loads(line)
        took = said.get("took_s")
        return Entry(
            int(said["t_ns"]),
            str(said["what"]),
            str(said.get("bench", "")),
            str(said.get("incident", "")),
            str(said.get("text", "")),
            str(said.get("source", "")),
            None if took is None else float(took),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
