"""Going once through a trace: against the machine's copy bandwidth (limit), and the memory that a long one takes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.ratios.figures import Ratio, compare, from_ratios
from labd.scan.arrays import energies
from labd.scan.loops import IN_NUMPY, Loops, compiled
from labd.scan.onepass import Scan
from labd.scan.running import Watch
from labd.scan.samples import BLOCK, Pair, Scale, Scales

PART = "go once through a trace"
DATA = 1 << 28  # bytes of samples: more than caches hold
CALLS = 4  # in one timing: what else runs on the machine takes its turns in milliseconds
PERIOD, BURST = 20_000, 4_000  # samples
WINDOWS = 500  # of which the sums are asked for
SCALES = Scales(Scale(1e-6, 1e-5), Scale(1.2e-4, 0.0))
WATCH = Watch(rise=0.03, fall=0.01)
DT_S = 1e-6

LONG = 10**9  # samples
LIMIT_MB = 300
LOOK_S = 0.01  # from one look at the memory of the process to the next
PIECE = 200 * PERIOD
CAPTURE = """file = "long.npy"
dt = "1 us"

[current]
gain = "1 uA"
offset = "10 uA"

[voltage]
gain = "120 uV"
"""


def one_pass(folder: Path) -> list[Ratio]:
    """folder: on a disk that has room for a trace of LONG samples, which is deleted again."""
    return _speeds() + (_long(folder) if sys.platform == "linux" else [])


def _speeds() -> list[Ratio]:
    codes = _codes(DATA // 4)
    floats = _floats(DATA // 8)
    rows = floats[0].reshape(-1, BLOCK), floats[1].reshape(-1, BLOCK)
    copy = _copy()
    numba = compiled()
    assert numba is not None, "numba is among what benchmarks are run with"
    _agree(codes, floats, numba)
    limit = ("copy bandwidth of one thread, bytes read and written", "limit")

    def line(what: str, own: Callable[[], object], least: float) -> list[Ratio]:
        return compare(PART, what, own, {limit: copy}, calls=CALLS, least={limit: least})

    return [
        *line("float32 pairs: sums, extremes, bursts, windows; numpy", lambda: _scanned(floats, None, IN_NUMPY), 0.08),
        *line("int16 pairs: the same, sums exact; numba", lambda: _scanned(codes, SCALES, numba), 0.5),
        *line("float32 pairs: energy of each block alone", lambda: energies(*rows), 0.8),
    ]


def _copy() -> Callable[[], None]:
    """Half as many bytes as the samples have are read, and written."""
    source, target = np.ones(DATA // 8, np.float32), np.zeros(DATA // 8, np.float32)
    return lambda: np.copyto(target, source)


def _codes(samples: int) -> Pair:
    """A board that rests and works, in codes of 16 bits, with noise."""
    rng = np.random.default_rng(5)
    length = PIECE
    current = np.where(np.arange(length) % PERIOD < BURST, 20_000, 500) + rng.normal(0, 10, length)
    voltage = 27_500 + rng.normal(0, 8, length)
    return _repeated(current, samples), _repeated(voltage, samples)


def _repeated(values: NDArray[np.float64], samples: int) -> NDArray[np.int16]:
    return np.tile(values.round().astype(np.int16), -(-samples // len(values)))[:samples]


def _floats(samples: int) -> Pair:
    current, voltage = _codes(samples)
    return (current * np.float32(1e-6) + np.float32(1e-5)).astype(np.float32), (voltage * np.float32(1.2e-4)).astype(np.float32)


def _scanned(pair: Pair, scales: Scales | None, loops: Loops) -> Scan:
    scan = Scan(DT_S, scales, watch=WATCH, loops=loops)
    scan.stretch([pair], at=np.linspace(0, len(pair[0]), WINDOWS + 1).astype(np.int64))
    return scan


def _agree(codes: Pair, floats: Pair, numba: Loops) -> None:
    part = codes[0][:PIECE], codes[1][:PIECE]
    by_numpy, by_numba = _scanned(part, SCALES, IN_NUMPY), _scanned(part, SCALES, numba)
    assert by_numpy.figures() == by_numba.figures(), "numpy and numba do not agree on codes"
    assert by_numpy.bursts.energy_j.total == by_numba.bursts.energy_j.total > 0
    found = _scanned((floats[0][:PIECE], floats[1][:PIECE]), None, IN_NUMPY).figures()
    plain = float(np.sum(floats[0][:PIECE].astype(np.float64) * floats[1][:PIECE])) * DT_S
    assert found is not None
    assert abs(found.energy_j / plain - 1) < 1e-6, "the energy is not that of a plain sum"


def _long(folder: Path) -> list[Ratio]:
    """`labd scan` as a process of its own, looked at from outside."""
    file, capture = folder / "long.npy", folder / "long.toml"
    try:
        _write(file)
        capture.write_text(CAPTURE, encoding="utf-8")
        read_s = _read(file)
        command = [sys.executable, "-m", "labd", "scan", str(capture), "--threshold", "30 mW", "--release", "10 mW", "--json"]
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        most = 0.0
        while process.poll() is None:
            most = max(most, _private_mb(process.pid))
            time.sleep(LOOK_S)
        scan_s = time.perf_counter() - began
        assert process.stdout is not None
        (found,) = json.loads(process.stdout.read())["scans"]
    finally:
        for path in (file, capture):
            path.unlink(missing_ok=True)
    assert found["samples"] == LONG
    assert found["bursts"]["count"] + found["bursts"]["cut"] == LONG // PERIOD
    memory = f"`labd scan` of 10^9 samples: {LIMIT_MB} MB over its private memory, {most:.0f} MB"
    duration = f"`labd scan` of 10^9 samples, {scan_s:.1f} s with its start"
    return [
        from_ratios(PART, memory, against=f"{LIMIT_MB} MB", kind="limit", ratios=[LIMIT_MB / most], least=1.0),
        from_ratios(PART, duration, against=f"reading its file once, {read_s:.1f} s", kind="limit", ratios=[read_s / scan_s]),
    ]


def _write(file: Path) -> None:
    """[2, LONG]: one piece again and again."""
    with file.open("wb") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "<i2", "fortran_order": False, "shape": (2, LONG)})
        for column in _codes(PIECE):
            for start in range(0, LONG, PIECE):
                out.write(column[: LONG - start].tobytes())


def _read(file: Path) -> float:
    """Seconds for all of it, from wherever the system has it."""
    room = bytearray(1 << 23)
    began = time.perf_counter()
    with file.open("rb", buffering=0) as source:
        while source.readinto(room):
            pass
    return time.perf_counter() - began


def _private_mb(pid: int) -> float:
    """What a process has for itself alone: not the file that it has mapped, which is the system's cache (proc_pid_status(5), RssAnon)."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:  # it has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) * 1024 / 1e6
