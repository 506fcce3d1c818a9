"""What can be wrong with the marks of a capture."""

from __future__ import annotations

from labd.errors import DataLost


class SegmentError(DataLost):
    """The marks of a capture cannot be turned into windows."""


class OddEdgeCount(SegmentError):
    """The marker shows a number of edges that is no whole number of events."""


class MarkOutside(SegmentError):
    """A mark lies outside the record, or outside every burst of power."""


class MissingEvents(SegmentError):
    """Fewer events were found than the DUT was asked for."""


class ExtraEvents(SegmentError):
    """More events were found than the DUT was asked for."""


class NoMarks(SegmentError):
    """The capture has neither a marker column nor a burst to place device counters on."""


class SignatureNotFound(SegmentError):
    """The record holds nothing like the signature of the current that the device burnt."""


class SignatureAmbiguous(SegmentError):
    """The record holds two places that look like the signature."""


class SignatureUnclear(SegmentError):
    """Something like the signature is there, but its edges do not lie where they should."""


def check_count(found: int, expected: int) -> None:
    """Raise MissingEvents or ExtraEvents when `found` is not `expected`; expected <= 0 means that nobody knows."""
    if expected <= 0 or found == expected:
        return
    if found < expected:
        raise MissingEvents(f"missing events: {found} of {expected} found")
    raise ExtraEvents(f"extra events: {found} found, {expected} expected")
