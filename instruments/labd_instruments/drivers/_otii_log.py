"""A recording of the Otii app as blocks, and means over stretches of it.

The app numbers samples and gives each piece its time and its interval (otii_tcp_client 1.0.13, recording.py): both are held against the
numbers, and the numbers against the host's clock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import Clock, RecordCheck, require_points
from labd_instruments.contract import Reading, StreamEnd
from labd_instruments.drivers._otii import HIGH_RANGE_A, Kit
from labd_instruments.drivers._otii_link import as_number
from labd_instruments.errors import InstrumentError, LostSamplesError, OutOfRangeError, RefusedError, ReplyError, SentinelError

TIMEBASE = 1e-3  # for the record check only: no document gives it
BEHIND_S = 0.5  # by how much the app may be behind its device [-]
LATENCY_S, LOOK_S = 1.0, 0.005  # real time that samples may be on their way, and between two looks
MOST = 40_000  # samples asked for at once: recording.py, CHUNK_SIZE
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recording holds. volt_hz: rate of the voltage, hz a multiple of it. pin: of the marker."""

    hz: int
    volt_hz: int
    pin: int | None = None


class Log:
    """A recording from its beginning to its end."""

    def __init__(self, kit: Kit, clock: Clock, plan: Plan, *, feeds: bool) -> None:
        self._kit = kit
        self.name = kit.name
        self._clock = clock
        self.plan = plan
        self._feeds = feeds
        self._check = RecordCheck(1 / plan.hz, TIMEBASE, clock)
        self._recording = -1
        self._started_s = 0.0
        self._records = self._missing = 0
        self._elapsed_s = 0.0
        self._first_s: dict[str, float] = {}
        self._edges = 0
        self._level = False
        self._failure: InstrumentError | None = None
        self.running = False

    def start(self) -> None:
        """Raises ReplyError when no new recording runs."""
        self._kit.end_recording()
        before, _ = self._kit.recording()
        if self.plan.pin is not None:
            self._level = self._kit.link.state("arc_get_gpi", self._kit.of(pin=self.plan.pin))
        self._started_s = self._clock.now_s()
        self._kit.link.ask("project_start_recording", {"project_id": self._kit.project()})
        self._recording, running = self._kit.recording()
        if self._recording in (-1, before) or not running:
            raise ReplyError(
                f"{self._kit.name}: a recording was started, and the last one is {self._recording} as before it, or does not run"
            )
        self.running = True

    def read(self) -> Block | None:
        """Raises LostSamplesError, ReplyError, SentinelError, RefusedError (it has cut off), NotConnectedError; the same ever after."""
        if not self.running:
            raise OutOfRangeError(f"{self._kit.name}: no stream runs; start_stream comes first")
        if self._failure is None:
            try:
                return self._fetch()
            except InstrumentError as error:  # nothing that comes after it is a number
                self._failure = error
        raise self._failure

    def stop(self) -> StreamEnd:
        """Samples that `read` has not fetched are dropped, and the recording is deleted from the app."""
        self.running = False
        self._kit.end_recording()
        self._kit.link.ask("recording_delete", {"recording_id": self._recording})
        return StreamEnd(self._records, self._elapsed_s, self._clock.name, self._missing)

    def _fetch(self) -> Block | None:
        elapsed_s = self._clock.now_s() - self._started_s
        end_s = time.monotonic() + min(LATENCY_S, self._kit.link.timeout_s)
        while self._check.missing(ready := self._ready(), elapsed_s - BEHIND_S) and time.monotonic() < end_s:
            time.sleep(LOOK_S)
        self._missing = self._check.missing(ready, elapsed_s - BEHIND_S)
        if self._missing:
            self._check.require(self._kit.name, ready, elapsed_s - BEHIND_S)
        if self._feeds and not self._kit.powered():
            raise RefusedError(f"{self._kit.name}: main has switched itself off while it records: its current limit, or a hand")
        self._elapsed_s = elapsed_s
        return self._block(min(ready - self._records, MOST)) if ready > self._records else None

    def _ready(self) -> int:
        """Samples of current for which there is a voltage too; whole steps of the slower one."""
        each = self.plan.hz // self.plan.volt_hz
        return min(self._count("mc") // each, self._count("mv")) * each

    def _count(self, channel: str) -> int:
        found = self._kit.link.number("recording_get_channel_data_count", self._data(channel), "count")
        if found != int(found) or found < 0:
            raise ReplyError(f"{self._kit.name}: the recording has {found:g} samples of {channel}")
        return int(found)

    def _data(self, channel: str, **more: int) -> dict[str, Any]:
        return {**self._kit.of(channel=channel, **more), "recording_id": self._recording}

    def _block(self, count: int) -> Block:
        each = self.plan.hz // self.plan.volt_hz
        current = self._analog("mc", self._records, count, self.plan.hz)
        slow = self._analog("mv", self._records // each, count // each, self.plan.volt_hz)
        marker = self._marker(count) if self.plan.pin is not None else None
        dt_ns = round(1e9 / self.plan.hz)
        flag = BlockFlag.CLIPPED if bool((np.abs(current) >= HIGH_RANGE_A).any()) else BlockFlag.NONE
        digital = None if marker is None else marker.astype(np.uint8)
        level = None if marker is None else marker * np.float32(self._kit.options.logic_v)
        block = Block(self._records, self._records * dt_ns, dt_ns, current, np.repeat(slow, each), level, digital, flags=flag)
        self._records += count
        return block

    def _analog(self, channel: str, index: int, count: int, hz: int) -> Floats:
        found = self._kit.link.ask("recording_get_channel_data", self._data(channel, index=index, count=count))
        what = f"{self._kit.name}: {channel} from sample {index}"
        values = found.get("values")
        if found.get("data_type") != "analog" or not isinstance(values, list):
            raise ReplyError(f"{what} is {str(found)[:60]}, right would be analog values")
        require_points(self._kit.name, f"a piece of {channel}", expected=count, received=len(values))
        interval_s = as_number(f"{what}: interval", found.get("interval"))
        if abs(interval_s * hz - 1.0) > 1e-6:
            raise ReplyError(f"{what} has an interval of {interval_s:g} s, at {hz} Hz it is {1 / hz:g} s")
        at_s = as_number(f"{what}: timestamp", found.get("timestamp"))
        begin_s = self._first_s.setdefault(channel, at_s - index / hz)
        off = (at_s - begin_s) * hz - index
        if abs(off) > 0.5:
            self._missing = max(0, round(off))
            raise LostSamplesError(
                f"{what} has the time {at_s:.6f} s, {off:+.1f} samples from its number", expected=index + max(1, round(off)), received=index
            )
        if not all(type(value) in (float, int) for value in values):
            raise ReplyError(f"{what} holds values that are no numbers")
        column = np.array(values, np.float32)
        if not np.isfinite(column).all():
            raise SentinelError(f"{what} holds values that are not finite")
        return column

    def _marker(self, count: int) -> Floats:
        """Levels 0 or 1 at the end of each sample, from edges with their times. Raises ReplyError, LostSamplesError (an edge came late)."""
        channel = f"i{self.plan.pin}"
        ready = self._count(channel)
        entries = []
        if ready > self._edges:
            data = self._data(channel, index=self._edges, count=ready - self._edges)
            entries = self._kit.link.ask("recording_get_channel_data", data).get("values", [])
            require_points(self._kit.name, f"a piece of {channel}", expected=ready - self._edges, received=len(entries))
        level = np.full(count, float(self._level), np.float32)
        latest = 0
        for entry in entries:
            at_s = as_number(f"{self._kit.name}: time of an edge", entry.get("timestamp")) - self._first_s["mc"]
            at = round(at_s * self.plan.hz) - self._records
            if at >= count:
                break
            if at < latest or not isinstance(entry.get("value"), bool):
                raise LostSamplesError(
                    f"{self._kit.name}: an edge of {channel} ({entry}) came after the samples of its time", expected=1, received=0
                )
            latest = at
            level[at:] = float(entry["value"])
            self._level = entry["value"]
            self._edges += 1
        return level


class Mean:
    """Readings over `aperture_s` each, back to back out of one recording; a host that comes late gets the newest whole one."""

    def __init__(self, log: Log, aperture_s: float) -> None:
        self._log = log
        self._count = round(aperture_s * log.plan.hz)
        self._current = self._voltage = np.empty(0, np.float32)

    @property
    def running(self) -> bool:
        return self._log.running

    def read(self) -> Reading | None:
        if not self._log.running:
            self._log.start()
        while (block := self._log.read()) is not None:
            assert block.current is not None
            assert block.voltage is not None
            if BlockFlag.CLIPPED in block.flags:
                text = f"a sample is above {HIGH_RANGE_A:g} A, to which an Otii measures: no mean is made of it"
                raise SentinelError(f"{self._log.name}: {text}")
            self._current = np.concatenate((self._current, block.current))
            self._voltage = np.concatenate((self._voltage, block.voltage))
        whole = len(self._current) // self._count * self._count
        if not whole:
            return None
        newest = slice(whole - self._count, whole)
        reading = Reading(*(float(column[newest].mean(dtype=np.float64)) for column in (self._current, self._voltage)))
        self._current, self._voltage = self._current[whole:], self._voltage[whole:]
        return reading

    def stop(self) -> None:
        if self._log.running:
            self._log.stop()
