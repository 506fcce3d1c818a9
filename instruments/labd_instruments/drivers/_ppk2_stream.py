"""The sample stream of a PPK2 as arrays: 4 bytes a sample, 100 000 samples a second.

Each is a little-endian uint32: bits 0 to 13 ADC (in steps of 4), 14 to 16 range, 18 to 23 counter, 24 to 31 logic lines D0 to D7
(pc-nrfconnect-ppk serialDevice.ts; the same masks in ppk2-api 0.9.2, which ignores the counter). Bit 17: a battery is present
(IRNAS/ppk2-api-python issue 39).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd_instruments.drivers._ppk2 import RANGES, Calibration
from labd_instruments.errors import ReplyError

SAMPLE_BYTES = 4
DT_NS = 10_000
COUNTS = 64  # the counter has 6 bits
ADC_STEPS = 1 << 14
_CODES = 1 << 17  # ADC and range together
_ADC_V = 1.8 / 163840  # serialDevice.ts, adcMult
_STEP = 4
FEWEST = 64  # samples that are looked at together: fewer do not tell bytes out of step from losses
OUT_OF_STEP = 0.25, 4  # more jumps than this share of samples and than this many: no loss looks so, bytes that are shifted do


def current_table(calibration: Calibration, volt: float) -> NDArray[np.float32]:
    """Ampere for every ADC and range code, float32 [2**17]; infinite for a range that does not exist, NaN at the ADC's end.

    r = (4 adc - O) * 1.8 / 163840 / R;  i = UG * (r * (GS r + GI) + S volt + I)  (serialDevice.ts, getAdcResult).
    """
    adc = np.arange(ADC_STEPS, dtype=np.float64) * _STEP
    table = np.full((_CODES // ADC_STEPS, ADC_STEPS), np.inf)
    for k in range(RANGES):
        r = (adc - calibration.O[k]) * (_ADC_V / calibration.R[k])
        table[k] = calibration.UG[k] * (r * (calibration.GS[k] * r + calibration.GI[k]) + calibration.S[k] * volt + calibration.I[k])
    table[:RANGES, -1] = np.nan
    return table.astype(np.float32).ravel()


@dataclass(frozen=True, slots=True)
class Samples:
    """Consecutive samples: current in ampere, float32 [n], NaN where the ADC was at its end (`saturated`); digital uint8 [n].

    gaps: (number of the first sample after it, samples missing modulo 64) for every jump of the counter, the first sample's too.
    """

    current: NDArray[np.float32]
    digital: NDArray[np.uint8]
    gaps: tuple[tuple[int, int], ...]
    saturated: bool


class Decoder:
    """Bytes in any pieces to samples. `name` is of the instrument, for messages."""

    def __init__(self, name: str, calibration: Calibration, volt: float) -> None:
        self._name = name
        self._table = current_table(calibration, volt)
        self._rest = np.empty(0, np.uint8)
        self._expected: int | None = None

    @property
    def waiting(self) -> int:
        """Whole samples that are held back."""
        return len(self._rest) // SAMPLE_BYTES

    def decode(self, data: NDArray[np.uint8]) -> Samples:
        """uint8 [m]; fewer than 64 samples, and bytes of one that is not whole, wait for the next call.

        Raises ReplyError for bytes out of step, or a range code that no PPK2 has.
        """
        if len(self._rest):
            data = np.concatenate((self._rest, data))
        whole = len(data) // SAMPLE_BYTES * SAMPLE_BYTES
        if whole < FEWEST * SAMPLE_BYTES:
            whole = 0
        self._rest = data[whole:].copy()
        raw = np.ascontiguousarray(data[:whole])
        gaps = self._gaps(raw)
        current = self._table.take(raw.view("<u4") & np.uint32(_CODES - 1))
        saturated = self._check(current)
        return Samples(current, raw[3::SAMPLE_BYTES].copy(), gaps, saturated)

    def _gaps(self, raw: NDArray[np.uint8]) -> tuple[tuple[int, int], ...]:
        counter = raw[2::SAMPLE_BYTES] >> 2
        if not len(counter):
            return ()
        first = int(counter[0])
        before = first if self._expected is None else self._expected
        self._expected = (int(counter[-1]) + 1) % COUNTS
        wrong = np.flatnonzero((counter[1:] - counter[:-1]) & (COUNTS - 1) != 1) + 1
        if len(wrong) > max(OUT_OF_STEP[0] * len(counter), OUT_OF_STEP[1]):
            raise ReplyError(
                f"{self._name}: {len(wrong)} of {len(counter)} sample numbers do not follow the one before: the bytes are out of step"
            )
        gaps = [(0, (first - before) % COUNTS)] if first != before else []
        gaps += [(int(k), (int(counter[k]) - int(counter[k - 1]) - 1) % COUNTS) for k in wrong]
        return tuple(gaps)

    def _check(self, current: NDArray[np.float32]) -> bool:
        """Whether any sample is at the ADC's end. A sum is infinite or NaN as soon as one sample is."""
        if not len(current) or np.isfinite(current.sum(dtype=np.float64)):
            return False
        bad = np.flatnonzero(np.isinf(current))
        if len(bad):
            raise ReplyError(
                f"{self._name}: {len(bad)} of {len(current)} samples have a range code above {RANGES - 1}: broken, or bytes out of step"
            )
        return True
