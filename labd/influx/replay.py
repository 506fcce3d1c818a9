"""A run out of the store to the server, once more: what was dropped, what was before there was a server, a window of raw samples."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from labd.errors import NotFound, ServerRefused
from labd.influx import points
from labd.influx.answers import Verdict
from labd.influx.delivery import LEAST_BYTES, Delivered, Delivery
from labd.influx.held import UNREADABLE, files_of, of_run
from labd.influx.lines import Column, encode
from labd.influx.section import InfluxSection
from labd.influx.sender import MOST_BYTES
from labd.influx.trace_points import TracePoints, attempt_of, tags_of, zero_of
from labd.influx.transport import Transport
from labd.patience import Patience
from labd.store.catalogue import Catalogue
from labd.store.rows import RunRow, StoredEvent
from labd.store.trace_window import in_chunks, open_parts
from labd.stream.session import InstrumentSession

READ_S = 60.0
TRIES = 7  # of one request: half a minute
RAW = "sample"
RAW_CHUNK = 20_000  # samples

log = logging.getLogger(__name__)


class ReplayRefused(ServerRefused):
    """The server does not take it; what was sent before is there, and sending it again changes nothing."""


@dataclass(frozen=True, slots=True)
class Sent:
    """So far. points, rejected: taken and refused by the server."""

    points: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Raw:
    """A window of single samples: of the capture at this place in its run, between two instants of a stretch's own axis (s)."""

    order: int
    stretch: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True)
class Stored:
    """A run in a store. catalogue: used in the reader's thread only, where it was opened."""

    catalogue: Catalogue
    reader: InstrumentSession
    run_id: str


async def replay(stored: Stored, section: InfluxSection, transport: Transport, *, raw: Raw | None = None) -> AsyncIterator[Sent]:
    """Everything of a run, or a window of its samples, after each request. Points that are there already are overwritten with themselves.

    Raises NotFound, StoreError, ReplayRefused.
    """
    reader = stored.reader
    delivery = Delivery(transport, partial(reader.call, deadline_s=READ_S) if section.compresses else None, most_bytes=MOST_BYTES)
    bodies = await reader.call(partial(_bodies, stored.catalogue, stored.run_id, raw), deadline_s=READ_S)
    taken = rejected = 0
    while (body := await reader.call(partial(next, bodies, None), deadline_s=READ_S)) is not None:
        found = await _insisted(delivery, body)
        if found.stop is not None:
            raise ReplayRefused(f"{section.url}: {found.stop.text}; {taken} points were taken so far, replay again")
        taken, rejected = taken + found.points, rejected + found.dropped
        yield Sent(taken, rejected)


async def _insisted(delivery: Delivery, body: bytes) -> Delivered:
    """A server that is busy, or takes less at once, is asked again, for what is left and for less at once."""
    patience, whole, tries = Patience(), Delivered(rest=body), 0
    while whole.rest and tries < TRIES:
        found = await delivery.of(whole.rest)
        whole.points, whole.dropped = whole.points + found.points, whole.dropped + found.dropped
        whole.stop, tries = found.stop, tries + 1 if found.rest == whole.rest else 0
        whole.rest = found.rest
        if found.stop is None or found.stop.verdict is Verdict.SETTINGS:
            break
        if found.stop.verdict is Verdict.RESET:
            delivery.most_bytes = max(LEAST_BYTES, min(delivery.most_bytes, len(whole.rest)) // 2)
        await asyncio.sleep(max(patience.spent(), found.stop.after_s or 0.0))
    return whole


def _bodies(catalogue: Catalogue, run_id: str, raw: Raw | None) -> Iterator[bytes]:
    run = catalogue.runs.get(run_id)
    if raw is not None:
        return _raw(catalogue, run, raw)
    return chain(_log(catalogue, run.id, run.bench_name), _traces(catalogue, run))


def _log(catalogue: Catalogue, run_id: str, bench: str) -> Iterator[bytes]:
    yield points.events(bench, [StoredEvent(0, run_id, n, event) for n, event in enumerate(catalogue.runs.events(run_id))])
    yield points.captures(bench, catalogue.captures.of(run_id))
    yield from of_run(bench, run_id, catalogue)


def _traces(catalogue: Catalogue, run: RunRow) -> Iterator[bytes]:
    """Of one that is being recorded, the whole buckets so far."""
    files = files_of(run.id, catalogue)
    for name in files.names:
        path = catalogue.folder / "traces" / run.id / name
        try:
            trace, place = TracePoints(path, bench=run.bench_name, board=files.board, rate_hz=files.rate_hz), 0
            while (piece := trace.next(place, ended=name not in files.recording)) is not None:
                place = piece.place
                yield piece.body
        except (NotFound, *UNREADABLE) as error:  # a capture that was killed before the head of its file was whole; a file that is damaged
            log.error("influx: a trace is left out: %s", error)


def _raw(catalogue: Catalogue, run: RunRow, raw: Raw) -> Iterator[bytes]:
    """Raises NotFound where there is no such window."""
    row = next((row for row in catalogue.captures.of(run.id) if row.order == raw.order and row.trace), None)
    if row is None:
        raise NotFound(f"run {run.id} has no samples of a capture {raw.order}")
    path = catalogue.folder / row.trace
    parts = open_parts(path)
    stretches = parts.stretches()
    if not 0 <= raw.stretch < len(stretches):
        raise NotFound(f"capture {raw.order} has {len(stretches)} stretches, there is no stretch {raw.stretch}")
    facts = stretches[raw.stretch]
    start, stop = (round((t_s * 1e9 - facts.t0_ns) / parts.dt_ns) for t_s in (raw.from_s, raw.to_s))
    start, stop = max(0, start), min(facts.length, stop)
    if start >= stop:
        length_s = facts.length * parts.dt_ns * 1e-9
        raise NotFound(f"stretch {raw.stretch} of capture {raw.order} has samples from {facts.t0_ns * 1e-9:g} s on for {length_s:g} s")
    tags = tags_of(parts.capture, bench=run.bench_name, board=points.board_of(run), attempt=attempt_of(path))
    zero_ns = zero_of(parts.capture, facts)
    for first, columns in in_chunks(parts, facts.number, start, stop, RAW_CHUNK):
        length = len(columns["current"])
        t_ns = zero_ns + facts.t0_ns + (first + np.arange(length, dtype=np.int64)) * parts.dt_ns
        fields: dict[str, Column] = {name: columns[name] for name in ("current", "voltage") if name in columns}
        if len(fields) == 2:
            fields["power"] = fields["current"].astype(np.float64) * fields["voltage"]
        yield bytes(encode(RAW, tags, t_ns, fields).to_pybytes())
