"""The stream of a PPK2 as blocks, and means over stretches of it."""

from __future__ import annotations

import math
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray

from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock, RecordCheck, same, within
from labd_instruments.contract import Acquisition, MeanSetup, Reading, StreamEnd, StreamSetup
from labd_instruments.drivers._ppk2 import FILTER_OFF, FILTER_ON, LIMITS, RANGES_A, START, VOLTAGE_V, Kit, Metadata
from labd_instruments.drivers._ppk2_stream import DT_NS, FEWEST, SAMPLE_BYTES, Decoder, Samples
from labd_instruments.errors import InstrumentError, LostSamplesError, OutOfRangeError, SentinelError
from labd_instruments.links.serial import CHUNK

DT_S = DT_NS * 1e-9
TIMEBASE = 1e-4  # for the record check only: no document gives it, the accuracy table says unknown
LATENCY_S = 1.0  # real time that samples may be on their way through USB and the host before they count as missing
CHUNKS = 64  # most pieces of 64 KiB in one `read`: 10 s of samples
LOOK_SAMPLES = 1000  # of a quick reading: 10 ms
LONGEST_MEAN_S = 10.0
VOLTAGE = "the set value, which the instrument does not measure"
SUPPLY = "option supply_v, which the instrument does not measure"


class Log:
    """A stream from its set-up to its end. volt: what the voltage is taken to be."""

    def __init__(self, kit: Kit, clock: Clock, said: Metadata, volt: float, *, with_marker: bool = False) -> None:
        self._kit = kit
        self._clock = clock
        self._volt = volt
        self._line = kit.options.marker_line if with_marker else None
        self._decoder = Decoder(kit.name, said.calibration, volt)
        self._check = RecordCheck(DT_S, TIMEBASE, clock)
        self._head = np.empty(0, np.uint8)
        self._stretches: list[_Stretch] = []  # of the look under way
        self._blocks: deque[Block] = deque()
        self._failure: InstrumentError | None = None
        self._started_s = 0.0
        self._next = 0  # number of the next sample, lost ones counted
        self._records = self._lost = 0
        self._drained = (0, 0.0)
        self.running = False

    def start(self) -> None:
        """Returns when the first samples are here: nothing else says that it streams. Raises LinkTimeoutError."""
        self._kit.silence()
        self._started_s = self._clock.now_s()
        self._kit.link.send(START)
        self.running = True
        self._head = self._kit.link.exactly(FEWEST * SAMPLE_BYTES)

    def read(self) -> Block | None:
        """Raises LostSamplesError: for a jump of the counter once what came before it has been handed on; for samples that the clock
        alone misses at once, because nobody can say where in time those that came belong."""
        if not self.running:
            raise OutOfRangeError(f"{self._kit.name}: no stream runs; start_stream comes first")
        if not self._blocks and self._failure is None:
            self._stretches = []
            try:
                self._fetch()
            except InstrumentError as error:  # nothing that comes after it is a number
                self._failure = error
                raise
            self._blocks.extend(self._block(stretch) for stretch in self._stretches)
        if self._blocks:
            return self._blocks.popleft()
        if self._failure is not None:
            raise self._failure
        return None

    def stop(self) -> StreamEnd:
        """Samples that `read` has not fetched are dropped. The books are those of the last `read` that left none waiting."""
        self.running = False
        self._kit.silence()
        return StreamEnd(self._records, self._drained[1], self._clock.name, self._lost + self._check.missing(*self._drained))

    def record_check(self) -> str:
        return f"a 6-bit counter, which cannot see losses of whole multiples of 64; {self._check}"

    def _fetch(self) -> None:
        """What was due when the last look began must be here, or come within LATENCY_S. Each look has its own time: else samples that
        come later would make up for lost ones."""
        end_s = time.monotonic() + min(LATENCY_S, self._kit.link.timeout_s)
        while True:
            elapsed_s = self._clock.now_s() - self._started_s
            if not self._drain() or self._failure is not None:
                return
            counted = (self._next + self._decoder.waiting, elapsed_s)
            if not self._check.missing(*counted):
                self._drained = counted
                return
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                self._drained = counted
                self._check.require(self._kit.name, *counted)
            self._take(self._kit.link.available(wait_s=left_s))

    def _drain(self) -> bool:
        """Take what has come; False when there is more."""
        pieces, self._head = [self._head], self._head[:0]
        for _ in range(CHUNKS):
            pieces.append(self._kit.link.available(CHUNK))
            if not len(pieces[-1]):
                break
        self._take(np.concatenate(pieces))
        return not len(pieces[-1])

    def _take(self, data: NDArray[np.uint8]) -> None:
        if self._failure is not None:  # what came after a loss is not handed on
            return
        samples = self._decoder.decode(data)
        begin, flag = 0, BlockFlag.NONE
        for k, missing in samples.gaps:
            self._append(samples, begin, k, flag)
            self._lost += missing
            if self._kit.options.on_loss == "error":
                expected = self._next + missing
                self._failure = LostSamplesError(
                    f"{self._kit.name}: after sample {self._next - 1} the counter jumps by {missing} (or a multiple of 64 more)",
                    expected=expected,
                    received=self._next,
                )
                return
            self._next += missing
            begin, flag = k, BlockFlag.GAP_BEFORE
        self._append(samples, begin, len(samples.current), flag)

    def _append(self, samples: Samples, begin: int, end: int, flag: BlockFlag) -> None:
        if begin == end:
            return
        if not self._stretches or flag:
            self._stretches.append(_Stretch(self._next, flag))
        self._stretches[-1].add(samples, begin, end)
        self._next += end - begin
        self._records += end - begin

    def _block(self, stretch: _Stretch) -> Block:
        current, digital, flag = np.concatenate(stretch.current), np.concatenate(stretch.digital), stretch.flag
        if stretch.saturated and bool(np.isnan(current).any()):
            flag |= BlockFlag.OVER_RANGE
        if bool((current >= LIMITS.current_a).any()):
            flag |= BlockFlag.CLIPPED
        marker = None
        if self._line is not None:
            marker = ((digital >> self._line) & 1).astype(np.float32) * np.float32(self._kit.options.logic_v)
        voltage = np.full(len(current), self._volt, np.float32)
        return Block(stretch.seq, stretch.seq * DT_NS, DT_NS, current, voltage, marker, digital, flags=flag)


