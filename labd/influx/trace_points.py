"""The summaries of one trace file, from the place where the last ones ended: of a finished file, or of one that is being recorded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labd.influx.lines import encode
from labd.influx.scratch import Scratch
from labd.influx.summaries import Columns, samples_per_bucket, summarised
from labd.store.trace import StretchFacts, parquet_path
from labd.store.trace_window import TraceParts, open_parts

MEASUREMENT = "power"
MOST_BUCKETS = 5000  # in one piece
MOST_SAMPLES = 1 << 22  # read for one piece
AT_ONCE = 1 << 18  # samples: what is made of them fits into a processor's cache, and calls cost little beside them
INDEX_BITS = 40  # of a place: samples in a stretch; the bits above count stretches
ATTEMPT = re.compile(r"^\d+-.*?(?:-(\d+))?$")


@dataclass(frozen=True, slots=True)
class Piece:
    """Ready lines. place: where the next piece begins. first_ns, last_ns: times of its points, UTC; points: how many."""

    body: bytes
    points: int
    first_ns: int
    last_ns: int
    place: int


class TracePoints:
    """Of one trace; used from one thread. Reads what has come since the last look, in whole buckets."""

    def __init__(self, path: Path, *, bench: str, board: str, rate_hz: float) -> None:
        """bench, board: their names. Raises NotFound, StoreError."""
        self._path = path
        self._scratch = Scratch()
        self._parts: TraceParts = open_parts(path)
        self._per_bucket = samples_per_bucket(rate_hz, self._parts.dt_ns)
        self._tags = tags_of(self._parts.capture, bench=bench, board=board, attempt=attempt_of(path))

    def next(self, place: int, *, ended: bool) -> Piece | None:
        """What comes after a place; None when there is nothing (yet). ended: no sample will follow, so that the last bucket is what it is.

        Buckets begin at multiples of their length from the beginning of a stretch: the points are the same whenever they are read.
        """
        if not self._parts.complete and parquet_path(self._path).exists():
            self._parts = open_parts(self._path)
        stretches = self._parts.stretches()
        number, index = place >> INDEX_BITS, place & ((1 << INDEX_BITS) - 1)
        while number < len(stretches):
            facts = stretches[number]
            over = ended or self._parts.complete or number + 1 < len(stretches)
            end = facts.length if over else facts.length // self._per_bucket * self._per_bucket
            if index < end:
                return self._piece(facts, index, min(end, index + self._most()))
            if not over:
                return None
            number, index = number + 1, 0
        return None

    def _most(self) -> int:
        return max(1, min(MOST_BUCKETS, MOST_SAMPLES // self._per_bucket)) * self._per_bucket

    def _piece(self, facts: StretchFacts, start: int, stop: int) -> Piece:
        dt_ns = self._parts.dt_ns
        fields = self._fields(facts.number, start, stop)
        zero_ns = zero_of(self._parts.capture, facts)
        t_ns = zero_ns + facts.t0_ns + np.arange(start, stop, self._per_bucket, dtype=np.int64) * dt_ns
        fields["length"] = fields["n"] * (dt_ns * 1e-9)
        body = encode(MEASUREMENT, self._tags, t_ns, fields).to_pybytes()
        return Piece(body, len(t_ns), int(t_ns[0]), int(t_ns[-1]), (facts.number << INDEX_BITS) | stop)

    def _fields(self, stretch: int, start: int, stop: int) -> Columns:
        dt_s = self._parts.dt_ns * 1e-9
        step = max(1, AT_ONCE // self._per_bucket) * self._per_bucket
        return summarised(_in_small(self._parts.pieces(stretch, start, stop), step), self._per_bucket, dt_s, self._scratch)


def _in_small(pieces: Iterable[Columns], step: int) -> Iterator[Columns]:
    for piece in pieces:
        for at in range(0, len(piece["current"]), step):
            yield {name: values[at : at + step] for name, values in piece.items()}


def tags_of(capture: Mapping[str, Any], *, bench: str, board: str, attempt: int) -> dict[str, str]:
    """Of a trace, from the facts at its head."""
    return {
        "bench": bench,
        "board": board,
        "run": str(capture["run"]),
        "capture": str(capture["key"]),
        "attempt": str(attempt),
        "role": str(capture["role"]),
        **point_tags(capture["point"]),
    }


def point_tags(point: Mapping[str, Any]) -> dict[str, str]:
    """Of an operating point, as they stand in its key."""
    return {
        "mode": str(point["mode"]),
        "rate": f"{point['rate_hz']:g}",
        "supply": f"{point['supply_v']:g}",
        "model": str(point["model"]),
    }


def zero_of(capture: Mapping[str, Any], facts: StretchFacts) -> int:
    """UTC, ns, of the zero of a stretch's axis: of its trigger where it has one. 0 for traces of before these were kept."""
    if facts.trigger is not None:
        return int(facts.trigger.get("utc_ns", capture.get("utc_ns", 0)))
    return int(capture.get("utc_ns", 0))


def attempt_of(path: Path) -> int:
    """A later attempt's file has its number, from 2 on, at the end of its name."""
    found = ATTEMPT.match(path.name.split(".")[0])
    return int(found[1]) - 1 if found and found[1] else 0
