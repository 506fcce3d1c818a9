"""The external data log (elog) of an N6705C: records without gaps, drained by the host before the FIFO of about 20 s is full.

Letters name the documents listed in `_n6705c`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments import intervals, scpi
from labd_instruments.block import Block
from labd_instruments.checks import RecordCheck, within
from labd_instruments.contract import Acquisition, StreamEnd, StreamSetup
from labd_instruments.drivers._n6705c import (
    ELOG_LONGEST_S,
    FETCHES,
    MARKER_V,
    MOST_PARAMETERS,
    TIMEBASE,
    Mainframe,
    at,
    flags,
)
from labd_instruments.errors import InstrumentError, OutOfRangeError, ReplyError


class Elog:
    """The log of one mainframe: current and voltage of the feeding channel, voltage of the marker's."""

    def __init__(self, box: Mainframe) -> None:
        self._box = box
        self._log: _Log | None = None

    @property
    def running(self) -> bool:
        return self._log is not None and self._log.running

    def forget(self) -> None:
        """The log was aborted from elsewhere."""
        self._log = None

    def configure(self, setup: StreamSetup) -> Acquisition:
        channels = self._box.channels(marker=setup.with_marker)
        steps = self._elog_steps(setup.dt_s, parameters=2 + setup.with_marker)
        self._box.check_ranges(setup.current_range_a, setup.voltage_range_v)
        self._log = None
        self._elog_functions(setup)
        self._box.set_resolution()
        for channel in channels:
            self._box.link.write(f"SENS:ELOG:PER {scpi.number(steps * self._box.resolution_s)},{at(channel)}")  # [V]
        self._box.link.write(f"TRIG:ELOG:SOUR BUS,{at(*channels)}")  # [C p146]
        self._box.check_errors("the set-up of its log")
        period_s = steps * self._box.resolution_s
        self._box.same_in(channels, "the log's period", "SENS:ELOG:PER?", period_s, 1e-4 * period_s)
        self._box.ranges_held("SENS:ELOG", setup.current_range_a, setup.voltage_range_v)
        if setup.with_marker:
            self._box.marker_range_held("SENS:ELOG")
        self._log = _Log(channels, dt_ns=steps * round(self._box.resolution_s * 1e9), full_scale_a=setup.current_range_a)
        return self._stream_record(setup, self._log)

    def interval_s(self, wanted_s: float, *, parameters: int) -> float:
        """Whole steps of option resolution."""
        low_s, step_s = self._box.module.log_parameter_s * parameters, self._box.resolution_s
        return intervals.in_steps(wanted_s, low_s=low_s, high_s=ELOG_LONGEST_S, step_s=step_s)

    def _elog_steps(self, dt_s: float, *, parameters: int) -> int:
        most = MOST_PARAMETERS[self._box.options.resolution]
        if parameters > most:
            raise OutOfRangeError(
                f"{self._box.name}: {parameters} parameters need option resolution = RES40 ({self._box.options.resolution}: {most})"
            )
        floor_s = self._box.module.log_parameter_s * parameters
        limit = f"102.4 us for each of {parameters} parameters, N6702C guide p146"
        within(f"{self._box.name}: log period", dt_s, low=floor_s, high=ELOG_LONGEST_S, unit="s", limit=limit)
        return round(dt_s / self._box.resolution_s)

    def _elog_functions(self, setup: StreamSetup) -> None:
        for quantity in ("CURR", "VOLT"):
            self._box.link.write(f"SENS:ELOG:FUNC:{quantity} ON,{self._box.main}")  # [N6700 User's Guide p91]
            self._box.link.write(f"SENS:ELOG:FUNC:{quantity}:MINM OFF,{self._box.main}")  # [N6700 User's Guide p91]
        self._box.set_ranges("SENS:ELOG", setup.current_range_a, setup.voltage_range_v)
        if self._box.options.marker_channel is not None:
            # off as well as on: what another channel logs counts into the shortest period
            marker = at(self._box.options.marker_channel)
            self._box.link.write(f"SENS:ELOG:FUNC:CURR OFF,{marker}")
            self._box.link.write(f"SENS:ELOG:FUNC:VOLT:MINM OFF,{marker}")
            self._box.link.write(f"SENS:ELOG:FUNC:VOLT {'ON' if setup.with_marker else 'OFF'},{marker}")
        if setup.with_marker:
            self._box.link.write(f"SENS:ELOG:VOLT:RANG {scpi.number(MARKER_V)},{at(self._box.marker())}")  # [V]

    def _stream_record(self, setup: StreamSetup, log: _Log) -> Acquisition:
        check = self._check(log)
        return Acquisition(
            dt_ns=log.dt_ns,
            columns=("current", "voltage", "marker") if setup.with_marker else ("current", "voltage"),
            aperture_s=log.dt_ns * 1e-9,  # each record averages over its whole interval [C p146]
            current_range_a=setup.current_range_a,
            voltage_range_v=setup.voltage_range_v,
            seamless=setup.current_range_a is None,
            ranges_a=self._box.ranges_a(setup.current_range_a),
            remote_sense=self._box.remote_sense(),
            settings={"acquisition": "elog", "resolution": self._box.options.resolution, "filter": "none", "record_check": str(check)},
        )

    def start(self) -> None:
        log = self._logging()
        everything = at(*log.channels)
        self._box.link.write(f"INIT:ELOG {everything}")  # [T]
        self._box.link.write(f"TRIG:ELOG {everything}")  # [C p146] at once, whatever the trigger source
        self._box.check_errors("the start of its log")
        log.start(self._box.clock.now_s())

    def read(self) -> Block | None:
        """Raises LostSamplesError, LinkTimeoutError, ReplyError, the same ever after: what was under way is gone, and
        nobody can say where in time the records behind it belong."""
        log = self._logging()
        if not log.running:
            raise OutOfRangeError(f"{self._box.name}: the log does not run; start_stream comes first")
        if log.failure is not None:
            raise log.failure
        try:
            self._fetch(log)
        except InstrumentError as error:
            log.failure = error
            raise
        return log.take()

    def _fetch(self, log: _Log) -> None:
        for _ in range(FETCHES):
            asked_at = self._box.clock.now_s()
            if not self._fetch_elog(log):
                # everything that was due when the fetch was sent must be here
                log.drained = (log.received, asked_at - log.started_s)
                self._check(log).require(self._box.name, *log.drained)
                return

    def _fetch_elog(self, log: _Log) -> bool:
        """One fetch of every channel; True while more may be waiting."""
        full = False
        for channel in log.channels:
            width = 1 if channel != self._box.options.channel else 2
            most = self._box.options.fetch_records
            data = self._box.block(f"FETC:ELOG? {most},{at(channel)}", most * width, "a fetch of its log")  # [A p161]
            if len(data) % width:
                raise ReplyError(f"{self._box.name}: channel {channel} logged {len(data)} values, records hold {width}")
            full |= len(data) // width >= self._box.options.fetch_records
            log.add(channel, data.reshape(-1, width))
        return full

    def stop(self) -> StreamEnd:
        """Ends the log; records that `read` has not fetched are dropped. The books are those of the last fetch that left none waiting."""
        log = self._logging()
        self._box.link.write(f"ABOR:ELOG {at(*log.channels)}")  # [A p161]
        self._log = None
        self._box.check_errors("its log")
        return StreamEnd(log.received, log.drained[1], self._box.clock.name, self._check(log).missing(*log.drained))

    def _check(self, log: _Log) -> RecordCheck:
        return RecordCheck(log.dt_ns * 1e-9, TIMEBASE, self._box.clock)

    def _logging(self) -> _Log:
        if self._log is None:
            raise OutOfRangeError(f"{self._box.name}: no log is configured; configure_stream comes first")
        return self._log


