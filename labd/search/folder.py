"""A search on disk: what it is of, a file for each candidate that is done, and in the end its result.

searches/ID/search.json                  the use case's text, hashes of what else it rests on
searches/ID/PLATFORM/study.sqlite        what was asked for and told: Optuna's
searches/ID/PLATFORM/0007/outcome.json   of candidate 7; there when it is done. Beside it the board and plan files of its run,
                                         and scored.json, what it came to before its run
searches/ID/PLATFORM/0007-again/         of the best candidate, measured once more
searches/ID/result.json, report.html     when the search has ended
searches/builds/                         what builders made, by what it follows from
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labd.errors import NotFound, StoreError
from labd.search.outcome import Outcome, State
from labd.search.result import Result
from labd.store.folder import slug, write_whole
from labd.store.jsonform import dump, from_json, load, to_json

FOLDER = "searches"
RESULT = "result.json"
REPORT = "report.html"
_OUTCOME = "outcome.json"
_SEARCH = "search.json"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a search rests on: only one of the same is gone on with. files: hashes (SHA-256) of bench and board files,
    of the builders' files and of the data set."""

    name: str
    text: str
    files: Mapping[str, str]

    def changed(self, before: Basis) -> list[str]:
        """What is not as it was: `use case`, or a key of `files`."""
        keys = sorted({*self.files, *before.files})
        files = [key for key in keys if self.files.get(key) != before.files.get(key)]
        return [*([] if self.text == before.text else ["use case"]), *files]


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """candidates: that are done; states: how many of them in which."""

    id: str
    name: str
    ended: bool
    candidates: int
    states: Mapping[str, int]


class Folder:
    """One search. Blocking."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def ended(self) -> bool:
        return (self.path / RESULT).exists()

    def study(self, platform: str) -> Path:
        return _made(self.path / platform) / "study.sqlite"

    def candidate(self, platform: str, number: int, repeat: int = 0) -> Path:
        """Made where it is not there yet. Raises StoreError."""
        return _made(self.path / platform / f"{number:04d}{'-again' if repeat else ''}")

    def tag(self, platform: str, number: int) -> str:
        """Of the runs of a candidate, and what its accuracy run is told by. No other one has it: search and platform are cut short in it,
        so a hash of both is in it as well."""
        whole = hashlib.sha256(f"{self.id}\0{platform}\0{number}".encode()).hexdigest()
        return f"{self.id[:15]}.{whole[:8]}.{slug(platform, longest=8)}.{number}"

    def keep(self, outcome: Outcome) -> None:
        """It is done: not measured again. Raises StoreError."""
        folder = self.candidate(outcome.platform, outcome.number, outcome.repeat)
        write_whole(folder / _OUTCOME, dump(outcome) + "\n")

    def outcomes(self, platform: str | None = None) -> list[Outcome]:
        """Of every candidate that is done, by platform and number. Raises StoreError."""
        paths = sorted(self.path.glob(f"{platform or '*'}/*/{_OUTCOME}"))
        return [from_json(Outcome, load(_read(path), str(path))) for path in paths]

    def end(self, result: Result, report: str) -> None:
        """Raises StoreError."""
        write_whole(self.path / REPORT, report)
        write_whole(self.path / RESULT, json.dumps(to_json(result), indent=1, ensure_ascii=False) + "\n")

    def result(self) -> Result:
        """Raises NotFound while it goes on, StoreError."""
        self._refuse_unended()
        return from_json(Result, load(_read(self.path / RESULT), str(self.path / RESULT)))

    def report(self) -> str:
        """The page. Raises NotFound while it goes on, StoreError."""
        self._refuse_unended()
        return _read(self.path / REPORT)

    def _refuse_unended(self) -> None:
        if not self.ended:
            raise NotFound(f"search {self.id} has not ended: `labd search` with the same file goes on with it")

    @property
    def summary(self) -> SearchSummary:
        """Raises StoreError."""
        basis, states = self.basis(), [one.state for one in self.outcomes() if not one.repeat]
        counts = {str(state): states.count(state) for state in State}
        return SearchSummary(self.id, basis.name if basis else "", self.ended, len(states), counts)

    def basis(self) -> Basis | None:
        """None for what is no search, or one of another version's."""
        try:
            return from_json(Basis, load(_read(self.path / _SEARCH), str(self.path)))
        except StoreError:
            return None


def builds(store: Path) -> Path:
    return store / FOLDER / "builds"


def searches(store: Path) -> list[Folder]:
    """Newest first."""
    return [Folder(path.parent) for path in sorted((store / FOLDER).glob(f"*/{_SEARCH}"), reverse=True)]


def folder_of(store: Path, search_id: str) -> Folder:
    """Raises NotFound."""
    found = next((folder for folder in searches(store) if folder.id == search_id), None)
    if found is None:
        raise NotFound(f"there is no search {search_id!r} in {store}")
    return found


def open_search(store: Path, basis: Basis, *, fresh: bool) -> Folder:
    """The newest one of the same basis that has not ended; a new one where there is none, or with `fresh`. Raises StoreError."""
    if not fresh:
        left = [(folder, folder.basis()) for folder in searches(store) if not folder.ended]
        for folder, own in left:
            if own == basis:
                return folder
        for folder, own in left:
            if own is not None and own.name == basis.name:
                log.warning("search %s is not gone on with: %s changed since", folder.id, ", ".join(basis.changed(own)))
                break
    return _new(store / FOLDER, basis)


def _new(place: Path, basis: Basis) -> Folder:
    stem = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{slug(basis.name)}"
    _made(place)
    for number in range(1, 1000):
        path = place / (stem if number == 1 else f"{stem}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise StoreError(f"{path}: cannot be made: {error.strerror or error}") from error
        write_whole(path / _SEARCH, json.dumps(to_json(basis), indent=1) + "\n")
        return Folder(path)
    raise StoreError(f"{place}: too many searches of one second")


def _made(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror or error}") from error
    return path


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}") from error
