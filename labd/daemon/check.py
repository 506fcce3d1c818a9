"""Tests a bench: what works on it and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from labd import bench_file
from labd.bench.check import check_station
from labd.bench.finding import Finding
from labd.bench.firmware import Declared
from labd.bench.station import unassured
from labd.bench_file import Bench
from labd.bench_file.run_facts import self_test_document
from labd.daemon.guarding import guarded
from labd.daemon.opened import open_bench, rig_of
from labd.daemon.stopping import stoppable
from labd.errors import Interrupted
from labd.guard.link import GuardLink
from labd.influx.probe import probe
from labd.store import self_tests
from labd.store.session import CatalogueSession

SETTLE_S = 0.2


async def check(
    bench: Bench,
    guard: GuardLink | None,
    catalogue: CatalogueSession,
    *,
    show: Callable[[Finding], None],
    stop: asyncio.Event,
    hold: bool = False,
    record: Path | None = None,
) -> bool:
    """Tell each finding as it comes; True when nothing failed. hold: stay open afterwards until `stop`. record: a folder for what passes
    over the links. catalogue: whose store keeps what was found. The caller holds the bench.

    Raises LabdError for a bench that cannot be opened.
    """
    findings: list[Finding] = []
    tested = asyncio.Event()

    async def work() -> None:
        async with guarded(bench, guard) as hangs, open_bench(bench, record=record) as opened:
            hangs.opened = opened
            for name, resource in (opened.addresses.instruments if opened.addresses else {}).items():
                show(Finding(name, True, f"virtual; while labd check runs (--hold keeps it), any VISA client can open {resource}"))
            for text in (*unassured(opened.station, guard_alive=guard is not None and guard.alive), *bench_file.notices(bench)):
                show(Finding("notice", None, text))
            if bench.influx is not None:
                finding = Finding("influx", *await probe(bench.influx, bench.name, bench.path.parent))
                findings.append(finding)
                show(finding)
            async for finding in check_station(rig_of(opened, settle_s=SETTLE_S), opened.lines, bench.board.supply, declared(bench)):
                findings.append(finding)
                show(finding)
            tested.set()
            document = self_test_document(bench, opened.station.tools, findings)
            await catalogue.do(lambda c: self_tests.keep(c.folder, bench.name, document))
            if hold:
                show(Finding("holding", True, "the bench stays open until Ctrl-C"))
                await stop.wait()

    try:
        await stoppable(work(), stop)
    except Interrupted:
        if not tested.is_set():
            raise
    show(Finding("outputs", True, "off, verified"))
    return all(finding.ok is not False for finding in findings)


def declared(bench: Bench) -> Declared:
    """What the board file says of the firmware and its models."""
    return Declared(str(bench.board.path), bench.board.firmware == "mlperf-tiny", bench.board.models)
