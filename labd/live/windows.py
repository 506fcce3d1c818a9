"""Windows into stored traces, down to single samples, also of the capture that is being recorded; read in a thread of their own."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd.errors import NotFound, StoreError
from labd.live.envelope import SHOWN, Band, Piece, bands_of, bits_of
from labd.live.frame import WINDOW, encode
from labd.scan.onepass import Scan
from labd.store.pyramid import BASE, Buckets
from labd.store.pyramid_file import PyramidFile
from labd.store.trace import StretchFacts, parquet_path, pyramid_path
from labd.store.trace_window import TraceParts, in_chunks, open_parts, pairs
from labd.stream.session import InstrumentSession
from labd_instruments.block import BlockFlag

log = logging.getLogger(__name__)

READ_S = 60.0
FILES_KEPT = 8
MOST_LOOKED_AT = 1 << 20  # samples of a window that are read; of more of them the pyramid's buckets are taken, where they are fine enough
CHUNK = 1 << 17  # samples looked at together: they stay in a cache
FINER = 4  # buckets of the pyramid in each of a view, where there are so fine ones: a view's are at most a quarter longer than asked for


@dataclass(frozen=True, slots=True)
class Stretch:
    """A contiguous piece of a trace. t0_ns: of its first sample, on the instrument's axis. trigger: it was captured around one."""

    stretch: int
    t0_ns: int
    dt_ns: int
    length: int
    trigger: bool
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """Sums and means between two samples. missing: over-range samples, in current or voltage, which count nothing."""

    duration_s: float
    charge_c: float
    energy_j: float
    mean_current_a: float
    mean_power_w: float
    missing: int


