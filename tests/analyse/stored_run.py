"""A finished run in a store, made without any bench: three modes, three rates, floors and triggered events of known power."""

from __future__ import annotations

import functools
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from labd import bench_file
from labd.analyse.environment import environment, versions
from labd.analyse.run import analyse_run
from labd.bench_file import station
from labd.kpi.inputs import Stretch
from labd.records import MarkStyle, Mode, OperatingPoint, Role
from labd.store.catalogue import Catalogue
from labd.store.jsonform import to_json
from labd.store.rows import NewRun, PlannedCapture, RunState
from labd.store.trace_writer import TraceWriter
from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition, Identity
from tests.kpi import synth
from tests.kpi.synth import Bench, Dut

ROOT = Path(__file__).parents[2]
RATES = (2.0, 10.0, 25.0)
EVENTS, TRIGGERED = 6, 4
DUTS = {
    Mode.ALWAYS_ON: Dut(Mode.ALWAYS_ON, rest_a=1.4e-3),
    Mode.EVENT_SLEEP: Dut(Mode.EVENT_SLEEP, rest_a=6e-6),
    Mode.EVENT_RELOAD: Dut(Mode.EVENT_RELOAD, rest_a=3e-6),
}
SEAMLESS = (10e-6, 1e-3, 100e-3)
NOW_NS = 1_795_444_200_000_000_000  # 2026-11-23 14:30:00 UTC


@dataclass(frozen=True)
class Made:
    """One capture to store: what is planned, what the instrument says, and the samples."""

    planned: PlannedCapture
    acquisition: Acquisition
    stretches: tuple[Stretch, ...]
    events: int


def captures(rates: tuple[float, ...] = RATES, modes: tuple[Mode, ...] = tuple(DUTS), *, seed: int = 7) -> list[Made]:
    rng = np.random.default_rng(seed)
    found: list[Made] = []
    for mode in modes:
        dut = DUTS[mode]
        coarse, fine = Bench(noise_a=2e-8, dt_s=204.8e-6), Bench(noise_a=2e-7, dt_s=20.48e-6)
        for repeat in range(2):
            floor = synth.floor(dut, coarse, rng, length_s=1.0).stretches
            found.append(_made(mode, 0.0, Role.FLOOR, repeat, len(found), floor, range_a=100e-3 if mode is Mode.ALWAYS_ON else 10e-6))
        for rate in rates:
            noisy = replace(coarse, noise_a=2e-7)
            begins = (np.arange(EVENTS) + 1) / rate + rng.uniform(0, noisy.dt_s)
            length = (EVENTS + 1.0) / rate + dut.on_s
            one = synth.stretch(dut, noisy, rng, begins, length_s=length, style=MarkStyle.GATE)
            found.append(_made(mode, rate, Role.MEAN, 0, len(found), (one,), events=EVENTS))
        if mode.is_event:
            stretches = synth.triggered(dut, fine, rng, events=TRIGGERED).stretches
            found.append(_made(mode, 0.0, Role.EVENT, 0, len(found), stretches, events=TRIGGERED))
    return found


def _made(
    mode: Mode,
    rate: float,
    role: Role,
    repeat: int,
    order: int,
    stretches: tuple[Stretch, ...],
    *,
    range_a: float | None = None,
    events: int = 0,
) -> Made:
    point = OperatingPoint(mode, rate, 3.0, "dnn")
    marks = MarkStyle.PHASES if role is Role.EVENT else MarkStyle.GATE
    plan = {"events": events, "duration_s": 1.0, "marks": str(marks), "instrument": "smu", "seed": order, "idle_kind": "wfi"}
    planned = PlannedCapture(f"{point.key}/{role}/{repeat}", role, point, order, repeat, plan)
    dt_s = stretches[0].dt_s
    acquisition = Acquisition(
        dt_ns=round(dt_s * 1e9),
        columns=("current", "voltage", "marker"),
        aperture_s=dt_s,
        current_range_a=range_a,
        voltage_range_v=20.0,
        seamless=range_a is None,
        ranges_a=SEAMLESS if range_a is None else (),
        pretrigger_points=100 if role is Role.EVENT else 0,
        settings={"auto zero": "once"},
    )
    return Made(planned, acquisition, stretches, events)


