"""The figures of many runs as a partitioned Parquet dataset: `kpis`, `captures` and `runs`, each by bench and month, a file a run.

Any program that reads hive partitions opens a table as one: pyarrow.dataset, DuckDB, polars, dask.dataframe, Spark. The traces are Parquet
files too, in the store (docs/reference/dataset.md).
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq

from labd.analyse.environment import versions
from labd.analyse.many import RunFigures
from labd.errors import StoreError
from labd.records import OperatingPoint
from labd.store.jsonform import dump
from labd.store.rows import RunSummary

FORMAT = "1"
FORMAT_KEY, VERSIONS_KEY, ENDED_KEY = b"labd.dataset", b"labd.versions", b"labd.ended_ns"
TIME = pa.timestamp("ns", "UTC")
TEXTS = pa.list_(pa.string())
NUMBERS = ("value", "u", "low", "high")
BUDGET = pa.list_(
    pa.struct([("name", pa.string()), ("u", pa.float64()), ("kind", pa.string()), ("distribution", pa.string()), ("dof", pa.float64())])
)
POINT = [
    ("mode", pa.string()),
    ("rate_hz", pa.float64()),
    ("supply_v", pa.float64()),
    ("model", pa.string()),
    ("settings", pa.map_(pa.string(), pa.string())),
]
SCHEMAS: Mapping[str, pa.Schema] = {
    "runs": pa.schema(
        [
            ("run", pa.string()),
            ("state", pa.string()),
            ("created", TIME),
            ("ended", TIME),
            ("plan", pa.string()),
            ("notes", pa.string()),
            ("tags", TEXTS),
            ("firmware_sha256", pa.string()),
            ("error", pa.string()),
            ("problems", TEXTS),
            ("differences", TEXTS),
        ]
    ),
    "captures": pa.schema(
        [
            ("run", pa.string()),
            ("key", pa.string()),
            ("role", pa.string()),
            *POINT,
            ("repeat", pa.int32()),
            ("order", pa.int32()),
            ("state", pa.string()),
            ("samples", pa.int64()),
            ("stretches", pa.int32()),
            ("started", TIME),
            ("ended", TIME),
            ("trace", pa.string()),
            ("flags", TEXTS),
            ("error", pa.string()),
        ]
    ),
    "kpis": pa.schema(
        [
            ("run", pa.string()),
            ("id", pa.string()),
            ("at", pa.string()),
            *POINT,
            ("value", pa.float64()),
            ("unit", pa.string()),
            *((name, pa.float64()) for name in NUMBERS[1:]),
            ("n", pa.int64()),
            ("provenance", pa.string()),
            ("method", pa.string()),
            ("captures", TEXTS),
            ("flags", TEXTS),
            ("note", pa.string()),
            ("budget", BUDGET),
        ]
    ),
}


def write(folder: Path, figures: RunFigures) -> None:
    """Files of one run, each whole or not there; an earlier one is replaced. Raises StoreError, ValueError for a run without figures."""
    run = figures.run
    if run is None or figures.error:
        raise ValueError(f"run {figures.id} has no figures: {figures.error}")
    said = {FORMAT_KEY: FORMAT.encode(), VERSIONS_KEY: dump(versions()).encode(), ENDED_KEY: str(run.ended_ns).encode()}
    for table, rows in (("captures", _captures(figures)), ("kpis", _kpis(figures)), ("runs", _runs(figures))):  # runs last: it says done
        path = place(folder, table, run.bench_name, run.created_ns, run.id)
        part = path.with_name(f"{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            found = pa.Table.from_pylist(list(rows), SCHEMAS[table]).replace_schema_metadata(said)
            pq.write_table(found, part, compression="zstd")
            part.replace(path)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written: {error.strerror or error}") from error


def place(folder: Path, table: str, bench: str, created_ns: int, run_id: str) -> Path:
    """Where a run's rows of a table lie: `kpis/bench=NAME/month=2026-11/RUN.parquet`, the name quoted as in an URL."""
    month = datetime.datetime.fromtimestamp(created_ns // 1_000_000_000, datetime.UTC)
    return folder / table / f"bench={quote(bench, safe='')}" / f"month={month:%Y-%m}" / f"{run_id}.parquet"


def holds(folder: Path, run: RunSummary) -> bool:
    """Whether the dataset has a run's figures by the versions that compute here, as of its present end."""
    path = place(folder, "runs", run.bench_name, run.created_ns, run.id)
    try:
        said: Mapping[bytes, bytes] = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return False
    told = (said.get(FORMAT_KEY), said.get(VERSIONS_KEY), said.get(ENDED_KEY))
    return told == (FORMAT.encode(), dump(versions()).encode(), str(run.ended_ns).encode())


def _runs(figures: RunFigures) -> Iterable[dict[str, Any]]:
    run = figures.run
    assert run is not None
    yield {
        "run": run.id,
        "state": str(run.state),
        "created": run.created_ns,
        "ended": run.ended_ns,
        "plan": run.plan_name,
        "notes": run.notes,
        "tags": list(run.tags),
        "firmware_sha256": run.firmware_sha256,
        "error": run.error,
        "problems": list(figures.problems),
        "differences": list(figures.differences),
    }


def _captures(figures: RunFigures) -> Iterable[dict[str, Any]]:
    for row in figures.captures:
        yield {
            "run": row.run_id,
            "key": row.key,
            "role": str(row.role),
            **_point(row.point),
            "repeat": row.repeat,
            "order": row.order,
            "state": str(row.state),
            "samples": row.samples,
            "stretches": row.stretches,
            "started": row.started_ns,
            "ended": row.ended_ns,
            "trace": row.trace,
            "flags": list(row.flags),
            "error": row.error,
        }


def _kpis(figures: RunFigures) -> Iterable[dict[str, Any]]:
    points = {point.key: point for point in figures.points}
    for record in figures.records:
        budget = [
            {"name": line.name, "u": line.u, "kind": line.kind, "distribution": line.distribution, "dof": line.dof}
            for line in record.budget
        ]
        yield {
            "run": figures.id,
            "id": record.id,
            "at": record.at,
            **_point(points.get(record.at)),
            **{name: getattr(record, name) for name in NUMBERS},
            "unit": record.unit,
            "n": record.n,
            "provenance": str(record.provenance),
            "method": record.method,
            "captures": list(record.captures),
            "flags": list(record.flags),
            "note": record.note,
            "budget": budget,
        }


def _point(point: OperatingPoint | None) -> dict[str, Any]:
    """A figure of a whole mode, or of a pair of modes, is at no operating point."""
    if point is None:
        return {}
    settings = sorted(point.settings.items())
    return {"mode": str(point.mode), "rate_hz": point.rate_hz, "supply_v": point.supply_v, "model": point.model, "settings": settings}
