"""From the store into the outbox, with the place that everything came from: nothing is lost or doubled, whenever the daemon dies."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa

from labd.errors import NotFound, StoreError
from labd.influx import points
from labd.influx.section import RATE_HZ
from labd.influx.trace_points import Piece, TracePoints, zero_of
from labd.outbox.contract import Message, Outbox
from labd.outbox.session import OutboxSession
from labd.records import CaptureState
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow, RunState, StoredEvent
from labd.store.session import CatalogueSession
from labd.store.trace_window import open_parts
from labd.stream.news import NewsKind
from labd.stream.session import InstrumentSession

T = TypeVar("T")

BATCH = 100  # events
PIECES = 20  # of one trace before others have their turn
READ_S = 60.0
EVENTS, TRACES = "events", "traces"
BEGINS = (NewsKind.RUN_STARTED, NewsKind.RUN_RESUMED, NewsKind.CAPTURE_STARTED)

log = logging.getLogger(__name__)


class _Unreadable(Exception):
    """A trace file, for good or not yet."""


@dataclass(frozen=True, slots=True)
class Files:
    """The traces of a run. recording: those that samples still come to; going_on: more of them may come; board: that they were taken at;
    rate_hz: of their summaries."""

    names: tuple[str, ...] = ()
    recording: frozenset[str] = frozenset()
    going_on: bool = False
    board: str = ""
    rate_hz: float = RATE_HZ


@dataclass(slots=True)
class _Followed:
    """A run's traces by their files' names. open: still read. done: up to which place, where nothing more comes: not kept open, since an
    open one holds tens of megabytes of its samples."""

    open: dict[str, TracePoints] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)


class Feeder:
    """Of one bench. `events` and `traces` put what is new into the outbox; each returns whether there may be more.

    Traces are read as files: of a run from its first event on until every one of them has been read to its end. One that cannot be read,
    as a kill leaves it that comes before its head is whole, is told and left out.
    """

    def __init__(self, bench: str, catalogue: CatalogueSession, outbox: OutboxSession, reader: InstrumentSession) -> None:
        self._bench = bench
        self._catalogue = catalogue
        self._outbox = outbox
        self._reader = reader
        self._runs: dict[str, _Followed] = {}
        self._seen = -1  # last event that was looked at for its traces

    @property
    def following(self) -> bool:
        return bool(self._runs)

    async def begin(self) -> None:
        """A store is old when its bench is told of a server: what was before is not sent; `labd replay` does. Once an outbox; before
        the others, and harmless to repeat."""
        newest = await self._catalogue.read(lambda catalogue: catalogue.runs.newest_event())
        await self._outbox.change(partial(_begun, newest))

    async def events(self) -> bool:
        after = await self._outbox.do(lambda outbox: outbox.cursor(EVENTS))
        found = await self._catalogue.read(partial(self._told, after))
        if found is None:
            return False
        messages, last = found
        await self._outbox.change(partial(_put, messages, EVENTS, after, last))
        return True

    async def figures(self, run_id: str) -> None:
        """Of a run under way, on the way."""
        body = await self._catalogue.read(partial(_figures, self._bench, run_id, final=False))
        if body:
            await self._outbox.change(lambda outbox: outbox.put([message("kpi", body)]))

    async def traces(self) -> bool:
        """A few pieces of every run that is followed."""
        await self._look()
        more = False
        for run_id in list(self._runs):
            files = await self._catalogue.read(partial(files_of, run_id))
            left = [await self._read(run_id, name, files) for name in files.names]
            if not files.going_on and not any(left):
                del self._runs[run_id]
            more |= any(left)
        if not self._runs:
            await self._seen_all()
        return more

    async def _look(self) -> None:
        """Which runs there are to follow."""
        if self._seen < 0:
            self._seen = await self._outbox.do(lambda outbox: outbox.cursor(TRACES))
        while events := await self._catalogue.read(lambda c: c.runs.events_after(self._seen, limit=BATCH)):
            here = await self._catalogue.read(partial(_of_bench, self._bench, events))
            for one in events:
                if one.run_id in here and one.event.kind in BEGINS:
                    self._runs.setdefault(one.run_id, _Followed())
                self._seen = one.id

    async def _read(self, run_id: str, name: str, files: Files) -> bool:
        source, followed = f"trace:{run_id}/{name}", self._runs[run_id]
        ended = name not in files.recording
        if name in followed.done and followed.done[name] == await self._place(source):  # another one: the outbox was begun anew
            return False
        try:
            if name not in followed.open:
                path = self._catalogue.folder / "traces" / run_id / name
                followed.open[name] = await self._looked(
                    partial(TracePoints, path, bench=self._bench, board=files.board, rate_hz=files.rate_hz)
                )
            more = await self._pieces(followed.open[name], source, ended=ended)
        except NotFound:
            return True  # its stream has just become its final file, or all of it is gone: the next look shows which
        except _Unreadable as error:
            if not ended:  # its head may not be whole yet
                return False
            log.error("influx: a trace is left out: %s", error)
            more = False
        if ended and not more:
            followed.open.pop(name, None)
            followed.done[name] = await self._place(source)
        return more

    async def _pieces(self, trace: TracePoints, source: str, *, ended: bool) -> bool:
        for _ in range(PIECES):
            place = await self._place(source)
            piece = await self._looked(partial(trace.next, place, ended=ended))
            if piece is None:
                return False
            await self._outbox.change(partial(_put, [of_trace(piece)], source, place, piece.place))
        return True

    async def _place(self, source: str) -> int:
        return await self._outbox.do(lambda outbox: outbox.cursor(source))

    async def _looked(self, work: Callable[[], T]) -> T:
        try:
            return await self._reader.call(work, deadline_s=READ_S)
        except (StoreError, OSError, pa.ArrowException) as error:
            raise _Unreadable(str(error)) from error

    async def _seen_all(self) -> None:
        """A daemon that dies now need not look at what was before."""
        if await self._outbox.do(lambda outbox: outbox.cursor(TRACES)) != self._seen:
            await self._outbox.change(lambda outbox: outbox.put([], source=TRACES, cursor=self._seen))

    def _told(self, after: int, catalogue: Catalogue) -> tuple[list[Message], int] | None:
        events = catalogue.runs.events_after(after, limit=BATCH)
        if not events:
            return None
        here = _of_bench(self._bench, events, catalogue)
        mine = [one for one in events if one.run_id in here]
        messages = [message("event", points.events(self._bench, mine))] if mine else []
        for one in mine:
            if one.event.kind == NewsKind.CAPTURE_ENDED:
                messages += _ended_capture(self._bench, one, catalogue)
            elif one.event.kind == NewsKind.RUN_ENDED:
                messages += of_run(self._bench, one.run_id, catalogue)
        return messages, events[-1].id


def message(address: str, body: bytes, first_ns: int = 0, last_ns: int = 0) -> Message:
    return Message(address, body, first_ns, last_ns, body.count(b"\n"))


def of_trace(piece: Piece) -> Message:
    return Message("power", piece.body, piece.first_ns, piece.last_ns, piece.points)


def of_run(bench: str, run_id: str, catalogue: Catalogue) -> list[Message]:
    """Final figures, and the phases that the analysis has found."""
    found = [_figures(bench, run_id, catalogue, final=True)]
    for row in catalogue.captures.of(run_id):
        windows = catalogue.captures.windows(run_id, row.key)
        if windows and row.trace:
            found.append(points.phases(bench, row, windows, zeros_of(catalogue.folder / row.trace)))
    return [message("figures", body) for body in found if body]


def zeros_of(trace: Path) -> dict[int, int]:
    """By stretch: UTC, ns, of the zero of its axis."""
    parts = open_parts(trace)
    return {facts.number: zero_of(parts.capture, facts) for facts in parts.stretches()}


def trace_files(folder: Path) -> list[str]:
    """Names of the traces of a run by their captures' order; one that is being finished has two files, and one name."""
    names = {path.name.split(".")[0] for path in folder.glob("*.*") if path.name.endswith((".arrows", ".parquet"))}
    return sorted(f"{name}.parquet" for name in names)


