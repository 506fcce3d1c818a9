"""Virtual Jetperch Joulescope JS110 or JS220 behind a double of the vendor's package, which is served over TCP.

The USB protocol is the vendor's own; what a program sees of it is pyjoulescope_driver, whose interface `jetperch_joulescope_library` has.
Written from jetperch/joulescope_driver (js110_usb.c, js220_usb.c, js110_sample_processor.c) and binding.pyx of pyjoulescope_driver 2.2.12;
what a JS110's lowest bits are left as, and codes of ranges in s/i/range/!data (counted from 10 A), from the vendor's pyjoulescope_ui
(devices/jsdrv/js110.py, waveform_widget.py). By no source: noise, that a filter below the full rate is a mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_virtual.front_end import (
    Converter,
    Floats,
    Instants,
    MeterRange,
    NoiseCurve,
    drawn_timebase,
    instants,
    node_means,
    pin_means,
    wired,
)
from labd_virtual.instruments import jetperch_joulescope_traps
from labd_virtual.instruments.jetperch_joulescope_library import JoulescopeLibrary, LibraryServer
from labd_virtual.instruments.jetperch_joulescope_topics import (
    AUTO_110,
    INPUTS,
    MODE_AUTO,
    MODE_MANUAL,
    RANGES_A,
    RANGES_V,
    VERSION,
    Meta,
    metadata,
)
from labd_virtual.instruments.jetperch_joulescope_traps import SPRUNG_S, Piece, Sprung
from labd_virtual.persona import Persona, PersonaSetup

TRAPS = jetperch_joulescope_traps.TRAPS
IDS_HZ, ID_NS = 2_000_000, 500
SERIALS = {"JS110": "000123", "JS220": "002557"}
FIRST_ID = {"JS110": 0, "JS220": 5_000_000_000}  # a JS220 counts from power-up, in 56 bits
LEAST_STEP = {"JS110": 1, "JS220": 2}
FIELDS = {"s/i": (1, 0), "s/v": (2, 0), "s/p": (3, 0), "s/i/range": (4, 0)}  # field_id and index; an input's are 5 and its number
UTC_0 = 8 * 365 * 86400 << 30  # time64: seconds since 2018 in units of 2**-30 s
ALIGNED = 64  # ids: signals begin at a multiple of it
AHEAD_NS = 200_000_000  # stepped time may run this far ahead of what has been made into samples
LOOK_S = 0.002  # real time between two looks at the clock
MOST_UNSENT = 1 << 26  # bytes: what comes while a host does not read is lost
HIGH_V = 1.0
LOWEST_BIT = {"s/gpi/0": "s/i/lsb_src", "s/gpi/1": "s/v/lsb_src"}  # of a JS110: the signal in whose lowest bit an input's stream is read
INPUT_OF = {2: 0, 3: 1}  # by the code of such a source; any other is the converter's own bit
EXTIO = {"s/i/lsb_src": 2, "s/v/lsb_src": 3, "s/extio/voltage": 3300}  # as the vendor's program leaves a JS110


def create(setup: PersonaSetup) -> Persona:
    """options: `model` (JS110 or JS220), `marker_gpi`. wires: `gpi0` to `gpi3`, `gpi7`, or `marker`. setup.interface does not matter."""
    return Joulescope(setup)


class Joulescope:
    """The device; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        if setup.trap and setup.trap not in TRAPS:
            raise ValueError(f"there is no trap {setup.trap!r}, there are {', '.join(TRAPS)}")
        self._setup, self._clock, self._trap = setup, setup.clock, setup.trap
        self.model = str(setup.options.get("model", "JS220"))
        family = self.model.lower()
        self.path = f"u/{family}/{SERIALS[self.model]}"
        self.holder: object = object() if self._trap == "in_use" else None
        self.metadata: Mapping[str, Meta] = {} if self._trap == "no_metadata" else metadata(family)
        self.values: dict[str, int] = {}
        self._ranges = tuple(sorted(RANGES_A[family].values()))
        amps = [MeterRange(full, NoiseCurve((1e-3,), (1e-6 * full,))) for full in self._ranges]
        volts = [MeterRange(full, NoiseCurve((1e-3,), (1e-5,))) for full in sorted(RANGES_V[family])]
        self._amps = Converter(setup, "current", amps, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self._volts = Converter(setup, "voltage", volts)
        marker = setup.options.get("marker_gpi")
        self._pins = {k: wired(setup.wires, f"gpi{k}", *(("marker",) if k == marker else ())) for k in INPUTS[family]}
        self._owner = f"{setup.name}.stream"
        self._server = LibraryServer(self, clients=setup.clients, sessions=self._sessions)
        self._tasks: set[asyncio.Task[None]] = set()
        self._extio = dict(EXTIO)
        self._streams: dict[str, int] = {}  # of each that is on, the id it goes on from
        self._base_ns = self._began_ns = 0
        self._cell: tuple[tuple[int, int, int], dict[str, NDArray[Any]]] | None = None
        self._sprung_by = Sprung(self._trap, self._ranges)
        self.redraw(setup.rng)

    # --- Persona

    async def serve(self) -> str:
        await self._server.start()
        self._background(self._stream(), "stream")
        return self._server.resource

    async def close(self) -> None:
        self._clock.set_limit(self._owner, None)
        await self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock, self._noise = rng.spawn(4)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self._timebase = drawn_timebase(self._setup, clock)

    def hang(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.hang(on)
        self._clock.set_limit(self._owner, None)

    def cut(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.cut(on)
        self._clock.set_limit(self._owner, None)

    def output_on(self) -> bool:
        return False

    def _sessions(self, count: int) -> None:
        if count == 0:
            self._clock.set_limit(self._owner, None)

    # --- what the library asks

    def present(self) -> bool:
        return not (self._trap == "unplugged" and self._sprung())

    def answers(self) -> bool:
        return self._trap != "silent"

    def opened(self) -> None:
        """With its defaults."""
        self.values = {topic: told["default"] for topic, told in metadata(self.model.lower()).items() if "default" in told}
        if self.model == "JS220":
            self.values |= {"c/fw/version": VERSION, "c/hw/version": VERSION, "s/fpga/version": VERSION}

    def closed(self) -> None:
        self._streams.clear()
        self._clock.set_limit(self._owner, None)

    def set(self, topic: str, value: int) -> None:
        self.values[topic] = 1000 if (self._trap, topic) == ("other_rate", "h/fs") else value
        if topic in EXTIO:  # all of them are sent at once, and none is by opening
            self._extio = {one: self.values[one] for one in EXTIO}
        if topic == "h/fs":
            self._streams = dict.fromkeys(self._streams, self._now_id())
        elif topic.endswith("/ctrl"):
            self._switch(topic.removesuffix("/ctrl"), on=bool(value))

    def _switch(self, signal: str, *, on: bool) -> None:
        if not on:
            self._streams.pop(signal, None)
            if not self._streams:
                self._clock.set_limit(self._owner, None)
        elif signal not in self._streams:
            if not self._streams:
                self._begin()
            self._streams[signal] = self._now_id()

    def _begin(self) -> None:
        """A JS110 counts from here."""
        self._began_ns = self._clock.now_ns()
        self._sprung_by = Sprung(self._trap, self._ranges)
        if self.model == "JS110":
            self._base_ns = self._began_ns
        self._clock.set_limit(self._owner, self._began_ns + AHEAD_NS)

    # --- ids and time

    @property
    def _id_ns(self) -> float:
        return ID_NS * (1 + self._timebase)

    def _elapsed_ids(self) -> int:
        return int((self._clock.now_ns() - self._base_ns) / self._id_ns)

    def _now_id(self) -> int:
        """The next one at which a signal can begin."""
        return FIRST_ID[self.model] + -(-self._elapsed_ids() // ALIGNED) * ALIGNED

    def _step(self, signal: str) -> int:
        if signal in FIELDS and signal != "s/i/range":
            return max(LEAST_STEP[self.model], IDS_HZ // self.values["h/fs"])
        return IDS_HZ // self.values["h/fs"] if self.model == "JS110" else 1

    def _sprung(self) -> bool:
        return bool(self._streams) and self._clock.now_ns() - self._began_ns >= SPRUNG_S * 1e9

    # --- streams

    async def _stream(self) -> None:
        while True:
            made = False
            for signal in list(self._streams):
                made |= self._produce(signal)
            if self._streams:
                oldest = min(self._streams.values()) - FIRST_ID[self.model]
                self._clock.set_limit(self._owner, self._base_ns + round(oldest * self._id_ns) + AHEAD_NS)
            await asyncio.sleep(0 if made else LOOK_S)

    def _produce(self, signal: str) -> bool:
        """One message, once all of its samples have been."""
        step, begin = self._step(signal), self._streams[signal]
        span = max(IDS_HZ // self.values.get("h/fp", 20), step)
        end = (begin // span + 1) * span
        if end - FIRST_ID[self.model] > self._elapsed_ids() - 1:
            return False
        self._streams[signal] = end
        begin += -begin % self._step("s/i")
        lost = self._server.unsent() > MOST_UNSENT
        if not lost and isinstance(self.holder, JoulescopeLibrary):
            self._publish(self.holder, signal, begin, (end - begin) // step, step)
        return True

    def _publish(self, library: JoulescopeLibrary, signal: str, begin: int, count: int, step: int) -> None:
        data = self._data(signal, begin, count, step)
        field, index = FIELDS.get(signal) or (5, int(signal.rpartition("/")[2]))
        since_s = ((begin - FIRST_ID[self.model]) * self._id_ns - (self._began_ns - self._base_ns)) * 1e-9
        for at, piece in self._sprung_by.pieces(signal, since_s, Piece(begin, step, data)):
            if signal.startswith("s/gpi"):
                piece = np.packbits(piece, bitorder="little")  # noqa: PLW2901
            library.published(f"{signal}/!data", self._message(at, step, field, index, piece))

    def _message(self, begin: int, step: int, field: int, index: int, data: NDArray[Any]) -> dict[str, Any]:
        rate = IDS_HZ / (1 + self._timebase)
        offset = FIRST_ID[self.model]
        utc_0 = UTC_0 + (self._base_ns << 30) // 1_000_000_000
        return {
            "sample_id": begin,
            "utc": utc_0 + round((begin - offset) / rate * (1 << 30)),
            "field_id": field,
            "index": index,
            "sample_rate": IDS_HZ,
            "decimate_factor": step,
            "time_map": {"offset_time": utc_0, "offset_counter": offset, "counter_rate": rate},
            "data": data,
        }

    def _data(self, signal: str, begin: int, count: int, step: int) -> NDArray[Any]:
        if signal.startswith("s/gpi"):
            return self._input(signal, *self._edges(begin, count, step))
        each = self._step("s/i") // step
        cell = self._read(begin, count // each, step * each)
        if signal == "s/i/range":
            return np.repeat(cell["range"], each)
        if signal == "s/p":
            return np.asarray(cell["s/i"] * cell["s/v"], np.float32)
        return cell[signal]

    def _edges(self, begin: int, count: int, step: int) -> tuple[Instants, Instants]:
        first = (begin - FIRST_ID[self.model]) // step
        edges = instants(self._base_ns, first, count, dt_ns=ID_NS * step, timebase=self._timebase)
        return edges[:-1], edges[1:]

    def _read(self, begin: int, count: int, step: int) -> dict[str, NDArray[Any]]:
        """Current, voltage and range of the ids of a message. The one before is kept: its signals come one by one."""
        if self._cell is not None and self._cell[0] == (begin, count, step):
            return self._cell[1]
        starts, ends = self._edges(begin, count, step)
        means = node_means(self._setup, starts, ends)
        chosen = self._chosen(means.current)
        amps = self._amps.read(means.current, starts, ends, chosen)
        full = np.asarray(self._ranges)[chosen]
        full_v = RANGES_V[self.model.lower()][self.values["s/v/range/select"]]
        volts = self._volts.read(means.voltage, starts, ends, self._volts.index(full_v))
        found: dict[str, NDArray[Any]] = {
            "s/i": np.clip(amps, -full, full).astype(np.float32),
            "s/v": np.clip(volts, -full_v, full_v).astype(np.float32),
            "range": (len(self._ranges) - 1 - np.broadcast_to(chosen, len(starts))).astype(np.uint8),
        }
        self._cell = ((begin, count, step), found)
        return found

    def _chosen(self, current: Floats) -> NDArray[np.intp]:
        """Range of each sample, as an index of ascending ones."""
        if self._trap == "other_range":
            return np.full(len(current), len(self._ranges) - 1, np.intp)
        selected = self.values["s/i/range/select"]
        automatic = selected == AUTO_110 if self.model == "JS110" else self.values["s/i/range/mode"] == MODE_AUTO
        manual = self.model == "JS110" or self.values["s/i/range/mode"] == MODE_MANUAL
        if automatic:
            return self._amps.seamless(np.abs(current))
        full = RANGES_A[self.model.lower()].get(selected) if manual else None
        if full is None:
            raise ValueError("its path is off: no virtual board is wired so that it can be")
        return np.full(len(current), self._ranges.index(full), np.intp)

    def _input(self, signal: str, starts: Instants, ends: Instants) -> NDArray[np.uint8]:
        """A JS110's is the lowest bit of a converter's code, whose noise it is where no input has been switched to it."""
        number = int(signal.rpartition("/")[2])
        if self.model == "JS110":
            source = INPUT_OF.get(self._extio[LOWEST_BIT[signal]])
            if source is None:
                return self._noise.integers(0, 2, len(starts), np.uint8)
            number = source
        return self._levels(self._pins[number], starts, ends)

    def _levels(self, pin: str | None, starts: Instants, ends: Instants) -> NDArray[np.uint8]:
        """Of the input at the begin of each sample."""
        if pin is None:
            return np.zeros(len(starts), np.uint8)
        first = pin_means(self._setup.pins, pin, starts[:1], ends[:1])[0] > HIGH_V
        levels = np.full(len(starts), first, np.uint8)
        for edge in self._setup.pins.edges(pin, int(starts[0]), int(ends[-1])):
            levels[np.searchsorted(starts, edge.t_ns) :] = edge.level
        return levels

    def _background(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{self._setup.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
