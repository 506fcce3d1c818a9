"""From the store into the outbox, with the place that everything came from: nothing is lost or doubled, whenever the daemon dies."""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from labd.errors import NotFound, StoreError
from labd.influx import points
from labd.influx.held import UNREADABLE, Files, figures_of, files_of, of_run, phases_of
from labd.influx.trace_points import Piece, TracePoints
from labd.outbox.contract import Message, Outbox
from labd.outbox.session import OutboxSession
from labd.store.catalogue import Catalogue
from labd.store.folder import write_whole
from labd.store.rows import CaptureRow, StoredEvent
from labd.store.session import CatalogueSession
from labd.stream.news import NewsKind
from labd.stream.session import InstrumentSession

T = TypeVar("T")

BATCH = 100  # events
PIECES = 20  # of one trace before others have their turn
READ_S = 60.0
TRIES = 20  # looks at a trace that cannot be read
EVENTS, TRACES, BEGUN = "events", "traces", "begun"
ARRIVED = "outbox-influx.arrived"  # beside the outbox: up to which event everything has left it
BEGINS = (NewsKind.RUN_STARTED, NewsKind.RUN_RESUMED, NewsKind.CAPTURE_STARTED)

log = logging.getLogger(__name__)


class _Unreadable(Exception):
    """A trace file, for good or not yet."""


class _Left(enum.IntEnum):
    """What there is to be read of a trace at once, at the next look, or for now."""

    NOTHING = 0
    LATER = 1
    NOW = 2


@dataclass(slots=True)
class _Followed:
    """A run's traces by their files' names. open: still read. done: of which nothing more comes, and which are not kept open, since an open
    one holds tens of megabytes of its samples; of this outbox. failed: how often one could not be read that is whole by now."""

    open: dict[str, TracePoints] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    failed: dict[str, int] = field(default_factory=dict)


