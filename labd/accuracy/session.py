"""An accuracy run on disk: what it is of, a line for each sample that is done, and in the end its score.

accuracy/ID/session.json    bench, board, DUT, data set
accuracy/ID/samples.jsonl   one line a sample, in the order they were sent
accuracy/ID/result.json     the score; there when the run has ended
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labd.accuracy.dataset import Dataset
from labd.accuracy.score import Prediction
from labd.dut.device import DutIdentity
from labd.errors import StoreError
from labd.store.folder import slug, write_whole
from labd.store.jsonform import from_json, to_json

FOLDER = "accuracy"
SYNC_S = 1.0  # at most so much is made again after a loss of power; nothing after a crash


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is of. Only a run of the same subject is taken up again. of: the candidate of a search, whose firmware may call itself
    what another's does; empty for what is no candidate. model: as it was asked for; empty where only the board names it.
    firmware_sha256: of the image on the DUT, empty where unknown."""

    bench: str
    board: str
    dut: DutIdentity
    dataset: str
    dataset_sha256: str
    samples: int
    of: str = ""
    model: str = ""
    firmware_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """One sample as it came out. n: its number in the order they are sent. results: of each of its inputs; latency_s: mean by the DUT's
    counter. verified: so many of its inputs were read back."""

    n: int
    file: str
    label: int | None
    results: tuple[tuple[float, ...], ...]
    latency_s: float | None
    verified: int = 0

    @property
    def prediction(self) -> Prediction:
        """Scores are averaged over the inputs of one file."""
        rows = list(zip(*self.results, strict=True))
        return Prediction(self.label, tuple(sum(row) / len(row) for row in rows))


class Session:
    """Context manager; blocking, used from one thread. `done`: what an earlier process has made of this run, and this one."""

    def __init__(self, folder: Path, done: list[Done]) -> None:
        self.folder = folder
        self.done = done
        self._synced_s = 0.0

    @property
    def id(self) -> str:
        return self.folder.name

    def __enter__(self) -> Session:
        try:
            self._file = (self.folder / "samples.jsonl").open("a", encoding="utf-8")
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def add(self, done: Done) -> None:
        """Raises StoreError."""
        try:
            self._file.write(json.dumps(to_json(done)) + "\n")
            self._file.flush()
            if time.monotonic() - self._synced_s >= SYNC_S:
                os.fsync(self._file.fileno())
                self._synced_s = time.monotonic()
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        self.done.append(done)

    def end(self, result: Any) -> None:
        """The run is whole. Raises StoreError."""
        write_whole(self.folder / "result.json", json.dumps(to_json(result), indent=1) + "\n")


def open_session(store: Path, subject: Subject, dataset: Dataset, *, fresh: bool, begun: str = "") -> Session:
    """The newest run of this subject that was broken off; a new one where there is none, or with `fresh`. begun: id of the one to go on
    with, and of no other. Raises StoreError, also where that one is gone or is of another subject."""
    place = store / FOLDER
    if begun:
        return _begun(place / begun, subject, dataset)
    if not fresh:
        for folder in sorted(place.glob("*/"), reverse=True):
            if not (folder / "result.json").exists() and _subject(folder) == subject:
                return Session(folder, _read(folder / "samples.jsonl", dataset))
    return Session(_made(place, subject), [])


def has_ended(store: Path, session_id: str) -> bool:
    return (store / FOLDER / session_id / "result.json").exists()


def _begun(folder: Path, subject: Subject, dataset: Dataset) -> Session:
    was = _subject(folder)
    if was is None:
        raise StoreError(f"{folder}: the run that was begun there is gone or cannot be read; ask for a new one")
    if was != subject:
        unlike = [one.name for one in dataclasses.fields(Subject) if getattr(was, one.name) != getattr(subject, one.name)]
        what = "; ".join(f"{name} was {getattr(was, name)!r} and is {getattr(subject, name)!r}" for name in unlike)
        raise StoreError(f"{folder}: it cannot go on, for its samples would be of two subjects: {what}; ask for a new one")
    return Session(folder, _read(folder / "samples.jsonl", dataset))


def _made(place: Path, subject: Subject) -> Path:
    stem = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{slug(subject.dataset)}"
    for number in range(1, 1000):
        folder = place / (stem if number == 1 else f"{stem}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise _unwritable(folder, error) from error
        write_whole(folder / "session.json", json.dumps(to_json(subject), indent=1) + "\n")
        return folder
    raise StoreError(f"{place}: too many runs of one second")


def _subject(folder: Path) -> Subject | None:
    """None for what is no run, or one of another version's."""
    try:
        return from_json(Subject, json.loads((folder / "session.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, StoreError):
        return None


def _read(path: Path, dataset: Dataset) -> list[Done]:
    """Every whole line; what a crash left of the last one is cut off. Raises StoreError for anything else that is wrong."""
    try:
        raw = path.read_bytes() if path.exists() else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        if whole != raw:
            os.truncate(path, len(whole))
    except OSError as error:
        raise _unwritable(path, error) from error
    found = [_line(path, number, line) for number, line in enumerate(whole.decode("utf-8", "replace").splitlines(), start=1)]
    for number, one in enumerate(found):
        if one.n != number or one.n >= len(dataset.samples) or one.file != dataset.samples[one.n].file:
            raise StoreError(f"{path}: line {number + 1} is not sample {number} of the data set; begin anew with --fresh")
    return found


def _line(path: Path, number: int, text: str) -> Done:
    try:
        return from_json(Done, json.loads(text))
    except (ValueError, StoreError) as error:
        raise StoreError(f"{path}: line {number} cannot be read ({error}); begin anew with --fresh") from error


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"{path}: cannot be written: {error.strerror or error}")


def as_document(subject: Subject, outcome: dict[str, Any]) -> dict[str, Any]:
    """Of `result.json` and of `--json`."""
    return {"schema": 1, **dataclasses.asdict(subject), **outcome}
