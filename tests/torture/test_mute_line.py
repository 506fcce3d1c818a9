"""A line that falls silent: it passes bytes both ways, swallows them while mute, and passes them again."""

from __future__ import annotations

import os
import select
import tty
from collections.abc import Iterator

import pytest

from benchmarks.torture.mute_line import MuteLine, mute_line

SOON_S = 10.0


@pytest.fixture
def ends() -> Iterator[tuple[MuteLine, int, int]]:
    """The line, the board's end of it and labd's."""
    board, boards_port = os.openpty()
    tty.setraw(boards_port)
    with mute_line(os.ttyname(boards_port)) as line:
        labd = os.open(line.port, os.O_RDWR | os.O_NOCTTY)
        yield line, board, labd
        os.close(labd)
    os.close(board)
    os.close(boards_port)


def heard(end: int) -> bytes:
    ready, _, _ = select.select([end], [], [], SOON_S)
    assert ready, "nothing came"
    return os.read(end, 100)


def test_bytes_pass_both_ways(ends: tuple[MuteLine, int, int]) -> None:
    _, board, labd = ends
    os.write(labd, b"name%")
    assert heard(board) == b"name%"
    os.write(board, b"m-ready\r\n")
    assert heard(labd) == b"m-ready\r\n"


def test_what_is_said_while_it_is_mute_never_arrives(ends: tuple[MuteLine, int, int]) -> None:
    line, board, labd = ends
    line.mute()
    os.write(labd, b"lost")
    assert line.until_swallowed(4, within_s=SOON_S)
    line.heal()
    os.write(labd, b"heard")
    assert heard(board) == b"heard"
