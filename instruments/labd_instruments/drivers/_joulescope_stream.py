"""Signals of a Joulescope that come in pieces of their own, put together on the axis of their sample ids.

pyjoulescope_driver 2.2.12 (binding.pyx, _jsdrv_union_to_py): each piece has `sample_id` of its first value, `decimate_factor` from value to
value, `sample_rate` of the ids and `data`; levels of an input are packed, 8 in a byte, the first in the lowest bit (js110_usb.c). Signals
begin one after the other, as they are switched on (js220_usb.c). A JS220 skips the ids of what was lost; for a JS110 the package puts NaN
in the place of up to 512 frames, and goes on without a word after more (js110_usb.c, handle_stream_in_frame).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_instruments.errors import ReplyError

IDS_HZ = 2_000_000  # js110_usb.c, js220_usb.c: SAMPLING_FREQUENCY, whatever the rate of a signal
Floats = NDArray[np.float32]


@dataclass(slots=True)
class _Run:
    """Values without a gap. begin: id of the first one. count: of values."""

    begin: int
    count: int = 0
    arrays: list[NDArray[Any]] = field(default_factory=list)


class Track:
    """One signal: f32 (`i`, `v`), u8 (the range, as the package unpacks it) or packed levels. step: ids from value to value."""

    def __init__(self, name: str, step: int, *, packed: bool = False) -> None:
        self.name = name
        self.step = step
        self._packed = packed
        self._runs: deque[_Run] = deque()
        self._next: int | None = None

    def add(self, piece: Mapping[str, Any]) -> None:
        """Raises ReplyError for ids that go back, and for values at another rate: they have gone through a filter."""
        data, begin, step = np.asarray(piece["data"]), int(piece["sample_id"]), int(piece["decimate_factor"])
        if self._packed:
            data = np.unpackbits(data, bitorder="little")
        if (int(piece["sample_rate"]), step) != (IDS_HZ, self.step):
            right = f"right would be {IDS_HZ} Hz and {self.step}"
            raise ReplyError(f"{self.name}: a piece has ids at {piece['sample_rate']} Hz and a step of {step}, {right}")
        if self._next is not None and begin < self._next:
            raise ReplyError(f"{self.name}: a piece begins at sample id {begin}, which came already: {self._next} was next")
        self._next = begin + step * len(data)
        for first, last in _whole(data):
            self._append(begin + step * first, data[first:last])

    @property
    def waiting(self) -> bool:
        return bool(self._runs)

    @property
    def broken(self) -> bool:
        """The first run has ended, and another one follows behind a gap."""
        return len(self._runs) > 1

    @property
    def span(self) -> tuple[int, int]:
        """Ids that the first run covers."""
        run = self._runs[0]
        return run.begin, run.begin + run.count * self.step

    def drop(self) -> None:
        """The first run."""
        self._runs.popleft()

    def cut(self, begin: int, count: int) -> NDArray[Any]:
        """Values of the first run from an id on, [count]; what is before them is dropped. Raises ReplyError between two values."""
        run = self._runs[0]
        first, off = divmod(begin - run.begin, self.step)
        if off:
            raise ReplyError(f"{self.name}: its sample ids ({run.begin} and every {self.step}) are not those of the current ({begin})")
        whole = run.arrays[0] if len(run.arrays) == 1 else np.concatenate(run.arrays)
        found, rest = whole[first : first + count], whole[first + count :]
        if len(rest):
            self._runs[0] = _Run(begin + count * self.step, len(rest), [rest])
        elif self.broken:
            self._runs.popleft()
        else:
            self._runs.clear()
        return found

    def _append(self, begin: int, data: NDArray[Any]) -> None:
        if not self._runs or self.span_end != begin:
            self._runs.append(_Run(begin))
        self._runs[-1].arrays.append(data)
        self._runs[-1].count += len(data)

    @property
    def span_end(self) -> int:
        run = self._runs[-1]
        return run.begin + run.count * self.step


@dataclass(frozen=True, slots=True)
class Stretch:
    """Samples that follow one another. seq: number of the first. lost: samples that are missing before it.

    current, voltage: float32 [n]. level: mean of the input over each sample, float32 [n]; last: at its end, uint8 [n]; both None without an
    input. peak_a, peak_v: largest magnitudes of single values. ranges: lowest and highest code of those that its values were measured on.
    """

    seq: int
    lost: int
    current: Floats
    voltage: Floats
    level: Floats | None
    last: NDArray[np.uint8] | None
    peak_a: float
    peak_v: float
    ranges: tuple[float, ...]


class Timeline:
    """ids: of one sample, over which values are averaged. step: ids from value to value of current and voltage; range and input have one
    at every id (js110_usb.c, js220_usb.c: FIELDS). The tracks are i, v and, where they are there, r and g."""

    def __init__(self, ids: int, step: int, *, with_range: bool, with_input: bool) -> None:
        self.ids = ids
        self.tracks = {"i": Track("current", step), "v": Track("voltage", step)}
        if with_range:
            self.tracks["r"] = Track("current range", 1)
        if with_input:
            self.tracks["g"] = Track("input", 1, packed=True)
        self._cursor: int | None = None
        self._seq = self._lost = 0

    def take(self) -> Stretch | None:
        """The next samples of which every signal is there, None until there are some. Raises ReplyError."""
        tracks = list(self.tracks.values())
        while all(track.waiting for track in tracks):
            begin = max(track.span[0] for track in tracks)
            if self._cursor is None:
                self._cursor = self._first(begin)
            if begin > self._cursor:
                self._skip(-(-(begin - self._cursor) // self.ids))
            count = (min(track.span[1] for track in tracks) - self._cursor) // self.ids
            if count > 0:
                return self._stretch(self._cursor, count)
            ended = [track for track in tracks if track.broken and track.span[1] < self._cursor + self.ids]
            if not ended:
                return None
            for track in ended:
                track.drop()
        return None

    def _first(self, begin: int) -> int:
        """The first id from `begin` on at which there is a value of the current."""
        current = self.tracks["i"]
        return begin + (current.span[0] - begin) % current.step

    def _skip(self, samples: int) -> None:
        assert self._cursor is not None
        self._cursor += samples * self.ids
        self._lost += samples
        self._seq += samples

    def _stretch(self, begin: int, count: int) -> Stretch:
        values = {name: self._values(track, begin, count) for name, track in self.tracks.items()}
        seq, lost, self._lost = self._seq, self._lost, 0
        self._seq += count
        self._cursor = begin + count * self.ids
        level = values.get("g")
        return Stretch(
            seq,
            lost,
            _means(values["i"]),
            _means(values["v"]),
            None if level is None else _means(level),
            None if level is None else np.ascontiguousarray(level[:, -1]),
            max(map(abs, _ends(values["i"]))),
            max(map(abs, _ends(values["v"]))),
            _ends(values["r"]) if "r" in values else (),
        )

    def _values(self, track: Track, begin: int, count: int) -> NDArray[Any]:
        """[count, values of one sample]."""
        each, rest = divmod(self.ids, track.step)
        if rest or not each:
            raise ReplyError(f"{track.name}: a value stands for {track.step} sample ids, of which a sample has {self.ids}")
        return track.cut(begin, count * each).reshape(count, each)


def _whole(data: NDArray[Any]) -> Sequence[tuple[int, int]]:
    """Where values are that are finite, (first, last + 1): what is not stands for what was lost."""
    if data.dtype.kind != "f" or np.isfinite(data.sum(dtype=np.float64)):
        return [(0, len(data))] if len(data) else []
    finite = np.concatenate(([0], np.isfinite(data).view(np.int8), [0]))
    turns = np.flatnonzero(np.diff(finite))
    return list(zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True))


def _ends(values: NDArray[Any]) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _means(values: NDArray[Any]) -> Floats:
    if values.shape[1] == 1:
        return np.ascontiguousarray(values[:, 0], np.float32)
    found: Floats = values.mean(axis=1, dtype=np.float64).astype(np.float32)
    return found
