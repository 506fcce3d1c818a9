"""Replay: plays samples of a NumPy .npz file in real time, over and over, in place of a meter; no instrument behind it.

The file holds `current` (A) and `voltage` (V), may hold `marker` (V) and `digital` (one bit a line), all of one length, and `dt_ns`, the
sample interval in whole nanoseconds. Other arrays are ignored, but for a `stretch` that tells of gaps, which is refused.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments.accuracy import AccuracyRow, AccuracyTable
from labd_instruments.block import Block, BlockFlag
from labd_instruments.checks import HOST_CLOCK, Clock
from labd_instruments.contract import (
    Acquisition,
    CaptureSetup,
    Evidence,
    Identity,
    MeanSetup,
    OffAssurance,
    Setups,
    StreamEnd,
    StreamSetup,
)
from labd_instruments.errors import LostSamplesError, NotConnectedError, OutOfRangeError, ReplyError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.options import option

__all__ = ["CAPABILITIES", "EVIDENCE", "NEEDS_NO_WIRES", "OFF_ASSURANCE", "ROLES", "Options", "Replay", "open", "panic_off"]

CAPABILITIES = ("Instrument", "Streams")
ROLES = ("meter",)
EVIDENCE = Evidence.EXPERIMENTAL  # there is no manual that it could rest on
OFF_ASSURANCE = OffAssurance.NONE  # it has no output to switch off
NEEDS_NO_WIRES = True  # its samples come from a file: it stands beside real and virtual instruments alike

LONGEST_BLOCK_NS = 50_000_000
SHORTEST_BLOCK_NS = 10_000_000  # fewer samples wait until they are worth a block
DTYPES = {"current": np.float32, "voltage": np.float32, "marker": np.float32, "digital": np.uint8}
NEEDED = ("current", "voltage")


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    buffer_s: float = option(
        1.0, "how far reading may fall behind, in seconds, before samples count as lost: the memory of a real meter", low=0.1, high=60.0
    )


def open(  # noqa: A001 - every driver's factory is called open
    name: str,
    resource: str,
    options: Options,
    declared: tuple[AccuracyRow, ...] = (),
    *,
    link: Link | None = None,
    clock: Clock = HOST_CLOCK,
) -> Replay:
    """Load the file at `resource`, an absolute path; it stays in memory. clock: the samples come at its pace.

    Raises NotConnectedError (no such file), ReplyError (not such a file), WrongInstrumentError (a link was given).
    """
    if link is not None:
        link.close()
        raise WrongInstrumentError(f"{name}: replay plays a file and talks to no instrument, {link.resource} is one")
    return Replay(name, Path(resource), options, declared, clock=clock)


def panic_off(resource: str, *, timeout_s: float = 2.0) -> None:
    """Nothing: a file has no output."""
    del resource, timeout_s


@dataclass(frozen=True, slots=True)
class Recording:
    """What is played. columns: read-only, of one length."""

    dt_ns: int
    columns: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.columns["current"])


class Replay:
    """One file, played from its beginning at each start; after its last sample its first one follows without a gap."""

    off_assurance = OFF_ASSURANCE
    evidence = EVIDENCE

    def __init__(self, name: str, path: Path, options: Options, declared: tuple[AccuracyRow, ...], *, clock: Clock) -> None:
        self.name = name
        self._path = path
        self._clock = clock
        self._accuracy = AccuracyTable().declared(declared)
        self._recording = load(name, path)
        self._buffer_s = options.buffer_s
        self._begun_s: float | None = None
        self._played = 0

    def identify(self) -> Identity:
        return Identity("labd", "replay", self._path.name, "1")

    def reset(self) -> None:
        self._begun_s = None

    def check_errors(self, doing: str) -> None:
        """A file queues no errors."""

    def make_safe(self) -> None:
        """Stops playing; there is no output."""
        self._begun_s = None

    def accuracy(self) -> AccuracyTable:
        return self._accuracy

    def line_frequency_hz(self) -> float | None:
        return None

    def close(self) -> None:
        self._begun_s = None

    @property
    def setups(self) -> Setups:
        return Setups(marker_wired="marker" in self._recording.columns)

    def interval_s(self, setup: StreamSetup | CaptureSetup | MeanSetup) -> float:
        """The file decides."""
        return self._recording.dt_ns * 1e-9

    def configure_stream(self, setup: StreamSetup) -> Acquisition:
        """The file decides on interval and columns; the ranges are those the bench file says it was recorded on, for its accuracy rows.

        Raises OutOfRangeError: seamless ranging, or a marker that the file has not.
        """
        recording = self._recording
        if setup.current_range_a is None:
            raise OutOfRangeError(f"{self.name}: replay has no seamless ranging; it can play captures at rate 0 only, on floor.range")
        if setup.with_marker and "marker" not in recording.columns:
            raise OutOfRangeError(f"{self.name}: a marker is asked for, {self._path} has none; add an array marker (V)")
        return Acquisition(
            dt_ns=recording.dt_ns,
            columns=tuple(recording.columns),
            aperture_s=recording.dt_ns * 1e-9,
            current_range_a=setup.current_range_a,
            voltage_range_v=setup.voltage_range_v,
            settings={"replay": str(self._path)},
        )

    def start_stream(self) -> None:
        self._begun_s = self._clock.now_s()
        self._played = 0

    def read_block(self) -> Block | None:
        """What is due by now: at most 50 ms and never beyond the file's end. Raises LostSamplesError when buffer_s does not hold it all."""
        if self._begun_s is None:
            return None
        dt_ns = self._recording.dt_ns
        due = int((self._clock.now_s() - self._begun_s) * 1e9 / dt_ns)
        waiting = due - self._played
        if (waiting - 1) * dt_ns > self._buffer_s * 1e9:
            raise LostSamplesError(
                f"{self.name}: {waiting} samples wait, {waiting * dt_ns * 1e-9:.3g} s, its buffer holds {self._buffer_s:g} s: "
                f"the host is too slow for {1e9 / dt_ns:g} samples a second",
                expected=due,
                received=self._played,
            )
        if waiting < max(1, SHORTEST_BLOCK_NS // dt_ns):
            return None
        return self._block(min(waiting, max(1, LONGEST_BLOCK_NS // dt_ns)))

    def stop_stream(self) -> StreamEnd:
        begun_s, self._begun_s = self._begun_s, None
        if begun_s is None:
            return StreamEnd(0, 0.0, self._clock.name, 0)
        return StreamEnd(self._played, self._clock.now_s() - begun_s, self._clock.name, 0)

    def _block(self, count: int) -> Block:
        recording = self._recording
        first = self._played % len(recording)
        part = {name: column[first : first + count] for name, column in recording.columns.items()}
        over = any(np.isnan(part[name].sum()) for name in NEEDED)
        block = Block(
            seq=self._played,
            t0_ns=self._played * recording.dt_ns,
            dt_ns=recording.dt_ns,
            current=part["current"],
            voltage=part["voltage"],
            marker=part.get("marker"),
            digital=part.get("digital"),
            flags=BlockFlag.OVER_RANGE if over else BlockFlag.NONE,
        )
        self._played += len(block)
        return block


def load(name: str, path: Path) -> Recording:
    """Read a recording. Raises NotConnectedError, ReplyError naming file, array and what would be right."""
    if not path.is_absolute():
        raise NotConnectedError(f"{name}: resource {path} is not absolute; give the whole path of the .npz file")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in (*DTYPES, "dt_ns", "stretch") if key in arrays}
    except FileNotFoundError as error:
        raise NotConnectedError(f"{name}: {path}: there is no such file") from error
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile) as error:
        raise ReplyError(f"{name}: {path} is no .npz file of plain arrays: {error}") from error
    return _checked(f"{name}: {path}", found)


def _checked(where: str, found: Mapping[str, NDArray[Any]]) -> Recording:
    for key in (*NEEDED, "dt_ns"):
        if key not in found:
            raise ReplyError(f"{where}: there is no array {key}; it needs current (A), voltage (V) and dt_ns")
    dt_ns = found["dt_ns"]
    if dt_ns.size != 1 or dt_ns.dtype.kind not in "iu" or not dt_ns.item() > 0:
        raise ReplyError(f"{where}: dt_ns is {dt_ns.tolist()!r:.40}, right would be one positive integer, nanoseconds a sample")
    stretches = found.get("stretch")
    if stretches is not None and len(np.unique(stretches)) > 1:
        raise ReplyError(f"{where}: it holds {len(np.unique(stretches))} stretches with gaps between them; right would be a single one")
    length = found["current"].size
    given = {key: _column(where, key, found[key], length) for key in DTYPES if key in found}
    again = -(-LONGEST_BLOCK_NS // (int(dt_ns.item()) * length))  # a few samples are repeated, so that blocks stay worth their while
    columns = given if again == 1 else {key: np.tile(column, again) for key, column in given.items()}
    for column in columns.values():
        column.flags.writeable = False
    return Recording(int(dt_ns.item()), columns)


def _column(where: str, key: str, values: NDArray[Any], length: int) -> NDArray[Any]:
    if values.ndim != 1 or values.size != length or length == 0 or values.dtype.kind not in "fiub":
        raise ReplyError(
            f"{where}: {key} is {values.dtype} {list(values.shape)}, right would be a row of as many numbers as current has, at least one"
        )
    if key == "digital" and (values.dtype.kind == "f" or values.min() < 0 or values.max() > np.iinfo(np.uint8).max):
        raise ReplyError(f"{where}: digital holds {values.dtype} values, right would be whole numbers from 0 to 255, one bit a line")
    return np.ascontiguousarray(values, DTYPES[key])
