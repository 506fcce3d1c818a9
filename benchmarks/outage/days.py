"""InfluxDB is away for days of the outbox's own clock: the disk is capped, the oldest go, a gap is told, a refill makes both sides equal.

The store is filled by hand, a stretch of samples a day, and fed through the same feeder and outbox as in the daemon.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import psutil
import pyarrow as pa

from benchmarks.outage.accounts import Account, arrived, compare, stored
from benchmarks.torture.found import Found, Unexpected
from labd.influx.feeder import Feeder
from labd.influx.replay import Stored, replay
from labd.influx.section import InfluxSection
from labd.influx.sender import Sender
from labd.influx.transport import V1, Server
from labd.outbox.contract import Books, Caps
from labd.outbox.session import OutboxSession
from labd.store.catalogue import Catalogue
from labd.stream.session import InstrumentSession
from tests.influx.lab import Lab, lab, sinking
from tests.influx.servers import INFLUXD, Influxd, influxd

RATE_HZ = 1000.0
BLOCKS = 500  # a day: 1e6 samples, 100 000 points of some 340 bytes
DAY_NS, MS_NS = 86_400 * 10**9, 10**6
BUCKET_NS = round(1e9 / RATE_HZ)
CAP_BYTES = 64 << 20
QUICK_CAP_BYTES = 16 << 20
FILE = "outbox-influx.sqlite"  # as the sink names it, in the store
OVER_CAP = 1.1  # of the file: keys, pages that are not full
LOG_BYTES = 12 << 20  # SQLite's log: 4 MB, then it is written back, and the largest transaction on top
LOOKS = 3  # days on which somebody looks whether the server is there: the sender then waits, twice as long each time
LARGEST_GROWTH_BYTES = 24 << 20  # of the process, once the cap is reached; a day is 34 MB of lines
BACK_S, DISK_S = 300.0, 60.0


@dataclass(slots=True)
class Clock:
    now_ns: int

    def __call__(self) -> int:
        return self.now_ns


@dataclass(slots=True)
class Days:
    """After each day: bytes of the outbox's files, of the process, and what the books say."""

    disk: list[int] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    books: list[Books] = field(default_factory=list)


def away_for_days(folder: Path, found: Found, *, days: int, cap_bytes: int) -> None:
    """Raises Unexpected."""
    if INFLUXD is None:
        raise Unexpected("not tried: influxd is not installed")
    with influxd(folder / "influxd") as server:
        asyncio.run(_days(folder, found, server, days, cap_bytes))


async def _days(folder: Path, found: Found, server: Influxd, days: int, cap_bytes: int) -> None:
    async with lab(folder / "store") as played:
        clock = Clock(time.time_ns() - days * DAY_NS)
        played.began_ns, played.rate_hz = clock.now_ns, RATE_HZ
        played.now_ns = lambda: played.began_ns  # what is told of a capture stands at its samples, not where the benchmark is
        server.kill()
        seen = await _away(played, server, clock, days, cap_bytes)
        _judge(found, seen, cap_bytes)
        server.start()
        wanted = await asyncio.to_thread(stored, played.catalogue.folder, played.run, rate_hz=RATE_HZ)
        there = await _back(folder, played, server, cap_bytes)
        await _judge_gap(found, server, wanted, there, seen)
        await _refilled(played, server)
        there = await asyncio.to_thread(arrived, server, played.run)
        compare(found, wanted, there, "refilled from the store")


async def _away(played: Lab, server: Influxd, clock: Clock, days: int, cap_bytes: int) -> Days:
    """A capture a day, fed at once."""
    seen = Days()
    path = played.catalogue.folder / FILE
    async with (
        OutboxSession(path, Caps(cap_bytes), now_ns=clock) as outbox,
        InstrumentSession("reader") as reader,
        V1(Server(server.url, "labd")) as transport,
    ):
        feeder = Feeder("lab", played.catalogue, outbox, reader)
        sender = Sender(outbox, reader, refused=played.catalogue.folder / "influx-refused.lp")
        await feeder.begin()
        await played.begin(days)
        for _ in range(days):
            clock.now_ns += DAY_NS
            await played.capture(BLOCKS)
            await _fed(feeder)
            if len(seen.disk) < LOOKS:
                await sender.some(transport, zipped=False)
            seen.disk.append(sum(one.stat().st_size for one in path.parent.glob(f"{path.name}*")))
            seen.resident.append(_held())
            seen.books.append(await outbox.do(lambda box: box.books()))
        await played.end()
        await _fed(feeder)
    return seen


