"""A network that answers 503, is slow, resets in mid-body and loses answers: everything arrives, and is there once."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from benchmarks.outage.accounts import Account, arrived, compare, stored, until_counts
from benchmarks.outage.fault_proxy import Fault, FaultProxy, fault_proxy
from benchmarks.torture.found import Found, Unexpected
from tests.influx.lab import Lab, lab, sinking
from tests.influx.servers import INFLUXD, Influxd, influxd

FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)
SCRIPT = tuple(one for fault in FAULTS for one in (fault, Fault.NONE))
CAPTURES, BLOCKS, PAUSE_S = 4, 25, 0.1
TIMEOUT = "1 s"  # shorter than the slow answer: the server has the batch, the sink does not know
ARRIVE_S = 120.0


def proxied(folder: Path, found: Found, *, rounds: int, api: str) -> None:
    """Runs until each fault was done so many times. Raises Unexpected."""
    if INFLUXD is None:
        raise Unexpected("not tried: influxd is not installed")
    with influxd(folder / "influxd") as server, fault_proxy(server.url, SCRIPT) as proxy:
        asyncio.run(_played(folder, found, server, proxy, rounds, api))


async def _played(folder: Path, found: Found, server: Influxd, proxy: FaultProxy, rounds: int, api: str) -> None:
    async with lab(folder / "store") as played, sinking(played, proxy.url, folder, timeout=TIMEOUT, api=api):
        runs: list[str] = []
        while min(proxy.done[fault] for fault in FAULTS) < rounds:
            await _a_run(played)
            runs.append(played.run)
        for n, run in enumerate(runs):
            wanted = await asyncio.to_thread(stored, played.catalogue.folder, run)
            there = await asyncio.to_thread(until_counts, partial(arrived, server, run), partial(_same, wanted), within_s=ARRIVE_S)
            compare(found, wanted, there, f"run {n + 1} of {len(runs)}")
        done = ", ".join(f"{count} {fault}" for fault, count in sorted(proxy.done.items()))
        found.say(f"{proxy.writes} requests: {done}")


def _same(wanted: Account, there: Account) -> bool:
    return there.counts == wanted.counts


async def _a_run(played: Lab) -> None:
    await played.begin(CAPTURES)
    for _ in range(CAPTURES):
        await played.capture(BLOCKS, pause_s=PAUSE_S)
    await played.end()
