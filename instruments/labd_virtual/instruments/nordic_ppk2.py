"""Virtual Nordic Power Profiler Kit II on a serial port: source meter or ampere meter, 100 000 samples a second with 8 logic lines.

Written from Nordic's application (pc-nrfconnect-ppk: constants.ts, serialDevice.ts, deviceActions.ts), because Nordic publishes no
protocol document. By no source: what it does with a voltage out of range (taken: nothing, in silence), the level at which it limits
(1 A), its resistance (0.1 ohm), that VDD and mode in the metadata follow the commands at once, a buffer of 250 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labd_virtual.front_end import Converter, Instants, drawn_timebase, instants, node_means, pin_means, row_for, wired
from labd_virtual.instruments.nordic_ppk2_model import COEFFICIENTS, DEFAULTS, RANGES, RATE_NS, codes, metadata
from labd_virtual.persona import Persona, PersonaSetup
from labd_virtual.wire_serial import SerialServer

AMPERE, SOURCE = 1, 2
VDD_MV = (800, 5000)
ARGUMENTS = {0x01: 2, 0x0C: 1, 0x0D: 2, 0x0E: 1, 0x0F: 1, 0x11: 1, 0x12: 3, 0x25: 5}  # bytes after the command; others have none
OUTPUT_OHM, CLAMP_A = 0.1, 1.0
SAMPLE_BYTES = 4
BUFFER_SAMPLES = 25_000  # what it and the host hold for a program that does not read; the newest is lost
AHEAD_NS = 100_000_000  # stepped time may run this far ahead of what has been made into samples
FIRST_NS = 20_000_000  # stepped time passes by itself this long after a start, for a host that waits for its first samples
MOST = 10_000  # samples made in one go
LOOK_S = 0.002  # how often it looks at the clock: nothing asks a stream to go on
HIGH_V = 1.0  # of a logic line

TRAPS = {
    "lost": "drops a few samples; only the counter shows it",
    "lost_64": "drops exactly 64 samples, which the 6-bit counter cannot show",
    "lost_many": "drops 640 samples at once, ten turns of the counter",
    "uncalibrated": "has no coefficients of its own (Calibrated: 0); the defaults look like a calibration",
    "cut_metadata": "leaves lines of its metadata out; whoever keeps defaults for them measures with a wrong offset in silence",
    "nan_metadata": "says -nan for a coefficient that was never determined",
    "range_code": "sends range code 7; clamped to 4 it would be a current",
    "half_sample": "still holds half a sample of an earlier session, so that all that follows is shifted by two bytes",
    "other_mode": "stays in the mode it was in, in silence",
    "other_voltage": "keeps the voltage it was set to, in silence",
    "endless": "goes on streaming for a program that has died and takes no stop",
}


def create(setup: PersonaSetup) -> Persona:
    """options: mode, marker_line (as the driver's; default line 0). wires: `d0` to `d7`, or `marker`. setup.interface does not matter."""
    return PPK2(setup)


class PPK2:
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        if setup.trap and setup.trap not in TRAPS:
            raise ValueError(f"there is no trap {setup.trap!r}, there are {', '.join(TRAPS)}")
        self._setup, self._clock = setup, setup.clock
        self._owner = f"{setup.name}.stream"
        self._port = SerialServer(self._received)
        self._tasks: set[asyncio.Task[None]] = set()
        self._amps = Converter(setup, "current", RANGES, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        line = setup.options.get("marker_line") or 0
        self._pins = [wired(setup.wires, f"d{k}", *(("marker",) if k == line else ())) for k in range(8)]
        self._pending = bytearray()
        self._mode, self._vdd_mv, self._running = AMPERE if setup.trap == "other_mode" else SOURCE, 3000, False
        self._streaming = False
        self._t0_ns = self._next = self._count = 0
        self._rest = b"\x5a\xa5" if setup.trap == "half_sample" else b""
        self.redraw(setup.rng)

    # --- Persona

    async def serve(self) -> str:
        self._port.start()
        self._background(self._stream(), "stream")
        if self._setup.trap == "endless":
            self._start()
        return self._port.resource

    async def close(self) -> None:
        self._clock.set_limit(self._owner, None)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._port.close()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, clock, output = rng.spawn(3)
        self._amps.redraw(amps)
        self._timebase = drawn_timebase(self._setup, clock)
        row = row_for(self._setup.accuracy, "voltage", VDD_MV[1] * 1e-3)
        self._error = row.gain * output.uniform(-1, 1), row.offset * output.uniform(-1, 1)

    def hang(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._port.hang(on)

    def cut(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._port.cut(on)

    def output_on(self) -> bool:
        return self._running and self._mode == SOURCE

    # --- commands

    def _received(self, data: bytes) -> None:
        """Nothing is answered but a request for metadata; what it does not know it passes over."""
        self._pending += data
        while self._pending and len(self._pending) > (count := ARGUMENTS.get(self._pending[0], 0)):
            command, arguments = self._pending[0], bytes(self._pending[1 : 1 + count])
            del self._pending[: 1 + count]
            self._execute(command, arguments)

    def _execute(self, command: int, arguments: bytes) -> None:
        if command == 0x06:
            self._start()
        elif command == 0x07:
            self._stop()
        elif command == 0x0C:
            self._running = arguments[0] == 1
            self._feed()
        elif command == 0x0D:
            self._regulate(int.from_bytes(arguments, "big"))
        elif command == 0x11:
            self._set_mode(arguments[0])
        elif command == 0x19:
            self._port.send(self._metadata())

    def _regulate(self, millivolts: int) -> None:
        if VDD_MV[0] <= millivolts <= VDD_MV[1] and self._setup.trap != "other_voltage":
            self._vdd_mv = millivolts
            self._feed()

    def _set_mode(self, mode: int) -> None:
        if mode in (AMPERE, SOURCE) and self._setup.trap != "other_mode":
            self._mode = mode
            self._feed()

    def _metadata(self) -> bytes:
        rows = dict(DEFAULTS if self._setup.trap == "uncalibrated" else COEFFICIENTS)
        if self._setup.trap == "cut_metadata":
            del rows["O"], rows["S"]
        if self._setup.trap == "nan_metadata":
            rows["GI"] = (*rows["GI"][:-1], "-nan")
        return metadata(rows, vdd_mv=self._vdd_mv, mode=self._mode).encode()

    def _feed(self) -> None:
        """In ampere mode somebody else feeds the node."""
        gain, offset = self._error
        volt = self._vdd_mv * 1e-3
        ohm = OUTPUT_OHM + 2 * self._setup.lead_ohm
        on = self.output_on()
        self._setup.node.drive(emf_v=volt * (1 + gain) + offset if on else 0.0, resistance_ohm=ohm, clamp_a=CLAMP_A, connected=on)

    # --- stream

    def _start(self) -> None:
        if self._streaming:
            return
        self._streaming = True
        self._t0_ns, self._next = self._clock.now_ns(), 0
        self._clock.set_limit(self._owner, self._t0_ns + AHEAD_NS)
        self._background(self._clock.sleep_until(self._t0_ns + FIRST_NS), "first samples")
        self._port.send(self._rest)
        self._rest = b""

    def _stop(self) -> None:
        if self._setup.trap != "endless":
            self._streaming = False
            self._clock.set_limit(self._owner, None)

    async def _stream(self) -> None:
        while True:
            if self._streaming:
                self._produce()
                if self._setup.trap == "endless":
                    await self._clock.sleep_until(self._clock.now_ns() + FIRST_NS)
            await asyncio.sleep(0 if self._streaming and self._due() >= MOST else LOOK_S)

    def _due(self) -> int:
        return int((self._clock.now_ns() - self._t0_ns) / (RATE_NS * (1 + self._timebase))) - self._next

    def _produce(self) -> None:
        count = min(self._due(), MOST)
        if count * SAMPLE_BYTES > self._room() and self._due() <= AHEAD_NS // RATE_NS:
            return  # stepped time goes no further, and a host that is only slow loses nothing
        edges = instants(self._t0_ns, self._next, max(count, 0), dt_ns=RATE_NS, timebase=self._timebase)
        while count > 0 and edges[count] > self._clock.now_ns():
            count -= 1
        if count > 0:
            self._send(self._samples(edges[:count], edges[1 : count + 1]))
            self._next += count
        made_to = self._t0_ns + round(self._next * RATE_NS * (1 + self._timebase))
        self._clock.set_limit(self._owner, made_to + AHEAD_NS)

    def _samples(self, starts: Instants, ends: Instants) -> bytes:
        means = node_means(self._setup, starts, ends)
        through = self._running
        current = means.current if through else np.zeros(len(starts))
        chosen = self._amps.seamless(np.abs(current))
        seen = self._amps.read(current, starts, ends, chosen)
        adc = codes(seen, chosen, self._vdd_mv * 1e-3)
        counter = (self._count + np.arange(len(starts), dtype=np.uint32)) & np.uint32(63)
        word = adc | chosen.astype(np.uint32) << 14 | counter << 18 | self._logic(starts, ends) << 24
        self._count += len(starts)
        return self._sprung(word.astype("<u4"))

    def _logic(self, starts: Instants, ends: Instants) -> NDArray[np.uint32]:
        lines = np.zeros(len(starts), np.uint32)
        for k, pin in enumerate(self._pins):
            if pin is not None:
                lines |= (pin_means(self._setup.pins, pin, starts, ends) > HIGH_V).astype(np.uint32) << k
        return lines

    def _sprung(self, word: NDArray[np.uint32]) -> bytes:
        """What a trap leaves of the samples; each goes off once 1000 samples have gone well."""
        at = 1000 - self._next
        lost = {"lost": 5, "lost_64": 64, "lost_many": 640}.get(self._setup.trap, 0)
        if lost:
            word = np.delete(word, slice(max(at, 0), max(at + lost, 0)))
        if self._setup.trap == "range_code" and 0 <= at < len(word):
            word[at] |= 7 << 14
        return word.tobytes()

    def _send(self, data: bytes) -> None:
        """A host that does not read loses the newest, and the counter goes on."""
        self._port.send(data[: max(0, self._room() // SAMPLE_BYTES * SAMPLE_BYTES)])

    def _room(self) -> int:
        """For bytes, until samples are lost."""
        return BUFFER_SAMPLES * SAMPLE_BYTES - self._port.unsent()

    def _background(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{self._setup.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
