"""Columns as InfluxDB line protocol, without an object for each point; pure.

Line protocol: https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/ (escapes, integer suffix `i`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Column: TypeAlias = NDArray[Any]
# a backslash has no escape of its own there: before one of the others it could be read two ways
TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\r": "\\ ", "\t": "\\ ", "\\": "/"})
BREAKS = re.compile("[\r\n]+")
MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ ", "\n": "\\ "})


def encode(measurement: str, tags: Mapping[str, str], t_ns: NDArray[np.int64], fields: Mapping[str, Column]) -> pa.Buffer:
    """One line a point, each ended by a newline. fields: columns as long as t_ns, floats or integers (int64).

    What is no number (NaN, infinity, null) is left out of its line, as servers refuse or bend it; a point without any field left is no
    line. Tags without a value are left out too; a backslash in one is written as a slash.
    """
    head = _head(measurement, tags)
    columns = {name: _column(values) for name, values in fields.items()}
    kept = _any_valid(columns)
    if kept is not None:
        columns = {name: column.filter(kept) for name, column in columns.items()}
        t_ns = t_ns[kept.to_numpy(zero_copy_only=False)]
    if not len(t_ns):
        return pa.py_buffer(b"")
    times = pc.binary_join_element_wise(" ", pa.array(t_ns).cast(pa.string()), "\n", "")
    if all(column.null_count == 0 for column in columns.values()):
        lines = pc.binary_join_element_wise(*_parts(head, columns), times, "")
    else:
        named = [pc.binary_join_element_wise(f"{_key(name)}=", *_text(column), "") for name, column in columns.items()]
        body = pc.binary_join_element_wise(*named, ",", null_handling="skip")
        lines = pc.binary_join_element_wise(head, body, times, "")
    return _data(lines)


def line(measurement: str, tags: Mapping[str, str], t_ns: int, fields: Mapping[str, float | str | None]) -> bytes:
    """One point, as `encode` writes it, empty where no field is left: an event here and there is no column, and a run has ten thousands of
    phases. fields: whole numbers (int), numbers (float) and texts; what is no number or None is left out."""
    named = [f"{_key(name)}={text}" for name, value in fields.items() if (text := _one(value))]
    return f"{_head(measurement, tags)}{','.join(named)} {t_ns}\n".encode() if named else b""


def _one(value: float | str | None) -> str:
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{BREAKS.sub(" ", escaped)}"'
    if value is None or not math.isfinite(value):
        return ""
    return f"{value}i" if isinstance(value, int) else repr(float(value))


def _head(measurement: str, tags: Mapping[str, str]) -> str:
    """Tags in the order of their keys, as the reference advises."""
    named = [f"{_key(key)}={value.translate(TAG)}" for key, value in sorted(tags.items()) if value]
    return ",".join([measurement.translate(MEASUREMENT), *named]) + " "


def _key(name: str) -> str:
    return name.translate(TAG)


def _column(values: Column) -> pa.Array:
    """Null where a float is no number."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        return pa.array(values) if finite.all() else pa.array(values, mask=~finite)
    return pa.array(values, pa.int64())


def _any_valid(columns: Mapping[str, pa.Array]) -> pa.Array | None:
    """Which points have a field; None when all have."""
    if any(column.null_count == 0 for column in columns.values()):
        return None
    found = pa.array([], pa.bool_())
    for n, column in enumerate(columns.values()):
        found = column.is_valid() if n == 0 else pc.or_(found, column.is_valid())
    return found


def _parts(head: str, columns: Mapping[str, pa.Array]) -> Iterator[object]:
    before = head
    for name, column in columns.items():
        value, *after = _text(column)
        yield f"{before}{_key(name)}="
        yield value
        before = "".join(str(text) for text in after) + ","
    yield before[:-1]


def _text(column: pa.Array) -> list[object]:
    """What a value is written as: itself and what follows it."""
    if pa.types.is_integer(column.type):
        return [column.cast(pa.string()), "i"]
    return [column.cast(pa.string())]


def _data(lines: pa.Array | pa.ChunkedArray) -> pa.Buffer:
    """The lines are one piece of memory in an Arrow array: no copy is made of it."""
    if isinstance(lines, pa.ChunkedArray):
        lines = lines.combine_chunks()
    offsets = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset : lines.offset + len(lines) + 1]
    return lines.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))