def new_run() -> NewRun:
    """As labd stores it, from the files of the demo."""
    bench = bench_file.load_bench(ROOT / "fixtures/benches/demo.toml")
    plan = bench_file.load_plan(ROOT / "fixtures/plans/demo.toml")
    setup = station.analysis_setup(bench, plan, ())
    return NewRun(
        bench_name=bench.name,
        bench_text=bench.text,
        board_text=bench.board.text,
        plan_name=plan.name,
        plan_text=plan.text,
        bench_effective=bench_file.effective(bench) | {"file": "benches/my demo.toml"},
        plan_expanded={"plan": bench_file.effective_plan(plan) | {"file": "plans/demo.toml"}, "order": [], "analysis": to_json(setup)},
        seeds={"plan": plan.seed},
        versions=versions(),
        environment=environment(),
        instruments={"smu": instrument()},
        firmware_sha256="c0ffee" * 10 + "1234",
    )


def instrument() -> dict[str, Any]:
    rows = tuple(AccuracyRow("current", scale, 250e-6, 800e-6 * scale, 0.0, "certificate 7, page 2") for scale in SEAMLESS)
    volt = AccuracyRow("voltage", 20.0, 250e-6, 1.2e-3, 0.0, "certificate 7, page 3")
    return {
        "name": "smu",
        "driver": "keysight_n6705c",
        "resource": "TCPIP::127.0.0.1::5025::SOCKET",
        "roles": ["source", "meter"],
        "identity": to_json(Identity("Keysight Technologies", "N6705C", "MY1", "E.02.11", ("N6781A",))),
        "accuracy": to_json(AccuracyTable((*rows, volt), (), 50e-6, "certificate 7, page 5")),
        "evidence": "verified-by-manual",
        "off_assurance": "second_session",
        "virtual": True,
        "streams": True,
    }


def record(catalogue: Catalogue, run_id: str, made: Made) -> None:
    """Store one capture with its trace, as the runner does."""
    key = made.planned.key
    taken = {"acquisition": to_json(made.acquisition), "served": made.events, "missed": 0, "laps": []}
    row = catalogue.captures.begin(run_id, key, taken)
    triggered = made.planned.role is Role.EVENT
    with TraceWriter(catalogue.trace_path(row)) as writer:
        seq = 0
        for number, stretch in enumerate(made.stretches):
            t0_ns, dt_ns = round(stretch.t0_s * 1e9), made.acquisition.dt_ns
            block = Block(seq, t0_ns, dt_ns, stretch.current, stretch.voltage, stretch.marker)
            writer.write(block, trigger={"event": number} if triggered else None)
            seq += len(block)
        samples, stretches = writer.samples, len(writer.stretches)
    catalogue.captures.finish(run_id, key, samples=samples, stretches=stretches)


def make_run(folder: Path, made: list[Made], *, now_ns: int = NOW_NS, figures: bool = True) -> str:
    """Store a whole run with its figures, or without; returns its id."""
    with Catalogue.open(folder) as catalogue:
        run = catalogue.runs.create(new_run(), [m.planned for m in made], now_ns=now_ns)
        for one in made:
            record(catalogue, run.id, one)
        if figures:
            catalogue.kpis.put(run.id, analyse_run(catalogue, run.id).records)
        catalogue.runs.end(run.id, RunState.FINISHED, now_ns=now_ns + 60_000_000_000)
        return run.id


@functools.cache
def _made_once(small: bool) -> tuple[tempfile.TemporaryDirectory[str], str]:
    """Making a run takes a second or more; every test gets a copy."""
    folder = tempfile.TemporaryDirectory(prefix="labd-run-")
    made = captures((10.0, 25.0), (Mode.ALWAYS_ON, Mode.EVENT_SLEEP)) if small else captures()
    return folder, make_run(Path(folder.name), made)


def copy_of_a_run(folder: Path, *, small: bool = True) -> str:
    """A finished run in the store `folder`; returns its id. small: two modes at two rates, for tests of what is around the figures."""
    made, run_id = _made_once(small)
    shutil.copytree(made.name, folder, dirs_exist_ok=True)
    return run_id
