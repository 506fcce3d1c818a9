"""An acquisition of a PowerShield as blocks, and means over stretches of it.

Time stamps come among the samples, one a second (mlcommons/tiny, benchmark/runner/captured_data.txt, from a real board), and the number of
samples before each must agree with it; the end of the acquisition must stand where a sample could. A stream hands samples on at once,
because the bench's limits are held against them, and fails at the next time stamp or at its end. A mean waits for the time stamp.
"""

from __future__ import annotations

import re
import time
from collections import deque

import numpy as np

from labd_instruments import intervals
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock, within
from labd_instruments.contract import Acquisition, MeanSetup, Reading, StreamEnd
from labd_instruments.drivers._lpm01a import FREQUENCIES, RANGE_A, VOLTAGE_V, Kit
from labd_instruments.drivers._lpm01a_stream import Amperes, Item, Said, Stamp, decoder
from labd_instruments.errors import (
    InstrumentError,
    LinkTimeoutError,
    LostSamplesError,
    OutOfRangeError,
    RefusedError,
    ReplyError,
    SentinelError,
)

STAMP_WITHIN_S = 1.2  # a time stamp is due that soon after the one before it: in a real board's recording they are 1 s apart
BEHIND_S = 0.1  # by how much samples may be behind the clock: a real board's are by some milliseconds at 1 kHz
STAMP_U_S = 0.01  # by how much samples may run ahead of a time stamp or behind it: no document says so
TIMEBASE = 1e-3  # of its clock against the host's, for the check only: no document gives it
LATENCY_S = 1.0  # real time that bytes may be on their way before they count as missing
CHUNKS = 64  # most pieces of 64 KiB in one `read`
FULL_PERCENT = 100
ENDLESS = "inf"
LOOK_HZ, LOOK_SAMPLES, LOOK_TIME = 1000, 100, "100m"
LONGEST_MEAN_S = 10.0
MEAN_HZ = {("bin_hexa", "optim"): 10_000, ("bin_hexa", "high"): 50_000, ("ascii_dec", "optim"): 1_000}
RECORD_CHECK = (
    f"samples against the time stamps among them, which cannot see losses below {STAMP_U_S:g} s, and behind the last of them against the "
    f"host's clock, which cannot see losses below {BEHIND_S:g} s and its own error"
)


