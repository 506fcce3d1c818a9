"""A server that is set up wrong, or does not take what it gets: told in `labd status` and /metrics, asked seldom; good points arrive.

Each case plays a run into a store; the daemon, which finds it there, has all of it to send.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.outage.accounts import RATE_HZ, Account, arrived, compare, stored, until_counts
from benchmarks.outage.fault_proxy import FaultProxy, fault_proxy
from benchmarks.torture.found import Found, Unexpected
from benchmarks.torture.served import Served, served, until
from tests.cli.bench_apart import demo_text, labd
from tests.influx.lab import lab, sinking
from tests.influx.servers import INFLUXD, Influxd, free_ports, influxd

CAPTURES, BLOCKS = 2, 12
TOLD_S = 30.0
WATCHED_S = 10.0  # nobody mends it for so long
MOST_WRITES = 2  # meanwhile
MOST_WRITES_IN_ALL = 300  # 2.3 MB in requests of 40 kB are 60; those that are too large on the way, and what ends never, far more
ARRIVE_S = 120.0
NOT_NUMBERS = (math.nan,) * 100 + (1e-3, math.inf, -math.inf, math.nan)  # a whole bucket, and some samples of the next
LARGE_RATE_HZ, SMALL_BODY = 1000.0, 40_000


def _nothing(_server: Influxd, _folder: Path) -> None:
    """Nothing is done to it."""


@dataclass(frozen=True, slots=True)
class Wrong:
    """keys: of the `[influx]` table. words: that `labd status` must show before it is mended; none: it goes on by itself. spoil, mend: of
    the server or of the files in the bench's folder. rejected: points that cannot be taken. bad: samples, see `Lab.capture`."""

    keys: str = ""
    words: Sequence[str] = ()
    auth: bool = False
    database: str = "labd"
    largest_body: int = 25_000_000
    rate_hz: float = RATE_HZ
    spoil: Callable[[Influxd, Path], None] = _nothing
    mend: Callable[[Influxd, Path], None] = _nothing
    rejected: int = 0
    bad: Sequence[float] = ()


def wrong(folder: Path, found: Found, *, case: Wrong) -> None:
    """Raises Unexpected."""
    if INFLUXD is None:
        raise Unexpected("not tried: influxd is not installed")
    with (
        influxd(folder / "influxd", auth=case.auth, largest_body=case.largest_body) as server,
        fault_proxy(server.url) as proxy,
    ):
        case.spoil(server, folder)
        run = asyncio.run(_played(folder, case))
        bench = folder / "bench.toml"
        influx = f'\n[influx]\nurl = "{proxy.url}"\nrate = "{case.rate_hz:g} /s"\n{case.keys}\n'
        bench.write_text(demo_text(name='name = "lab"') + influx)
        with served(bench, folder) as daemon:
            if case.words:
                _judge_refused(found, daemon, proxy, case.words)
                case.mend(server, folder)
            _judge(found, daemon, server, run, case)
        found.expect(proxy.writes <= MOST_WRITES_IN_ALL, f"{proxy.writes} requests in all")
        answers = ", ".join(f"{count} times {status}" for status, count in sorted(proxy.answers.items()))
        found.say(f"{proxy.writes} requests, answered {answers}")


async def _played(folder: Path, case: Wrong) -> str:
    """A run in a store whose outbox was begun before, so that it is the daemon's to send; its id."""
    (nobody,) = free_ports(1)
    async with lab(folder / "store") as played:
        async with sinking(played, f"http://127.0.0.1:{nobody}", folder) as sink:
            end_s = time.monotonic() + TOLD_S
            while "waiting" not in sink.status():
                if time.monotonic() > end_s:
                    raise Unexpected("the outbox was not begun")
                await asyncio.sleep(0.05)
        played.rate_hz = case.rate_hz
        await played.begin(CAPTURES)
        for _ in range(CAPTURES):
            await played.capture(BLOCKS, bad=case.bad)
        await played.end()
        return played.run


