"""What a virtual bench is made of: frozen data with defaults, read from one JSON object."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

S = TypeVar("S")


class SpecError(ValueError):
    """The spec is wrong: one line naming the key, the value and what would be right."""


def _within(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


def _one_of(*words: str) -> Any:
    return field(default=words[0], metadata={"words": words})


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """An accelerator beside the core: what operations of a net take there. `*_cycles` of the board's clock for one (0: the core does them),
    `*_f` the capacitance that one switches, so that it takes C V^2 of the supply. MAC and synaptic operation: with a weight of 8 bits;
    others take that in proportion. static_a: while it works, the waiting core included.
    """

    mac_cycles: float = _within(0.0, 0.0, 1e6)
    mac_f: float = _within(0.0, 0.0, 1e-6)
    synop_cycles: float = _within(0.0, 0.0, 1e6)
    synop_f: float = _within(0.0, 0.0, 1e-6)
    update_cycles: float = _within(0.0, 0.0, 1e6)
    update_f: float = _within(0.0, 0.0, 1e-6)
    static_a: float = _within(0.0, 0.0, 10.0)


@dataclass(frozen=True, slots=True)
class BoardSpec:
    """Physics of the board, SI units. Currents are drawn at the supply node whatever its voltage (a linear regulator feeds the core).

    Sleep (all of `*_quiescent_a + leakage_a + sleep_core_a`, the bleed and, when retained, `retention_a`) is 6 uA at 3 V by default and
    3 uA without the model RAM. series_ohm is the board's own supply filter, behind the boundary plane: source resistances of a regulated
    output are milliohms, so the current at the plane settles with about capacitance_f * series_ohm (22 us).
    uart_a: drawn while its serial line sends. clock_wander: from its lowest to its highest rate the oscillator wanders by this fraction,
    once in clock_wander_s, in the way of clock_wander_shape (labd_virtual.wander). counter_stops_asleep: the counter of marks and laps
    stands still while the fast oscillator is off; timers go on.
    reference_hz: the clock that the currents of a clocked core hold at; clock_share of them is proportional to the clock (0: they do not
    depend on it). reference_v: no regulator feeds the core, and currents hold at this supply: clocked ones are proportional to it
    (C V f), those of sleep and leakage go with its power leakage_exponent (0: a regulator). hz_per_v, stall_v: a supply of V carries
    clocks up to hz_per_v (V - stall_v); below that it browns out (0: any clock).
    The options of the last group are physics that a model of the board may not know; they are off by default.
    """

    supply_min_v: float = _within(2.2, 0.5, 60)
    power_on_v: float = _within(2.4, 0.5, 60)
    supply_max_v: float = _within(3.6, 0.5, 60)
    io_level_v: float = _within(3.0, 0.0, 60)
    capacitance_f: float = _within(4.7e-6, 1e-12, 1.0)
    series_ohm: float = _within(4.7, 0.0, 1e3)
    bleed_ohm: float = _within(10e6, 1.0, 1e12)
    off_ohm: float = _within(100e3, 1.0, 1e12)
    io_ohm: float = _within(1e3, 1.0, 1e9)
    io_diode_v: float = _within(0.3, 0.0, 2.0)

    clock_hz: float = _within(64e6, 1e3, 10e9)
    clock_error: float | None = field(default=None, metadata={"low": -0.2, "high": 0.2})
    clock_error_limit: float = _within(30e-6, 0.0, 0.2)
    clock_wander: float = _within(0.0, 0.0, 0.01)
    clock_wander_s: float = _within(2.0, 1e-3, 1e5)
    clock_wander_shape: str = _one_of("sine", "drift", "walk", "step")
    counter_stops_asleep: bool = False
    oscillator_s: float = _within(1.2e-3, 0.0, 1.0)
    oscillator_a: float = _within(0.8e-3, 0.0, 10.0)
    oscillator_dispersion: float = _within(0.005, 0.0, 0.2)
    boot_s: float = _within(2e-3, 0.0, 10.0)
    reference_hz: float = _within(0.0, 0.0, 10e9)
    clock_share: float = _within(0.85, 0.0, 1.0)
    reference_v: float = _within(0.0, 0.0, 60)
    leakage_exponent: float = _within(3.0, 0.0, 10.0)
    hz_per_v: float = _within(0.0, 0.0, 10e9)
    stall_v: float = _within(0.0, 0.0, 60)
    engine: EngineSpec = EngineSpec()

    run_static_a: float = _within(6e-3, 0.0, 10.0)
    run_dynamic_a: float = _within(4e-3, 0.0, 10.0)
    load_a: float = _within(5e-3, 0.0, 10.0)
    tail_a: float = _within(1.7e-3, 0.0, 10.0)
    uart_a: float = _within(0.0, 0.0, 10.0)
    busy_poll_a: float = _within(5e-3, 0.0, 10.0)
    wfi_a: float = _within(1.1e-3, 0.0, 10.0)
    clock_gated_a: float = _within(0.6e-3, 0.0, 10.0)
    sleep_core_a: float = _within(0.7e-6, 0.0, 1.0)
    retention_a: float = _within(3e-6, 0.0, 1.0)
    regulator_quiescent_a: float = _within(1.2e-6, 0.0, 1.0)
    leakage_a: float = _within(0.8e-6, 0.0, 1.0)

    ambient_c: float = _within(23.0, -60, 150)
    leakage_per_k: float = _within(0.05, 0.0, 0.5)
    thermal_k_per_w: float = _within(60.0, 0.0, 1e4)
    thermal_tau_s: float = _within(20.0, 0.1, 1e5)

    cycle_dispersion: float = _within(0.002, 0.0, 0.3)
    power_dispersion: float = _within(0.003, 0.0, 0.3)
    dispersion_rho: float = _within(0.3, -0.99, 0.99)

    bulk_f: float = _within(0.0, 0.0, 1.0)
    bulk_ohm: float = _within(100.0, 1e-3, 1e6)
    ripple_v: float = _within(0.0, 0.0, 1.0)
    ripple_hz: float = _within(100.0, 1.0, 1e5)
    deep_sleep_a: float = _within(0.0, -1.0, 1.0)
    deep_sleep_after_s: float = _within(0.05, 1e-6, 1e4)
    backfeed_a: float = _within(0.0, 0.0, 1.0)

    @property
    def least_v(self) -> float:
        """Below this it browns out: what its clock needs is in it."""
        return max(self.supply_min_v, self.stall_v + self.clock_hz / self.hz_per_v) if self.hz_per_v else self.supply_min_v

    @property
    def starts_v(self) -> float:
        """From here on it starts: as far above what it needs as power_on_v is above supply_min_v."""
        return self.power_on_v + self.least_v - self.supply_min_v

    def __post_init__(self) -> None:
        if not self.supply_min_v <= self.power_on_v < self.supply_max_v:
            raise SpecError(
                f"board.power_on_v: {self.power_on_v:g} V is not from supply_min_v ({self.supply_min_v:g} V) to below supply_max_v "
                f"({self.supply_max_v:g} V)"
            )
        least = self.sleep_core_a + self.regulator_quiescent_a + min(0.0, self.deep_sleep_a)
        if least < 0:
            raise SpecError(
                f"board.deep_sleep_a: {self.deep_sleep_a:g} A takes more away than sleep draws ({least - self.deep_sleep_a:g} A)"
            )


@dataclass(frozen=True, slots=True)
class ErrorSpec:
    """Limit of error of one range, from which the instrument's own error is drawn: +-(gain * reading + offset)."""

    quantity: str = _one_of("current", "voltage", "power")
    range: float = _within(1.0, 0.0, 1e6)
    gain: float = _within(0.0, 0.0, 1.0)
    offset: float = _within(0.0, 0.0, 1e6)


