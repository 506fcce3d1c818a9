"""Stored traces as plain tables with a time column, one file a capture, for other programs."""

from __future__ import annotations

import csv
import enum
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from labd.analyse.instruments import acquisition_of
from labd.errors import StoreError
from labd.records import Window
from labd.store.rows import CaptureRow
from labd.store.trace import CHANNELS, SCHEMA, Stretch, Trace

CHUNK = 1 << 18  # rows built at a time: a long trace is never a second time in memory
COLUMNS = {
    "stretch": "number of the contiguous stretch of samples; between two stretches there is a gap, or the wait for the next trigger",
    "t_ns": "start of the sample, nanoseconds on the instrument's own axis: since the acquisition began, or since the trigger of its "
    "stretch (negative before it)",
    "current": "ampere, averaged over the sample; not a number (NaN) where the instrument was over range",
    "voltage": "volt at the sense point; empty where it was not recorded",
    "marker": "volt, level of the board's marker line averaged over the sample; empty where it was not recorded",
    "digital": "one bit a line, where the instrument has digital lines; else empty",
}
EXPORTED = pa.schema(
    [("stretch", pa.int32()), ("t_ns", pa.int64()), *((name, SCHEMA.field(name).type) for name in CHANNELS)]
)  # columns that an instrument never gave are null throughout
MISSING = {"current": np.nan, "voltage": np.nan, "marker": np.nan, "digital": 0}  # where only another stretch has the column
INDEX = ("file", "capture", "role", "mode", "rate_hz", "supply_v", "model", "settings", "state", "samples", "stretches", "dt_ns", "flags")


class TraceFormat(enum.StrEnum):
    PARQUET = "parquet"
    CSV = "csv"
    NPZ = "npz"


def exported_name(row: CaptureRow, kind: TraceFormat) -> str:
    """Name of the exported file, in the order in which captures were made."""
    return f"{Path(row.trace).stem}.{kind}"


def write_trace(trace: Trace, path: Path, kind: TraceFormat) -> None:
    """Write one trace. Raises StoreError when the disk refuses; a file half written is removed."""
    try:
        if kind is TraceFormat.NPZ:
            _write_npz(trace, path)
            return
        writer = pq.ParquetWriter(path, EXPORTED, compression="zstd") if kind is TraceFormat.PARQUET else pa.csv.CSVWriter(path, EXPORTED)
        with writer:
            for stretch in trace.stretches:
                for table in tables(stretch):
                    writer.write_table(table)
    except (OSError, pa.ArrowException) as error:
        path.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error}") from error


def _write_npz(trace: Trace, path: Path) -> None:
    """Column after column, so that none but the stored trace is in memory; `dt_ns` beside them makes it what the replay driver plays."""
    recorded = [name for name in CHANNELS if any(getattr(stretch, name) is not None for stretch in trace.stretches)]
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("stretch", "t_ns", *recorded):
            dtype = EXPORTED.field(name).type.to_pandas_dtype()
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": (trace.samples,)}
                np.lib.format.write_array_header_1_0(file, header)
                for stretch in trace.stretches:
                    for table in tables(stretch):
                        column = table.column(name).fill_null(MISSING[name]) if table.column(name).null_count else table.column(name)
                        file.write(np.ascontiguousarray(column.to_numpy(), dtype).tobytes())
        with archive.open("dt_ns.npy", "w") as file:
            np.lib.format.write_array(file, np.array(trace.dt_ns, np.int64))


def tables(stretch: Stretch) -> Iterator[Any]:
    """A stretch as Arrow tables of at most CHUNK rows."""
    for first in range(0, len(stretch), CHUNK):
        last = min(first + CHUNK, len(stretch))
        columns: list[Any] = [
            np.full(last - first, stretch.facts.number, dtype=np.int32),
            stretch.t0_ns + np.arange(first, last, dtype=np.int64) * stretch.dt_ns,
        ]
        for name in CHANNELS:
            values = getattr(stretch, name)
            columns.append(pa.nulls(last - first, EXPORTED.field(name).type) if values is None else values[first:last])
        yield pa.table([pa.array(column) for column in columns], schema=EXPORTED)


def index_csv(rows: Sequence[CaptureRow], kind: TraceFormat) -> str:
    """Which file holds which capture."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(INDEX)
    for row in rows:
        point, taken = row.point, acquisition_of(row)
        settings = ";".join(f"{k}={v}" for k, v in sorted(point.settings.items()))
        where = (row.role, point.mode, repr(point.rate_hz), repr(point.supply_v), point.model, settings)
        flags = ";".join(row.flags)
        dt_ns = taken.dt_ns if taken else ""
        writer.writerow((f"traces/{exported_name(row, kind)}", row.key, *where, row.state, row.samples, row.stretches, dt_ns, flags))
    return out.getvalue()


def windows_csv(windows: Iterable[tuple[CaptureRow, Sequence[Window]]], kind: TraceFormat) -> str:
    """The phases the figures rest on, on the time axis of each trace's stretch."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(("file", "capture", "stretch", "event", "phase", "start_s", "end_s", "u_start_s", "u_end_s"))
    for row, found in windows:
        file = f"traces/{exported_name(row, kind)}"
        for w in found:
            edges = (repr(edge) for edge in (w.start_s, w.end_s, w.u_start_s, w.u_end_s))
            writer.writerow((file, row.key, w.stretch, w.event, w.phase, *edges))
    return out.getvalue()


def readme(run_id: str, kind: TraceFormat) -> str:
    """What lies in the folder, with columns and units."""
    columns = "\n".join(f"- `{name}`: {text}" for name, text in COLUMNS.items())
    opened = {
        TraceFormat.PARQUET: 'pandas.read_parquet("traces/0000-floor.parquet"), or SELECT * FROM "traces/*.parquet" in DuckDB',
        TraceFormat.CSV: 'pandas.read_csv("traces/0000-floor.csv")',
        TraceFormat.NPZ: 'numpy.load("traces/0000-floor.npz")["current"]',
    }[kind]
    return f"""# Run {run_id}, exported by labd

- `traces/`: one file a capture, named by its order in the run and its role. To read one: `{opened}`.
- `captures.csv`: which file holds which capture (operating point, role, state, sample interval `dt_ns` in nanoseconds).
- `windows.csv`: the phases (sleep, wake, load, infer, tail) that figures rest on: start and end in seconds on the time axis of their
  stretch, with the standard uncertainty of both edges; `event` counts inferences from 0.
- `bench.toml`, `board.toml`, `plan.toml`: the files as they were when the run was made.
- `cards/`: the deployment pipeline as the run stored it, a card a file; `setup.toml` has what the run itself knows of how it was measured.
- `kpis.csv`: every figure, one row each: value, UCUM unit, standard uncertainty `u`, 95 % interval `low` to `high`, provenance.
- `result.json`: the same with uncertainty budgets, bench, board and disclosure; schema `urn:labd:schema:result:1`.

## Columns of a trace

{columns}

Each sample covers `t_ns` to `t_ns + dt_ns`. Power is `current * voltage`; without a recorded voltage the operating point's supply
holds.
"""
