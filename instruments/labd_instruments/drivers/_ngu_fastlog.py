"""FastLog of an NGU or NGM200: pairs of voltage and current at up to 500 kS/s, handed out in chunks that do not wait for the host.

A chunk comes every 250 ms, whatever the rate, and is overwritten when nobody has fetched it 20 ms later [E]. So `read` looks for the next
chunk without a pause. A lost chunk shows in a status bit [L], or only in the count: there are no time stamps. Letters name the sources
listed in `_ngu`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import RecordCheck, exact
from labd_instruments.contract import Acquisition, StreamEnd, StreamSetup
from labd_instruments.drivers._ngu import Box
from labd_instruments.errors import LostSamplesError, OutOfRangeError, ReadBackError, ReplyError

RATES = {100: "S100", 1_000: "S001k", 10_000: "S010k", 50_000: "S050k", 250_000: "S250k", 500_000: "S500k"}  # [E], [R]
CHUNK_S = 0.25  # [E]
LONGEST_CHUNK_S = 0.5  # older firmware [C]; a log that brings nothing for longer is dead
LOOK_S = 0.3  # a chunk and some: then `read` gives the thread back
SLACK_S = 0.1  # from FLOG 1 to the first sample, or from a chunk to when it is found; less than half a chunk, so a lost one is always seen
TIMEBASE = 1e-4  # for the record check only: no document at hand gives the timebase, the accuracy table says unknown
DATA_READY = 4096  # bit 12 of the channel's operation register [G 166], [E]
DATA_SKIPPED = 2048  # bit 11 of the channel's questionable register [L]
LARGEST = 25.0  # nothing above it is a reading: ranges end at 20 V and 10 A
SMALLEST = 1e-20  # nor below, except zero: what floats look like that were read in the wrong byte order


class FastLog:
    """The log of the feeding channel."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._log: _Log | None = None

    @property
    def running(self) -> bool:
        return self._log is not None and self._log.running

    def forget(self) -> None:
        """The log was ended from elsewhere."""
        self._log = None

    def configure(self, setup: StreamSetup) -> Acquisition:
        """Raises OutOfRangeError (rate or range that the model has not got, marker), RefusedError, ReadBackError."""
        box = self._box
        if setup.with_marker:
            raise OutOfRangeError(f"{box.name}: an {box.model.name} has no input for a marker beside its log")
        if setup.current_range_a is None:
            raise OutOfRangeError(f"{box.name}: the log needs a fixed current range: its records do not say where auto-ranging was")
        rate = round(exact(f"{box.name}: log rate", 1.0 / setup.dt_s, tuple(map(float, RATES)), "S/s", f"an {box.model.name}"))
        amps = exact(f"{box.name}: current range", setup.current_range_a, box.model.current_ranges_a, "A", f"an {box.model.name}")
        volts = exact(f"{box.name}: voltage range", setup.voltage_range_v, box.model.voltage_ranges_v, "V", f"an {box.model.name}")
        self._log = None
        self._set_up(RATES[rate], amps, volts)
        self._log = _Log(dt_ns=1_000_000_000 // rate, amps=amps, volts=volts)
        return self._record(self._log)

    def interval_s(self, wanted_s: float) -> float:
        """Of its six log rates."""
        return intervals.at_or_above(wanted_s, (1 / rate for rate in RATES))

    def _set_up(self, rate: str, amps: float, volts: float) -> None:
        box, link, pin = self._box, self._box.link, self._box.options.start_pin
        box.select()
        link.write("FLOG 0")  # [M 182]
        link.write("FLOG:TARG SCPI")  # [E] else it goes on to the USB stick
        link.write(f"FLOG:SRAT {rate}")  # [E]
        if pin:
            link.write("TRIG:SOUR DIO")  # [C]
            link.write(f"TRIG:SOUR:DIO:CHAN OUT{box.options.channel}")  # [C]
            link.write(f"TRIG:SOUR:DIO:PIN {pin}")  # [C]
            link.write("TRIG 1")  # [C]
        link.write(f"FLOG:TRIG {int(bool(pin))}")  # [H] off as well as on: left on, the log waits for a pin
        link.write("SENS:CURR:RANG:AUTO 0")  # [F]
        link.write(f"SENS:CURR:RANG {scpi.number(amps)}")  # [E]
        link.write("SENS:VOLT:RANG:AUTO 0")  # [F]
        link.write(f"SENS:VOLT:RANG {scpi.number(volts)}")  # [F]
        for register, bit in (("OPER", DATA_READY), ("QUES", DATA_SKIPPED)):
            link.write(f"STAT:{register}:INST:ISUM{box.options.channel}:PTR {bit}")  # [E], [L]
            link.write(f"STAT:{register}:INST:ISUM{box.options.channel}:NTR 0")  # [E], [L]
        box.check_errors("the set-up of its log")
        box.same_word("the log's target", "FLOG:TARG?", "SCPI")
        self._same_rate(rate)
        if pin:
            box.same_word("the trigger source", "TRIG:SOUR?", "DIO")
            box.same_word("the trigger pin", "TRIG:SOUR:DIO:PIN?", pin)
            box.same_state("the trigger system", "TRIG?", wanted=True)
        box.same_state("the log's trigger", "FLOG:TRIG?", wanted=bool(pin))
        self._ranges_kept(amps, volts)

    def _same_rate(self, rate: str) -> None:
        """S001k may come back as S1k [H]; the rate counts, not the zeros."""
        got = scpi.unquoted(self._box.ask("FLOG:SRAT?", "the log's rate")).upper()
        if got[:1] + got[1:].lstrip("0") != rate.upper()[:1] + rate.upper()[1:].lstrip("0"):
            raise ReadBackError(f"{self._box.name}: the log's rate was set to {rate} and reads back {got}")

    def _ranges_kept(self, amps: float, volts: float) -> None:
        """Raises ReadBackError when auto-ranging is on, or has moved a range."""
        box = self._box
        box.same_state("auto-ranging of the current", "SENS:CURR:RANG:AUTO?", wanted=False)
        box.same("the current range", "SENS:CURR:RANG?", amps, tolerance=1e-3 * amps)
        box.same_state("auto-ranging of the voltage", "SENS:VOLT:RANG:AUTO?", wanted=False)
        box.same("the voltage range", "SENS:VOLT:RANG?", volts, tolerance=1e-3 * volts)

    def _record(self, log: _Log) -> Acquisition:
        box = self._box
        return Acquisition(
            dt_ns=log.dt_ns,
            columns=("current", "voltage"),
            aperture_s=log.dt_ns * 1e-9,
            current_range_a=log.amps,
            voltage_range_v=log.volts,
            remote_sense=box.ask("VOLT:SENS?", "remote sense").upper().startswith("EXT"),
            settings={
                "acquisition": "FastLog",
                "aperture": "the whole interval, as no page at hand says otherwise",
                "filter": "none",
                "start": f"pin {box.options.start_pin}" if box.options.start_pin else "at once",
                "record_check": str(self._check(log)),
            },
        )

    def start(self) -> None:
        """Raises RefusedError, ReadBackError (the log is not on)."""
        log, box = self._configured(), self._box
        box.select()
        self._events()  # what an earlier log left there is not of this one
        before_s = box.clock.now_s()
        box.link.write("FLOG 1")  # [M 182]
        box.check_errors("the start of its log")
        if not box.options.start_pin:  # whether one that waits for its pin calls itself on is in no page
            box.same_state("the log", "FLOG?", wanted=True)
        log.begin(before_s, box.clock.now_s(), waiting=bool(box.options.start_pin))

    def read(self) -> Block | None:
        """The next chunk, looked for at most `LOOK_S`. Raises LostSamplesError, ReplyError, ReadBackError; no data is handed on then."""
        log, clock = self._configured(), self._box.clock
        if not log.running:
            raise OutOfRangeError(f"{self._box.name}: the log does not run; start_stream comes first")
        until_s = clock.now_s() + LOOK_S
        last_s = -1.0
        while True:
            asked_s = clock.now_s()
            ready, skipped = self._events()
            if skipped:
                self._lost(log, "its status says that data was skipped")
            if ready and len(data := self._fetch()):
                return self._take(log, data, asked_s)
            self._alive(log, asked_s)
            log.empty_s = asked_s
            # a clock that stands still is stepped by somebody who waits for this call
            if asked_s >= until_s or asked_s == last_s:
                return None
            last_s = asked_s

    def _events(self) -> tuple[bool, bool]:
        """Whether data is ready, and whether some was skipped, since the last look."""
        box, channel = self._box, self._box.options.channel
        operation = box.bits(f"STAT:OPER:INST:ISUM{channel}:EVEN?", "the state of its log")  # [E], [L]
        questionable = box.bits(f"STAT:QUES:INST:ISUM{channel}:EVEN?", "the state of its log")  # [L]
        return bool(operation & DATA_READY), bool(questionable & DATA_SKIPPED)

    def _fetch(self) -> NDArray[Any]:
        """Pairs of voltage and current, float32 [n, 2]. Raises RefusedError, ReplyError."""
        box = self._box
        with scpi.explained(box.link, box.name, "a fetch of its log"):
            data = box.link.query_definite_block("FLOG:DATA?", "<f4")  # [M 182]: V, I, V, I, ...; least significant byte first: [B], [C]
        if len(data) % 2:
            raise ReplyError(f"{box.name}: a block of its log holds {len(data)} values, which are no pairs of voltage and current")
        seen = np.abs(data[np.isfinite(data)])
        if bool(np.any((seen > LARGEST) & (seen < scpi.SENTINEL)) or np.any((seen > 0) & (seen < SMALLEST))):
            raise ReplyError(f"{box.name}: its log holds values that are no volts or amperes: wrong in their byte order, or altogether")
        return data.reshape(-1, 2)

    def _take(self, log: _Log, data: NDArray[Any], found_s: float) -> Block:
        if log.waiting:
            log.triggered(found_s, len(data))
        self._ranges_kept(log.amps, log.volts)
        log.received += len(data)
        check = self._check(log)
        check.require(self._box.name, log.received, found_s - log.begun_s)
        # and between two chunks no clock drifts, so that a lost one is seen however long the log is
        check.require(f"{self._box.name}, since the chunk before", len(data), found_s - log.found_s)
        now_s = self._box.clock.now_s()
        elapsed_s = now_s - log.earliest_s
        if log.received > elapsed_s / check.dt_s * (1 + TIMEBASE) + 1:
            raise ReplyError(
                f"{self._box.name}: {log.received} records in {elapsed_s:.3f} s by the {check.clock.name}, "
                f"{elapsed_s / check.dt_s:.0f} were due: its log is not sampled every {check.dt_s:g} s"
            )
        log.found_s = now_s  # the latest, while the next chunk is taken to be found at the earliest: a late answer is no loss
        return log.block(data)

    def _alive(self, log: _Log, asked_s: float) -> None:
        under_way = round(LONGEST_CHUNK_S * 1e9 / log.dt_ns)
        if not log.waiting and self._check(log).missing(log.received + under_way, asked_s - log.begun_s):
            self._lost(log, "no chunk has come when one was due")

    def _lost(self, log: _Log, why: str) -> None:
        due = round((self._box.clock.now_s() - log.begun_s) * 1e9 / log.dt_ns)
        raise LostSamplesError(f"{self._box.name}: records of its log are lost: {why}", expected=due, received=log.received)

    def stop(self) -> StreamEnd:
        """Ends the log; what it has not handed out yet is dropped, at most one chunk. The books are those of the last chunk."""
        log, box = self._configured(), self._box
        self._log = None
        box.select()
        box.link.write("FLOG 0")  # [M 182]
        box.check_errors("its log")
        box.same_state("the log", "FLOG?", wanted=False)
        # `read` raises when records are missing, so none are here
        return StreamEnd(log.received, max(0.0, log.found_s - log.begun_s), box.clock.name, 0)

    def _check(self, log: _Log) -> RecordCheck:
        """A chunk does not wait: a host that is later than `SLACK_S` has lost one, whatever is said of its clock."""
        return RecordCheck(log.dt_ns * 1e-9, TIMEBASE, replace(self._box.clock, u_s=SLACK_S))

    def _configured(self) -> _Log:
        if self._log is None:
            raise OutOfRangeError(f"{self._box.name}: no log is configured; configure_stream comes first")
        return self._log


@dataclass(slots=True)
class _Log:
    """One log. begun_s, earliest_s: the latest and the earliest that its first sample can have begun, by the host's clock. waiting: for its
    pin. empty_s: when it was last asked and had nothing. found_s: when the last chunk was found."""

    dt_ns: int
    amps: float
    volts: float
    running: bool = False
    waiting: bool = False
    received: int = 0
    begun_s: float = 0.0
    earliest_s: float = 0.0
    empty_s: float = 0.0
    found_s: float = 0.0

    def begin(self, before_s: float, after_s: float, *, waiting: bool) -> None:
        self.running, self.waiting, self.received = True, waiting, 0
        self.earliest_s, self.begun_s, self.empty_s, self.found_s = before_s, after_s, after_s, after_s

    def triggered(self, found_s: float, count: int) -> None:
        """Its first chunk tells when it began."""
        long_s = count * self.dt_ns * 1e-9
        self.waiting = False
        self.begun_s, self.earliest_s = found_s - long_s, max(self.earliest_s, self.empty_s - long_s)
        self.found_s = self.begun_s

    def block(self, data: NDArray[Any]) -> Block:
        volts, bad_v = scpi.without_sentinels(np.ascontiguousarray(data[:, 0]))
        amps, bad_i = scpi.without_sentinels(np.ascontiguousarray(data[:, 1]))
        flags = BlockFlag.OVER_RANGE if bad_v or bad_i else BlockFlag.NONE
        if bool(np.any(np.abs(amps) >= self.amps)):
            flags |= BlockFlag.CLIPPED
        seq = self.received - len(data)
        return Block(seq, seq * self.dt_ns, self.dt_ns, amps, volts, flags=flags)