class _Stretch:
    """Samples without a gap, in the pieces in which they came."""

    def __init__(self, seq: int, flag: BlockFlag) -> None:
        self.seq = seq
        self.flag = flag
        self.current: list[NDArray[np.float32]] = []
        self.digital: list[NDArray[np.uint8]] = []
        self.saturated = False

    def add(self, samples: Samples, begin: int, end: int) -> None:
        self.current.append(samples.current[begin:end])
        self.digital.append(samples.digital[begin:end])
        self.saturated |= samples.saturated


class Mean:
    """Readings over `aperture_s` each, back to back out of one stream; a host that comes late gets the newest whole one."""

    def __init__(self, log: Log, aperture_s: float, volt: float) -> None:
        self._log = log
        self._count = round(aperture_s / DT_S)
        self._volt = volt
        self._pending = np.empty(0, np.float32)

    def read(self) -> Reading | None:
        if not self._log.running:
            self._log.start()
        while (block := self._log.read()) is not None:
            assert block.current is not None
            before = self._pending[:0] if BlockFlag.GAP_BEFORE in block.flags else self._pending  # no mean reaches over a gap
            self._pending = np.concatenate((before, block.current))
        whole = len(self._pending) // self._count * self._count
        if not whole:
            return None
        newest = self._pending[whole - self._count : whole]
        self._pending = self._pending[whole:]
        return Reading(_mean("a mean", newest), self._volt)

    def stop(self) -> None:
        if self._log.running:
            self._log.stop()