def _held() -> int:
    """Bytes of this process, without what its allocators keep of memory that was freed: that is as large as the day before was."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    ctypes.CDLL(None).malloc_trim(0)  # glibc
    return int(psutil.Process().memory_info().rss)


async def _fed(feeder: Feeder) -> None:
    while await feeder.events() or await feeder.traces():
        pass


def _judge(found: Found, seen: Days, cap_bytes: int) -> None:
    capped = next((n for n, books in enumerate(seen.books) if books.dropped), len(seen.books) - 1)
    found.expect(seen.books[-1].dropped > 0, "nothing was dropped: the outage was too short to show anything")
    most = OVER_CAP * cap_bytes + LOG_BYTES
    found.expect(max(seen.disk) <= most, f"the outbox took {max(seen.disk)} bytes with its log, its cap is {cap_bytes}")
    held = max(books.waiting_bytes for books in seen.books)
    found.expect(held <= cap_bytes, f"{held} bytes waited, the cap is {cap_bytes}")
    first, last = seen.resident[capped], round(median(seen.resident[-3:]))
    found.expect(last - first <= LARGEST_GROWTH_BYTES, f"memory grew from {first / 1e6:.0f} to {last / 1e6:.0f} MB over the outage")
    found.say(
        f"{len(seen.disk)} days away: outbox at most {max(seen.disk) / 1e6:.1f} MB of a cap of {cap_bytes / 1e6:.1f} MB, "
        f"{seen.books[-1].dropped} messages dropped, memory {first / 1e6:.0f} to {last / 1e6:.0f} MB"
    )


async def _back(folder: Path, played: Lab, server: Influxd, cap_bytes: int) -> Account:
    """The daemon's own sink finds the outbox and the server; what is there when nothing waits any more."""
    async with sinking(played, server.url, folder, outbox_size=f"{cap_bytes >> 20} MiB") as sink:
        end_s = time.monotonic() + BACK_S
        while sink.status().get("waiting") != 0 or not sink.status()["connected"]:
            if time.monotonic() > end_s:
                raise Unexpected(f"not everything was sent within {BACK_S:g} s of the server's return: {sink.status()}")
            await asyncio.sleep(0.1)
    return await asyncio.to_thread(arrived, server, played.run)


async def _judge_gap(found: Found, server: Influxd, wanted: Account, there: Account, seen: Days) -> None:
    """It tells of every point that is lacking, and reaches from the first of them to the last."""
    gaps = await asyncio.to_thread(server.ask, 'SELECT "n", "end" FROM event WHERE kind = \'gap\'')
    found.expect(len(gaps) == 1, f"{len(gaps)} gaps are told")
    lacking = wanted.points - there.points + len(wanted.events) - len(there.events) + wanted.figures - there.figures
    told = sum(int(row["n"]) for row in gaps)
    found.expect(0 < lacking <= told <= lacking + seen.books[-1].dropped, f"{lacking} points are lacking, the gap tells of {told}")
    oldest = await asyncio.to_thread(server.ask, 'SELECT "n" FROM power ORDER BY time ASC LIMIT 1')
    found.expect(bool(oldest), "not even the newest points are there")
    lost_ns = [event[0] for event in wanted.events if event not in there.events]
    for row, one in zip(gaps, oldest, strict=False):
        first_ns, last_ns = min(lost_ns), max(int(one["time"]) - BUCKET_NS, *lost_ns)  # a run's first event stands at its first sample
        begins_s, ends_s = (int(row["time"]) - first_ns) / 1e9, (int(row["end"]) - last_ns // MS_NS) / 1e3
        found.expect(begins_s == 0.0, f"the gap begins {begins_s:g} s after the first that is lacking")
        found.expect(ends_s == 0.0, f"the gap ends {ends_s:g} s after the last that is lacking")
    found.say(f"server back: {there.points} of {wanted.points} points there, a gap of {told} is told")


async def _refilled(played: Lab, server: Influxd) -> None:
    """`labd replay RUN`."""
    section = InfluxSection.model_validate({"url": server.url})
    async with InstrumentSession("replay") as reader, V1(Server(server.url, section.database)) as transport:
        catalogue = await reader.call(partial(Catalogue.open_read_only, played.catalogue.folder), deadline_s=DISK_S)
        async for _ in replay(Stored(catalogue, reader, played.run), section, transport):
            pass
        await reader.call(catalogue.close, deadline_s=DISK_S)