def _judge_refused(found: Found, daemon: Served, proxy: FaultProxy, words: Sequence[str]) -> None:
    def told() -> str | None:
        shown = labd("status", "--store", daemon.store).out
        return shown if all(word in shown for word in words) else None

    shown = until(told, within_s=TOLD_S, what=f"labd status with {words}")
    found.expect("NOT connected" in shown, "labd status calls a server that refuses everything connected")
    found.expect("secret" not in shown, "labd status shows a password")
    before = proxy.writes
    time.sleep(WATCHED_S)  # an endless loop shows in how often it asks
    found.expect(proxy.writes - before <= MOST_WRITES, f"{proxy.writes - before} requests in {WATCHED_S:g} s that nobody mended it")
    said = daemon.get("status")["sinks"]["influx"]
    found.expect(said["rejected"] == 0 and said["waiting"] > 0, f"what was refused does not wait: {said}")
    found.expect(_metric(daemon, "connected") == 0, "/metrics calls a server that refuses everything connected")


def _judge(found: Found, daemon: Served, server: Influxd, run: str, case: Wrong) -> None:
    wanted = stored(daemon.store, run, rate_hz=case.rate_hz)
    there = until_counts(partial(arrived, server, run, case.database), partial(_same, wanted), within_s=ARRIVE_S)
    compare(found, wanted, there, "in the end")
    spoilt = f"{case.rejected} refused for good" if case.rejected else ""
    shown = until_counts(
        lambda: labd("status", "--store", daemon.store).out, lambda text: spoilt in text and "NOT connected" not in text, within_s=TOLD_S
    )
    found.expect(spoilt in shown, f"labd status does not show {spoilt}: {shown}")
    found.expect(_metric(daemon, "rejected_total") == case.rejected, f"/metrics does not show {case.rejected} points as rejected")
    refused = daemon.store / "influx-refused.lp"
    found.expect(
        refused.exists() == bool(case.rejected), f"{refused.name} is there: {refused.exists()}, {case.rejected} points were refused"
    )


def _metric(daemon: Served, name: str) -> float | None:
    """Of the sink, as Prometheus reads it; None where it is not there."""
    answer = daemon.http.get("metrics")
    wanted = f'labd_sink_{name}{{bench="lab",sink="influx"}} '
    return next((float(line.removeprefix(wanted)) for line in answer.text.splitlines() if line.startswith(wanted)), None)


def _same(wanted: Account, there: Account) -> bool:
    return there.counts == wanted.counts


def _password(text: str) -> Callable[[Influxd, Path], None]:
    def written(_server: Influxd, folder: Path) -> None:
        (folder / "password").write_text(text)

    return written


def _asked(query: str) -> Callable[[Influxd, Path], None]:
    def asked(server: Influxd, _folder: Path) -> None:
        server.ask(query)

    return asked


def _length_is_a_text(server: Influxd, _folder: Path) -> None:
    server.write(f'span,bench=lab length="a text" {time.time_ns()}\n')  # types are those of a shard


CASES = {
    "database": Wrong('database = "nope"', ("404", "database not found"), database="nope", mend=_asked("CREATE DATABASE nope")),
    "password": Wrong(
        'username = "writer"\npassword_file = "password"',
        ("401", "authorization failed"),
        auth=True,
        spoil=_password("wrong"),
        mend=_password("secret"),
    ),
    "read-only": Wrong(
        'username = "reader"\npassword_file = "password"',
        ("403",),
        auth=True,
        spoil=_password("secret"),
        mend=_asked("GRANT ALL ON labd TO reader"),
    ),
    "field-type": Wrong(spoil=_length_is_a_text, rejected=CAPTURES),
    "body": Wrong(largest_body=SMALL_BODY, rate_hz=LARGE_RATE_HZ),
    "not-numbers": Wrong(bad=NOT_NUMBERS),
}
