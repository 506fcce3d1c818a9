"""The sum that an RP2040's boot ROM wants at the end of the first 256 bytes of flash, or it starts nothing (data sheet 2.8.1.3.1)."""

from __future__ import annotations

import struct
from pathlib import Path

FLASH = 0x10000000
SUMMED = 252
_POLYNOMIAL = 0x04C11DB7
_LOAD = 1


def checksum(stage: bytes) -> int:
    """CRC-32 of the data sheet: polynomial 0x04c11db7, start 0xffffffff, no bit reversed, nothing inverted at the end."""
    total = 0xFFFFFFFF
    for byte in stage:
        total ^= byte << 24
        for _ in range(8):
            total = (total << 1 ^ (_POLYNOMIAL if total >> 31 else 0)) & 0xFFFFFFFF
    return total


def seal(image: Path) -> None:
    """Put the sum where it belongs. Raises ValueError for an image (ELF) without 256 bytes at the start of flash."""
    content = bytearray(image.read_bytes())
    at = _offset(content)
    struct.pack_into("<I", content, at + SUMMED, checksum(bytes(content[at : at + SUMMED])))
    image.write_bytes(content)


def _offset(content: bytearray) -> int:
    """Where the start of flash is in the file, by its program headers (ELF, 32 bits)."""
    (headers,) = struct.unpack_from("<I", content, 28)
    size, count = struct.unpack_from("<HH", content, 42)
    for k in range(count):
        kind, offset, _, physical, length = struct.unpack_from("<IIIII", content, headers + k * size)
        if kind == _LOAD and physical == FLASH and length > SUMMED:
            return int(offset)
    raise ValueError(f"the image has no second stage at {FLASH:#x}")
