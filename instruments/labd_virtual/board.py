"""The virtual board: supply node, pins, serial line and chip wired together, and how warm it gets."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from labd_virtual.clock import BoardClock, Timer
from labd_virtual.firmware_process import Firmware
from labd_virtual.followed import Followed, Live
from labd_virtual.load import RESTING, Doing, State, Warmth, board_a
from labd_virtual.pins import BoardPins
from labd_virtual.silicon import Silicon
from labd_virtual.spec import BenchSpec, BoardSpec, SpecError, read_fields
from labd_virtual.supply import Load, Supply
from labd_virtual.truth import Record, Truth
from labd_virtual.uart import Uart

# Temperature, and with it leakage, moves in steps of this length: 1 % of the default thermal time constant.
_WARMTH_STEP_NS = 200_000_000


class Board:
    """Needs a running event loop. firmware None: a board that draws current but runs nothing. device: followed in its place."""

    def __init__(
        self,
        clock: BoardClock,
        bench: BenchSpec,
        *,
        firmware: Firmware | None,
        sink: Callable[[Record], None] | None,
        device: Live | None = None,
    ) -> None:
        self._clock = clock
        self._bench = bench
        self.spec = bench.board
        self.supply = Supply(clock, self.spec, horizon_s=bench.horizon_s)
        self.pins = BoardPins(clock, io_level_v=self.spec.io_level_v, horizon_s=bench.horizon_s)
        self.uart = Uart(clock, bench.uart)
        self.truth = Truth(clock, self.supply, sink)
        self._boot_clock_hz = self.spec.clock_hz
        self.silicon = self._chip(firmware, device)
        self.silicon.truth = self.truth
        self._warmth = Warmth()
        self._drawn_a = 0.0
        self._step: Timer | None = None
        self._closed = False
        self.supply.on_power = self._power_changed
        self.silicon.on_doing = lambda _doing: self._set_load()
        self.uart.on_byte = self.silicon.byte_arrives
        self.uart.on_lines = self._set_lines
        self.uart.on_sending = self._set_load
        self.pins.on_lines = self._set_lines
        self.pins.on_trig = self.silicon.trig
        self._set_lines()
        self._set_load()

    def _chip(self, firmware: Firmware | None, device: Live | None) -> Silicon | Followed:
        rng = _rng(self._bench.seed)
        if device is None:
            chip = Silicon(self._clock, self.pins, uart=self.uart, firmware=firmware, rng=rng, spec=self.spec)
            chip.on_clock = self._clocked
            return chip
        delay_s = self._bench.firmware.delay_s
        return Followed(self._clock, self.pins, uart=self.uart, device=device, rng=rng, spec=self.spec, delay_s=delay_s)

    def close(self) -> None:
        self._closed = True
        self.silicon.power_off(brown_out=False)
        self.uart.close()

    def redraw(self, seed: int) -> None:
        """Another specimen of the board: dispersion and clock error anew."""
        self.silicon.redraw(_rng(seed))

    def configure(self, key: str, value: Any) -> None:
        """Change a field of `board`, or uart.driven, while it runs. Raises SpecError."""
        if key == "uart.driven" and isinstance(value, bool):
            self.uart.set_driven(driven=value)
            return
        part, _, name = key.partition(".")
        if part != "board":
            raise SpecError(f"{key}: {value!r} cannot be set; uart.driven (true or false) and the fields of board can")
        self._become(read_fields(BoardSpec, {**dataclasses.asdict(self.spec), name: value}, "board"))
        self._boot_clock_hz = self.spec.clock_hz if name == "clock_hz" else self._boot_clock_hz

    def _become(self, spec: BoardSpec) -> None:
        if spec == self.spec:
            return
        self.spec = self.silicon.spec = spec
        self.supply.reconfigure(spec)
        self._set_load()

    def _clocked(self, hz: float) -> bool:
        """The firmware divides the clock that it boots with; faster there is none."""
        if not hz <= self._boot_clock_hz:
            return False
        self._become(dataclasses.replace(self.spec, clock_hz=hz))
        return True

    def look(self) -> dict[str, Any]:
        """What somebody with a probe would see now."""
        self.supply.note_worst()
        worst, counts, doing = self.supply.worst, self.silicon.counts, self.silicon.doing
        return {
            "t_ns": self._clock.now_ns(),
            "voltage_v": self.supply.node_v(),
            "worst_pin_v": max(worst.supply_v, worst.io_v),
            "worst_supply_v": worst.supply_v,
            "worst_io_v": worst.io_v,
            "worst_io_over_supply_v": worst.io_over_supply_v,
            "supply_max_v": self.spec.supply_max_v,
            "resets": counts.brown_outs,
            "boots": counts.boots,
            "bytes_lost": counts.bytes_lost,
            "crashed": counts.crashed,
            "late": counts.late,
            "backfeed_a": self.supply.backfeed_a(),
            "state": doing.state.name.lower(),
            "phase": doing.phase.name.lower(),
            "clock_error": self.silicon.clock_rate - 1,
            "rise_k": self._warmth.rise_k,
            "rest_power_w": self.supply.rest_power_w(),
        }

    def _power_changed(self) -> None:
        if self.supply.powered:
            self.silicon.power_on()
        else:
            self.silicon.power_off(brown_out=self.supply.fed)
            self._become(dataclasses.replace(self.spec, clock_hz=self._boot_clock_hz))
        self.truth.power(on=self.supply.powered, resets=self.silicon.counts.brown_outs, least_v=self.spec.least_v)

    def _set_lines(self) -> None:
        trig = self.spec.io_level_v if self.pins.level("TRIG") else 0.0
        self.supply.set_lines(max(trig, self.uart.line_v()))

    def _set_load(self) -> None:
        """Carry the temperature over the stretch that ends now, and draw what the chip does from now on."""
        if self._closed:
            return
        now = self._clock.now_ns()
        self._warmth.carry(now, self._drawn_a * self.supply.node_v(), self.spec)
        doing = self.silicon.doing
        self._drawn_a = board_a(self.spec, doing, self._warmth.rise_k, supply_v=self.supply.node_v()) + self._sending_a(doing)
        self.supply.set_load(Load(self._drawn_a, self._backfeed(doing)))
        if self._step is not None:
            self._step.cancel()
            self._step = None
        if doing.state is not State.UNPOWERED:
            self._step = self._clock.call_at(now + _WARMTH_STEP_NS, self._set_load)

    def _sending_a(self, doing: Doing) -> float:
        return self.spec.uart_a if self.uart.sending and doing.state is not State.UNPOWERED else 0.0

    def _backfeed(self, doing: Doing) -> float:
        return self.spec.backfeed_a if doing.phase in RESTING else 0.0


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, 0xB0A2D]))
