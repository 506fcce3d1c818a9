"""Calls the builder of a candidate, a plug-in command, and reads its answer; each candidate is built once."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from labd.cards.kinds import AnyCard, ModelCard, ToolchainCard
from labd.cards.read import card_of
from labd.child import last_line, one_line, status_of
from labd.config.document import read_source
from labd.config.problems import file_error, wrongs_of
from labd.config.section import Wrong, every_wrong
from labd.errors import FileError, StoreError
from labd.search.builds import builder_files, digest, keep
from labd.search.contract import ANSWER, LOG, REQUEST, Answer, Parameter, Request, TargetBoard
from labd.search.errors import BuilderCrashed, BuilderFailure, BuilderHung, BuilderNotFound, BuilderSilent, CandidateRefused, WrongAnswer

LIMIT_S = 600.0  # for a net that is trained on a desk computer
PYTHON = {"python", "python3"}  # as the first word: the Python that runs labd, so that a builder has labd's packages
LARGEST_ANSWER = 1 << 20
STALE_S = 86_400.0  # no builder takes a day
KEPT_FAILURES = 20
_BUILDING = ".building-"
_CARDS: Mapping[str, type[AnyCard]] = {"card": ModelCard, "toolchain": ToolchainCard}


@dataclass(frozen=True, slots=True)
class Builder:
    """command: its words; the path of the request is added. folder: it runs there, and its relative paths are of there. depends: files and
    folders beside its own that a build follows from. limit_s: after so long it is killed with all that it has started."""

    command: tuple[str, ...]
    folder: Path
    depends: tuple[Path, ...] = ()
    limit_s: float = LIMIT_S

    def __str__(self) -> str:
        return shlex.join(self.command)

    @property
    def files(self) -> list[tuple[str, Path]]:
        """Name and path of each file that a build follows from. Raises FileError. Blocking."""
        return builder_files(self.command, self.folder, self.depends)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A candidate as it was built. folder: what its builder wrote. cached: an earlier call has built it. card: text of its model card."""

    folder: Path
    answer: Answer
    card: str
    cached: bool

    @property
    def model(self) -> str:
        assert self.answer.model is not None
        return self.answer.model

    def file(self, key: str) -> Path | None:
        """Of image, program, card, toolchain; None where it has none."""
        name = self.answer.files.get(key)
        return None if name is None else self.folder / name


async def build(builder: Builder, parameters: Mapping[str, Parameter], board: TargetBoard, *, cache: Path) -> Candidate:
    """The candidate with these parameters, from `cache` where it, its builder and all that this depends on are as before.

    Raises BuilderFailure by its case (labd.search.errors), FileError for files of the builder that cannot be read, StoreError for a cache
    that cannot be written. What failed is not cached. Cancelled, it takes the builder's processes with it.
    """
    wanted = Request(parameters=dict(parameters), board=board, folder="-", answer="-")
    prepared = await asyncio.to_thread(_prepared, builder, wanted, cache)
    if isinstance(prepared, Candidate):
        return prepared
    made, kept = prepared
    try:
        await _run(builder, made)
        return await asyncio.to_thread(_finished, builder, made, kept)
    except BaseException:
        await asyncio.to_thread(_set_aside, made)
        raise


def _prepared(builder: Builder, wanted: Request, cache: Path) -> Candidate | tuple[Path, Path]:
    """What is there already; else a folder with the request in it, and the name it gets in the end."""
    kept = cache / digest(wanted, builder.command, builder.files)
    if kept.is_dir():
        try:
            return _candidate(builder, kept, cached=True)
        except BuilderFailure:  # somebody was at it
            shutil.rmtree(kept, ignore_errors=True)
    made = _new_folder(cache)
    request = wanted.model_copy(update={"folder": str(made), "answer": str(made / ANSWER)})
    (made / REQUEST).write_text(json.dumps(request.model_dump(mode="json", by_alias=True), indent=1) + "\n", encoding="utf-8")
    return made, kept


def _finished(builder: Builder, made: Path, kept: Path) -> Candidate:
    _candidate(builder, made, cached=False)
    return _candidate(builder, keep(made, kept), cached=False)