class Log:
    """A stream from its set-up to its end. volt: what the voltage is taken to be. confirmed: hand on only what a time stamp confirms."""

    def __init__(self, kit: Kit, clock: Clock, hz: int, volt: float, *, confirmed: bool = False) -> None:
        self._kit = kit
        self._clock = clock
        self.name = kit.name
        self.hz = hz
        self._volt = volt
        self._confirmed = confirmed
        self._decoder = decoder(kit.name, kit.options.format)
        self._held: list[Amperes] = []
        self._blocks: deque[Block] = deque()
        self._failure: InstrumentError | None = None
        self._started_s = self._stamp_s = 0.0
        self._received = self._handed_on = self._missing = 0
        self._ended = False
        self.running = False

    def start(self) -> None:
        """Raises RefusedError, LinkTimeoutError."""
        if self._kit.acquires != (self.hz, ENDLESS):  # a quick reading has its own
            self._kit.acquire(self.hz, ENDLESS)
        self._started_s = self._clock.now_s()
        self._kit.start()
        self.running = True

    def read(self) -> Block | None:
        """Raises LostSamplesError, ReplyError, RefusedError, once what came before has been handed on."""
        if not self.running:
            raise OutOfRangeError(f"{self._kit.name}: no stream runs; start_stream comes first")
        if not self._blocks and self._failure is None:
            self._fetch()
        if self._blocks:
            return self._blocks.popleft()
        if self._failure is not None:
            raise self._failure
        return None

    def stop(self) -> StreamEnd:
        """Samples that `read` has not fetched are dropped, when they have been seen to be in step up to the end of the acquisition.

        elapsed_s: by the number of samples, which agrees with the last time stamp. Raises ReplyError, LostSamplesError, LinkTimeoutError.
        """
        self.running = False
        records = self._handed_on
        if self._ended:
            self._kit.link.discard()
        elif self._failure is not None:
            self._kit.silence()
        else:
            self._see_the_end()
        return StreamEnd(records, records / self.hz, "the instrument's samples and time stamps", self._missing)

    def _see_the_end(self) -> None:
        self._kit.tell("stop")
        end_s = time.monotonic() + self._kit.link.timeout_s
        while not self._ended and self._failure is None:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise LinkTimeoutError(f"{self._kit.name}: it was stopped and does not say that it has ended")
            self._take(self._kit.link.available(wait_s=left_s).tobytes())
        self._kit.silence()
        if not self._ended and self._failure is not None:
            raise self._failure

    def _fetch(self) -> None:
        elapsed_s = self._clock.now_s() - self._started_s
        end_s = time.monotonic() + min(LATENCY_S, self._kit.link.timeout_s)
        for _ in range(CHUNKS):
            self._take(self._kit.link.available().tobytes())
            while self._failure is None and self._late(elapsed_s) and (left_s := end_s - time.monotonic()) > 0:
                self._take(self._kit.link.available(wait_s=left_s).tobytes())
            if self._failure is not None or not self._kit.link.waiting():
                break
        if self._failure is None and self._late(elapsed_s):
            expected = round(elapsed_s * self.hz)
            self._missing = max(0, expected - self._received)
            text = f"{self._received} samples at {self.hz} Hz and a last time stamp of {self._stamp_s:.3f} s in {elapsed_s:.3f} s"
            text = f"{self._kit.name}: {text} by the {self._clock.name}"
            self._failure = LostSamplesError(text, expected=expected, received=self._received)
        if not self._confirmed:
            self._hand_on()

    def _late(self, elapsed_s: float) -> bool:
        slack_s = self._clock.u_s + TIMEBASE * elapsed_s
        behind = elapsed_s - self._received / self.hz > BEHIND_S + 1 / self.hz + slack_s
        return behind or elapsed_s - self._stamp_s > STAMP_WITHIN_S + slack_s

    def _take(self, data: bytes) -> None:
        if self._failure is not None:
            return
        try:
            for item in self._decoder.decode(data):
                if not self._ended:  # behind its end comes a summary in words
                    self._understand(item)
        except InstrumentError as error:  # nothing that comes after it is a number
            self._failure = error

    def _understand(self, item: Item) -> None:
        """Raises LostSamplesError, ReplyError, RefusedError."""
        if isinstance(item, Said):
            self._ended = item.ended
            if self.running or not item.ended:
                raise_for(self._kit, item)
        elif isinstance(item, Stamp):
            self._confirm(item)
            if self._confirmed:
                self._hand_on()
        else:
            self._received += len(item)
            self._held.append(item)

    def _confirm(self, stamp: Stamp) -> None:
        off = stamp.elapsed_s * self.hz - self._received
        tolerance = 1.0 + STAMP_U_S * self.hz
        what = f"{self._kit.name}: {self._received} samples at {self.hz} Hz before the time stamp {stamp.elapsed_s:.3f} s"
        if off > tolerance or stamp.buffer_percent >= FULL_PERCENT:
            self._missing = max(1, round(off))
            text = f"{what}, the buffer {stamp.buffer_percent} % full"
            raise LostSamplesError(text, expected=self._received + self._missing, received=self._received)
        passed_s = self._clock.now_s() - self._started_s
        ahead = stamp.elapsed_s > passed_s * (1 + TIMEBASE) + self._clock.u_s + STAMP_U_S
        if -off > tolerance or stamp.elapsed_s < self._stamp_s or ahead:
            text = f"{what}, which came {passed_s:.3f} s after the start and behind one of {self._stamp_s:.3f} s"
            raise ReplyError(f"{text}: it samples at another rate, or bytes are out of step")
        self._stamp_s = stamp.elapsed_s

    def _hand_on(self) -> None:
        if not self._held:
            return
        current, self._held = np.concatenate(self._held), []
        dt_ns = round(1e9 / self.hz)
        flag = BlockFlag.CLIPPED if bool((current >= RANGE_A).any()) else BlockFlag.NONE
        voltage = np.full(len(current), self._volt, np.float32)
        self._blocks.append(Block(self._handed_on, self._handed_on * dt_ns, dt_ns, current, voltage, flags=flag))
        self._handed_on += len(current)


def raise_for(kit: Kit, said: Said) -> None:
    """What it says of itself in the middle of an acquisition, as an error: ReplyError, LostSamplesError, RefusedError."""
    if said.ended:
        raise ReplyError(f"{kit.name}: it ended by itself an acquisition that was to run on")
    if "powered down" in said.text or re.search("over-?current", said.text):
        kit.tripped = said.text
    if any(word in said.text.lower() for word in ("overrun", "overflow", "buffer")):
        raise LostSamplesError(f"{kit.name}: it lost samples, and says {said.text!r}", expected=1, received=0)
    raise RefusedError(f"{kit.name}: while it acquires it says {said.text!r}", ((0, said.text),))