class Feeder:
    """Of one bench. `events` and `traces` put what is new into the outbox; each returns whether there may be more.

    Traces are read as files: of a run from its first event on until every one of them has been read to its end. One that cannot be read,
    as a kill leaves it that comes before its head is whole, is tried for a while, told as a gap and left out.
    """

    def __init__(self, bench: str, catalogue: CatalogueSession, outbox: OutboxSession, reader: InstrumentSession) -> None:
        self._bench = bench
        self._catalogue = catalogue
        self._outbox = outbox
        self._reader = reader
        self._runs: dict[str, _Followed] = {}
        self._seen = -1  # last event that was looked at for its traces
        self._phased: tuple[str, frozenset[str]] = "", frozenset()  # the run under way, and the captures whose phases were put
        self._arrived = catalogue.folder / ARRIVED
        self._kept = -1  # what stands in that file, as far as is known
        self._of: Outbox | None = None  # that `done` is said of

    @property
    def following(self) -> bool:
        return bool(self._runs)

    async def begin(self) -> None:
        """A store is old when its bench is told of a server: what was before is not sent; `labd replay` does. An outbox that takes the
        place of another, which was damaged, begins where the other had nothing left to send. Harmless to repeat."""
        # in the thread that writes: what is told from now on comes after it, however busy that which reads is
        newest = await self._catalogue.do(lambda catalogue: catalogue.runs.newest_event())
        opened, begun = await self._outbox.do(lambda outbox: (outbox, outbox.cursor(BEGUN)))
        if not begun:
            place = await self._reader.call(partial(_beginning, self._arrived, newest), deadline_s=READ_S)
            await self._outbox.change(partial(_begun, opened, place))
            self._runs, self._seen, self._kept = {}, -1, -1

    async def settled(self) -> None:
        """Write down that nothing waits any more of all that was before."""
        place = await self._outbox.do(_all_gone)
        if place is not None and place != self._kept:
            await self._reader.call(partial(write_whole, self._arrived, str(place)), deadline_s=READ_S)
            self._kept = place

    async def events(self) -> bool:
        after = await self._place(EVENTS)
        found = await self._catalogue.read(partial(self._told, after))
        if found is None:
            return False
        messages, last = found
        await self._outbox.change(partial(_put, messages, EVENTS, after, last))
        return True

    async def figures(self, run_id: str) -> None:
        """Of a run under way, on the way; and the phases of captures that have been analysed since the last time."""
        run, told = self._phased if self._phased[0] == run_id else (run_id, frozenset[str]())
        body = await self._catalogue.read(partial(figures_of, self._bench, run_id, final=False))
        phases = await self._catalogue.read(partial(phases_of, self._bench, run_id, without=told))
        now_ns = time.time_ns()
        messages = [message("figures", one, now_ns, now_ns) for one in (body, *phases.values()) if one]
        if messages:
            await self._outbox.change(lambda outbox: outbox.put(messages))
        self._phased = run, told | phases.keys()

    async def traces(self) -> bool:
        """A few pieces of every run that is followed."""
        await self._look()
        opened, _ = await self._begun_at(TRACES)
        if opened is not self._of:  # begun anew: its places are others
            self._of = opened
            for one in self._runs.values():
                one.done.clear()
        more = False
        for run_id, followed in list(self._runs.items()):
            files = await self._catalogue.read(partial(files_of, run_id))
            left = [await self._read(run_id, name, followed, files) for name in files.names if name not in followed.done]
            if not files.going_on and not any(left) and self._runs.get(run_id) is followed:
                del self._runs[run_id]
            more |= _Left.NOW in left
        if not self._runs:
            await self._seen_all()
        return more

    async def _look(self) -> None:
        """Which runs there are to follow."""
        while True:
            if self._seen < 0:
                self._seen = await self._place(TRACES)
            after = self._seen
            events = await self._catalogue.read(lambda c, after=after: c.runs.events_after(after, limit=BATCH))  # type: ignore[misc]
            here = await self._catalogue.read(partial(_of_bench, self._bench, events))
            if self._seen != after:  # the outbox was begun anew meanwhile
                continue
            if not events:
                return
            for one in events:
                if one.run_id in here and one.event.kind in BEGINS:
                    self._runs.setdefault(one.run_id, _Followed())
                self._seen = one.id

    async def _read(self, run_id: str, name: str, followed: _Followed, files: Files) -> _Left:
        source = f"trace:{run_id}/{name}"
        ended = name not in files.recording
        try:
            if name not in followed.open:
                path = self._catalogue.folder / "traces" / run_id / name
                followed.open[name] = await self._looked(
                    partial(TracePoints, path, bench=self._bench, board=files.board, rate_hz=files.rate_hz)
                )
            more = await self._pieces(followed.open[name], source, ended=ended)
        except NotFound:
            return _Left.LATER  # its stream has just become its final file, or all of it is gone: the next look shows which
        except _Unreadable as error:
            followed.open.pop(name, None)
            if not ended:  # its head may not be whole yet
                return _Left.NOTHING
            followed.failed[name] = followed.failed.get(name, 0) + 1
            if followed.failed[name] < TRIES:  # a disk, or a process with too many files, may be well again
                return _Left.LATER
            await self._give_up(run_id, name, str(error))
            more = False
        if ended and not more:
            followed.open.pop(name, None)
            followed.done.add(name)
        return _Left.NOW if more else _Left.NOTHING

    async def _give_up(self, run_id: str, name: str, why: str) -> None:
        log.error("influx: a trace is left out: %s", why)
        now_ns = time.time_ns()
        told = message("event", points.lost(self._bench, run_id, name, now_ns, why), now_ns, now_ns)
        await self._outbox.change(lambda outbox: outbox.put([told]))

    async def _pieces(self, trace: TracePoints, source: str, *, ended: bool) -> bool:
        for _ in range(PIECES):
            place = await self._place(source)
            piece = await self._looked(partial(trace.next, place, ended=ended))
            if piece is None:
                return False
            await self._outbox.change(partial(_put, [of_trace(piece)], source, place, piece.place))
        return True

    async def _place(self, source: str) -> int:
        return (await self._begun_at(source))[1]

    async def _begun_at(self, source: str) -> tuple[Outbox, int]:
        """The outbox as it is now, begun, and the place of a source in it."""
        while True:
            opened, begun, place = await self._outbox.do(lambda outbox: (outbox, outbox.cursor(BEGUN), outbox.cursor(source)))
            if begun:
                return opened, place
            await self.begin()

    async def _looked(self, work: Callable[[], T]) -> T:
        try:
            return await self._reader.call(work, deadline_s=READ_S)
        except UNREADABLE as error:
            raise _Unreadable(str(error)) from error

    async def _seen_all(self) -> None:
        """A daemon that dies now need not look at what was before."""
        if self._seen >= 0 and (place := await self._place(TRACES)) != self._seen:
            await self._outbox.change(partial(_put, [], TRACES, place, self._seen))

    def _told(self, after: int, catalogue: Catalogue) -> tuple[list[Message], int] | None:
        events = catalogue.runs.events_after(after, limit=BATCH)
        if not events:
            return None
        here = _of_bench(self._bench, events, catalogue)
        mine = [one for one in events if one.run_id in here]
        messages = [message("event", points.events(self._bench, mine), mine[0].event.t_ns, mine[-1].event.t_ns)] if mine else []
        for one in mine:
            if one.event.kind == NewsKind.CAPTURE_ENDED:
                messages += _ended_capture(self._bench, one, catalogue)
            elif one.event.kind == NewsKind.RUN_ENDED:
                messages += [
                    message("figures", body, one.event.t_ns, one.event.t_ns) for body in of_run(self._bench, one.run_id, catalogue)
                ]
        return messages, events[-1].id


