"""A virtual bench opened the way `labd run` opens it, beside a file in which its board writes the truth that no code under test reads."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labd import bench_file, resources
from labd.analyse.capture import meter_terms
from labd.analyse.setup import AnalysisSetup
from labd.bench.acquire import acquire
from labd.bench.clock import Pace
from labd.bench.expand import CapturePlan
from labd.bench.rig import Rig
from labd.bench.station import open_station
from labd.bench.taken import Taken
from labd.bench.virtual import BoardTime, ControlChannel, virtual_bench
from labd.bench_file import Bench, Plan
from labd.bench_file import station as translate
from labd.bench_file.virtual import spec as virtual_spec
from labd.config.quantity import Uncertain
from labd.daemon.opened import BoardLink
from labd.kpi.capture import CaptureResult, analyse_capture
from labd.kpi.edge_gated import edge_gated
from labd.kpi.inputs import CaptureInput, Lap, Stretch
from labd.records import KpiRecord, MarkStyle, Mode, OperatingPoint, Role
from labd_instruments.accuracy import AccuracyTable
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition

TruthRecord = dict[str, Any]
FLOOR_MARK = "floor"


@dataclass(frozen=True, slots=True)
class Measured:
    """One capture: what labd says, what the naive estimate says, what was true."""

    result: CaptureResult
    naive: KpiRecord | None
    truth: list[TruthRecord]


class Sink:
    """Keeps stretches in memory: a campaign writes no traces. mark: called at the start of the capture and at each block; in stepped time
    the last block comes while the clock stands still at the capture's end, so that the marks bound just what was measured."""

    def __init__(self, mark: Callable[[], object] | None) -> None:
        self.runs: list[list[Block]] = []
        self.triggered = False
        self._mark = mark

    async def begin(self, acquisition: Acquisition) -> None:
        if self._mark is not None:
            self._mark()

    async def write(self, block: Block, *, stretch: int, trigger: bool) -> None:
        if trigger or not self.runs:
            self.runs.append([])
        self.triggered |= trigger
        self.runs[-1].append(block)
        if self._mark is not None:
            self._mark()

    def stretches(self, supply_v: float) -> tuple[Stretch, ...]:
        return tuple(self._stretch(blocks, supply_v) for blocks in self.runs)

    def _stretch(self, blocks: list[Block], supply_v: float) -> Stretch:
        def column(name: str) -> Any:
            parts = [getattr(b, name) for b in blocks]
            return None if parts[0] is None else np.concatenate(parts)

        return Stretch(
            t0_s=blocks[0].t0_ns * 1e-9,
            dt_s=blocks[0].dt_ns * 1e-9,
            current=column("current"),
            voltage=column("voltage"),
            nominal_v=supply_v,
            marker=column("marker"),
            trigger_s=0.0 if self.triggered else None,
        )


class Lab:
    """One powered bench with its board identified and its model loaded."""

    def __init__(self, rig: Rig, control: ControlChannel, truth: Path, setup: AnalysisSetup, accuracy: AccuracyTable) -> None:
        self._rig = rig
        self._control = control
        self._truth = truth.open(encoding="utf-8")
        self._setup = setup
        self._accuracy = accuracy
        self._count = 0
        self._last: CaptureInput | None = None

    async def rest(self, seconds: float) -> None:
        """Let bench time pass: a board that was busy cools down."""
        await self._rig.station.clock.sleep(seconds)

    async def pace(self) -> Pace:
        """How time was kept since this was last asked."""
        return await self._rig.station.clock.pace()

    def last_boxcar_w(self, tau_s: float) -> float:
        """Largest boxcar mean of v*i in the last capture, plainly computed; the truth where the instrument has no errors."""
        assert self._last is not None
        largest = 0.0
        for stretch in self._last.stretches:
            assert stretch.voltage is not None
            power = stretch.current.astype(np.float64) * stretch.voltage
            width = max(1, round(tau_s / stretch.dt_s))
            sums = np.concatenate([[0.0], np.cumsum(power)])
            largest = max(largest, float(np.max(sums[width:] - sums[:-width])) / width)
        return largest

    def disturb(self, changes: Mapping[str, Any]) -> None:
        """Something happens to the powered board that labd is not told of."""
        for key, value in changes.items():
            self._control.ask(op="set", key=key, value=value)

    def redraw(self, seed: int) -> None:
        """Other specimens of all instruments."""
        self._control.ask(op="redraw", seed=seed)

    async def measure(
        self, point: OperatingPoint, role: Role, *, events: int = 0, duration_s: float = 2.0, naive: bool = False
    ) -> Measured:
        """One capture the whole way: driver, sockets, firmware, segmentation, figures."""
        self._count += 1
        marks = MarkStyle.PHASES if role is Role.EVENT else MarkStyle.GATE
        plan = CapturePlan(f"{point.key}/{role}/{self._count}", point, role, 0, 0, events, duration_s, marks, "smu", self._count)
        self._records()
        sink = Sink((lambda: self._control.ask(op="truth", label=FLOOR_MARK)) if role is Role.FLOOR else None)
        taken = await acquire(self._rig, plan, sink)
        truth = self._records()
        capture = self._input(plan, taken, sink)
        self._last = capture
        return Measured(analyse_capture(capture), edge_gated(capture) if naive else None, truth)

    def close(self) -> None:
        self._truth.close()
        self._control.close()

    def _records(self) -> list[TruthRecord]:
        self._control.ask(op="truth", label=str(self._count))
        return [json.loads(line) for line in self._truth]

    def _input(self, plan: CapturePlan, taken: Taken, sink: Sink) -> CaptureInput:
        return CaptureInput(
            key=plan.key,
            point=plan.point,
            role=plan.role,
            stretches=sink.stretches(plan.point.supply_v),
            mark_style=plan.marks,
            marker_high_v=self._setup.marker_high_v,
            expected_events=plan.events,
            laps=tuple(Lap(*lap) for lap in taken.laps),
            meter=meter_terms("smu", taken.acquisition, self._accuracy, self._setup),
            mains_hz=self._setup.mains_hz,
            seed=plan.seed,
            peak_tau_s=self._setup.peak_tau_s,
            trigger_fires_dut=plan.role is Role.EVENT,
            burst_bound_s=self._setup.burst_bound_s,
        )