async def _run(builder: Builder, folder: Path) -> None:
    """The command to its end. What it says goes to a file: nobody has to read it, and no child that lives on can hold it open."""
    first, *rest = builder.command
    words = [sys.executable if first in PYTHON else first, *rest, str(folder / REQUEST)]
    with (folder / LOG).open("wb") as log:
        try:
            status = await status_of(words, within_s=builder.limit_s, said=log, complained=log, folder=builder.folder)
        except TimeoutError:
            raise BuilderHung(f"builder `{builder}` did not end within {builder.limit_s:g} s and was killed{_said(folder)}") from None
        except OSError as error:
            raise BuilderNotFound(f"builder `{builder}` cannot be started in {builder.folder}: {error.strerror or error}") from error
    if status != 0:
        ended = f"was killed by signal {-status}" if status < 0 else f"ended with {status}"
        raise BuilderCrashed(f"builder `{builder}` {ended}{_said(folder)}")
    if not (folder / ANSWER).is_file():
        raise BuilderSilent(f"builder `{builder}` ended well and wrote no {ANSWER}{_said(folder)}")


def _candidate(builder: Builder, folder: Path, *, cached: bool) -> Candidate:
    """Read what was built. Raises WrongAnswer, CandidateRefused."""
    try:
        answer = read_answer(folder / ANSWER)
        if answer.refused is not None:
            raise CandidateRefused(f"builder `{builder}` refuses the candidate: {one_line(answer.refused)}")
        return Candidate(folder, answer, _checked_cards(folder, answer), cached)
    except FileError as error:
        seen = str(folder), str(_failed(folder))  # where a reader finds it
        raise WrongAnswer(f"builder `{builder}`: {str(error).replace(*seen)}", tuple(p.replace(*seen) for p in error.problems)) from error


def read_answer(path: Path) -> Answer:
    """Raises FileError with every problem, one line each."""
    source = read_source(path)
    if len(source.text) > LARGEST_ANSWER:
        raise file_error(str(path), [Wrong("", f"expected at most {LARGEST_ANSWER} characters, got {len(source.text)}")])
    try:
        answer = Answer.model_validate(json.loads(source.text), strict=False)
    except ValidationError as error:
        raise file_error(str(path), wrongs_of(error, Answer)) from error
    except (ValueError, RecursionError) as error:
        raise file_error(str(path), [Wrong("", f"is not JSON: {error}")]) from error
    wrongs = [*every_wrong(answer)] or [
        Wrong(key, f"there is no file {name!r} in the request's folder")
        for key, name in answer.files.items()
        if not (path.parent / name).is_file()
    ]
    if wrongs:
        raise file_error(str(path), wrongs)
    return answer


def _checked_cards(folder: Path, answer: Answer) -> str:
    """Text of the model card, which has to be one, of this model. Raises FileError."""
    text = ""
    for key, kind in _CARDS.items():
        if key not in answer.files:
            continue
        source = read_source(folder / answer.files[key])
        card = card_of(source)
        if not isinstance(card, kind):
            raise file_error(str(source.path), [Wrong("card", f"expected {kind.kind}, got {card.kind}")])
        if key == "card":
            text = source.text
            if card.name != answer.model:
                raise file_error(str(source.path), [Wrong("name", f"expected the answer's model {answer.model!r}, got {card.name!r}")])
    return text


def _new_folder(cache: Path) -> Path:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        for stale in cache.glob(f"{_BUILDING}*"):  # of a process that was killed
            if time.time() - stale.stat().st_mtime > STALE_S:
                shutil.rmtree(stale, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=_BUILDING, dir=cache.resolve()))
    except OSError as error:
        raise StoreError(f"{cache}: candidates cannot be built there: {error.strerror or error}") from error


def _set_aside(made: Path) -> None:
    """Only the last failures are kept, for who wants to see what was asked and said."""
    failed = _failed(made)
    try:
        failed.parent.mkdir(exist_ok=True)
        made.rename(failed)
        for old in sorted(failed.parent.iterdir(), key=lambda path: path.stat().st_mtime)[:-KEPT_FAILURES]:
            shutil.rmtree(old, ignore_errors=True)
    except OSError:
        shutil.rmtree(made, ignore_errors=True)


def _failed(made: Path) -> Path:
    return made.parent / "failed" / made.name.removeprefix(_BUILDING)


def _said(folder: Path) -> str:
    """The last line that it said, and where the others are."""
    said = last_line(folder / LOG)
    last = f": {said}" if said else "; it said nothing"
    return f"{last} (all of it: {_failed(folder) / LOG})"
