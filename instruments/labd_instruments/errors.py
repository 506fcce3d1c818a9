"""What can go wrong between a driver and its instrument: one small tree, one sentence a class."""

from __future__ import annotations


class InstrumentError(Exception):
    """Anything an instrument driver reports; the message names the instrument, the value and what would be right."""


class NotConnectedError(InstrumentError):
    """The link could not be opened, or nobody answered on it."""


class LinkTimeoutError(InstrumentError):
    """The instrument did not answer within the deadline of this exchange."""


class WrongInstrumentError(InstrumentError):
    """Another instrument, module or command language than the bench file promises answered."""


class ReplyError(InstrumentError):
    """A reply arrived whole but is not what the manual says this query answers."""


class RefusedError(InstrumentError):
    """The instrument put an error into its queue; `messages` holds the queue, oldest first."""

    def __init__(self, text: str, messages: tuple[tuple[int, str], ...] = ()) -> None:
        super().__init__(text)
        self.messages = messages


class OutOfRangeError(InstrumentError, ValueError):
    """A set-up value is outside what the instrument can do; refused before anything was sent."""


class ReadBackError(InstrumentError):
    """A protection level or setting reads back different from what was programmed."""


class LostSamplesError(InstrumentError):
    """Records are missing: fewer arrived than time passed, a counter jumped, or a FIFO overran."""

    def __init__(self, text: str, *, expected: int, received: int) -> None:
        super().__init__(text)
        self.expected = expected
        self.received = received


class SentinelError(InstrumentError):
    """A reading is the instrument's overflow or no-data sentinel and must not be integrated."""


class OutputNotOffError(InstrumentError):
    """The output could not be switched off, or off could not be verified."""
