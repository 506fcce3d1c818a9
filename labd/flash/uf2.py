"""UF2 files of an image (USB Flashing Format, github.com/microsoft/uf2, README.md): 512-byte blocks of 256 bytes each."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator

PAYLOAD = 256
DATA = 476
FAMILY_PRESENT = 0x2000
_HEADER = struct.Struct("<8I")
_START, _SECOND, _END = 0x0A324655, 0x9E5D5157, 0x0AB16F30

# Executable and Linkable Format: file header and program headers of 32-bit little-endian files.
_ELF = b"\x7fELF\x01\x01"
_PLACES = struct.Struct("<28xI10xHH")
_SEGMENT = struct.Struct("<6I")
_LOAD = 1


def segments(elf: bytes) -> list[tuple[int, bytes]]:
    """(load address, content) of each segment that has content. Raises ValueError for what is no 32-bit little-endian ELF file."""
    if elf[:6] != _ELF:
        raise ValueError("no 32-bit little-endian ELF file")
    try:
        offset, size, count = _PLACES.unpack_from(elf)
        headers = [_SEGMENT.unpack_from(elf, offset + n * size) for n in range(count)]
    except struct.error as error:
        raise ValueError("an ELF file that is cut off") from error
    found = [(address, elf[at : at + length]) for kind, at, _, address, length, _ in headers if kind == _LOAD and length > 0]
    if not found or any(len(content) != header[4] for (_, content), header in zip(found, _loaded(headers), strict=True)):
        raise ValueError("an ELF file without content, or cut off")
    return found


def _loaded(headers: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    return (header for header in headers if header[0] == _LOAD and header[4] > 0)


def uf2(content: Iterable[tuple[int, bytes]], family: int) -> bytes:
    """Blocks whose addresses are multiples of 256; bytes of a block that no segment has are 0."""
    pages: dict[int, bytearray] = {}
    for address, data in content:
        for offset, byte in enumerate(data):
            page, place = divmod(address + offset, PAYLOAD)
            pages.setdefault(page, bytearray(PAYLOAD))[place] = byte
    return b"".join(_block(n, len(pages), page * PAYLOAD, bytes(pages[page]), family) for n, page in enumerate(sorted(pages)))


def _block(number: int, count: int, address: int, payload: bytes, family: int) -> bytes:
    header = _HEADER.pack(_START, _SECOND, FAMILY_PRESENT, address, PAYLOAD, number, count, family)
    return header + payload.ljust(DATA, b"\xff") + _END.to_bytes(4, "little")
