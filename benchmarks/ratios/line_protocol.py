"""Writing summaries as line protocol: against influxdb-client's `Point` (peer) and against casting and joining alone (limit)."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from influxdb_client.client.write.point import Point

from benchmarks.ratios.figures import Ratio, compare
from labd.influx.lines import encode
from labd.influx.scratch import Scratch
from labd.influx.summaries import Columns, summarised

POINTS = 5000  # as many as the sink writes at once
PER_BUCKET = 20
DT_S = 5e-4
T0_NS = 1_795_444_200_000_000_000
TAGS = {
    "bench": "demo", "board": "virtual-m4", "run": "20261126-000000-sweep-0a1b", "capture": "event_sleep/r\\=5/v\\=3/dnn\\ mean\\ 0",
    "attempt": "0", "role": "mean", "mode": "event_sleep", "rate": "5", "supply": "3", "model": "dnn",
}  # fmt: skip
PEER, LIMIT = ("influxdb-client Point", "peer"), ("pyarrow cast and join of the same columns", "limit")


def line_protocol() -> list[Ratio]:
    """The bound is what pyarrow takes for turning the numbers into text and joining it, with nothing left to find out."""
    rng = np.random.default_rng(5)
    current = rng.normal(0.01, 1e-3, POINTS * PER_BUCKET).astype(np.float32)
    voltage = rng.normal(3.0, 1e-4, POINTS * PER_BUCKET).astype(np.float32)
    fields = summarised([{"current": current, "voltage": voltage}], PER_BUCKET, DT_S, Scratch())
    fields["length"] = fields["n"] * DT_S
    t_ns = T0_NS + np.arange(POINTS, dtype=np.int64) * round(PER_BUCKET * DT_S * 1e9)
    tags = {name: value.replace("\\", "") for name, value in TAGS.items()}
    head = ",".join(["power", *(f"{name}={value}" for name, value in sorted(TAGS.items()))])

    def own() -> bytes:
        return bytes(encode("power", tags, t_ns, fields).to_pybytes())

    def peer() -> bytes:
        return b"".join(_point(tags, fields, k, int(t_ns[k])) for k in range(POINTS))

    def limit() -> bytes:
        return _joined(head, fields, t_ns)

    lines = own()
    assert lines == limit(), "labd's lines are not what casting and joining makes"
    assert _numbers(lines) == _numbers(peer()), "labd's lines and those of Point hold other numbers"
    what = f"{POINTS} summaries, {len(fields)} fields, {len(TAGS)} tags"
    return compare("write line protocol", what, own, {PEER: peer, LIMIT: limit}, least={PEER: 20.0, LIMIT: 0.5})


def _point(tags: dict[str, str], fields: Columns, k: int, t_ns: int) -> bytes:
    point = Point("power").time(t_ns)  # type: ignore[no-untyped-call]
    for name, value in tags.items():
        point.tag(name, value)
    for name, column in fields.items():
        point.field(name, column[k].item())
    return f"{point.to_line_protocol()}\n".encode()


def _joined(head: str, fields: Columns, t_ns: np.typing.NDArray[np.int64]) -> bytes:
    parts: list[object] = []
    before = f"{head} "
    for name, column in fields.items():
        parts += [f"{before}{name}=", pa.array(column).cast(pa.string())]
        before = "i," if column.dtype.kind == "i" else ","
    lines = pc.binary_join_element_wise(*parts, " " if before == "," else "i ", pa.array(t_ns).cast(pa.string()), "\n", "")
    return bytes(lines.buffers()[2].to_pybytes())


def _numbers(lines: bytes) -> list[dict[str, np.float32]]:
    """Fields of every line; single precision, which is what some of them have."""
    return [
        {name: np.float32(value.rstrip("i")) for name, value in (one.split("=") for one in line.split(" ")[-2].split(","))}
        for line in lines.decode().splitlines()
    ]