def demo(files: tuple[str, str] = ("demo", "demo")) -> tuple[Bench, Plan]:
    """Bench and plan of these names among the fixtures."""
    fixtures = resources.path("fixtures")
    return bench_file.load_bench(fixtures / f"benches/{files[0]}.toml"), bench_file.load_plan(fixtures / f"plans/{files[1]}.toml")


def two_wire(bench: Bench, lead_ohm: float, half_ohm: float) -> Bench:
    """The same bench without sense leads: the instrument sees the voltage before its leads, of lead_ohm +- half_ohm each way."""
    smu = bench.instruments["smu"]
    assert smu.source_resistance is not None
    before = smu.source_resistance
    changes = {
        "sense": "2-wire",
        "lead_resistance": Uncertain(lead_ohm, half_ohm),
        "source_resistance": Uncertain(before.value + 2 * lead_ohm, before.half_width + 2 * half_ohm),
    }
    return bench.model_copy(update={"instruments": {**bench.instruments, "smu": smu.model_copy(update=changes)}})


@asynccontextmanager
async def open_lab(
    *,
    files: tuple[str, str] = ("demo", "demo"),
    time: str = "stepped",
    seed: int = 1,
    board: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    smu: Mapping[str, Any] | None = None,
) -> AsyncIterator[Lab]:
    """files: bench and plan. board: other physics than the board file declares. changes: other keys of the virtual bench's spec (unkind,
    uart); pin_log: of an emulated board. smu: other keys of that instrument's."""
    bench, plan = demo(files)
    async with lab_of(bench, plan, seed=seed, board=board, changes={"time": time, **(changes or {})}, smu=smu) as lab:
        yield lab


@asynccontextmanager
async def lab_of(
    bench: Bench,
    plan: Plan,
    *,
    seed: int | None = None,
    model: str = "dnn",
    board: Mapping[str, Any] | None = None,
    changes: Mapping[str, Any] | None = None,
    smu: Mapping[str, Any] | None = None,
) -> AsyncIterator[Lab]:
    """A bench of files that were read. seed: of its specimens, None: that of the board file. board, changes, smu: as in `open_lab`."""
    spec = copy.deepcopy(virtual_spec(bench, seed=plan.seed)) | ({} if seed is None else {"seed": seed}) | dict(changes or {})
    spec["firmware"]["pin_log"] = spec.pop("pin_log", "")
    spec["board"] |= dict(board or {})
    spec["instruments"]["smu"] |= dict(smu or {})
    async with AsyncExitStack() as stack:
        truth = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "truth.jsonl"
        addresses = await stack.enter_async_context(virtual_bench(spec, arguments=("--truth", str(truth))))
        clock = BoardTime(addresses.control, stepped=spec["time"] == "stepped")
        stack.callback(clock.close)
        tools = translate.tools(bench, addresses.instruments)
        station = await stack.enter_async_context(open_station(tools, translate.limits(bench), clock))
        link = BoardLink(addresses.uart, bench)
        await station.interlock.power_up(bench.board.supply, [link.line()])
        await link.device.set_workload(model, activity=round(plan.activity * 100), seed=plan.seed)
        await link.device.infer(1, warmups=3)
        rig = Rig(station, link, translate.board_facts(bench), bench.mains, 0.1)
        section = bench.instruments["smu"]
        table = station.meter.driver.accuracy()
        assert section.timebase is not None
        accuracy = AccuracyTable(table.rows, table.derating, section.timebase.limit, section.timebase.source)
        lab = Lab(rig, ControlChannel(addresses.control), truth, translate.analysis_setup(bench, plan, ()), accuracy)
        stack.callback(lab.close)
        yield lab


def point(mode: Mode, rate_hz: float) -> OperatingPoint:
    return OperatingPoint(mode, rate_hz, 3.0, "dnn")