def look(kit: Kit, said: Metadata, volt: float) -> float:
    """Mean current over 10 ms, ampere. Raises LostSamplesError, LinkTimeoutError, SentinelError."""
    kit.silence()
    kit.link.send(START)
    try:
        samples = Decoder(kit.name, said.calibration, volt).decode(kit.link.exactly(LOOK_SAMPLES * SAMPLE_BYTES))
    finally:
        kit.silence()
    if samples.gaps:
        missing = sum(count for _, count in samples.gaps)
        raise LostSamplesError(
            f"{kit.name}: {missing} samples are missing from a quick reading", expected=LOOK_SAMPLES + missing, received=LOOK_SAMPLES
        )
    return _mean(f"{kit.name}: the current", samples.current)


def _mean(what: str, current: NDArray[np.float32]) -> float:
    found = float(current.mean(dtype=np.float64))
    if not math.isfinite(found):
        raise SentinelError(f"{what} holds samples at the end of the converter, which are no current")
    return found


def stream_setup(kit: Kit, setup: StreamSetup, volt: float) -> None:
    """Raises OutOfRangeError for what the stream cannot be."""
    if abs(setup.dt_s - DT_S) > 1e-12:
        raise OutOfRangeError(f"{kit.name}: sample interval is {setup.dt_s:g} s, a PPK2 samples every 1e-05 s and no other way")
    if setup.with_marker and kit.options.marker_line is None:
        raise OutOfRangeError(f"{kit.name}: the marker needs option marker_line, the logic line D0 to D7 that it is wired to")
    ranges(kit, setup.current_range_a, setup.voltage_range_v, volt)


def mean_setup(kit: Kit, setup: MeanSetup, volt: float) -> None:
    """Raises OutOfRangeError."""
    limit = "one sample to 1e6 samples of 10 us"
    within(f"{kit.name}: aperture", setup.aperture_s, low=DT_S, high=LONGEST_MEAN_S, unit="s", limit=limit)
    ranges(kit, setup.current_range_a, setup.voltage_range_v, volt)


def ranges(kit: Kit, current_range_a: float | None, voltage_range_v: float, volt: float) -> None:
    """Raises OutOfRangeError: the instrument chooses its current range for every sample, and measures no voltage."""
    if current_range_a is not None:
        raise OutOfRangeError(f"{kit.name}: current range is {current_range_a:g} A, a PPK2 has no fixed range (seamless only)")
    within(f"{kit.name}: voltage", volt, low=0.0, high=voltage_range_v, unit="V", limit="the voltage range asked for")


def acquisition(kit: Kit, said: Metadata, volt: float, *, dt_s: float, columns: tuple[str, ...], record_check: str) -> Acquisition:
    """Set the filter; what is delivered, for the record."""
    kit.link.send(FILTER_ON if kit.options.spike_filter else FILTER_OFF)
    if kit.options.mode == "source":
        same(f"{kit.name}: the regulator", volt, said.vdd_v, tolerance=0.5e-3)
    return Acquisition(
        dt_ns=round(dt_s * 1e9),
        columns=columns,
        aperture_s=dt_s,
        current_range_a=None,
        # of the regulator: a certificate's row for it says how far the set voltage may be off; another supply's is not known here
        voltage_range_v=VOLTAGE_V[1] if kit.options.mode == "source" else None,
        seamless=True,
        ranges_a=RANGES_A,
        remote_sense=False,
        settings={
            "acquisition": f"stream, {kit.options.mode} mode",
            "voltage": f"{volt:g} V, {VOLTAGE if kit.options.mode == 'source' else SUPPLY}",
            "spike_filter": "on" if kit.options.spike_filter else "off",
            "aperture": "taken to be the whole interval, no document says so",
            "calibration": f"the instrument's own coefficients (Calibrated: {said.calibrated}, HW: {said.hardware})",
            "on_loss": kit.options.on_loss,
            "record_check": record_check,
        },
    )
