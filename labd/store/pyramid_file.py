"""The levels of a pyramid as a Parquet file beside the finished trace, of which a view reads the buckets that it shows."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from labd.errors import NotFound, StoreError
from labd.store.pyramid import CHANNELS, LINES, Buckets

FORMAT_KEY, FORMAT = b"labd.pyramid", b"2"  # 1 had neither power nor lines
GROUPS_KEPT = 16  # decoded ones: a view that is moved needs them again
KINDS = {"valid": pa.int64(), "min": pa.float32(), "max": pa.float32(), "mean": pa.float64()}
SCHEMA = pa.schema(
    [("size", pa.int64()), ("stretch", pa.int32()), ("first", pa.int64()), ("length", pa.int64())]
    + [(f"{name}_{kind}", of) for name in CHANNELS for kind, of in KINDS.items()]
    + [(f"{LINES}_{kind}", pa.uint8()) for kind in ("any", "all")],
    {FORMAT_KEY: FORMAT},
)


@contextmanager
def pyramid_writer(path: Path) -> Iterator[Callable[[Buckets], None]]:
    """Takes what `Pyramid` gives. One table, as docs/reference/store.md has it; no row group has buckets of two levels, and those of each
    level are in their order."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        yield lambda level: writer.write_table(_table(level))


def _table(level: Buckets) -> pa.Table:
    n = len(level.first)
    columns: dict[str, NDArray[Any] | None] = {"stretch": level.stretch, "first": level.first, "length": level.length}
    columns |= {"size": np.full(n, level.size), f"{LINES}_any": level.any_high, f"{LINES}_all": level.all_high}
    for kind, by_channel in _kinds(level).items():
        columns |= {f"{name}_{kind}": column for name, column in by_channel.items()}
    kept = {name: column for name, column in columns.items() if column is not None}
    return pa.table(
        [pa.array(kept[field.name], field.type) if field.name in kept else pa.nulls(n, field.type) for field in SCHEMA], schema=SCHEMA
    )


def _kinds(level: Buckets) -> dict[str, Mapping[str, NDArray[Any]]]:
    return {"valid": level.valid, "min": level.low, "max": level.high, "mean": level.mean}


@dataclass(frozen=True, slots=True)
class _Group:
    """A row group. low, high: (stretch, index of the first sample) of no bucket is below or above."""

    number: int
    size: int
    low: tuple[int, int]
    high: tuple[int, int]


class PyramidFile:
    """Raises NotFound, StoreError. sizes: of the levels, ascending."""

    def __init__(self, path: Path) -> None:
        """path: `pyramid_path(trace)`."""
        if not path.exists():
            raise NotFound(f"{path}: no such pyramid")
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise StoreError(f"{path}: cannot be read: {error}") from error
        schema = self._file.schema_arrow
        if (found := (schema.metadata or {}).get(FORMAT_KEY)) != FORMAT or not schema.equals(SCHEMA):
            raise StoreError(f"{path}: a pyramid of another labd: {FORMAT_KEY.decode()} is {found!r}, this one reads {FORMAT!r}")
        self.path = path
        self._groups = list(_groups(self._file))
        self.sizes = sorted({group.size for group in self._groups})
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()

    def buckets(self, size: int, stretch: int, start: int, stop: int) -> Buckets:
        """Of one level, those of the stretch that begin from sample start on and before stop."""
        numbers = [one.number for one in self._groups if one.size == size and one.high >= (stretch, start) and one.low < (stretch, stop)]
        table = pa.concat_tables([self._group(number) for number in numbers]) if numbers else SCHEMA.empty_table()
        where = table.column("stretch").to_numpy(), table.column("first").to_numpy()
        rows = np.flatnonzero((where[0] == stretch) & (where[1] >= start) & (where[1] < stop))  # next to each other: all are in order
        return _level(table.slice(rows[0] if len(rows) else 0, len(rows)), size)

    def _group(self, number: int) -> pa.Table:
        if number not in self._kept:
            try:
                self._kept[number] = self._file.read_row_group(number)
            except (OSError, pa.ArrowException) as error:
                raise StoreError(f"{self.path}: cannot be read: {error}") from error
            while len(self._kept) > GROUPS_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]


def _groups(file: pq.ParquetFile) -> Iterator[_Group]:
    """By the statistics."""
    columns = {name: SCHEMA.get_field_index(name) for name in ("size", "stretch", "first")}
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        size, stretch, first = (group.column(column).statistics for column in columns.values())
        yield _Group(number, size.min, (stretch.min, first.min), (stretch.max, first.max))


def _level(table: pa.Table, size: int) -> Buckets:
    def columns(kind: str) -> dict[str, NDArray[Any]]:
        found = {name: table.column(f"{name}_{kind}") for name in CHANNELS}
        return {name: column.to_numpy() for name, column in found.items() if column.null_count < len(column)}

    lines = {kind: table.column(f"{LINES}_{kind}") for kind in ("any", "all")}
    ever, always = (None if lines[kind].null_count else lines[kind].to_numpy() for kind in ("any", "all"))
    stretch, first, length = (table.column(name).to_numpy() for name in ("stretch", "first", "length"))
    return Buckets(size, stretch, first, length, columns("valid"), columns("min"), columns("max"), columns("mean"), ever, always)
