"""A station on a virtual bench process in stepped time whose board can be looked at."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labd import bench_file, resources
from labd.bench.firmware import Declared
from labd.bench.interlock import IoLine
from labd.bench.rig import Rig
from labd.bench.station import Station, open_station
from labd.bench.virtual import BoardTime, ControlChannel, virtual_bench
from labd.bench_file import station as translate
from labd.bench_file import virtual
from labd.daemon.opened import BoardLink
from tests.cli.bench_apart import merged

BOARD = Declared("board.toml", stock=False, models=("dnn", "snn"))


@dataclass(frozen=True, slots=True)
class Watched:
    """An opened station with its lines, and the probe on its board."""

    station: Station
    lines: list[IoLine]
    rig: Rig
    control: ControlChannel

    def board(self) -> dict[str, Any]:
        return self.control.ask(op="board")


@asynccontextmanager
async def watched(folder: Path, *, limits: dict[str, Any] | None = None, **changes: Any) -> AsyncIterator[Watched]:
    """The demo bench; limits: fields of `Limits` that differ; changes: sections of the bench's spec that differ."""
    demo = bench_file.load_bench(resources.path("fixtures") / "benches/demo.toml")
    spec = virtual.spec(demo)
    for key, value in changes.items():
        spec[key] = merged(spec.get(key), value)
    async with AsyncExitStack() as stack:
        addresses = await stack.enter_async_context(virtual_bench(spec, arguments=("--truth", str(folder / "truth.jsonl"))))
        clock = BoardTime(addresses.control, stepped=True)
        stack.callback(clock.close)
        control = ControlChannel(addresses.control)
        stack.callback(control.close)
        allowed = replace(translate.limits(demo), **(limits or {}))
        station = await stack.enter_async_context(open_station(translate.tools(demo, addresses.instruments), allowed, clock))
        link = BoardLink(addresses.uart, demo)
        rig = Rig(station, link, translate.board_facts(demo), demo.mains, 0.2, demo.floor.range)
        yield Watched(station, [link.line()], rig, control)
