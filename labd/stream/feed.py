"""What a capture under way tells those who watch its samples: its beginning, its blocks in order, its end."""

from __future__ import annotations

from dataclasses import dataclass

from labd.records import MarkStyle, Mode
from labd_instruments.block import Block
from labd_instruments.contract import Acquisition


@dataclass(frozen=True, slots=True)
class FeedStart:
    """A capture begins. t_ns: host, UTC. order: the capture's place in its run. point: key of its operating point. mode, marks: how the
    board rests and what its marker says meanwhile."""

    run_id: str
    capture: str
    instrument: str
    order: int
    role: str
    point: str
    mode: Mode
    marks: MarkStyle
    acquisition: Acquisition
    t_ns: int


@dataclass(frozen=True, slots=True)
class FeedBlock:
    """One block that is in the trace file already. stretch: contiguous stretch it belongs to; first: index of its first sample in that
    stretch; trigger: time 0 of its axis is a trigger; t_ns: host, UTC, when it was handed over."""

    block: Block
    stretch: int
    first: int
    trigger: bool
    t_ns: int


@dataclass(frozen=True, slots=True)
class FeedEnd:
    """The capture is over. error: why it failed, empty when it did not."""

    run_id: str
    capture: str
    error: str
    t_ns: int


Feed = FeedStart | FeedBlock | FeedEnd
