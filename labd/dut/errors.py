"""What can go wrong with a DUT, each case by its own name."""

from __future__ import annotations

from labd.errors import DutFailure


class PortFailure(DutFailure):
    """The serial port cannot be opened, is held by another program, or went away."""


class NoAgent(PortFailure):
    """Nobody listens at the address of an agent."""


class WrongKey(DutFailure):
    """The agent has another key, or whoever answers there has none."""


class NoAnswer(DutFailure):
    """Not one byte came back."""


class WrongBaud(DutFailure):
    """Bytes came back that are not text."""


class HalfReply(DutFailure):
    """A reply began and did not end with `m-ready`."""


class UnexpectedReply(DutFailure):
    """A whole reply does not say what the protocol says it must."""


class LineNoise(UnexpectedReply):
    """Bytes that are no text, on a line and at a baud rate that have worked."""


class OtherDevice(UnexpectedReply):
    """Who answers is no DUT by its name, or not what the bench file says is there."""


class Misheard(UnexpectedReply):
    """The DUT echoed another command than was sent: the line is noisy, or bytes come faster than they are read."""


class InterfaceBlocked(DutFailure):
    """The interface board passed a command on and waits for a DUT that does not answer."""


class InputInDoubt(DutFailure):
    """An inference was asked for after an upload that did not end well."""


class DutRefused(DutFailure):
    """The DUT answered with an error; `reason` is its own text."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(text)
        self.reason = reason


class CallableCrashed(DutRefused):
    """What an agent runs raised an exception, or its process died."""


class CallableHung(DutRefused):
    """What an agent runs did not come back in time; the agent has ended it."""


class ModelDropped(DutRefused):
    """The process that held an agent's model died between two commands."""


class TakenOver(DutRefused):
    """Another client has proven the key, and an agent serves the newest one."""


class NoMarker(DutRefused):
    """An agent's board has no line to show its phases on."""


class PinsFailed(DutRefused):
    """The lines of an agent's board can no longer be set or read."""


class DutRebooted(DutFailure):
    """A boot banner came where none belongs: a brown-out, a watchdog or a reset line."""


class WrongBuild(DutFailure):
    """The firmware is built for the other timestamp mode (EE_CFG_ENERGY_MODE)."""


class StockFirmware(DutFailure):
    """A command that stock MLPerf Tiny firmware does not have."""


class DutBusy(DutFailure):
    """The DUT runs a program (idle, periodic, arm) that listens to no command."""


class LineFailure(DutFailure):
    """A line cannot be had, set or read: no such line, held by another program, not allowed, an adapter without it, or gone."""


class NotReady(DutFailure):
    """The DUT did not raise READY, or showed fewer gates than it was started for."""
