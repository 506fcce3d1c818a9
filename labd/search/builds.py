"""Where built candidates are kept: a folder each, named by a hash of everything that they follow from."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from labd.errors import FileError, StoreError
from labd.search.contract import Request
from labd.search.folder import FOLDER
from labd.store.folder import CATALOGUE

MOST_FILES = 10_000  # a builder's own; a home folder by mistake has more
PASSED_OVER = {"__pycache__", ".git", ".venv", "node_modules"}


def digest(request: Request, command: Sequence[str], files: Iterable[tuple[str, Path]]) -> str:
    """Of what is asked for, whom, and the builder's files (name and path). The request's folder is no part of it. Raises FileError."""
    asked = request.model_dump(mode="json", by_alias=True, exclude={"folder", "answer"})
    whole = hashlib.sha256(json.dumps([asked, list(command)], sort_keys=True).encode())
    whole.update(contents(files).encode())
    return whole.hexdigest()[:40]


def contents(files: Iterable[tuple[str, Path]]) -> str:
    """SHA-256 of files by name and content. Raises FileError."""
    whole = hashlib.sha256()
    for name, path in files:
        try:
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise FileError(str(path), "", f"a file of the builder cannot be read: {error.strerror or error}") from error
        whole.update(f"\0{name}\0{content}".encode())
    return whole.hexdigest()


def builder_files(command: Sequence[str], folder: Path, depends: Sequence[Path]) -> list[tuple[str, Path]]:
    """Name and path of each file that a build depends on: of every file that the command names, all that lie in its folder and below, since
    a script imports its neighbours; and `depends`, files or folders. Raises FileError where there are too many, or one is not there."""
    named = [path.resolve().parent for word in command if _names_file(path := folder / word)]
    roots = dict.fromkeys([*named, *((folder / path).resolve() for path in depends)])
    found: list[tuple[str, Path]] = []
    for number, root in enumerate(roots):
        try:
            if not root.exists():
                raise FileError(str(root), "", "there is no such file or folder; a builder is said to depend on it")
            below = sorted(islice(_files(root), MOST_FILES + 1 - len(found)))
        except OSError as error:
            raise FileError(str(root), "", f"what a builder depends on cannot be looked through: {error.strerror or error}") from error
        found += [(f"{number}/{path.relative_to(root).as_posix()}", path) for path in below]
        if len(found) > MOST_FILES:
            raise FileError(str(root), "", f"more than {MOST_FILES} files lie in a builder's folder; give it a folder of its own")
    return found


def _names_file(path: Path) -> bool:
    """A word of a command may be anything: one that can be no file's name is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for path in root.iterdir():
        if path.name in PASSED_OVER or path.name.startswith("."):
            continue
        if _is_store(path):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.is_file():
            yield path


def _is_store(path: Path) -> bool:
    """A store changes while a search goes on, and no build follows from it."""
    return (path / CATALOGUE).is_file() or (path / FOLDER).is_dir()


def keep(made: Path, kept: Path) -> Path:
    """Give a finished build its name in the cache; where another process was first, its build stays. Raises StoreError."""
    try:
        made.rename(kept)
    except OSError as error:
        if not kept.is_dir():
            raise StoreError(f"{kept}: a build cannot be kept: {error.strerror or error}") from error
        shutil.rmtree(made, ignore_errors=True)
    return kept
