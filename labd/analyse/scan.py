"""Goes once through a stored trace of any length: what it adds up to, in memory that does not grow with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from labd.errors import FileError, NotFound
from labd.scan.loops import loops_for
from labd.scan.onepass import Range, Scan
from labd.scan.running import Bursts, Watch
from labd.scan.samples import Pair, Scale, Scales
from labd.scan.spread import Spread
from labd.store import codes
from labd.store.catalogue import Catalogue
from labd.store.rows import CaptureRow
from labd.store.trace_window import open_parts, pairs
from labd_instruments.block import BlockFlag

QUANTILES = (0.05, 0.5, 0.95)
THREADS = 2  # of which one sums while the next samples are read
RELEASE = 0.9  # of the threshold, where a burst ends unless told

T = TypeVar("T")
U = TypeVar("U")
Told = Callable[[int, int], None]  # samples done, samples in all


@dataclass(frozen=True, slots=True)
class Asked:
    """rise: where a burst begins, W of power or A of the current; None: none are looked for. fall: where it ends, None: at 0.9 of it.
    voltage_v: where the trace has none."""

    rise: float | None = None
    fall: float | None = None
    of: str = "power"
    voltage_v: float | None = None

    def watch(self) -> Watch | None:
        """Raises FileError for levels that are none."""
        if self.rise is None:
            if self.fall is not None:
                raise FileError("release", "", "says where a burst ends, and needs a threshold, where it begins")
            return None
        fall = self.rise - (1 - RELEASE) * abs(self.rise) if self.fall is None else self.fall
        try:
            return Watch(self.rise, fall, self.of)
        except ValueError as error:
            raise FileError("release", "", str(error)) from error


@dataclass(frozen=True, slots=True)
class Spreaded:
    """Of all values: quantiles by their share, within 0.01 %."""

    low: float
    mean: float
    high: float
    total: float
    quantiles: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class FoundBursts:
    """Begins at rise or above and ends at fall or below, in W of power or A of the current. cut: left out, as their beginning or end was
    not recorded or a sample in them is no number. energy_j: None where the voltage is not known."""

    of: str
    rise: float
    fall: float
    count: int
    cut: int
    energy_j: Spreaded | None
    length_s: Spreaded | None


@dataclass(frozen=True, slots=True)
class Scanned:
    """What was recorded, added up: nothing is taken off for leads or leakage, and nothing said of the instrument's error.

    complete: its recording has ended properly. missing: samples without a number (over-range). gaps, lost: between stretches, and how many
    samples they are. voltage_from: measured, told or empty. Figures are None where there is no sample, or no voltage, to have them from.
    """

    name: str
    complete: bool
    dt_ns: float
    duration_s: float
    samples: int
    stretches: int
    missing: int
    gaps: int
    lost: int
    voltage_from: str
    energy_j: float | None
    charge_c: float | None
    rms_a: float | None
    current: Range | None
    voltage: Range | None
    power: Range | None
    bursts: FoundBursts | None


def scan_capture(store: Path | None, run: str, order: int, asked: Asked, told: Told = lambda done, of: None) -> Scanned:
    """One capture of a run, also one that is being recorded; at the set voltage where none was recorded. Raises NotFound, StoreError,
    FileError."""
    with Catalogue.open_read_only(store) as catalogue:
        row = next((row for row in captures_of(catalogue, run) if row.order == order), None)
        if row is None:
            raise NotFound(f"run {run} has no samples of a capture {order}")
        path = catalogue.trace_path(row)
    if asked.voltage_v is None:
        asked = replace(asked, voltage_v=row.point.supply_v)
    return scan_trace(path, asked, told, name=f"{row.run_id} capture {row.order} ({row.key})")


def captures_of(catalogue: Catalogue, run: str) -> list[CaptureRow]:
    """Those that have a trace. Raises NotFound."""
    return [row for row in catalogue.captures.of(catalogue.runs.get(run).id) if row.trace]


def scan_trace(path: Path, asked: Asked, told: Told = lambda done, of: None, *, name: str = "") -> Scanned:
    """A trace file of labd's, finished or not. Raises NotFound, StoreError, FileError."""
    watch = asked.watch()
    parts = open_parts(path, ("current", "voltage"))
    facts = list(parts.stretches())
    samples = sum(one.length for one in facts)
    channels = next((set(piece) for one in facts for piece in parts.pieces(one.number, 0, min(one.length, 1))), set())
    if facts and "current" not in channels:
        raise FileError(str(path), "current", "it has no current: there is nothing to add up")
    source = "measured" if "voltage" in channels else "told" if asked.voltage_v is not None else ""
    if watch is not None and watch.of == "power" and facts and not source:
        raise FileError(str(path), "voltage", "it has none, so that its power is not known: tell it, or give a threshold in ampere")
    scan = Scan(parts.dt_ns * 1e-9, watch=watch, loops=loops_for(samples))
    done = _Progress(told, samples)
    for one in facts:
        pieces = pairs(parts, one.number, 0, one.length, voltage_v=1.0 if asked.voltage_v is None else asked.voltage_v)
        scan.stretch(done.through(pieces), each=in_threads)
    gaps = [max(0, after.seq - before.seq - before.length) for before, after in pairwise(facts) if BlockFlag.GAP_BEFORE in after.flags]
    return _scanned(scan, name or str(path), complete=parts.whole, dt_ns=parts.dt_ns, stretches=len(facts), gaps=gaps, voltage_from=source)


