"""What the emulated boards look like from outside: how QEMU is started, where their trigger is, and how its trace tells what they show."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labd_virtual.followed import Shown
from labd_virtual.load import Phase, State

_RUNNING = 7
_SETTLED = 7  # the bit that changes last in every store
# Share of the dynamic current by phase, as firmware/core/labd_cost.h declares it.
_ACTIVITY = {Phase.WAKE: 0.55, Phase.LOAD: 0.65, Phase.INFER: 0.85, Phase.TAIL: 0.7, Phase.IDLE: 0.5}
# `-msg timestamp=on`: process, seconds and microseconds of the host's real-time clock.
_STAMP = re.compile(rb"\d+@(\d+)\.(\d{6}):(\w+) (.*)")


@dataclass(frozen=True, slots=True)
class Descriptors:
    """That QEMU inherits: sockets of the UART and of qtest, and where its log goes."""

    uart: int = 3
    qtest: int = 4
    log: int = 5


@dataclass(frozen=True, slots=True)
class Store:
    """A store to what the image shows itself on (firmware/boards/cortex_m/board.h), and the host's real time of it."""

    real_ns: int
    shown: Shown


def decode(shown: int) -> Shown | None:
    """The byte of `board_show`; None for one that no image shows."""
    state, phase = shown >> 3 & 7, Phase(shown & 7)
    if state != _RUNNING and state > State.SLEEP_MODEL_OFF:
        return None
    mark = shown >> 6 & 1
    if state == _RUNNING:
        return Shown(State.RUNNING, phase, mark, _ACTIVITY.get(phase, 1.0))
    return Shown(State(state), phase, mark)


# One run's reader of trace lines (event, rest of the line): the byte that was stored, once all of it is known.
Reader = Callable[[bytes, bytes], int | None]


@dataclass(frozen=True, slots=True)
class Wiring:
    """rise, fall: qtest commands that make the trigger do that. shown: QOM path of what shows. reader: a new one for each run."""

    rise: bytes
    fall: bytes
    shown: str
    reader: Callable[[], Reader]


@dataclass(frozen=True, slots=True)
class Machine:
    """One of QEMU's machines.

    trace: the event that carries what is shown. kind: QOM type of what has the trigger line, and the pins where there are some. region:
    child of those whose address tells them apart (QEMU numbers the objects themselves as it likes); empty: there is one. wiring: from
    address to QOM path.
    """

    name: str
    trace: str
    kind: str
    region: str
    wiring: Callable[[Mapping[int, str]], Wiring]
    uart: int = 0  # which of its UARTs the image uses


class Trace:
    """Bytes of QEMU's log into stores."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._rest = b""

    def feed(self, data: bytes) -> list[Store]:
        """Lines that are no trace event, such as QEMU's own warnings, are passed over."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [store for line in lines if (store := self._store(line)) is not None]

    def _store(self, line: bytes) -> Store | None:
        match = _STAMP.fullmatch(line)
        byte = self._reader(match[3], match[4]) if match else None
        shown = decode(byte) if byte is not None else None
        if match is None or shown is None:
            return None
        return Store(int(match[1]) * 1_000_000_000 + int(match[2]) * 1000, shown)


def _ports(at: Mapping[int, str]) -> Wiring:
    """lm3s6965evb: TRIG is line 2 of port B, port D shows (firmware/boards/lm3s6965evb/board.c)."""
    trigger, shown = at[0x40005000], at[0x40007000]
    rise, fall = (f"set_irq_in {trigger} unnamed-gpio-in 2 {level}\n".encode() for level in (1, 0))
    return Wiring(rise, fall, shown, lambda: _port_lines(shown.encode()))


def _port_lines(port: bytes) -> Reader:
    """`PATH setting output N to L`: an event for each line that changed, in rising order; bit 7, which every store changes, is the last."""
    byte = 0

    def read(event: bytes, text: bytes) -> int | None:
        nonlocal byte
        words = text.split()
        if event != b"pl061_set_output" or len(words) != 6 or words[0] != port:
            return None
        number = int(words[3])
        byte = byte & ~(1 << number) | int(words[5]) << number
        return byte if number == _SETTLED else None

    return read


def _leds(at: Mapping[int, str]) -> Wiring:
    """mps3-an547: no GPIO. TRIG is an interrupt line of the core that nothing else drives, and an edge, for as an interrupt a level comes
    again and again; the FPGA's LED register shows (firmware/boards/mps3-an547/board.c)."""
    edge = "".join(f"set_irq_in {at[0]} unnamed-gpio-in 69 {level}\n" for level in (1, 0))
    return Wiring(edge.encode(), b"", "/machine/fpgaio", lambda: _led_register)


def _led_register(event: bytes, text: bytes) -> int | None:
    """`MPS2 FPGAIO write: offset 0x0 data 0xbf size 4`."""
    words = text.split()
    if event != b"mps2_fpgaio_write" or len(words) < 7 or words[4] != b"0x0":
        return None
    return int(words[6], 16) & 0xFF


LM3S6965EVB = Machine("lm3s6965evb", "pl061_set_output", "pl061_luminary", "pl061[0]", _ports)
MPS3_AN547 = Machine("mps3-an547", "mps2_fpgaio_write", "armv7m", "", _leds)
MACHINES = (LM3S6965EVB, MPS3_AN547)


def machine_of(target: str) -> Machine | None:
    """None where the target is no machine of QEMU's."""
    return next((machine for machine in MACHINES if machine.name == target), None)


def command(qemu: str, machine: Machine, image: Path, at: Descriptors, *, extra: Sequence[str] = ()) -> list[str]:
    """The machine with an image, running at once."""
    return [
        *(qemu, "-M", machine.name, "-nodefaults", "-display", "none", "-accel", "tcg", "-kernel", str(image)),
        *("-chardev", f"socket,id=uart,fd={at.uart}", *machine.uart * ("-serial", "null"), "-serial", "chardev:uart"),
        *("-chardev", f"socket,id=lines,fd={at.qtest}", "-object", "qtest,id=qtest,chardev=lines,log=/dev/null"),
        *("-trace", machine.trace, "-msg", "timestamp=on", "-D", f"/dev/fd/{at.log}"),
        *extra,
    ]


def monitor_command(qemu: str, machine: Machine, descriptor: int) -> list[str]:
    """The same machine, standing still without an image, to be asked how it is put together."""
    monitor = ("-chardev", f"socket,id=monitor,fd={descriptor}", "-mon", "chardev=monitor,mode=control")
    return [qemu, "-M", machine.name, "-nodefaults", "-display", "none", "-S", *monitor]
