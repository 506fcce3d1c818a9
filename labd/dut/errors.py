"""What can go wrong with a DUT, each case by its own name."""

from __future__ import annotations

from labd.errors import DutFailure


class PortFailure(DutFailure):
    """The serial port cannot be opened, is held by another program, or went away."""


class NoAnswer(DutFailure):
    """Not one byte came back."""


class WrongBaud(DutFailure):
    """Bytes came back that are not text."""


class HalfReply(DutFailure):
    """A reply began and did not end with `m-ready`."""


class UnexpectedReply(DutFailure):
    """A whole reply does not say what the protocol says it must."""


class DutRefused(DutFailure):
    """The DUT answered with an error; `reason` is its own text."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class DutRebooted(DutFailure):
    """A boot banner came where none belongs: a brown-out, a watchdog or a reset line."""


class WrongBuild(DutFailure):
    """The firmware is built for the other timestamp mode (EE_CFG_ENERGY_MODE)."""


class StockFirmware(DutFailure):
    """A command that stock MLPerf Tiny firmware does not have."""


class DutBusy(DutFailure):
    """The DUT runs a program (idle, periodic, arm) that listens to no command."""