@dataclass(frozen=True, slots=True)
class InstrumentSpec:
    """One virtual instrument. timebase: limit of its clock's error (fraction). lead_ohm: each way.
    line_delay_s: limit of the delay between an edge of a line or a trigger and the samples beside it (drawn by keysight_n6705c alone).

    clients: how many sessions it serves at once: `many`; `one` leaves a second one unanswered until the first is gone; `one_refusing`
    closes a second one at once. interface: what it speaks on the network: a raw `socket`, `hislip` or `vxi11`.
    """

    persona: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    accuracy: tuple[ErrorSpec, ...] = ()
    timebase: float = _within(0.0, 0.0, 0.1)
    lead_ohm: float = _within(0.03, 0.0, 100.0)
    line_delay_s: float = _within(0.0, 0.0, 1.0)
    sense_fault: str = _one_of("ok", "open", "swapped")
    fixture_leakage_a: float = _within(0.0, -1.0, 1.0)
    clients: str = _one_of("many", "one", "one_refusing")
    interface: str = _one_of("socket", "hislip", "vxi11")

    def __post_init__(self) -> None:
        if not self.persona.isidentifier():
            raise SpecError(f"instruments: persona {self.persona!r} is not the name of a file in labd_virtual/instruments")


@dataclass(frozen=True, slots=True)
class UartSpec:
    """The host's side of the serial line. driven: the host holds its transmit line at io_level_v while idle (else high impedance)."""

    baud: int = _within(115200, 300, 4e6)
    io_level_v: float = _within(3.0, 0.0, 60)
    driven: bool = False


