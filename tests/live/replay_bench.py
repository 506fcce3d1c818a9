"""A bench whose source is a virtual N6705C and whose meter plays a file of synthetic power, a million samples a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.cli.bench_apart import changed, demo_text, write_plan

SUPPLY_V = 3.0
SLEEP_A = 8e-6
AWAKE_A = 12e-3
PEAK_A = 30e-3
SEED = 20


@dataclass(frozen=True, slots=True)
class ReplayBench:
    """Files. plan: floors only, always on."""

    bench: Path
    plan: Path
    recording: Path


def write_recording(path: Path, *, seconds: float = 2.0, dt_ns: int = 1000, period_s: float = 0.1) -> Path:
    """Sleep, and once a period an inference of a tenth of it with the marker and digital line 0 high, its last tenth at the peak."""
    count = round(seconds * 1e9 / dt_ns)
    phase = (np.arange(count) * (dt_ns * 1e-9) / period_s) % 1.0
    awake, peak = phase >= 0.9, phase >= 0.99
    noise = np.random.default_rng(SEED).normal(1.0, 0.01, count)
    current = np.select([peak, awake], [PEAK_A, AWAKE_A], SLEEP_A) * noise
    voltage = SUPPLY_V - 0.5 * current
    np.savez(
        path,
        current=current.astype(np.float32),
        voltage=voltage.astype(np.float32),
        marker=np.where(awake, SUPPLY_V, 0.0).astype(np.float32),
        digital=awake.astype(np.uint8),
        dt_ns=np.int64(dt_ns),
    )
    return path


def write_replay_bench(folder: Path, *, floor_time: str = "60 s", seconds: float = 2.0, dt_ns: int = 1000) -> ReplayBench:
    """All three files in `folder`. The bench runs in real time."""
    recording = write_recording(folder / "recording.npz", seconds=seconds, dt_ns=dt_ns)
    text = demo_text(time='time = "real"', name='name = "replayed"', roles='roles = ["source"]')
    text = changed(text, "[floor]", f'[instruments.meter]\ndriver = "replay"\nresource = "{recording}"\nroles = ["meter"]\n\n[floor]')
    text = changed(text, "largest_u95 =", 'range = "100 mA"\nlargest_u95 =')
    bench = folder / "bench.toml"
    bench.write_text(text)
    return ReplayBench(bench, write_plan(folder / "plan.toml", supply="3.0 V", floor_time=floor_time), recording)
