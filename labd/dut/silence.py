"""What it means that a reply did not come, or not whole. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from labd.dut.errors import HalfReply, InterfaceBlocked, LineNoise, NoAnswer, OtherDevice, WrongBaud
from labd.dut.port import PortSettings
from labd.dut.protocol import LineDecoder, ReplyCollector
from labd.errors import DutFailure

UNREADABLE = 4  # one byte in so many that is no text: not noise, the wrong baud rate


@dataclass(frozen=True, slots=True)
class Line:
    """What is known of the line. relayed: the DUT is behind an interface board. worked: it has been in step at this baud rate."""

    settings: PortSettings
    relayed: bool
    worked: bool


def silence(collector: ReplyCollector, decoder: LineDecoder, line: Line, timeout_s: float) -> DutFailure:
    """The failure to raise, which says what to look at."""
    settings = line.settings
    said = f"`{collector.command}` on {settings.port} within {timeout_s:g} s"
    if decoder.received == 0 and line.relayed:
        return NoAnswer(
            f"no answer to {said}, not even from the interface board: reset it (it waits for ever for a DUT that does not answer), and "
            f"check that this is its port and that its host side runs at {settings.baud} baud"
        )
    if decoder.received == 0:
        return NoAnswer(
            f"no answer to {said}; check that the DUT is powered and flashed, that this is its port, that TX and RX are not swapped, "
            f"and the baud rate ({settings.baud}; stock energy builds use 9600); a DUT that has crashed answers after a reset"
        )
    if decoder.garbage and line.worked:
        return LineNoise(
            f"{decoder.garbage} of {decoder.received} bytes in answer to {said} are not text, at a baud rate that has worked: noise on the "
            "line, a loose ground, or a supply that browns out"
        )
    if UNREADABLE * decoder.garbage > decoder.received:
        return WrongBaud(
            f"{decoder.garbage} of {decoder.received} bytes in answer to {said} are not text: {settings.baud} baud is probably wrong "
            "(115200 or 921600 in performance builds, 9600 in stock energy builds)"
        )
    if collector.passed_on:
        return InterfaceBlocked(
            f"the interface board passed {said} on and the DUT behind it gave no answer: check its supply, its wires and the board's baud "
            "rate to it (dut_baud), then reset the interface board, which waits for ever"
        )
    if line.relayed and collector.beside:
        return OtherDevice(
            f"`dut {collector.command}` on {settings.port} is not answered by an interface board but by {collector.beside!r}; without one "
            'between, write via = "direct"'
        )
    last = decoder.pending or collector.last
    return HalfReply(f"half a reply to {said}: it stopped after {last!r}, without m-ready")
