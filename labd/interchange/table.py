"""Rows of a CSV file under its header, each value found by its column's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from labd.errors import FileError
from labd.interchange.foreign import number


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. cells: by the head of their column, without spaces around."""

    file: str
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        return self.cells.get(column, "")

    def key(self, column: str) -> str:
        return f"line {self.line}, column {column!r}"

    def number(self, column: str, *, least: float | None = 0.0) -> float | None:
        """None where the cell is empty, or `nan`, as pandas writes an empty one. Raises FileError."""
        text = self.text(column)
        if text == "" or text.lower() == "nan":
            return None
        return number(text, file=self.file, key=self.key(column), least=least)

    def needed(self, column: str, *, least: float | None = 0.0) -> float:
        """Raises FileError also where the cell is empty."""
        return number(self.text(column), file=self.file, key=self.key(column), least=least)


def rows_of(text: str, *, file: str, columns: Sequence[str]) -> list[Row]:
    """Lines under a header that has these columns, at least one. Raises FileError: which column is missing, which line has other cells."""
    return list(_rows(text, file, columns))


def _rows(text: str, file: str, columns: Sequence[str]) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text), skipinitialspace=True, strict=False)
    head: list[str] | None = None
    found = 0
    try:
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if head is None:
                head = stripped
                if missing := [column for column in columns if column not in head]:
                    shown = ", ".join(name for name in head[:8] if name)
                    raise FileError(file, f"line {reader.line_num}", f"expected a column {missing[0]!r} in the header, got {shown[:120]}")
                continue
            if len(stripped) > len(head) and any(stripped[len(head) :]):
                raise FileError(
                    file, f"line {reader.line_num}", f"expected at most {len(head)} cells, as the header has, got {len(stripped)}"
                )
            found += 1
            yield Row(file, reader.line_num, dict(zip(head, stripped, strict=False)))
    except csv.Error as error:
        raise FileError(file, f"line {reader.line_num}", f"is no CSV: {error}") from error
    if not found:
        raise FileError(file, "", f"expected lines under a header with {', '.join(repr(column) for column in columns)}, got none")