def message(address: str, body: bytes, first_ns: int, last_ns: int) -> Message:
    """first_ns, last_ns: of what it tells of, UTC: should it be dropped, the gap is there."""
    return Message(address, body, first_ns, last_ns, body.count(b"\n"))


def of_trace(piece: Piece) -> Message:
    return Message("power", piece.body, piece.first_ns, piece.last_ns, piece.points)


def _of_bench(bench: str, events: Sequence[StoredEvent], catalogue: Catalogue) -> frozenset[str]:
    """A store may hold runs of others, taken in from archives."""
    return frozenset(run_id for run_id in {one.run_id for one in events} if catalogue.runs.get(run_id).bench_name == bench)


def _ended_capture(bench: str, stored: StoredEvent, catalogue: Catalogue) -> list[Message]:
    rows: list[CaptureRow] = [row for row in catalogue.captures.of(stored.run_id) if row.key == stored.event.capture]
    body = points.captures(bench, rows)
    return [message("span", body, rows[0].started_ns or stored.event.t_ns, stored.event.t_ns)] if body else []


def _beginning(arrived: Path, newest: int) -> int:
    """The place at which a new outbox begins; where there was none before, what it will begin at is written down first."""
    try:
        return min(newest, int(arrived.read_text(encoding="utf-8")))
    except FileNotFoundError:
        write_whole(arrived, str(newest))
        return newest
    except OSError as error:
        raise StoreError(f"{arrived}: cannot be read: {error}") from error
    except ValueError:  # nobody knows any more: points that are there are overwritten with themselves
        return 0


def _begun(opened: Outbox, place: int, outbox: Outbox) -> None:
    """Nothing where it is another one by now."""
    if outbox is opened and not outbox.cursor(BEGUN):
        for source in (EVENTS, TRACES):
            outbox.put([], source=source, cursor=place)
        outbox.put([], source=BEGUN, cursor=1)  # last: a kill in between begins once more


def _all_gone(outbox: Outbox) -> int | None:
    """The place before which nothing is left to be sent, None where something waits."""
    if not outbox.cursor(BEGUN) or outbox.books().waiting:
        return None
    return min(outbox.cursor(EVENTS), outbox.cursor(TRACES))


def _put(messages: Sequence[Message], source: str, after: int, cursor: int, outbox: Outbox) -> None:
    """Nothing where the outbox was begun anew since `after` was read: its place is another one now."""
    if outbox.cursor(source) == after:
        outbox.put(messages, source=source, cursor=cursor)
