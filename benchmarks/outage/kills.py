"""A run in real time while its InfluxDB is killed twice and the daemon once in between: both sides hold the same afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.outage.accounts import VICTORIA_AGREE, agrees, arrived, compare, counted, stored, until_counts
from benchmarks.torture.found import Found, Unexpected
from benchmarks.torture.plans import ONE_MODE
from benchmarks.torture.served import Served, served
from tests.cli.bench_apart import bench_apart
from tests.influx.servers import INFLUXD, VICTORIA, influxd, victoria

ARRIVE_S = 120.0  # the daemon waits up to 45 s between two tries
ENDED_S = 300.0
# When, as a part of the time that is captured, and what is done then.
STORY = ((0.10, "server away"), (0.25, "server back"), (0.40, "daemon killed"), (0.55, "server away"), (0.75, "server back"))


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    away: Callable[[], None]
    back: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Lived:
    store: Path
    run: str


def kills(folder: Path, found: Found, *, seconds: float, floors: int) -> None:
    """seconds: that its floors last together. Raises Unexpected."""
    if INFLUXD is None:
        raise Unexpected("not tried: influxd is not installed")
    with (
        influxd(folder / "influxd") as server,
        _lived(folder, found, Server(server.url, server.kill, server.start), seconds, floors) as lived,
    ):
        wanted = stored(lived.store, lived.run)
        there = until_counts(lambda: arrived(server, lived.run), lambda got: got.counts == wanted.counts, within_s=ARRIVE_S)
        compare(found, wanted, there, "influxd killed twice, the daemon once")


def kills_victoria(folder: Path, found: Found, *, seconds: float, floors: int) -> None:
    """VictoriaMetrics keeps what it has taken for some seconds in memory alone: it is stopped in order, for what a kill takes from it is
    its own. It keeps a batch that is sent again twice (at least once, docs/how-to/influxdb.md). Raises Unexpected."""
    if VICTORIA is None:
        raise Unexpected("not tried: victoria-metrics is not installed")
    with (
        victoria(folder / "victoria") as server,
        _lived(folder, found, Server(server.url, server.stop, server.start), seconds, floors) as lived,
    ):
        wanted = stored(lived.store, lived.run)
        there = until_counts(
            lambda: counted(server, lived.run), lambda got: (got.points, got.samples) == (wanted.points, wanted.samples), within_s=ARRIVE_S
        )
    both = f"stored {wanted}; there, each once, {there.points} points of {there.samples} samples, {there.energy_j:.12g} J"
    found.expect((there.points, there.samples) == (wanted.points, wanted.samples), both)
    agrees(found, wanted.energy_j, there.energy_j, "energy_j", within=VICTORIA_AGREE)
    agrees(found, wanted.charge_c, there.charge_c, "charge_c", within=VICTORIA_AGREE)
    found.say(f"VictoriaMetrics stopped twice, the daemon killed once: {both}, {there.charge_c:.12g} C; {there.twice} points came twice")


@contextmanager
def _lived(folder: Path, found: Found, server: Server, seconds: float, floors: int) -> Iterator[Lived]:
    """The story beside a run whose floors last so long, up to its end; the daemon is there as long as the block."""
    plan = ONE_MODE.replace('floor_time = "1 s"', f'floor_time = "{seconds / floors:g} s"')
    plan = plan.replace("[captures]", f"repeats = {floors}\n[captures]")
    with bench_apart(folder) as bench:
        bench.file.write_text(bench.file.read_text() + f'\n[influx]\nurl = "{server.url}"\n')
        with served(bench.file, folder) as daemon:
            job = daemon.submit(plan)
            daemon.until_capturing(job)
            _harmed(daemon, server, time.monotonic(), seconds)
            row = daemon.until_ended(job, within_s=ENDED_S)
            found.expect(row["state"] == "finished", f"the run ended {row['state']}: {row['error']}")
            found.expect(any(one.attempt for one in daemon.rows(job)), "the kill has cut off no capture")
            yield Lived(daemon.store, str(row["run_id"]))


def _harmed(daemon: Served, server: Server, began_s: float, seconds: float) -> None:
    for part, harm in STORY:
        time.sleep(max(0.0, began_s + part * seconds - time.monotonic()))
        match harm:
            case "server away":
                server.away()
            case "server back":
                server.back()
            case _:
                daemon.kill()
                daemon.start()
