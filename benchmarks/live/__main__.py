"""`make live`: the live page in a browser: frames a second, age of the samples it draws, and what one viewer costs the daemon."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.live.watched import ages, browser, processor_share
from benchmarks.torture.served import Served, served
from tests.cli.bench_apart import bench_apart, write_plan
from tests.live.replay_bench import write_replay_bench

LEAST_FRAMES_HZ = 20.0
LEAST_BLOCKS_HZ = 10.0  # its log is fetched block by block: no frame comes without one
LARGEST_AGE_S = 0.25  # of 99 % of the samples
LARGEST_SHARE = 0.10  # of one core, for one viewer
FLOOR_TIME = "10 min"
SETTLE_S = 3.0
TRIES = 2  # whatever else a machine of two cores does in these seconds is not the daemon's: short is what falls short every time


def main() -> int:
    parser = argparse.ArgumentParser(prog="make live", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short form for CI")
    seconds = 10.0 if parser.parse_args().quick else 60.0
    began = time.monotonic()
    said, short = [], []
    for name, case, least_hz in (
        ("1 MSa/s from a file", _replayed, LEAST_FRAMES_HZ),
        ("virtual N6705C over TCP", _instrument, LEAST_BLOCKS_HZ),
    ):
        for _ in range(TRIES):
            with tempfile.TemporaryDirectory(prefix="labd-live-") as folder, case(Path(folder)) as daemon:
                line, problems = _measured(daemon, seconds, least_hz)
            print(f"{name}: {line}", flush=True)
            if not problems:
                break
        said.append(f"{name}: {line}")
        short += [f"{name}: {problem}" for problem in problems]
    for problem in short:
        print(f"FALLS SHORT: {problem}")
    print(f"live: {time.monotonic() - began:.0f} s; {'; '.join(said)}; {f'{len(short)} fall short' if short else 'ok'}")
    return 1 if short else 0


@contextmanager
def _replayed(folder: Path) -> Iterator[Served]:
    made = write_replay_bench(folder, floor_time=FLOOR_TIME)
    with served(made.bench, folder) as daemon:
        daemon.until_capturing(daemon.submit(made.plan.read_text(encoding="utf-8")))
        yield daemon


@contextmanager
def _instrument(folder: Path) -> Iterator[Served]:
    plan = write_plan(folder / "plan.toml", floor_time=FLOOR_TIME)
    with bench_apart(folder) as bench, served(bench.file, folder) as daemon:
        daemon.until_capturing(daemon.submit(plan.read_text(encoding="utf-8")))
        yield daemon


def _measured(daemon: Served, seconds: float, least_hz: float) -> tuple[str, list[str]]:
    assert daemon.process is not None
    time.sleep(SETTLE_S)
    before = processor_share(daemon.process.pid, seconds / 2)
    with browser(str(daemon.http.base_url).removesuffix("api/v1/")) as page:
        found = ages(page, seconds)
        watched = processor_share(daemon.process.pid, seconds)
    time.sleep(SETTLE_S)
    alone = (before + processor_share(daemon.process.pid, seconds / 2)) / 2
    share, p99_s = watched - alone, found.quantile_s(0.99)
    line = (
        f"{found.frames_hz:.1f} frames/s; sample to drawn frame p50 {1e3 * found.quantile_s(0.5):.0f} ms, p99 {1e3 * p99_s:.0f} ms, "
        f"worst {1e3 * found.quantile_s(1.0):.0f} ms; one viewer costs {100 * share:.1f} % of a core (capture alone {100 * alone:.1f} %)"
    )
    short = []
    if found.frames_hz < least_hz:
        short.append(f"fewer than {least_hz:g} frames/s")
    if p99_s > LARGEST_AGE_S:
        short.append(f"p99 beyond {1e3 * LARGEST_AGE_S:g} ms")
    if share > LARGEST_SHARE:
        short.append(f"a viewer costs more than {100 * LARGEST_SHARE:g} % of a core")
    return line, short


if __name__ == "__main__":
    sys.exit(main())
