"""Gathers the blocks of one capture into buckets, phases and totals between two frames; pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd.live.envelope import Banded, Piece, bands_of, bits_of, columns_of
from labd.live.phases import PhaseTrack, Shown, cycle_of
from labd.records import MarkStyle, Mode
from labd.stream.feed import FeedBlock
from labd_instruments.block import Block, BlockFlag

BUCKET_NS = 1_000_000
ROW = 2048


@dataclass(frozen=True, slots=True)
class Gathered:
    """header: what else a frame says of it. newest_t_ns: when the newest sample came, None when none did."""

    pieces: tuple[Piece, ...]
    phases: tuple[Shown, ...]
    header: dict[str, Any]
    newest_t_ns: int | None


class Gathering:
    """Of one capture."""

    def __init__(self, dt_ns: int, mode: Mode, marks: MarkStyle) -> None:
        self._per_bucket = max(1, round(BUCKET_NS / dt_ns))
        self._left: FeedBlock | None = None  # samples that do not fill a bucket yet
        self._pieces: list[Piece] = []
        self._phases = PhaseTrack(cycle_of(marks, mode))
        self._flags = BlockFlag.NONE
        self._newest_t_ns: int | None = None
        self._energy_j = 0.0
        self._charge_c = 0.0
        self._samples = 0

    def add(self, item: FeedBlock) -> None:
        self._newest_t_ns = item.t_ns
        self._flags |= item.block.flags
        self._phases.add(item)
        if self._left is not None and (self._left.stretch != item.stretch or self._left.first + len(self._left.block) != item.first):
            self.end()
        joined = item if self._left is None else _joined(self._left, item)
        head = joined.first % self._per_bucket
        whole = (head + len(joined.block)) // self._per_bucket * self._per_bucket - head
        if whole > 0:
            self._pieces.append(self._piece(_part(joined, 0, whole), head))
        self._left = _part(joined, max(0, whole), len(joined.block)) if whole < len(joined.block) else None

    def end(self) -> None:
        """The stretch is over: what does not fill a bucket is shown all the same."""
        left, self._left = self._left, None
        if left is not None:
            self._pieces.append(self._piece(left, left.first % self._per_bucket))

    def taken(self) -> Gathered:
        """What came since the last time."""
        header = {
            "energy_j": self._energy_j,
            "charge_c": self._charge_c,
            "samples": self._samples,
            "flags": [flag.name.lower() for flag in BlockFlag if flag in self._flags and flag.name],
            "newest_t_ns": self._newest_t_ns,
        }
        gathered = Gathered(tuple(self._pieces), tuple(self._phases.taken()), header, self._newest_t_ns)
        self._pieces, self._flags, self._newest_t_ns = [], BlockFlag.NONE, None
        return gathered

    def _count(self, block: Block, found: Banded) -> None:
        """The sums that the bands came with, else those of the samples."""
        dt_s = block.dt_ns * 1e-9
        self._samples += len(block)
        if block.current is not None:
            self._charge_c += (_sum(block.current) if found.current is None else found.current) * dt_s
            if block.voltage is not None:
                self._energy_j += (_dot(block.current, block.voltage) if found.power is None else found.power) * dt_s

    def _piece(self, item: FeedBlock, head: int) -> Piece:
        block, per_bucket = item.block, self._per_bucket
        found = bands_of(columns_of(block), per_bucket, head=head)
        self._count(block, found)
        ever, always = (None, None) if block.digital is None else bits_of(block.digital, per_bucket, head=head)
        count = -(-(head + len(block)) // per_bucket)
        last = (head + len(block)) % per_bucket
        return Piece(
            stretch=item.stretch,
            trigger=item.trigger,
            first=item.first - head,
            per_bucket=per_bucket,
            t0_ns=block.t0_ns - head * block.dt_ns,
            dt_ns=per_bucket * block.dt_ns,
            count=count,
            bands=found.bands,
            any_high=ever,
            all_high=always,
            last_length=last or None,
        )


def _sum(values: NDArray[np.float32]) -> float:
    total = sum(float(np.add.reduce(np.add.reduce(rows, axis=1), dtype=np.float64)) for rows in _rows(values))
    return total if np.isfinite(total) else float(np.nansum(values, dtype=np.float64))


def _dot(current: NDArray[np.float32], voltage: NDArray[np.float32]) -> float:
    pairs = zip(_rows(current), _rows(voltage), strict=True)
    total = sum(float(np.add.reduce(np.vecdot(i, v), dtype=np.float64)) for i, v in pairs)
    return total if np.isfinite(total) else float(np.nansum(current * voltage, dtype=np.float64))


def _rows(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Rows of ROW, and what is left as one: single precision within a row, double between rows, is off by less than 1e-6 (and is as fast
    as memory, where double precision for each sample is a third of that)."""
    whole = len(values) - len(values) % ROW
    return values[:whole].reshape(-1, ROW), values[whole:].reshape(1, -1)


def _part(item: FeedBlock, start: int, stop: int) -> FeedBlock:
    if start == 0 and stop == len(item.block):
        return item
    block = item.block
    cut = {
        name: None if (column := getattr(block, name)) is None else column[start:stop]
        for name in ("current", "voltage", "marker", "digital")
    }
    part = Block(seq=block.seq + start, t0_ns=block.t0_ns + start * block.dt_ns, dt_ns=block.dt_ns, flags=block.flags, **cut)
    return FeedBlock(part, item.stretch, item.first + start, item.trigger, item.t_ns)


def _joined(left: FeedBlock, item: FeedBlock) -> FeedBlock:
    names = ("current", "voltage", "marker", "digital")
    pairs = {name: (getattr(left.block, name), getattr(item.block, name)) for name in names}
    joined = {name: None if a is None or b is None else np.concatenate((a, b)) for name, (a, b) in pairs.items()}
    block = Block(seq=left.block.seq, t0_ns=left.block.t0_ns, dt_ns=left.block.dt_ns, flags=item.block.flags, **joined)
    return FeedBlock(block, left.stretch, left.first, left.trigger or item.trigger, item.t_ns)
