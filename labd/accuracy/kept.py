"""Data sets that were sent to a store, so that a queue's job finds them: datasets/SHA256/NAME/, whole or not there at all."""

from __future__ import annotations

import re
import secrets
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from labd.accuracy.dataset import Dataset, read_dataset
from labd.errors import FileError, NotFound, StoreError
from labd.host import sync_folder
from labd.store.archive import FOREIGN, TRANSFER

FOLDER = "datasets"
CHUNK = 1 << 20
ZIP = "the data set's zip"
MOST_FILES = 200_000
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()+-]{0,79}")


@dataclass(frozen=True, slots=True)
class KeptDataset:
    """id: begins the SHA-256 over its names, labels and contents. input_size: bytes. classes: None where nobody says."""

    id: str
    name: str
    samples: int
    classes: int | None
    input_size: int


def pack(dataset: Dataset, file: Path) -> None:
    """Write a data set as one zip, `name/file`: its samples and its label file. Raises StoreError."""
    try:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
            if dataset.labels is not None:
                archive.write(dataset.labels, f"{dataset.name}/{dataset.labels.name}")
            for sample in dataset.samples:
                archive.write(dataset.folder / sample.file, f"{dataset.name}/{PurePosixPath(*Path(sample.file).parts)}")
    except OSError as error:
        raise StoreError(f"{file}: the data set cannot be packed: {error.strerror or error}") from error


def take_in(file: Path, store: Path, *, room: Callable[[int], None] | None = None) -> KeptDataset:
    """Keep what `pack` wrote; the same data set twice is one. Raises FileError for what a folder of it would be refused for, StoreError.

    room: told how many bytes will be unpacked; raises where there is no room for them.
    """
    aside = store / TRANSFER / f"dataset-{secrets.token_hex(4)}"
    try:
        with zipfile.ZipFile(file) as archive:
            name, members = _members(archive)
            if room is not None:
                room(sum(info.file_size for info in members))
            for info in members:
                _extract(archive, info, aside)
        read = _read(aside / name)
        _refuse_more(read, members)
        kept = _kept(read)
        place = store / FOLDER / kept.id
        if not place.exists():
            place.parent.mkdir(exist_ok=True)
            aside.rename(place)
            sync_folder(place.parent)
    except FOREIGN as error:
        raise FileError(ZIP, "", f"is no zip of a data set: {error}") from error
    except OSError as error:
        raise StoreError(f"the data set cannot be taken in: {error.strerror or error}") from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return kept


def kept_dataset(store: Path, dataset_id: str) -> Dataset:
    """Raises NotFound, and FileError for one that was changed by hand."""
    place = store / FOLDER / dataset_id
    folder = next(iter(_folders(place)), None)
    if folder is None:
        raise NotFound(f"there is no data set {dataset_id!r} in {store}")
    found = read_dataset(folder)
    if _id(found) != dataset_id:
        raise FileError(str(folder), "", f"is not the data set any more that was sent as {dataset_id}; send it again")
    return found


def kept_datasets(store: Path) -> list[KeptDataset]:
    """By name. What cannot be read is left out: `kept_dataset` says why."""
    found: list[KeptDataset] = []
    for place in _folders(store / FOLDER):
        for folder in _folders(place):
            try:
                found.append(_kept(read_dataset(folder)))
            except FileError:
                continue
    return sorted(found, key=lambda one: (one.name, one.id))


def forget(store: Path, dataset_id: str) -> None:
    """Raises NotFound, StoreError."""
    place = store / FOLDER / dataset_id
    if not place.is_dir():
        raise NotFound(f"there is no data set {dataset_id!r} in {store}")
    try:
        shutil.rmtree(place)
    except OSError as error:
        raise StoreError(f"{place}: cannot be deleted: {error.strerror or error}") from error


def _members(archive: zipfile.ZipFile) -> tuple[str, list[zipfile.ZipInfo]]:
    """The one folder that everything lies in, and the files. Raises FileError for a name that would lead out of it."""
    members = [info for info in archive.infolist() if not info.is_dir()]
    if not members:
        raise FileError(ZIP, "", "holds no file; expected a folder of .bin files with their y_labels.csv")
    if len(members) > MOST_FILES:
        raise FileError(ZIP, "", f"holds {len(members)} files, at most {MOST_FILES} are taken")
    tops = set()
    for info in members:
        parts = PurePosixPath(info.filename).parts
        if "\\" in info.filename or info.filename.startswith("/") or ".." in parts or len(parts) < 2:
            raise FileError(ZIP, "", f"holds {info.filename[:80]!r}; expected one folder, named as the data set, with its files in it")
        tops.add(parts[0])
    if len(tops) != 1 or not NAME.fullmatch(top := tops.pop()):
        raise FileError(ZIP, "", "expected one folder in it, named as the data set: letters, digits, spaces and ._()+-")
    return top, members


def _refuse_more(dataset: Dataset, members: Iterable[zipfile.ZipInfo]) -> None:
    """What is kept is data of this set and nothing else. Raises FileError."""
    own = {f"{dataset.name}/{PurePosixPath(*Path(sample.file).parts)}" for sample in dataset.samples}
    own |= {f"{dataset.name}/{dataset.labels.name}"} if dataset.labels is not None else set()
    for info in members:
        if str(PurePosixPath(info.filename)) not in own:
            raise FileError(ZIP, "", f"holds {info.filename[:80]!r}, which is no sample of the data set")


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, aside: Path) -> None:
    target = aside / info.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    copied = 0
    with archive.open(info) as source, target.open("xb") as file:
        while data := source.read(CHUNK):
            copied += len(data)
            if copied > info.file_size:
                raise FileError(ZIP, info.filename[:80], "is larger than the zip says")
            file.write(data)


def _read(folder: Path) -> Dataset:
    """Errors name the files as they are called in the zip, not where they were unpacked."""
    try:
        return read_dataset(folder)
    except FileError as error:
        inside = f"{folder.parent}/"
        problems = tuple(problem.replace(inside, "") for problem in error.problems)
        shown = error.file.replace(inside, "")
        text = problems[0].removeprefix(f"{shown}: ").removeprefix(f"{error.key}: ")
        raise FileError(shown, error.key, text, problems) from error


def _kept(dataset: Dataset) -> KeptDataset:
    return KeptDataset(_id(dataset), dataset.name, len(dataset.samples), dataset.classes, dataset.input_size)


def _id(dataset: Dataset) -> str:
    return dataset.sha256[:16]


def _folders(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from sorted(path for path in place.iterdir() if path.is_dir())