class _Log:
    """Records of a running log: what each channel has delivered and what has been handed on."""

    def __init__(self, channels: tuple[int, ...], *, dt_ns: int, full_scale_a: float | None) -> None:
        self.channels = channels
        self.dt_ns = dt_ns
        self.running = False
        self.failure: InstrumentError | None = None
        self.started_s = 0.0
        self.drained = (0, 0.0)  # records and elapsed seconds when the FIFO was last empty
        self._full_scale_a = full_scale_a
        self._waiting: dict[int, NDArray[Any]] = {}
        self._taken = 0

    def start(self, now_s: float) -> None:
        self.started_s = now_s
        self.running = True

    def add(self, channel: int, records: NDArray[Any]) -> None:
        before = self._waiting.get(channel)
        self._waiting[channel] = records if before is None or not len(before) else np.concatenate((before, records))

    @property
    def received(self) -> int:
        """Whole records: delivered by every channel."""
        return self._taken + self._whole()

    def _whole(self) -> int:
        return min((len(self._waiting[c]) for c in self.channels if c in self._waiting), default=0)

    def take(self) -> Block | None:
        count = self._whole()
        if not count:
            return None
        columns = [part for channel in self.channels for part in self._waiting[channel][:count].T]
        for channel in self.channels:
            self._waiting[channel] = self._waiting[channel][count:]
        clean = [scpi.without_sentinels(np.ascontiguousarray(column)) for column in columns]
        current, voltage, marker = clean[0][0], clean[1][0], clean[2][0] if len(clean) > 2 else None
        found = flags(current, self._full_scale_a, over_range=any(bad for _, bad in clean))
        seq, self._taken = self._taken, self._taken + count
        return Block(seq, seq * self.dt_ns, self.dt_ns, current, voltage, marker, flags=found)
