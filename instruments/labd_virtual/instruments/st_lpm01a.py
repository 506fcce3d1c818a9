"""Virtual ST X-NUCLEO-LPM01A (PowerShield) on a serial port: 1.8 to 3.3 V, current up to 50 mA as text or binary, with time stamps.

Written from the help text of its firmware (quoted in mlcommons/tiny, power_manager_lpm.py), from UM2243 Rev 2 p. 24 and, for the bytes,
from programs that drive one (see the model). Time stamps come once a second (mlcommons/tiny, benchmark/runner/captured_data.txt, recorded
from a board). By no source: the words of its errors, its resistance (0.5 ohm), a buffer of 250 ms, that `volt get` says what was set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import numpy as np

from labd_virtual.front_end import Converter, Floats, MeterRange, NoiseCurve, drawn_timebase, instants, node_means, row_for
from labd_virtual.instruments.st_lpm01a_model import (
    CHOICES,
    DEFAULTS,
    ENDLESS_HZ,
    LONGEST_S,
    RANGES,
    binary,
    number,
    reply,
    said,
    stamp,
    text,
)
from labd_virtual.persona import Persona, PersonaSetup
from labd_virtual.wire_serial import SerialServer

PROMPT = "PowerShield > "
DYNAMIC = (MeterRange(0.05, NoiseCurve((1e-5,), (2e-5,))),)  # noise: assumed
PROTECTION_A, CLAMP_A, OUTPUT_OHM = 0.059, 0.075, 0.5
STAMP_NS, BUFFER_NS, AHEAD_NS = 1_000_000_000, 250_000_000, 100_000_000
SPRUNG_S = (0.5, 0.6)  # of an acquisition: then a trap goes off, and is over where it lasts
LOOK_S = 0.002  # how often it looks at the clock: nothing asks a stream to go on
MOST = 10_000  # samples made in one go
WHILE_ACQUIRING = ("stop", "pwr", "targrst")

TRAPS = {
    "overrun": "loses samples, says so in one message among the samples, and goes on",
    "overrun_in_silence": "loses samples without a word; only its time stamps show it",
    "full_buffer": "says in a time stamp that its buffer is full, and loses samples from then on",
    "overflow_bit": "sets the highest bit of a time stamp, which stands for an overflow",
    "torn": "loses one byte, so that all that follows is shifted and still looks like samples",
    "no_stamps": "sends no time stamp but the first; nothing tells whether samples are missing",
    "other_frequency": "acknowledges a frequency and samples at half of it",
    "own_end": "ends an acquisition by itself as if it had been asked for a short one",
    "over_current": "protects itself, says so in one message, and what follows is no current of the board",
    "other_voltage": "acknowledges a voltage and keeps the one it had",
    "stays_off": "acknowledges that it is switched on and stays off",
    "stays_on": "acknowledges that it is switched off and stays on",
    "old_firmware": "has a firmware that refuses to switch the output off",
    "standalone": "does not let the host take control",
    "warm": "has warmed up by eight degrees since its calibration",
    "broken": "has an error in its status that no command is told of",
    "endless": "goes on streaming for a program that has died and takes no stop",
}


def create(setup: PersonaSetup) -> Persona:
    """setup.interface and wires do not matter: it is a serial port, and records no line."""
    return LPM01A(setup)


class LPM01A:
    """The instrument; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        if setup.trap and setup.trap not in TRAPS:
            raise ValueError(f"there is no trap {setup.trap!r}, there are {', '.join(TRAPS)}")
        self._setup, self._clock, self._trap = setup, setup.clock, setup.trap
        self._owner = f"{setup.name}.stream"
        self._port = SerialServer(self._received)
        self._tasks: set[asyncio.Task[None]] = set()
        self._amps = Converter(setup, "current", DYNAMIC, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self._pending = bytearray()
        self._host, self._on, self._volt = False, setup.trap == "stays_on", 3.3
        self._set = dict(DEFAULTS)
        self._hz, self._seconds = 100, 10.0
        self._celsius, self._calibrations = 24.0, 0
        self._acquiring = False
        self._t0_ns = self._next = self._stamped = 0
        self._sprung = False
        self.redraw(setup.rng)

    # --- Persona

    async def serve(self) -> str:
        self._port.start()
        self._background(self._stream(), "stream")
        if self._trap == "endless":
            self._set["format"], self._hz, self._seconds = "bin_hexa", 10_000, 0.0
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
        row = row_for(self._setup.accuracy, "voltage", RANGES["volt"][1])
        self._error = row.gain * output.uniform(-1, 1), row.offset * output.uniform(-1, 1)

    def hang(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._port.hang(on)

    def cut(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._port.cut(on)

    def output_on(self) -> bool:
        return self._on

    # --- commands

    def _received(self, data: bytes) -> None:
        self._pending += data.replace(b"\r", b"\n")
        while (end := self._pending.find(b"\n")) >= 0:
            line = self._pending[:end].decode("latin-1").strip()
            del self._pending[: end + 1]
            if line:
                self._command(line)

    def _command(self, line: str) -> None:
        """During an acquisition only what it takes then is answered, as a message among the samples; in binary not at all."""
        verb, *arguments = line.split()
        if self._acquiring and verb not in WHILE_ACQUIRING:
            return
        told = self._execute(verb, arguments)
        if verb == "stop" and told is not None:
            return
        lines = (f"{PROMPT}ack {line}{told}",) if told is not None else (f"{PROMPT}error {line}", "Error detail: not taken")
        if not self._acquiring or verb == "start":
            self._port.send(reply(*lines))
        if verb == "start" and told is not None:
            self._start()

    def _execute(self, verb: str, arguments: list[str]) -> str | None:
        """What stands behind the acknowledgement; None for a command that is refused."""
        asked = {"powershield": " 540554545-1430736921-1900587", "version": ": 1.0.5" if self._trap == "old_firmware" else ": 1.0.7"}
        if verb in asked:
            return asked[verb]
        if verb == "status":
            return " error: autotest not ok" if self._trap == "broken" else " ok"
        if verb == "pwr" and arguments == ["off"] and self._trap == "old_firmware":
            return None
        if verb == "htc":
            self._host = self._trap != "standalone"
            return "" if self._host else None
        if verb == "stop":
            return self._stopped()
        if not self._host:
            return None
        if verb == "start":
            return "" if self._may_start() else None
        return self._configure(verb, arguments[0] if arguments else "")

    def _configure(self, verb: str, argument: str) -> str | None:
        if (verb, argument) == ("volt", "get"):
            return f" {round(self._volt * 1e3):04d}-03"
        if (verb, argument) == ("temp", "degc"):
            return f" {self._celsius + (8.0 if self._trap == 'warm' and self._calibrations > 1 and self._on else 0.0):.1f}"
        if verb == "calib":
            self._calibrations += 1
            return ""
        if verb == "pwr":
            return self._power(argument)
        if verb in CHOICES:
            if argument not in CHOICES[verb]:
                return None
            self._set[verb] = argument
            if verb == "freq":
                self._hz = round(number(argument) or 0)
            return ""
        return self._amount(verb, argument)

    def _amount(self, verb: str, argument: str) -> str | None:
        value = 0.0 if (verb, argument) == ("acqtime", "inf") else number(argument)
        if verb not in RANGES or value is None:
            return None
        low, high = RANGES[verb]
        if not (low - 1e-9 <= value <= high + 1e-9 or (value == 0 and verb == "acqtime")):
            return None
        if verb == "acqtime":
            self._seconds = value
        elif verb == "volt" and self._trap != "other_voltage":
            self._volt = value
            self._calibrations += 1
            self._feed()
        return ""

    def _power(self, argument: str) -> str | None:
        if argument == "get":
            return " on" if self._on else " off"
        if argument not in ("auto", "on", "off"):
            return None
        if (argument, self._trap) not in (("on", "stays_off"), ("off", "stays_on")):
            self._on = argument == "on"
            self._feed()
        return ""

    def _feed(self) -> None:
        gain, offset = self._error
        ohm = OUTPUT_OHM + 2 * self._setup.lead_ohm
        emf_v = self._volt * (1 + gain) + offset if self._on else 0.0
        self._setup.node.drive(emf_v=emf_v, resistance_ohm=ohm, clamp_a=CLAMP_A, connected=self._on)

    # --- acquisition

    def _may_start(self) -> bool:
        endless = ENDLESS_HZ[self._set["format"]]
        if self._hz > endless and not 0 < self._seconds <= LONGEST_S.get(self._hz, 0.0):
            return False
        return not self._acquiring and not (self._set["output"] == "energy" and self._hz > 10_000)

    def _start(self) -> None:
        self._acquiring, self._sprung = True, False
        self._t0_ns, self._next, self._stamped = self._clock.now_ns(), 0, 0
        self._clock.set_limit(self._owner, self._t0_ns + AHEAD_NS)
        self._port.send(stamp(0.0, 0, self._set["format"]))
        if self._seconds:  # stepped time passes by itself, for a host that waits for the end
            self._background(self._clock.sleep_until(self._t0_ns + round(self._seconds * 1.01e9)), "acquisition")

    def _stopped(self) -> str | None:
        if not self._acquiring:
            return None
        if self._trap != "endless":
            self._end()
        return ""

    def _end(self) -> None:
        self._acquiring = False
        self._clock.set_limit(self._owner, None)
        self._port.send(said(0xF4, "", self._set["format"]) + reply(f"{PROMPT}Acquisition completed", "summary beg", "summary end"))

    async def _stream(self) -> None:
        while True:
            if self._acquiring:
                self._produce()
                if self._trap == "endless":
                    await self._clock.sleep_until(self._clock.now_ns() + 20_000_000)
            await asyncio.sleep(0 if self._acquiring and self._due() >= MOST else LOOK_S)

    def _dt_ns(self) -> float:
        return 1e9 / self._hz * (2.0 if self._trap == "other_frequency" else 1.0)

    def _due(self) -> int:
        due = int((self._clock.now_ns() - self._t0_ns) / (self._dt_ns() * (1 + self._timebase)))
        if self._seconds:
            due = min(due, round(self._seconds * self._hz))
        return due - self._next

    def _produce(self) -> None:
        """Up to the next time stamp at a time, so that each comes behind the samples that it counts."""
        while self._acquiring and (count := min(self._due(), self._to_stamp(), MOST)) > 0:
            edges = instants(self._t0_ns, self._next, count, dt_ns=self._dt_ns(), timebase=self._timebase)
            means = node_means(self._setup, edges[:-1], edges[1:])
            current = means.current if self._on else np.zeros(count)
            if bool((current > PROTECTION_A).any()):
                self._protect()
            seen = self._amps.read(current, edges[:-1], edges[1:], 0)
            self._next += count
            self._send(self._sprung_on(self._coded(seen)))
            self._mark()
        made_to = self._t0_ns + round(self._next * self._dt_ns() * (1 + self._timebase))
        if self._acquiring:
            self._clock.set_limit(self._owner, made_to + AHEAD_NS)
            if self._seconds and self._next >= round(self._seconds * self._hz):
                self._end()

    def _to_stamp(self) -> int:
        """Samples until the next time stamp is due, or until a trap goes off or is over."""
        stamp = int(np.ceil((self._stamped + 1) * STAMP_NS / self._dt_ns() - 1e-9))
        ends = (stamp, *(int(second * self._hz) for second in SPRUNG_S))
        return max(1, min(end for end in ends if end > self._next or end == stamp) - self._next)

    def _coded(self, current: Floats) -> bytes:
        return binary(current) if self._set["format"] == "bin_hexa" else text(current)

    def _mark(self) -> None:
        elapsed_ns = self._next * self._dt_ns()
        if elapsed_ns + 1 < (self._stamped + 1) * STAMP_NS:
            return
        self._stamped = int((elapsed_ns + 1) // STAMP_NS)
        full = self._trap == "full_buffer" and self._sprung
        overflow = self._trap == "overflow_bit" and self._sprung
        if self._trap != "no_stamps":
            self._port.send(stamp(elapsed_ns * 1e-9, 100 if full else 0, self._set["format"], overflow=overflow))

    def _protect(self) -> None:
        form = self._set["format"]
        self._port.send(said(0xF5, "overcurrent", form) + said(0xF6, "", form))
        self._on = False
        self._feed()

    def _sprung_on(self, data: bytes) -> bytes:
        """What a trap leaves of the samples, once in an acquisition."""
        begin, end = (second * self._hz for second in SPRUNG_S)
        if self._trap == "overrun_in_silence" and begin < self._next <= end:
            return b""
        if self._sprung or self._next <= begin or not self._trap:
            return data
        self._sprung = True
        form = self._set["format"]
        half = len(data) // 2
        if self._trap == "overrun":
            return said(0xF1, "buffer overrun", form) + data
        if self._trap == "torn":
            return data[:half] + data[half + 1 :]
        if self._trap == "over_current":
            self._protect()
        elif self._trap == "own_end":
            self._end()
            return b""
        return data

    def _send(self, data: bytes) -> None:
        """A host that does not read loses samples, and is told."""
        if self._port.unsent() * 1e9 > BUFFER_NS * 2 * self._hz * (5 if self._set["format"] == "ascii_dec" else 1):
            self._port.send(said(0xF1, "buffer overrun", self._set["format"]))
            return
        self._port.send(data)

    def _background(self, work: Coroutine[Any, Any, None], what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"{self._setup.name}: {what}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
