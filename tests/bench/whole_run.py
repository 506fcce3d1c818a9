"""A whole run on a virtual bench, beside its board's own account of what happened."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labd import resources
from labd.bench.virtual import Addresses, ControlChannel, virtual_bench
from labd.daemon import commands, opened
from labd.daemon.run import RunOutcome
from labd.records import KpiRecord
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow
from labd.store.trace import Trace
from labd.store.trace_reader import read_trace
from labd.stream.news import News
from labd_virtual.wire import Interface

FIXTURES = resources.path("fixtures")


@dataclass(slots=True)
class Watch:
    """What a virtual bench's board says of itself: truth records, and a look at it when the bench ends. open_lead: of an instrument.
    interface: that every instrument is reached by. personas: options of the virtual instruments alone, by name; unkind: of all.
    pin_log: where an emulated board keeps its own account of its edges.
    """

    file: Path
    open_lead: str = ""
    interface: Interface = "socket"
    personas: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    unkind: Mapping[str, object] = field(default_factory=dict)
    pin_log: Path | None = None
    board: dict[str, Any] = field(default_factory=dict)

    def records(self, kind: str) -> list[dict[str, Any]]:
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return [record for record in map(json.loads, lines) if record["kind"] == kind]

    @asynccontextmanager
    async def bench(self, spec: Mapping[str, Any]) -> AsyncIterator[Addresses]:
        """In place of `virtual_bench`, with truth."""
        instruments = {name: {**one, "interface": self.interface} for name, one in spec["instruments"].items()}
        for name, options in self.personas.items():
            instruments[name]["options"] = {**instruments[name]["options"], **options}
        spec = {**spec, "unkind": {**spec.get("unkind", {}), **self.unkind}}
        if self.pin_log is not None:
            spec = {**spec, "firmware": {**spec["firmware"], "pin_log": str(self.pin_log)}}
        if self.open_lead:
            instruments[self.open_lead]["sense_fault"] = "open"
        async with virtual_bench({**spec, "instruments": instruments}, arguments=("--truth", str(self.file))) as addresses:
            try:
                yield addresses
            finally:
                channel = ControlChannel(addresses.control)
                self.board = channel.ask(op="board")
                channel.close()


@dataclass(frozen=True, slots=True)
class Whole:
    """A run that has ended."""

    outcome: RunOutcome
    watch: Watch

    def get(self, kpi: str, at: str) -> KpiRecord:
        (found,) = (record for record in self.outcome.records if (record.id, record.at) == (kpi, at))
        return found

    def value(self, kpi: str, at: str) -> float:
        found = self.get(kpi, at).value
        assert found is not None
        return found

    def all(self, kpi: str, at: str) -> list[KpiRecord]:
        return [record for record in self.outcome.records if (record.id, record.at) == (kpi, at)]

    def captures(self) -> list[CaptureRow]:
        with Catalogue.open(self.outcome.store) as catalogue:
            return catalogue.captures.of(self.outcome.run_id)

    def capture(self, key: str) -> CaptureRow:
        (found,) = (row for row in self.captures() if row.key == key)
        return found

    def trace(self, key: str) -> Trace:
        with Catalogue.open(self.outcome.store) as catalogue:
            return read_trace(catalogue.trace_path(self.capture(key)))

    def notices(self) -> list[str]:
        with Catalogue.open(self.outcome.store) as catalogue:
            return [event.text for event in catalogue.runs.events(self.outcome.run_id) if event.kind == "notice"]


def changed(folder: Path, kind: str, name: str, change: Callable[[str], str]) -> Path:
    """A fixture file with changes, beside the boards and cards it names."""
    target = folder / kind / f"{name}.toml"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(change((FIXTURES / kind / f"{name}.toml").read_text(encoding="utf-8")), encoding="utf-8")
    shutil.copytree(FIXTURES / "cards/demo", folder / "cards/demo", dirs_exist_ok=True)
    boards = folder / "boards"
    boards.mkdir(exist_ok=True)
    for board in (FIXTURES / "boards").glob("*.toml") if kind == "benches" else ():
        (boards / board.name).write_text(board.read_text(encoding="utf-8"), encoding="utf-8")
    return target


def replaced(*pairs: tuple[str, str]) -> Callable[[str], str]:
    """A change of a file's text; each old text must be there, once."""

    def change(text: str) -> str:
        for old, new in pairs:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        return text

    return change


def whole_run(
    folder: Path,
    bench: Path,
    plan: Path,
    watch: Watch | None = None,
    *,
    within_s: float = 60.0,
    show: Callable[[News], None] = lambda _news: None,
) -> Whole:
    """Run a plan from first to last in an event loop of its own. within_s: host time, after which it counts as hanging. show: told what
    happens."""
    watch = watch or Watch(folder / "truth.jsonl")

    async def main() -> RunOutcome:
        async with asyncio.timeout(within_s):
            return await commands.run_plan(bench, plan, store=folder / "store", show=show, stop=asyncio.Event())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened, "virtual_bench", watch.bench)
        return Whole(asyncio.run(main()), watch)