def scan_codes(path: Path, asked: Asked, told: Told = lambda done, of: None) -> Scanned:
    """A raw capture by its TOML file. Raises FileError, StoreError."""
    watch = asked.watch()
    found = codes.read_codes(path)
    columns = found.columns()
    scales = Scales(Scale(found.current.gain, found.current.offset), Scale(found.voltage.gain, found.voltage.offset))
    scan = Scan(found.dt, scales, watch=watch, loops=loops_for(columns.shape[1]))
    scan.stretch(_Progress(told, columns.shape[1]).through(codes.pieces(columns)), each=in_threads)
    return _scanned(scan, str(path), complete=True, dt_ns=found.dt * 1e9, stretches=1, gaps=[], voltage_from="measured")


def in_threads(function: Callable[[T], U], items: Iterable[T]) -> Iterator[U]:
    """As `map`, a few items ahead: what is read waits for what is computed, so that memory stays what it is."""
    waiting: deque[Future[U]] = deque()
    with ThreadPoolExecutor(THREADS, "scan") as pool:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Progress:
    def __init__(self, told: Told, samples: int) -> None:
        self._told, self._samples, self._done = told, samples, 0

    def through(self, pieces: Iterable[Pair]) -> Iterator[Pair]:
        for piece in pieces:
            yield piece
            self._done += len(piece[0])
            self._told(self._done, self._samples)


def _scanned(scan: Scan, name: str, *, complete: bool, dt_ns: float, stretches: int, gaps: list[int], voltage_from: str) -> Scanned:
    found = scan.figures()
    powered = found if voltage_from else None
    return Scanned(
        name=name,
        complete=complete,
        dt_ns=dt_ns,
        duration_s=scan.samples * scan.dt_s,
        samples=scan.samples,
        stretches=stretches,
        missing=scan.samples - (found.valid if found else 0),
        gaps=len(gaps),
        lost=sum(gaps),
        voltage_from=voltage_from,
        energy_j=powered.energy_j if powered else None,
        charge_c=found.charge_c if found else None,
        rms_a=found.rms_a if found else None,
        current=found.current if found else None,
        voltage=powered.voltage if powered else None,
        power=powered.power if powered else None,
        bursts=None if scan.watch is None else _bursts(scan.bursts, scan.watch, energy=bool(voltage_from)),
    )


def _bursts(bursts: Bursts, watch: Watch, *, energy: bool) -> FoundBursts:
    lengths = bursts.length_s
    energies = _spreaded(bursts.energy_j) if energy else None
    return FoundBursts(watch.of, watch.rise, watch.fall, lengths.count, bursts.cut, energies, _spreaded(lengths))


def _spreaded(spread: Spread) -> Spreaded | None:
    if not spread.count:
        return None
    quantiles: dict[str, Any] = {f"{share:g}": spread.quantile(share) for share in QUANTILES}
    return Spreaded(spread.low, spread.total / spread.count, spread.high, spread.total, quantiles)
