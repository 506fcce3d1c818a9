"""A block: contiguous samples of one instrument, as a driver hands them on."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class BlockFlag(enum.IntFlag):
    """What a reader must know before trusting every sample of a block."""

    NONE = 0
    GAP_BEFORE = 1  # samples are missing between this block and the one before it
    OVER_RANGE = 2  # at least one sample is the instrument's over-range sentinel (stored as NaN)
    CLIPPED = 4  # at least one sample sits at the range's limit


@dataclass(frozen=True, slots=True)
class Block:
    """Contiguous samples: sample k covers [t0_ns + k*dt_ns, t0_ns + (k+1)*dt_ns) of the instrument's own time axis.

    seq: number of the first sample since the acquisition began (a jump is a gap).
    t0_ns: start of the first sample, nanoseconds on the instrument's axis (0 = start of the acquisition, or the trigger instant
        for a triggered capture, where it is negative by the pre-trigger).
    dt_ns: sample interval in nanoseconds.
    current: float32 [n] in ampere, or None where this instrument gave none.
    voltage: float32 [n] in volt at the sense point, or None.
    marker: float32 [n] in volt, the level of the DUT's marker line averaged over the sample, or None.
    digital: uint8 [n] one bit a line, in band with the samples, or None.
    """

    seq: int
    t0_ns: int
    dt_ns: int
    current: NDArray[np.float32] | None
    voltage: NDArray[np.float32] | None
    marker: NDArray[np.float32] | None = None
    digital: NDArray[np.uint8] | None = None
    flags: BlockFlag = BlockFlag.NONE

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.current, self.voltage, self.marker, self.digital) if column is not None}
        if len(lengths) != 1:
            raise ValueError(f"the columns of a block have one common length, got {sorted(lengths)}")
        if self.dt_ns <= 0:
            raise ValueError(f"dt_ns is {self.dt_ns}, a sample interval is positive")

    def __len__(self) -> int:
        column = next(c for c in (self.current, self.voltage, self.marker, self.digital) if c is not None)
        return len(column)
