"""The accuracy runs of a store, as they are listed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labd.accuracy.score import Score
from labd.accuracy.session import FOLDER, Subject
from labd.errors import NotFound, StoreError
from labd.store.jsonform import from_json


@dataclass(frozen=True, slots=True)
class AccuracyRun:
    """done: samples, of subject.samples. ended: it has a result; score None then: nothing to score by. model: as plans call it."""

    id: str
    subject: Subject
    done: int
    ended: bool
    model: str = ""
    score: Score | None = None
    latency_s: float | None = None
    latency_u95_s: float | None = None
    inputs: int = 0
    verified: int = 0


def accuracy_runs(store: Path, *, limit: int = 100) -> list[AccuracyRun]:
    """The newest first. A folder that cannot be read is passed over."""
    found: list[AccuracyRun] = []
    for folder in sorted((store / FOLDER).glob("*/"), reverse=True):
        if len(found) == limit:
            break
        try:
            found.append(_run(folder))
        except (OSError, ValueError, StoreError):
            continue
    return found


def accuracy_run(store: Path, session_id: str) -> AccuracyRun:
    """Raises NotFound, StoreError for one that cannot be read."""
    folder = store / FOLDER / session_id
    if not (folder / "session.json").is_file():
        raise NotFound(f"there is no accuracy run {session_id!r} in {store}")
    try:
        return _run(folder)
    except (OSError, ValueError) as error:
        raise StoreError(f"{folder}: cannot be read: {error}") from error


def _run(folder: Path) -> AccuracyRun:
    subject = from_json(Subject, _document(folder / "session.json"))
    samples = folder / "samples.jsonl"
    done = samples.read_bytes().count(b"\n") if samples.is_file() else 0
    if not (folder / "result.json").is_file():
        return AccuracyRun(folder.name, subject, done, ended=False)
    result = _document(folder / "result.json")
    told = {name: result[name] for name in ("model", "latency_s", "latency_u95_s", "inputs", "verified") if result.get(name) is not None}
    score = result.get("score")
    return AccuracyRun(folder.name, subject, done, ended=True, score=None if score is None else from_json(Score, score), **told)


def _document(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(document, dict):
        raise StoreError(f"{path}: is no JSON object")
    return document