@dataclass(frozen=True, slots=True)
class FirmwareSpec:
    """Where the firmware's sources are, and which of its two builds runs; stock: without extensions. dir empty: no firmware at all.

    target: built for this `host` and served in board time, charged by its cost model; `rp2040`, served in board time as well, charged the
    cycles that its instructions take (board.clock_hz is then 125e6, cycle_dispersion 0); or the image of a board under QEMU, which runs in
    real time and is followed. pin_log: file for the rp2040 emulator's own account of every edge.
    program: path, from the board file's folder, of an executable that is this `host`'s firmware, in place of the one that is built from the
    sources; or of the emulated board's image, read at every power-on as its flash memory is.
    pins_socket: path of a unix socket to listen at for whoever tells what the board does (labd_virtual/told.py), in place of firmware.
    delay_s: a device that is followed in real time is shown this much later than it says, so that a late host moves no edge.
    """

    dir: str = ""
    energy_mode: bool = False
    stock: bool = False
    target: str = _one_of("host", "rp2040", "lm3s6965evb", "mps3-an547")
    pins_socket: str = ""
    delay_s: float = _within(0.0, 0.0, 1.0)
    pin_log: str = ""
    program: str = ""


@dataclass(frozen=True, slots=True)
class BenchSpec:
    """The whole bench. supply: the instrument whose output feeds the board. wires: terminal (`smu.fire`) to board pin (`TRIG`).

    unkind: which unkindnesses of instruments are on, handed to them as it is. horizon_s: how much of the board's history instruments can
    at least fetch. patience_s: host time without a command after which a board that waits for an event or a time-out gets its time-out.
    """

    seed: int = _within(1, 0, 2**63)
    time: str = _one_of("stepped", "real")
    mains_hz: float = _within(50.0, 40.0, 70.0)
    board: BoardSpec = BoardSpec()
    instruments: Mapping[str, InstrumentSpec] = field(default_factory=dict)
    supply: str = ""
    wires: Mapping[str, str] = field(default_factory=dict)
    uart: UartSpec = UartSpec()
    unkind: Mapping[str, Any] = field(default_factory=dict)
    firmware: FirmwareSpec = FirmwareSpec()
    horizon_s: float = _within(60.0, 0.0, 1e6)
    patience_s: float = _within(1.0, 0.01, 60.0)

    def __post_init__(self) -> None:
        if self.supply and self.supply not in self.instruments:
            raise SpecError(f"supply: {self.supply!r} is not one of the instruments ({', '.join(self.instruments) or 'none'})")
        for terminal, pin in self.wires.items():
            if terminal.partition(".")[0] not in self.instruments:
                raise SpecError(
                    f"wires: {terminal!r} does not begin with the name of an instrument ({', '.join(self.instruments) or 'none'})"
                )
            if pin not in ("TRIG", "MARK"):
                raise SpecError(f"wires: {terminal} goes to {pin!r}; the board's pins are TRIG and MARK")


def read_spec(text: str) -> BenchSpec:
    """The spec in one JSON object. Raises SpecError."""
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise SpecError(f"the spec is not JSON: {error}") from error
    return read_fields(BenchSpec, document, "")


def read_fields(cls: type[S], document: Any, where: str) -> S:
    """A dataclass of this module from a JSON object; `where` is its key path. Raises SpecError."""
    if not isinstance(document, dict):
        raise SpecError(f"{where or 'the spec'}: {document!r} is not an object")
    known = {f.name: f for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(cls)
    values: dict[str, Any] = {}
    for key, value in document.items():
        path = f"{where}.{key}" if where else key
        if key not in known:
            near = difflib.get_close_matches(key[:40], known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise SpecError(f"{path}: no such key; {hint}")
        values[key] = _read(hints[key], value, path)
        _check(values[key], known[key].metadata, path)
    return cls(**values)


def _read(hint: Any, value: Any, path: str) -> Any:
    if isinstance(hint, types.UnionType):
        return None if value is None else _read(typing.get_args(hint)[0], value, path)
    if dataclasses.is_dataclass(hint):
        return read_fields(typing.cast("type[Any]", hint), value, path)
    origin = typing.get_origin(hint)
    if origin is tuple:
        if not isinstance(value, list):
            raise SpecError(f"{path}: {value!r} is not a list")
        return tuple(_read(typing.get_args(hint)[0], item, f"{path}[{k}]") for k, item in enumerate(value))
    if origin is not None:
        if not isinstance(value, dict):
            raise SpecError(f"{path}: {value!r} is not an object")
        item_hint = typing.get_args(hint)[1]
        return {key: item if item_hint is Any else _read(item_hint, item, f"{path}.{key}") for key, item in value.items()}
    return _read_scalar(hint, value, path)


def _read_scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise SpecError(f"{path}: {value!r} is not a {hint.__name__}")
    return value


def _check(value: Any, limits: Mapping[str, Any], path: str) -> None:
    if "words" in limits and value not in limits["words"]:
        raise SpecError(f"{path}: {value!r} is not one of {', '.join(limits['words'])}")
    if "low" in limits and value is not None and not (math.isfinite(value) and limits["low"] <= value <= limits["high"]):
        raise SpecError(f"{path}: {value:g} is not from {limits['low']:g} to {limits['high']:g}")
