"""Doubles of the streaming-wakeword firmware and of the interface board: own code, written from their described behaviour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.dut.stock_dut import Speaks
from tests.dut.stock_firmware import StockFirmware, StockModel, leading_number, scores

SWW = StockModel("sww01", 1200, lambda data: scores(data, 3))


@dataclass(slots=True)
class StreamingFirmware(StockFirmware):
    """Echoes each command, counts what it receives, and can set its pointer. streamed: what `stop` and `extract_uart_stream` print.

    loses: numbers of `db` lines whose reply never comes.
    """

    model: StockModel = SWW
    command_size: int = 1028
    activations: tuple[float, ...] = ()
    features: tuple[tuple[float, ...], ...] = ()
    listening: bool = False
    loses: set[int] = field(default_factory=set)
    _db_lines: int = 0

    def _execute(self, command: bytes) -> None:
        if not command.strip(b" "):
            self.dead = "compared a string that is not there"
            return
        before = len(self._out)
        self._line(f"Received command: {command.decode('latin-1')}")
        words = command.split()
        own: dict[bytes, Callable[[], None]] = {b"start": self._start, b"stop": self._stop, b"extract_uart_stream": self._extract}
        if words[0] in own:
            own[words[0]]()
        elif words[:2] == [b"db", b"setptr"]:
            self._at = max(0, leading_number(words[2])) if len(words) > 2 else 0
        elif words[:2] == [b"db", b"getptr"]:
            self._line(f"m-buff-ptr-{self._at}")
        else:
            StockFirmware._execute(self, command)
            self._in_its_own_words(before)
            return
        self._line("m-ready")

    def _in_its_own_words(self, before: int) -> None:
        said = bytes(self._out[before:])
        said = said.replace(b"m-[Expecting ", b"Expecting ").replace(b" bytes]", b" bytes")
        said = said.replace(b"ULPMark for tinyML Firmware V0.0.1", b"MLPerf Tiny Firmware V0.1.0")
        if said.startswith(b"Received command: db ") and b"load" not in said.split(b"\r\n")[0] and b"print" not in said.split(b"\r\n")[0]:
            self._db_lines += 1
            said = said.replace(b"m-ready", f"{self._at} bytes received\r\nm-ready".encode()) if b"m-load-done" not in said else said
            said = b"" if self._db_lines in self.loses else said
        self._out[before:] = said

    def _start(self) -> None:
        self.listening = True

    def _stop(self) -> None:
        self.listening = False
        self._line("target activations:")
        for k in range(0, len(self.activations), 4):
            self._line(" ".join(f"{value:.3f}," for value in self.activations[k : k + 4]))

    def _extract(self) -> None:
        for row in self.features:
            self._line(f"m-features-[{','.join(f'{value:.1f}' for value in row)}]")
        self._line(f"m-activations-[{','.join(f'{value:.3f}' for value in self.activations)}]")


@dataclass(slots=True)
class InterfaceBoardDouble:
    """An interface board and the DUT behind it (None: none is there). blocked: it waits for its DUT and hears nothing else."""

    dut: Speaks | None
    baud: int = 9600
    dut_baud: int = 9600
    blocked: bool = False
    resets: int = 0
    detections_ms: list[int] = field(default_factory=list)
    rises: list[int] = field(default_factory=list)
    falls: list[int] = field(default_factory=list)
    _command: bytearray = field(default_factory=bytearray)
    _unheard: bytearray = field(default_factory=bytearray)
    _from_dut: bytearray = field(default_factory=bytearray)

    def boot(self) -> bytes:
        if self.dut is not None:
            self.dut.boot()
        return b""

    def reset(self) -> None:
        self.blocked = False
        self._command.clear()
        self._unheard.clear()
        self.resets += 1

    def feed(self, data: bytes) -> bytes:
        self._unheard += data
        said = b""
        while self._unheard and not self.blocked:
            byte = self._unheard.pop(0)
            if byte == ord("%"):
                command = self._command.decode("latin-1")
                self._command.clear()
                said += self._execute(command)
            else:
                self._command.append(byte)
        return said

    def _execute(self, command: str) -> bytes:
        word, _, rest = command.strip().partition(" ")
        match word:
            case "name":
                return _lines("tinyML Enhanced Interface Board")
            case "dut":
                return _lines(f"m-dut-passthrough({rest})") + self._passed(rest)
            case "checkbaud":
                return f"baud is: {self.baud}\nm-ready\r\n".encode()
            case "setbaud":
                self.baud = leading_number(rest.encode("latin-1"))
                self.reset()
                return f"set baud to: {rest}\nm-ready\r\n".encode()
            case "print_detections":
                return _lines("Detections (ms):", *(f"{time}," for time in self.detections_ms))
            case "print_dutycycle":
                return _lines("Rising edges (seconds):", *_eights(self.rises[:100]), "Falling edges (seconds):", *_eights(self.falls[:100]))
            case _:
                return _lines()

    def _passed(self, command: str) -> bytes:
        """It reads until the DUT says m-ready, without a time-out."""
        if self.dut is None or self.baud != self.dut_baud:
            self.blocked = True
            return b""
        self._from_dut += self.dut.feed(command.encode("latin-1") + b"%")
        *whole, rest = bytes(self._from_dut).split(b"\n")
        self._from_dut = bytearray(rest)
        self.blocked = b"m-ready\r" not in whole
        return b"".join(b"[dut]: " + line + b"\n" for line in whole)


def _lines(*texts: str) -> bytes:
    return "".join(f"{text}\r\n" for text in (*texts, "m-ready")).encode()


def _eights(ticks: list[int]) -> list[str]:
    return [" ".join(f"{tick}," for tick in ticks[k : k + 8]) for k in range(0, len(ticks), 8)]
