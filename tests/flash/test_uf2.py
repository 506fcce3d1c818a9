"""UF2 files as the specification has them (github.com/microsoft/uf2, README.md), read back by its own table."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.flash.uf2 import segments, uf2

RP2040 = 0xE48BFF56
SRAM = 0x20000000


def read(file: bytes) -> list[tuple[int, bytes]]:
    """(address, payload) of each block; every field by the table of the specification."""
    assert len(file) % 512 == 0
    blocks = []
    for number in range(len(file) // 512):
        block = file[number * 512 : (number + 1) * 512]
        first, second, flags, address, size, sequence, count, family = struct.unpack("<8I", block[:32])
        assert (first, second, struct.unpack("<I", block[508:])[0]) == (0x0A324655, 0x9E5D5157, 0x0AB16F30)
        assert (flags, family) == (0x2000, RP2040)
        assert (sequence, count) == (number, len(file) // 512)
        assert (size, address % 256) == (256, 0)
        assert block[32 + size : 508] == b"\xff" * (476 - size)
        blocks.append((address, block[32 : 32 + size]))
    return blocks


PLACED = st.lists(st.tuples(st.integers(0, 2000), st.binary(min_size=1, max_size=700)), min_size=1, max_size=4)


@given(PLACED)
def test_what_is_read_back_is_what_was_written_and_0_in_between(placed: list[tuple[int, bytes]]) -> None:
    wanted = bytearray(4096)
    for offset, data in placed:
        wanted[offset : offset + len(data)] = data
    blocks = read(uf2([(SRAM + offset, data) for offset, data in placed], RP2040))
    got = bytearray(4096)
    for address, payload in blocks:
        got[address - SRAM : address - SRAM + 256] = payload
    assert got == wanted
    assert [address for address, _ in blocks] == sorted({address for address, _ in blocks})


def elf(*parts: tuple[int, int, int, bytes]) -> bytes:
    """kind, virtual and physical address, content of each segment (System V ABI: ELF header 52 bytes, program headers of 32)."""
    offset = 52 + 32 * len(parts)
    header = struct.pack("<4s5B7xHHIIIIIHHHHHH", b"\x7fELF", 1, 1, 1, 0, 0, 2, 40, 1, SRAM, 52, 0, 0, 52, 32, len(parts), 0, 0, 0)
    table, body = b"", b""
    for kind, virtual, physical, content in parts:
        table += struct.pack("<8I", kind, offset + len(body), virtual, physical, len(content), len(content) + 100, 7, 4)
        body += content
    return header + table + body


def test_an_elf_file_gives_what_is_loaded_where_it_lies_before_it_is_copied() -> None:
    file = elf(
        (1, SRAM, SRAM, b"code"), (0x70000001, SRAM, SRAM, b"note"), (1, SRAM + 64, 0x1000, b"data"), (1, SRAM + 128, SRAM + 128, b"")
    )
    assert segments(file) == [(SRAM, b"code"), (0x1000, b"data")]


@given(st.integers(0, 151))
def test_a_file_that_is_cut_off_is_refused(length: int) -> None:
    whole = elf((1, SRAM, SRAM, b"code"), (1, SRAM + 64, 0x1000, b"data" * 8))
    assert len(whole) == 152
    with pytest.raises(ValueError, match="ELF"):
        segments(whole[:length])


@pytest.mark.parametrize("file", [b"", b"\x7fELF\x02\x01" + bytes(100), b":10000000" * 20])
def test_what_is_no_such_file_is_refused(file: bytes) -> None:
    with pytest.raises(ValueError, match="32-bit"):
        segments(file)