class Mean:
    """Readings over `aperture_s` each, back to back out of one stream. They come in bursts, with a time stamp; a host that comes late
    misses those that are older than a second."""

    def __init__(self, log: Log, aperture_s: float, volt: float) -> None:
        self._log = log
        self._count = round(aperture_s * log.hz)
        self._volt = volt
        self._pending = np.empty(0, np.float32)

    @property
    def running(self) -> bool:
        return self._log.running

    def read(self) -> Reading | None:
        if not self._log.running:
            self._log.start()
        while (block := self._log.read()) is not None:
            assert block.current is not None
            if BlockFlag.CLIPPED in block.flags:
                text = f"a sample is above {RANGE_A:g} A, to which an LPM01A measures: no mean is made of it"
                raise SentinelError(f"{self._log.name}: {text}")
            self._pending = np.concatenate((self._pending, block.current))
        late = (len(self._pending) - max(self._log.hz, self._count)) // self._count * self._count
        self._pending = self._pending[max(0, late) :]
        if len(self._pending) < self._count:
            return None
        oldest, self._pending = self._pending[: self._count], self._pending[self._count :]
        return Reading(float(oldest.mean(dtype=np.float64)), self._volt)

    def stop(self) -> None:
        if self._log.running:
            self._log.stop()


def mean_aperture_s(kit: Kit, wanted_s: float) -> float:
    """The nearest that a mean has; what is wanted where its options allow none."""
    hz = MEAN_HZ.get((kit.options.format, kit.options.funcmode))
    return wanted_s if hz is None else intervals.between(wanted_s, low_s=1 / hz, high_s=LONGEST_MEAN_S)


def mean_frequency(kit: Kit, setup: MeanSetup) -> int:
    """Raises OutOfRangeError."""
    hz = MEAN_HZ.get((kit.options.format, kit.options.funcmode))
    if hz is None:
        raise OutOfRangeError(f"{kit.name}: option funcmode is high, which needs 50k or 100k Hz and so format bin_hexa")
    within(f"{kit.name}: aperture", setup.aperture_s, low=1 / hz, high=LONGEST_MEAN_S, unit="s", limit=f"samples at {hz} Hz")
    ranges(kit, setup.current_range_a, setup.voltage_range_v)
    return hz


def ranges(kit: Kit, current_range_a: float | None, voltage_range_v: float) -> None:
    """Raises OutOfRangeError: in dynamic mode it has one range, whose shunts it chooses itself, and measures no voltage."""
    if current_range_a is not None:
        raise OutOfRangeError(f"{kit.name}: current range is {current_range_a:g} A, an LPM01A has no fixed range (seamless only)")
    if not voltage_range_v > 0:
        raise OutOfRangeError(f"{kit.name}: voltage range is {voltage_range_v:g} V, right would be above 0 V")


def look(kit: Kit) -> float:
    """Mean current over 100 ms, ampere. Raises LostSamplesError, LinkTimeoutError, ReplyError, RefusedError."""
    kit.acquire(LOOK_HZ, LOOK_TIME)
    kit.start()
    taken, end_s = decoder(kit.name, kit.options.format), time.monotonic() + kit.link.timeout_s
    found: list[Amperes] = []
    ended = False
    try:
        while not ended and (left_s := end_s - time.monotonic()) > 0:
            for item in taken.decode(kit.link.available(wait_s=left_s).tobytes()):
                if isinstance(item, Said):
                    ended = item.ended
                    if not ended:
                        raise_for(kit, item)
                elif not isinstance(item, Stamp) and not ended:  # behind its end comes a summary in words
                    found.append(item)
    finally:
        kit.silence()
    count = sum(map(len, found))
    if not ended or abs(count - LOOK_SAMPLES) > 1:
        text = f"a quick reading has {count} of {LOOK_SAMPLES} samples{'' if ended else ' and no end'}"
        raise LostSamplesError(f"{kit.name}: {text}", expected=LOOK_SAMPLES, received=count)
    return float(np.concatenate(found).mean(dtype=np.float64))


def acquisition(kit: Kit, volt: float, hz: int, *, dt_s: float, columns: tuple[str, ...]) -> Acquisition:
    """Set up an acquisition without an end; what is delivered, for the record."""
    temperature = kit.temperature()
    kit.acquire(hz, ENDLESS)
    kit.status()
    step = "12 bits, from 1/256 to 1/4096 of the reading" if kit.options.format == "bin_hexa" else "4 digits"
    return Acquisition(
        dt_ns=round(dt_s * 1e9),
        columns=columns,
        aperture_s=dt_s,
        current_range_a=None,
        voltage_range_v=VOLTAGE_V[1],  # nothing is measured: of what it says that it regulates
        seamless=True,
        ranges_a=(RANGE_A,),
        remote_sense=False,
        settings={
            "acquisition": f"dynamic, {kit.options.funcmode}, {FREQUENCIES[hz]} Hz, {kit.options.format}",
            "voltage": f"{volt:g} V, as 'volt get' reads back; that it is measured is in no document",
            "resolution": step,
            "aperture": "taken to be the whole interval, no document says so",
            "temperature": temperature,
            "record_check": RECORD_CHECK,
        },
    )
