"""Frames as bytes: docs/reference/live-frames.md; pure."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labd.live.envelope import Piece

MAGIC = b"LABD"
VERSION = 1
LIVE, WINDOW = 1, 2
HEAD = struct.Struct("<4sBBHI")
ALIGN = 8


def encode(kind: int, header: Mapping[str, Any], pieces: Sequence[Piece]) -> bytes:
    text = json.dumps({**header, "pieces": [_described(piece) for piece in pieces]}, separators=(",", ":")).encode()
    text += b" " * (-(HEAD.size + len(text)) % ALIGN)
    return b"".join((HEAD.pack(MAGIC, VERSION, kind, 0, len(text)), text, *(_columns(piece) for piece in pieces)))


def header_of(frame: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no frame."""
    magic, version, _, _, length = HEAD.unpack_from(frame)
    if magic != MAGIC or version != VERSION:
        raise ValueError("this is no frame of labd's, or one of a newer labd")
    found: dict[str, Any] = json.loads(frame[HEAD.size : HEAD.size + length])
    return found


def _described(piece: Piece) -> dict[str, Any]:
    said = {name: getattr(piece, name) for name in ("stretch", "trigger", "first", "per_bucket", "t0_ns", "dt_ns", "count")}
    last = {} if piece.last_length is None else {"lengths": piece.last_length}
    return {**said, "channels": list(piece.bands), "digital": piece.any_high is not None, **last}


def _columns(piece: Piece) -> bytes:
    parts: list[bytes] = []
    for band in piece.bands.values():
        kept = (band.mean,) if piece.per_bucket == 1 else (band.low, band.high, band.mean)
        parts += [np.ascontiguousarray(column, "<f4").tobytes() for column in kept]
    if piece.any_high is not None and piece.all_high is not None:
        bits = piece.any_high.tobytes() + piece.all_high.tobytes()
        parts.append(bits + b"\0" * (-len(bits) % 4))
    return b"".join(parts)
