"""Instruments of which too little is known to drive them: what `labd drivers` names beside the drivers, each with what is lacking."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["UNSUPPORTED", "Unsupported"]


@dataclass(frozen=True, slots=True)
class Unsupported:
    """name: maker and models. lacking: the evidence that a driver would need, in a few words."""

    name: str
    lacking: str


UNSUPPORTED = (
    Unsupported(
        "Hioki PW3390",
        # github.com/sajidali1996/opentap-packages (PQA/) and two test programs read with :MEASure?; manualmachine.com/hioki/pw3390 has
        # the introduction, with :VOLTage1:RANGe 600 for an example
        "published clients only read it: no source for how its current ranges, averaging and hold are set, nor what they read back",
    ),
    Unsupported(
        "Keysight PA2201A and PA2203A",
        # one bench program: ANALyze:MODE1 DC_MODE, ANALyze:QUALity1:MEASure, ANALyze:QUALity1:VOLTage:DC?
        "one published client, which sets no range and reads no power: no second source, no page of a manual",
    ),
    Unsupported(
        "Yokogawa WT5000",
        # one published client: NUM:FORM FLO, ITEM1 IRMS,1,TOT, NUM:VAL?, COMM:WAIT 1; manualslib.com/manual/1601709 p31 has forms of data
        "one published client, which sets no range: no source for the ranges of its elements and how they are named",
    ),
)