def files_of(run_id: str, catalogue: Catalogue) -> Files:
    """None of a run that was deleted meanwhile. Files first: one that is there had its row at `recording` before, so that it is never
    taken for one that has ended while samples come to it."""
    names = tuple(trace_files(catalogue.folder / "traces" / run_id))
    rows = catalogue.captures.of(run_id)
    if not rows:
        return Files()
    run = catalogue.runs.get(run_id)
    recording = frozenset(Path(row.trace).name for row in rows if row.state is CaptureState.RECORDING and row.trace)
    return Files(names, recording, run.state is RunState.RUNNING, points.board_of(run), points.rate_of(run))


def _of_bench(bench: str, events: Sequence[StoredEvent], catalogue: Catalogue) -> frozenset[str]:
    """A store may hold runs of others, taken in from archives."""
    return frozenset(run_id for run_id in {one.run_id for one in events} if catalogue.runs.get(run_id).bench_name == bench)


def _ended_capture(bench: str, stored: StoredEvent, catalogue: Catalogue) -> list[Message]:
    rows: list[CaptureRow] = [row for row in catalogue.captures.of(stored.run_id) if row.key == stored.event.capture]
    body = points.captures(bench, rows)
    return [message("span", body)] if body else []


def _figures(bench: str, run_id: str, catalogue: Catalogue, *, final: bool) -> bytes:
    by_key = {row.point.key: row.point for row in catalogue.captures.of(run_id)}
    return points.kpis(bench, catalogue.runs.get(run_id), catalogue.kpis.of(run_id), by_key, final=final)


def _begun(newest: int, outbox: Outbox) -> None:
    if not outbox.cursor("begun"):
        outbox.put([], source="begun", cursor=1)
        for source in (EVENTS, TRACES):
            outbox.put([], source=source, cursor=newest)


def _put(messages: Sequence[Message], source: str, after: int, cursor: int, outbox: Outbox) -> None:
    """Nothing where the outbox was begun anew since `after` was read: its place is another one now."""
    if outbox.cursor(source) == after:
        outbox.put(messages, source=source, cursor=cursor)
