"""Virtual Qoitech Otii Arc or Ace with the Otii app before it: JSON over TCP, one device, projects and recordings.

Written from the vendor's own client (otii_tcp_client 1.0.13: arc.py, otii.py, project.py, recording.py). By no document at hand: the
voltages of an Ace (0.5 to 25 V), its sample rates, its ranges (those that elektormagazine.com gives for an Arc), its resistance (0.1 ohm),
that a message of type information comes now and then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

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
from labd_virtual.instruments.qoitech_otii_app import AppServer, Failure, between, information, line, needed
from labd_virtual.persona import Persona, PersonaSetup
from labd_virtual.wire import Device

DEVICE = "Ace12345678912345678912345678900001"
NAME = "Bench"
VOLTAGE_V = {"Arc": (0.5, 5.0), "Ace": (0.5, 25.0)}
ACE_RATES = (1, 10, 100, 1000, 10_000, 50_000)
RATES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "Arc": {"mc": (4000,), "mv": (1000,)},
    "Ace": {"mc": ACE_RATES, "mv": ACE_RATES},
}
CURRENT = tuple(MeterRange(full, NoiseCurve((1e-3,), (1e-6 * full,))) for full in (0.02, 2.7, 5.0))  # noise: assumed
VOLTAGE = (MeterRange(25.0, NoiseCurve((1e-3,), (1e-5,))),)
OUTPUT_OHM = 0.1
SPRUNG_S = 0.5  # of a recording: from then on a trap is sprung
AHEAD_NS = 500_000_000  # stepped time may run this far ahead of what has been asked for
PRESENT_NS = 1_000_000  # of a present value
INFORMS_EVERY = 7  # responses
HIGH_V = 1.0

TRAPS = {
    "not_logged_in": "has nobody logged in, and takes no command of a device",
    "no_license": "has no Automation licence reserved, and takes no command of a device",
    "denied": "denies the connection in its greeting, which a client may take for one",
    "unplugged": "loses its device while it records, and says so only to commands of the device",
    "old_recording": "starts no new recording and gives the one before it as the last",
    "no_recording": "takes the start of a recording and has none",
    "stalls": "keeps a recording running to which no samples come any more",
    "gap": "drops samples; their numbers go on, only the time of the next piece shows it",
    "short": "gives fewer values than it was asked for, without a word",
    "coarse": "gives values at ten times the interval, as a downsampled channel has",
    "nan": "gives NaN among the values, which JSON has no word for and its app writes all the same",
    "null": "gives null among the values",
    "other_answer": "answers with the number of another request",
    "half_line": "ends a line of JSON in its middle",
    "cuts_off": "cuts main off at its current limit while it records; the recording goes on with zeros",
    "other_voltage": "takes a voltage and keeps the one it had",
    "other_limit": "takes a current limit and keeps 5 A",
    "other_rate": "takes a sample rate and keeps the one it had",
    "stays_on": "takes main off and stays on",
    "stays_off": "takes main on and stays off",
}


def create(setup: PersonaSetup) -> Persona:
    """options: `model` (Arc or Ace), `marker_pin`. wires: `i1`, `i2`, or `marker`. setup.interface does not matter."""
    return Otii(setup)


class Otii:
    """The app and its device; see the module for sources."""

    def __init__(self, setup: PersonaSetup) -> None:
        if setup.trap and setup.trap not in TRAPS:
            raise ValueError(f"there is no trap {setup.trap!r}, there are {', '.join(TRAPS)}")
        self._setup, self._clock, self._trap = setup, setup.clock, setup.trap
        self.model = str(setup.options.get("model", "Ace"))
        self._server = AppServer(
            Device(self._answer, lambda: None, lambda: None, lambda: 0, lambda: None, self._sessions), clients=setup.clients
        )
        self._server.denies, self._server.device = self._trap == "denied", NAME
        self._amps = Converter(setup, "current", CURRENT, hum=setup.factor("hum_a", 0.2e-6), leakage=setup.fixture_leakage_a)
        self._volts = Converter(setup, "voltage", VOLTAGE)
        marker = setup.options.get("marker_pin")
        self._pins = {k: wired(setup.wires, f"i{k}", *(("marker",) if k == marker else ())) for k in (1, 2)}
        self._main, self._volt, self._limit, self._limits = self._trap == "stays_on", 1.0, 5.0, False
        self._range, self._supply, self._four_wire = "low", "power-box", False
        self._rates = {channel: rates[-1] for channel, rates in RATES[self.model].items()}
        self._project, self._added, self._next = -1, False, 1
        self._recordings: dict[int, Recording] = {}
        self._answers = 0
        self.redraw(setup.rng)

    # --- Persona

    async def serve(self) -> str:
        await self._server.start()
        return self._server.resource

    async def close(self) -> None:
        self._clock.set_limit(self._setup.name, None)
        await self._server.close()

    def redraw(self, rng: np.random.Generator) -> None:
        amps, volts, clock = rng.spawn(3)
        self._amps.redraw(amps)
        self._volts.redraw(volts)
        self.timebase = drawn_timebase(self._setup, clock)

    def hang(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.hang(on)
        self._clock.set_limit(self._setup.name, None)

    def cut(self, on: bool) -> None:  # noqa: FBT001 - see Persona
        self._server.cut(on)
        self._clock.set_limit(self._setup.name, None)

    def output_on(self) -> bool:
        return self._main

    def _sessions(self, count: int) -> None:
        if count == 0:
            self._clock.set_limit(self._setup.name, None)

    # --- requests

    async def _answer(self, text: str) -> bytes | None:
        try:
            request = json.loads(text)
        except ValueError as error:
            data = {"parse_error": str(error), "data": text.strip()}
            return line({"type": "error", "errorcode": "Not able to parse request", "cmd": "", "data": data})
        command, number = str(request.get("cmd", "")), request.get("trans_id")
        told = {"cmd": command, **({} if number is None else {"trans_id": number})}
        if command == "arc_get_value":  # it answers with the next sample
            await self._clock.sleep_until(self._clock.now_ns() + PRESENT_NS)
        try:
            found = self._execute(command, request.get("data") or {})
        except Failure as failure:
            return line({"type": "error", "errorcode": failure.code, **told, "data": failure.data})
        self._answers += 1
        if self._trap == "other_answer" and self._sprung():
            told["trans_id"] = str(int(number or 0) - 1)
        reply = line({"type": "response", **told, "data": found})
        if self._trap == "half_line" and self._sprung():
            reply = reply[: len(reply) // 2] + b"\r\n"
        informs = information("device_status", {"device_id": DEVICE}) if self._answers % INFORMS_EVERY == 0 else b""
        return informs + reply

    def _execute(self, command: str, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises Failure."""
        family, _, rest = command.partition("_")
        handler: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None = getattr(self, f"_{family}_{rest}", None)
        if family not in ("otii", "arc", "project", "recording") or handler is None:
            raise Failure("Invalid command")
        if command not in ("otii_is_logged_in", "otii_has_license", "otii_get_licenses"):
            if self._trap == "not_logged_in":
                raise Failure("Not logged in")
            if self._trap == "no_license":
                raise Failure("No license")
        if family == "arc" and (needed(data, "device_id", str) != DEVICE or self._unplugged()):
            raise Failure("Device not connected", {"device_id": data["device_id"]})
        return handler(data)

    def _unplugged(self) -> bool:
        return self._trap == "unplugged" and self._sprung()

    def _sprung(self) -> bool:
        """From half a second of a recording on."""
        return any(r.running and self._clock.now_ns() - r.t0_ns >= SPRUNG_S * 1e9 for r in self._recordings.values())

    # --- the app

    def _otii_is_logged_in(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"logged_in": self._trap != "not_logged_in"}

    def _otii_has_license(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"has_license": needed(data, "license_type", str) == "Automation" and self._trap != "no_license"}

    def _otii_get_devices(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"devices": [{"device_id": DEVICE, "name": NAME, "type": self.model}, {"device_id": "x", "name": "UART", "type": "Uart"}]}

    def _otii_get_active_project(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"project_id": self._project}

    def _otii_create_project(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._project = 1
        return {"project_id": 1}

    # --- the device

    def _arc_add_to_project(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._in_project({"project_id": self._project})
        self._added = True
        return {}

    def _arc_get_version(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"hw_version": "1.0.2", "fw_version": "1.1.6"}

    def _arc_is_connected(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"connected": True}

    def _arc_calibrate(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        for converter in (self._amps, self._volts):
            converter.zero(self._clock.now_ns())
        return {}

    def _arc_set_supply_power_box(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    def _arc_get_supply_mode(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"supply_mode": self._supply}

    def _arc_set_power_regulation(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._choice(data, "mode", ("voltage", "current", "inline", "off"))
        return {}

    def _arc_set_4wire(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._four_wire = needed(data, "enable", bool)
        return {}

    def _arc_get_4wire(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"value": ("active" if self._main else "inactive") if self._four_wire else "disabled"}

    def _arc_set_range(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._range = self._choice(data, "range", ("low", "high"))
        return {}

    def _arc_get_range(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"range": self._range}

    def _arc_set_main_voltage(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        value = between(data, "value", *VOLTAGE_V[self.model])
        if self._trap != "other_voltage":
            self._volt = value
            self._feed()
        return {}

    def _arc_get_main_voltage(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"value": self._volt}

    def _arc_set_max_current(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        value = between(data, "value", 0.001, 5.0)
        self._limit = 5.0 if self._trap == "other_limit" else value
        self._feed()
        return {}

    def _arc_get_max_current(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"value": self._limit}

    def _arc_set_src_cur_limit_enabled(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._limits = needed(data, "enable", bool)
        return {}

    def _arc_get_src_cur_limit_enabled(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"enabled": self._limits}

    def _arc_set_main(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        on = needed(data, "enable", bool)
        if self._trap != ("stays_off" if on else "stays_on"):
            self._main = on
            self._feed()
        return {}

    def _arc_get_main(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        if self._trap == "cuts_off" and self._sprung():
            self._main = False
            self._feed()
        return {"value": self._main}

    def _arc_enable_channel(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._choice(data, "channel", ("mc", "mv", "mp", "i1", "i2", "rx", "tp"))
        needed(data, "enable", bool)
        return {}

    def _arc_set_channel_samplerate(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.model != "Ace":
            raise Failure("Command not valid for device type")
        channel, value = self._choice(data, "channel", tuple(self._rates)), needed(data, "value", int)
        if value not in RATES[self.model][channel]:
            raise Failure("Invalid key value", {"key": "value", "value": value})
        if self._trap != "other_rate":
            self._rates[channel] = value
        return {}

    def _arc_get_channel_samplerate(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"value": self._rates[self._choice(data, "channel", tuple(self._rates))]}

    def _arc_get_gpi(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        pin = self._pins.get(needed(data, "pin", int))
        now = np.array([max(self._clock.now_ns() - 1, 0)])
        return {"value": pin is not None and float(pin_means(self._setup.pins, pin, now, now + 1)[0]) > HIGH_V}

    def _arc_get_value(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The present value: the mean of the last millisecond."""
        channel = self._choice(data, "channel", ("mc", "mv"))
        now = self._clock.now_ns()
        edges = np.array([now - PRESENT_NS, now])
        return {"value": float(self.read(channel, edges[:1], edges[1:])[0])}

    def _choice(self, data: Mapping[str, Any], key: str, choices: tuple[str, ...]) -> str:
        found = str(needed(data, key, str))
        if found not in choices:
            raise Failure("Invalid key value", {"key": key, "value": found})
        return found

    def _feed(self) -> None:
        ohm = OUTPUT_OHM + 2 * self._setup.lead_ohm * (not self._four_wire)
        self._setup.node.drive(emf_v=self._volt if self._main else 0.0, resistance_ohm=ohm, clamp_a=self._limit, connected=self._main)

    def read(self, channel: str, starts: Instants, ends: Instants) -> Floats:
        """What a channel reads over [starts, ends)."""
        means = node_means(self._setup, starts, ends)
        if channel == "mv":
            return self._volts.read(means.voltage, starts, ends, 0)
        current = means.current if self._main else np.zeros(len(starts))
        return self._amps.read(current, starts, ends, self._amps.seamless(np.abs(current)) if self._range == "low" else len(CURRENT) - 1)

    # --- projects and recordings

    def _in_project(self, data: Mapping[str, Any]) -> None:
        if needed(data, "project_id", int) != self._project or self._project < 0:
            raise Failure("Project does not exist")

    def _project_start_recording(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._in_project(data)
        if not self._added or any(r.running for r in self._recordings.values()):
            raise Failure("Command failure", {"message": "cannot start a recording"})
        if self._trap == "no_recording":
            return {}
        if self._trap != "old_recording" or not self._recordings:
            self._recordings[self._next] = Recording(self._clock.now_ns(), dict(self._rates))
            self._recordings[self._next].running = self._trap != "old_recording"
            self._next += 1
        self._clock.set_limit(self._setup.name, self._clock.now_ns() + AHEAD_NS)
        return {}

    def _project_stop_recording(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._in_project(data)
        for recording in self._recordings.values():
            if recording.running:
                recording.running, recording.end_ns = False, self._clock.now_ns()
        self._clock.set_limit(self._setup.name, None)
        return {}

    def _project_get_last_recording(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._in_project(data)
        last = max(self._recordings, default=-1)
        return {"recording_id": last, "name": f"Recording {last}"}

    def _recording(self, data: Mapping[str, Any]) -> Recording:
        found = self._recordings.get(needed(data, "recording_id", int))
        if found is None:
            raise Failure("Invalid key value", {"key": "recording_id", "value": data["recording_id"]})
        return found

    def _recording_is_running(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"running": self._recording(data).running}

    def _recording_delete(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        self._recording(data)
        del self._recordings[data["recording_id"]]
        return {}

    def _recording_get_channel_data_count(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        recording, channel = self._recording(data), needed(data, "channel", str)
        if recording.running:
            self._clock.set_limit(self._setup.name, self._clock.now_ns() + AHEAD_NS)
        if channel in ("i1", "i2"):
            return {"count": len(self._edges(recording, channel))}
        return {"count": self._count(recording, channel)}

    def _recording_get_channel_data(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        recording, channel = self._recording(data), needed(data, "channel", str)
        index, count = needed(data, "index", int), needed(data, "count", int)
        if channel in ("i1", "i2"):
            return {"data_type": "digital", "values": self._edges(recording, channel)[index : index + count]}
        if index < 0 or index + count > self._count(recording, channel):
            raise Failure("Invalid key value", {"key": "index", "value": index})
        dt_s = 1 / recording.rates[channel]
        edges = instants(recording.t0_ns, index, count, dt_ns=dt_s * 1e9, timebase=self.timebase)
        values: list[Any] = [float(v) for v in self.read(channel, edges[:-1], edges[1:])]
        sprung = index * dt_s >= SPRUNG_S
        late_s = 0.1 if self._trap == "gap" and sprung else 0.0
        if self._trap == "short" and sprung:
            values = values[: max(1, len(values) - 3)]
        if self._trap in ("nan", "null") and sprung:
            values[0] = float("nan") if self._trap == "nan" else None
        interval = dt_s * (10 if self._trap == "coarse" and sprung else 1)
        return {"data_type": "analog", "timestamp": index * dt_s + late_s, "interval": interval, "values": values}

    def _count(self, recording: Recording, channel: str) -> int:
        if channel not in recording.rates:
            raise Failure("Invalid key value", {"key": "channel", "value": channel})
        now = self._clock.now_ns() if recording.running else recording.end_ns
        if self._trap == "stalls":
            now = min(now, recording.t0_ns + round(SPRUNG_S * 1e9))
        return int((now - recording.t0_ns) / (1e9 / recording.rates[channel] * (1 + self.timebase)) + 1e-9)

    def _edges(self, recording: Recording, channel: str) -> list[dict[str, Any]]:
        pin = self._pins[int(channel[1])]
        end = self._clock.now_ns() if recording.running else recording.end_ns
        edges = self._setup.pins.edges(pin, recording.t0_ns, end) if pin is not None else []
        return [{"timestamp": (e.t_ns - recording.t0_ns) * 1e-9 / (1 + self.timebase), "value": bool(e.level)} for e in edges]


class Recording:
    """From when, at which rates."""

    def __init__(self, t0_ns: int, rates: dict[str, int]) -> None:
        self.t0_ns, self.rates = t0_ns, rates
        self.running, self.end_ns = True, t0_ns
