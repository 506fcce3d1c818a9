"""Reads data sets: a folder of raw inputs and, in MLPerf Tiny's form, `y_labels.csv` beside them."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labd.errors import FileError

LABELS = "y_labels.csv"
COLUMNS = "file,classes,class, and for inputs that slide over a longer file bytes_to_send,stride"
MOST_PROBLEMS = 50


@dataclass(frozen=True, slots=True)
class Window:
    """How inputs are cut from a longer file: `size` bytes every `stride` bytes (a row's bytes_to_send and stride)."""

    size: int
    stride: int


@dataclass(frozen=True, slots=True)
class Sample:
    """One file. line: of the label file, 0 where there is none. label: its class, None where nobody says. sha256: of its content."""

    file: str
    line: int
    classes: int | None
    label: int | None
    window: Window | None
    sha256: str


@dataclass(frozen=True, slots=True)
class Dataset:
    """labels: the label file, None for a bare folder. classes: as many as its rows say. input_size: bytes of one input.
    sha256: over names, labels and contents."""

    name: str
    folder: Path
    labels: Path | None
    classes: int | None
    input_size: int
    samples: tuple[Sample, ...]
    sha256: str

    def where(self, sample: Sample) -> str:
        """File and line, for messages."""
        return f"{self.labels}: line {sample.line}" if self.labels else str(self.folder / sample.file)


def read_dataset(path: Path) -> Dataset:
    """path: a folder, or its label file. Raises FileError with every problem, each by file and line."""
    if path.is_dir():
        labels = path / LABELS
        return _labelled(labels) if labels.is_file() else _bare(path)
    if not path.is_file():
        raise FileError(str(path), "", f"there is no such data set; expected a folder of .bin files, or the {LABELS} among them")
    return _labelled(path)


def read_inputs(dataset: Dataset, sample: Sample) -> list[bytes]:
    """The inputs that a sample is sent as: one, or one a window. Raises FileError where the file is not what it was."""
    data = _content(dataset.folder / sample.file)
    if data is None or hashlib.sha256(data).hexdigest() != sample.sha256:
        raise FileError(dataset.where(sample), "", f"{sample.file} is not what it was when the data set was read")
    if sample.window is None:
        return [data]
    size, stride = sample.window.size, sample.window.stride
    return [data[at : at + size] for at in range(0, len(data) - size + 1, stride)]


def _bare(folder: Path) -> Dataset:
    names = sorted(str(path.relative_to(folder)) for path in folder.glob("*.bin"))
    if not names:
        raise FileError(str(folder), "", f"no data set: neither {LABELS} nor a .bin file is in it")
    return _checked(folder, None, [Sample(name, 0, None, None, None, "") for name in names], [])


def _labelled(labels: Path) -> Dataset:
    samples: list[Sample] = []
    problems: list[tuple[int, str]] = []
    for line, row in _rows(labels):
        try:
            samples.append(_sample(line, row))
        except ValueError as error:
            problems.append((line, str(error)))
    if not samples and not problems:
        raise FileError(str(labels), "", f"no sample is in it; a line is {COLUMNS}")
    return _checked(labels.parent, labels, samples, problems)


def _rows(labels: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of every row that says something; a heading says nothing."""
    try:
        text = labels.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(str(labels), "", f"cannot be read: {error}") from error
    reader = csv.reader(text.splitlines())
    try:
        for row in reader:
            fields = [field.strip() for field in row]
            if any(fields) and not (reader.line_num == 1 and fields[:3] == ["file", "classes", "class"]):
                yield reader.line_num, fields
    except csv.Error as error:
        raise FileError(str(labels), f"line {reader.line_num}", f"is no CSV: {error}") from error


def _sample(line: int, row: list[str]) -> Sample:
    """Raises ValueError, which says what would be right."""
    if len(row) not in (3, 5):
        raise ValueError(f"expected 3 or 5 fields ({COLUMNS}), got {len(row)}")
    if not row[0]:
        raise ValueError("file: expected the name of a file, got nothing")
    if Path(row[0]).is_absolute() or ".." in Path(row[0]).parts:
        raise ValueError(f"file: expected a file in the data set's folder, got {row[0]!r}")
    classes = _whole(row[1], "classes", least=2)
    label = _whole(row[2], "class", least=0)
    if label >= classes:
        raise ValueError(f"class: expected 0 to {classes - 1} ({classes} classes), got {label}")
    window = Window(_whole(row[3], "bytes_to_send", least=1), _whole(row[4], "stride", least=1)) if len(row) == 5 else None
    return Sample(row[0], line, classes, label, window, "")


def _whole(text: str, name: str, *, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) >= least):
        raise ValueError(f"{name}: expected a whole number, at least {least}, got {text!r}")
    return int(text)


def _checked(folder: Path, labels: Path | None, rows: list[Sample], problems: list[tuple[int, str]]) -> Dataset:
    """With each file's content looked at, and the rows held against each other."""
    samples: list[Sample] = []
    sizes: dict[int, Sample] = {}
    seen: dict[str, Sample] = {}
    for row in rows:
        data = _content(folder / row.file)
        size = 0 if data is None else row.window.size if row.window else len(data)
        try:
            _check_row(row, data, seen, samples)
        except ValueError as error:
            problems.append((row.line, f"{row.file}: {error}"))
            continue
        assert data is not None
        if sizes and size not in sizes:
            first = next(iter(sizes.items()))
            problems.append((row.line, f"{row.file}: an input of {size} bytes, {first[1].file} has one of {first[0]}"))
        sizes.setdefault(size, row)
        seen[row.file] = row
        samples.append(Sample(row.file, row.line, row.classes, row.label, row.window, hashlib.sha256(data).hexdigest()))
    if problems:
        raise _failure(folder, labels, problems)
    return Dataset(folder.resolve().name, folder, labels, samples[0].classes, next(iter(sizes)), tuple(samples), _digest(samples))


def _check_row(row: Sample, data: bytes | None, seen: dict[str, Sample], before: list[Sample]) -> None:
    if row.file in seen:
        raise ValueError(f"is on line {seen[row.file].line} already")
    if data is None:
        raise ValueError("there is no such file, or it cannot be read")
    if not data:
        raise ValueError("is empty")
    if before and row.classes != before[0].classes:
        raise ValueError(f"classes: expected {before[0].classes} as before, got {row.classes}")
    if row.window is not None and len(data) < row.window.size:
        raise ValueError(f"bytes_to_send: expected at most the file's {len(data)} bytes, got {row.window.size}")


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _digest(samples: list[Sample]) -> str:
    digest = hashlib.sha256()
    for one in samples:
        window = "" if one.window is None else f"{one.window.size},{one.window.stride}"
        digest.update(f"{one.file}\0{one.classes}\0{one.label}\0{window}\0{one.sha256}\n".encode())
    return digest.hexdigest()


def _failure(folder: Path, labels: Path | None, problems: list[tuple[int, str]]) -> FileError:
    place = str(labels or folder)
    lines = [f"{place}: line {line}: {text}" if line else f"{place}: {text}" for line, text in sorted(problems)]
    line, text = sorted(problems)[0]
    return FileError(place, f"line {line}" if line else "", text, tuple(lines[:MOST_PROBLEMS]))
