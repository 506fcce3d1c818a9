"""One powered virtual board that burns its signatures around programs of inferences: the real firmware, in stepped time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from labd import resources
from labd.dut.device import Device
from labd.dut.serial_link import SerialLink
from labd.records import Bracket, MarkStyle, Mode
from labd.segment.clocks import FloatArray
from labd_virtual.bench import VirtualBench, run_bench
from labd_virtual.firmware_build import build
from labd_virtual.firmware_process import FirmwareProcess
from labd_virtual.spec import BenchSpec, BoardSpec

SUPPLY_V = 3.0
SOURCE_OHM = 0.01
SERIES_OHM = 4.7
CAPACITANCE_F = 4.7e-6
TOLERANCE = 0.1  # of the decoupling capacitor: a limit
U_TAU = TOLERANCE / 3**0.5  # relative standard uncertainty of the supply path's time constant, as a board file tells it
TAU_S = CAPACITANCE_F * (SERIES_OHM + SOURCE_OHM)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is drawn for one capture and labd is not told: rate error and wander of the oscillator (fractions), period and
    shape of the wander, whether the counter stops in sleep, how long the record runs before anything happens, capacitance as a share of
    the nominal one."""

    mode: Mode
    rate_error: float
    wander: float
    wander_s: float
    stops: bool
    idle_s: float
    capacitance: float
    shape: str = "sine"


@dataclass(frozen=True, slots=True)
class Program:
    """What the board runs: signatures around `events` inferences a period apart."""

    bracket: Bracket | None
    events: int
    period_us: int


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of it. laps: float64 [n, 5], counter microseconds. burnt_us: of both signatures. truth: the physics' own records of the
    events. span_ns: board time from its beginning to its end."""

    laps: FloatArray
    burnt_us: tuple[tuple[float, float], ...]
    truth: list[dict[str, Any]]
    span_ns: tuple[int, int]


class Board:
    """The board and the link to it. node: its supply, for a meter."""

    def __init__(self, bench: VirtualBench, device: Device) -> None:
        self._bench = bench
        self._device = device
        self.node = bench.board.supply

    async def run(self, conditions: Conditions, program: Program, *, seed: int) -> Ran:
        board, clock, device = self._bench.board, self._bench.clock, self._device
        board.configure("board.clock_error", conditions.rate_error)
        board.configure("board.clock_wander", conditions.wander)
        board.configure("board.clock_wander_s", conditions.wander_s)
        board.configure("board.clock_wander_shape", conditions.shape)
        board.configure("board.counter_stops_asleep", conditions.stops)
        board.configure("board.capacitance_f", CAPACITANCE_F * conditions.capacitance)
        self._bench.redraw(seed)
        await device.set_mode(conditions.mode)
        await device.set_bracket(program.bracket)
        known = len(self._bench.truth)
        began = clock.now_ns()
        await clock.sleep_until(began + round(conditions.idle_s * 1e9))
        done = await device.periodic(program.events, program.period_us)
        await clock.sleep_until(clock.now_ns() + 5_000_000)
        ended = clock.now_ns()
        laps = np.array(await device.laps(), dtype=np.float64)
        truth = [r for r in self._bench.truth[known:] if r["kind"] == "event"]
        if len(laps) != program.events or len(truth) != program.events or done.missed:
            raise RuntimeError(f"{len(laps)} laps and {len(truth)} true events of {program.events}, {done.missed} missed")
        return Ran(laps, tuple((float(a), float(b)) for a, b in done.signatures), truth, (began, ended))


@asynccontextmanager
async def powered(seed: int) -> AsyncIterator[Board]:
    """A board on its supply, identified, its model resident."""
    spec = BenchSpec(seed=seed, board=BoardSpec(series_ohm=SERIES_OHM, capacitance_f=CAPACITANCE_F), horizon_s=600.0)
    firmware = FirmwareProcess(await build(resources.path("firmware"), energy_mode=False))
    async with run_bench(spec, keep_truth=True, firmware=firmware) as bench:
        bench.board.supply.drive(emf_v=SUPPLY_V, resistance_ohm=SOURCE_OHM, clamp_a=0.1, connected=True)
        async with SerialLink(bench.board.uart.path) as link:
            device = Device(link)
            await device.identify()
            await device.set_workload("dnn", activity=10, seed=1)
            await device.set_marks(MarkStyle.GATE)
            yield Board(bench, device)
