"""Puts a virtual bench together: clock, board, firmware and instruments, with their stops in reverse order."""

from __future__ import annotations

import asyncio
import importlib
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labd_virtual.board import Board
from labd_virtual.clock import BoardClock
from labd_virtual.contract import Integrals, SupplyNode
from labd_virtual.firmware_build import build
from labd_virtual.firmware_process import Firmware, FirmwareProcess
from labd_virtual.followed import Live
from labd_virtual.persona import ErrorRow, Persona, PersonaSetup
from labd_virtual.qemu import emulated
from labd_virtual.qemu_machine import machine_of
from labd_virtual.rp2040 import RP2040, emulation
from labd_virtual.spec import BenchSpec, InstrumentSpec, SpecError
from labd_virtual.told import listening
from labd_virtual.truth import Record, TruthFile


class MeteredNode:
    """The supply node for an instrument that measures but does not feed the board: it may drive its output, nothing is connected to it."""

    def __init__(self, node: SupplyNode) -> None:
        self._node = node

    def drive(self, *, emf_v: float, resistance_ohm: float, clamp_a: float, connected: bool) -> None:
        """Nothing: its output is not wired."""

    def integrals(self, t_ns: Any) -> Integrals:
        return self._node.integrals(t_ns)

    def current(self, t_ns: Any) -> Any:
        return self._node.current(t_ns)

    def voltage(self, t_ns: Any) -> Any:
        return self._node.voltage(t_ns)

    def clamped_since(self) -> int | None:
        return None


@dataclass(slots=True)
class VirtualBench:
    """A running bench. resources: VISA address by instrument. truth: every record so far, when started with keep_truth."""

    spec: BenchSpec
    clock: BoardClock
    board: Board
    personas: dict[str, Persona]
    resources: dict[str, str]
    truth: list[Record]
    flush_truth: Callable[[], None]

    def redraw(self, seed: int) -> None:
        """Other specimens of all instruments and of the board."""
        self.board.redraw(seed)
        for name, persona in self.personas.items():
            persona.redraw(instrument_rng(seed, name))


def instrument_rng(seed: int, name: str) -> np.random.Generator:
    """A stream of its own for each instrument, whatever others are on the bench."""
    return np.random.default_rng(np.random.SeedSequence([seed, zlib.crc32(name.encode())]))


@asynccontextmanager
async def run_bench(
    spec: BenchSpec,
    *,
    truth: Path | None = None,
    keep_truth: bool = False,
    cache: Path | None = None,
    firmware: Firmware | None = None,
    device: Live | None = None,
) -> AsyncIterator[VirtualBench]:
    """A bench in this process. firmware, or device to follow: in place of the compiled one. Raises SpecError, FirmwareError.

    truth: file for the records; keep_truth: keep them in `VirtualBench.truth` as well. With neither, none are made.
    """
    async with AsyncExitStack() as stack:
        if firmware is None and device is None and spec.firmware.pins_socket:
            device = await stack.enter_async_context(listening(Path(spec.firmware.pins_socket)))
        if firmware is None and device is None and spec.firmware.dir:
            firmware, device = await _built(spec, cache)
        if device is not None and spec.time != "real":
            raise SpecError(f"time: what runs on the board runs in its own time; the bench's must be 'real', not {spec.time!r}")
        kept: list[Record] = []
        sink, flush = _sink(stack, truth, kept if keep_truth else None)
        clock = BoardClock(stepped=spec.time == "stepped", patience_s=spec.patience_s)
        board = Board(clock, spec, firmware=firmware, device=device, sink=sink)
        stack.callback(board.close)
        personas: dict[str, Persona] = {}
        resources: dict[str, str] = {}
        for name, instrument in spec.instruments.items():
            personas[name] = _create(spec, name, instrument, clock, board)
            stack.push_async_callback(personas[name].close)
            resources[name] = await personas[name].serve()
        async with _moving(clock):
            yield VirtualBench(spec, clock, board, personas, resources, kept, flush)


async def _built(spec: BenchSpec, cache: Path | None) -> tuple[Firmware | None, Live | None]:
    """What runs on the board, one of the two."""
    wanted = spec.firmware
    if wanted.target == RP2040 and spec.time != "stepped":
        raise SpecError(f"time: an emulated rp2040 takes ten times as long as a chip; the bench's must be 'stepped', not {spec.time!r}")
    program = (
        Path(wanted.program)
        if wanted.program
        else await build(Path(wanted.dir), energy_mode=wanted.energy_mode, stock=wanted.stock, target=wanted.target, cache=cache)
    )
    if wanted.target == RP2040:
        node, *arguments = await emulation(Path(wanted.dir), program, pin_log=wanted.pin_log, cache=cache)
        return FirmwareProcess(Path(node), *arguments), None
    machine = machine_of(wanted.target)
    return (FirmwareProcess(program), None) if machine is None else (None, await emulated(machine, program))


@asynccontextmanager
async def _moving(clock: BoardClock) -> AsyncIterator[None]:
    """The clock's task; when it fails, so does the body. (A task group would wrap whatever the body raises.)"""
    owner = asyncio.current_task()
    assert owner is not None
    running = asyncio.create_task(clock.run(), name="board clock")

    def failed(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            owner.cancel()

    running.add_done_callback(failed)
    try:
        yield
    finally:
        running.remove_done_callback(failed)
        running.cancel()
        (ended,) = await asyncio.gather(running, return_exceptions=True)
        if isinstance(ended, Exception):
            owner.uncancel()
            raise ended


def _sink(
    stack: AsyncExitStack, path: Path | None, kept: list[Record] | None
) -> tuple[Callable[[Record], None] | None, Callable[[], None]]:
    if path is None:
        return (None if kept is None else kept.append), lambda: None
    file = TruthFile(path)
    stack.callback(file.close)

    def put(record: Record) -> None:
        file.put(record)
        if kept is not None:
            kept.append(record)

    return put, file.flush


def _create(bench: BenchSpec, name: str, spec: InstrumentSpec, clock: BoardClock, board: Board) -> Persona:
    try:
        module = importlib.import_module(f"labd_virtual.instruments.{spec.persona}")
    except ModuleNotFoundError as error:
        if error.name != f"labd_virtual.instruments.{spec.persona}":
            raise
        raise SpecError(f"instruments.{name}.persona: there is no virtual {spec.persona!r}") from error
    setup = PersonaSetup(
        name=name,
        options=spec.options,
        clock=clock,
        node=board.supply if name == bench.supply else MeteredNode(board.supply),
        pins=board.pins,
        wires={terminal.partition(".")[2]: pin for terminal, pin in bench.wires.items() if terminal.partition(".")[0] == name},
        rng=instrument_rng(bench.seed, name),
        accuracy=tuple(ErrorRow(e.quantity, e.range, e.gain, e.offset) for e in spec.accuracy),
        timebase=spec.timebase,
        mains_hz=bench.mains_hz,
        lead_ohm=spec.lead_ohm,
        line_delay_s=spec.line_delay_s,
        sense_fault=spec.sense_fault,  # type: ignore[arg-type]
        fixture_leakage_a=spec.fixture_leakage_a,
        unkind=bench.unkind,
        clients=spec.clients,  # type: ignore[arg-type]
        interface=spec.interface,  # type: ignore[arg-type]
    )
    try:
        persona: Persona = module.create(setup)
    except (ValueError, TypeError, KeyError) as error:
        raise SpecError(f"instruments.{name}: {error}") from error
    return persona