class Windows:
    """Async context manager. Every method raises NotFound for a trace, a stretch or samples that are not there, and StoreError."""

    def __init__(self) -> None:
        self._thread = InstrumentSession("windows")
        self._open: OrderedDict[Path, TraceParts] = OrderedDict()
        self._pyramids: OrderedDict[Path, PyramidFile | None] = OrderedDict()  # of finished traces, which change no more

    async def __aenter__(self) -> Windows:
        await self._thread.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._thread.close()

    async def read(self, trace: Path, stretch: int, start: int, stop: int | None, *, points: int) -> bytes:
        """Samples start to stop (None: the end) as docs/reference/live-frames.md has it; envelopes where they are more than points."""
        return await self._thread.call(partial(self._read, trace, stretch, start, stop, points), deadline_s=READ_S)

    async def stretches(self, trace: Path) -> Sequence[Stretch]:
        return await self._thread.call(self._stretches, trace, deadline_s=READ_S)

    async def integrate(self, trace: Path, stretch: int, start: int, stop: int) -> Between:
        return await self._thread.call(partial(self._integrate, trace, stretch, start, stop), deadline_s=READ_S)

    def _parts(self, path: Path) -> TraceParts:
        """A stream that has become a file meanwhile is opened anew."""
        found = self._open.pop(path, None)
        if found is None or (not found.complete and parquet_path(path).exists()):
            found = open_parts(path)
        self._open[path] = found
        while len(self._open) > FILES_KEPT:
            self._open.popitem(last=False)
        return found

    def _stretch(self, path: Path, stretch: int) -> tuple[TraceParts, StretchFacts]:
        parts = self._parts(path)
        facts = parts.stretches()
        if not 0 <= stretch < len(facts):
            raise NotFound(f"{path.name} has {len(facts)} stretches so far, there is no stretch {stretch}")
        return parts, facts[stretch]

    def _stretches(self, path: Path) -> list[Stretch]:
        parts = self._parts(path)
        return [
            Stretch(
                facts.number,
                facts.t0_ns,
                parts.dt_ns,
                facts.length,
                facts.trigger is not None,
                tuple(flag.name.lower() for flag in BlockFlag if flag in facts.flags and flag.name),
            )
            for facts in parts.stretches()
        ]

    def _read(self, path: Path, stretch: int, start: int, stop: int | None, points: int) -> bytes:
        parts, facts = self._stretch(path, stretch)
        end = facts.length if stop is None else min(stop, facts.length)
        if not 0 <= start < end:
            raise NotFound(f"stretch {stretch} of {path.name} has {facts.length} samples so far, there are none from {start} to {stop}")
        per_bucket = max(1, math.ceil((end - start) / points))
        pyramid = self._pyramid(pyramid_path(path)) if parts.complete and end - start > MOST_LOOKED_AT else None
        piece = self._of_pyramid(pyramid, parts, facts, (start, end, per_bucket)) if pyramid else None
        piece = piece or _exact(parts, facts, start, end, per_bucket)
        return encode(WINDOW, {"stretch_length": facts.length, "complete": parts.complete}, (piece,))

    def _pyramid(self, path: Path) -> PyramidFile | None:
        """None where it is not there, or cannot be read: all that it says can be had from the samples."""
        if path not in self._pyramids:
            try:
                self._pyramids[path] = PyramidFile(path)
            except (NotFound, StoreError) as error:
                self._without_pyramid(path, error)
        self._pyramids.move_to_end(path)
        while len(self._pyramids) > FILES_KEPT:
            self._pyramids.popitem(last=False)
        return self._pyramids[path]

    def _without_pyramid(self, path: Path, error: Exception) -> None:
        log.warning("views are made from every sample, which takes its time: %s", error)
        self._pyramids[path] = None

    def _of_pyramid(self, pyramid: PyramidFile, parts: TraceParts, facts: StretchFacts, asked: tuple[int, int, int]) -> Piece | None:
        """None where no level is fine enough, or it cannot be read. asked: first sample, end, samples a bucket."""
        start, stop, per_bucket = asked
        size = max((one for one in pyramid.sizes if one * FINER <= per_bucket or one == BASE <= per_bucket), default=None)
        if size is None:
            return None
        per_bucket = -(-per_bucket // size) * size
        try:
            level = pyramid.buckets(size, facts.number, start // per_bucket * per_bucket, stop)
        except StoreError as error:
            self._without_pyramid(pyramid.path, error)
            return None
        return _merged(level, parts, facts, per_bucket) if len(level.first) else None

    def _integrate(self, path: Path, stretch: int, start: int, stop: int) -> Between:
        parts, facts = self._stretch(path, stretch)
        if not 0 <= start < stop <= facts.length:
            raise NotFound(f"stretch {stretch} of {path.name} has {facts.length} samples so far, {start} to {stop} are no part of it")
        scan = Scan(parts.dt_ns * 1e-9)
        scan.stretch(pairs(parts, stretch, start, stop, voltage_v=0.0))
        found = scan.figures()
        charge, energy, valid = (found.charge_c, found.energy_j, found.valid) if found else (0.0, 0.0, 0)
        length_s = scan.samples * scan.dt_s
        return Between(length_s, charge, energy, charge / length_s, energy / length_s, scan.samples - valid)


def _exact(parts: TraceParts, facts: StretchFacts, start: int, stop: int, per_bucket: int) -> Piece:
    """From every sample; buckets begin at multiples of per_bucket."""
    first = start // per_bucket * per_bucket
    end = min(facts.length, -(-stop // per_bucket) * per_bucket)
    size = max(1, CHUNK // per_bucket) * per_bucket
    bands: dict[str, list[Band]] = {}
    bits: list[tuple[Any, Any]] = []
    for _, columns in in_chunks(parts, facts.number, first, end, size):
        values = {name: column for name, column in columns.items() if name != "digital"}
        for name, band in bands_of(values, per_bucket).bands.items():
            bands.setdefault(name, []).append(band)
        if "digital" in columns:
            bits.append(bits_of(columns["digital"], per_bucket))
    last = (end - first) % per_bucket
    return Piece(
        stretch=facts.number,
        trigger=facts.trigger is not None,
        first=first,
        per_bucket=per_bucket,
        t0_ns=facts.t0_ns + first * parts.dt_ns,
        dt_ns=per_bucket * parts.dt_ns,
        count=-(-(end - first) // per_bucket),
        bands={name: _joined(found) for name, found in bands.items()},
        any_high=np.concatenate([one[0] for one in bits]) if bits else None,
        all_high=np.concatenate([one[1] for one in bits]) if bits else None,
        last_length=last or None,
    )


def _merged(level: Buckets, parts: TraceParts, facts: StretchFacts, per_bucket: int) -> Piece:
    """per_bucket: a multiple of the level's size."""
    at = np.flatnonzero(np.diff(level.first // per_bucket, prepend=-1))
    first, last = int(level.first[0]), int(level.length[at[-1] :].sum())
    names = [name for name in SHOWN if name in level.mean]
    return Piece(
        stretch=facts.number,
        trigger=facts.trigger is not None,
        first=first,
        per_bucket=per_bucket,
        t0_ns=facts.t0_ns + first * parts.dt_ns,
        dt_ns=per_bucket * parts.dt_ns,
        count=len(at),
        bands={name: _coarser(level, name, at) for name in names},
        any_high=None if level.any_high is None else np.bitwise_or.reduceat(level.any_high, at),
        all_high=None if level.all_high is None else np.bitwise_and.reduceat(level.all_high, at),
        last_length=last if last != per_bucket else None,
    )


def _coarser(level: Buckets, name: str, at: NDArray[np.int64]) -> Band:
    """Neighbours merged, from each index of `at` to the next one; those without a valid sample count nothing."""
    valid, mean = level.valid[name], level.mean[name]
    with np.errstate(invalid="ignore"):  # infinities of both signs have no mean
        total, count = np.add.reduceat(np.where(valid > 0, mean * valid, 0.0), at), np.add.reduceat(valid, at)
    merged = np.full(len(at), np.nan)
    np.divide(total, count, out=merged, where=count > 0)
    return Band(np.fmin.reduceat(level.low[name], at), np.fmax.reduceat(level.high[name], at), merged.astype(np.float32))


def _joined(bands: list[Band]) -> Band:
    if len(bands) == 1:
        return bands[0]
    return Band(*(np.concatenate([getattr(band, name) for band in bands]) for name in ("low", "high", "mean")))
