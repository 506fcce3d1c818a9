"""The scripted link and the recorder: what one writes, the other plays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, ReplyError
from labd_instruments.links.recorder import RecorderLink
from labd_instruments.links.scripted import ScriptedLink, transcript


def test_a_command_that_is_not_in_the_transcript_fails() -> None:
    link = ScriptedLink.from_text("> OUTP OFF")
    with pytest.raises(AssertionError, match="OUTP ON"):
        link.write("OUTP ON")


def test_what_is_left_over_fails() -> None:
    link = ScriptedLink.from_text("> A\n> B")
    link.write("A")
    with pytest.raises(AssertionError, match="first is '> B'"):
        link.finish()


def test_a_driver_that_says_more_than_the_transcript_fails() -> None:
    with pytest.raises(AssertionError, match="at its end"):
        ScriptedLink([]).write("A")


def test_comments_and_blank_lines_are_no_items() -> None:
    assert transcript("# origin\n\n> A\n") == ["> A"]


def test_silence_and_breaks_are_played_as_errors() -> None:
    link = ScriptedLink.from_text("> A?\n<t\n> A?\n<e reset by peer")
    with pytest.raises(LinkTimeoutError):
        link.query("A?")
    with pytest.raises(NotConnectedError, match="reset by peer"):
        link.query("A?")


def test_blocks_are_played_with_their_values_and_counts() -> None:
    link = ScriptedLink.from_text("> D?\n<b f4 1 2\n> D?\n<b f4 1 2\n> D?\n<b f4 1 2\n> D?\n< 5")
    assert link.query_definite_block("D?", ">f4").tolist() == [1.0, 2.0]
    with pytest.raises(LinkTimeoutError):
        link.query_indefinite_block("D?", 3, "<f4")
    with pytest.raises(ReplyError):
        link.query_indefinite_block("D?", 1, "<f4")
    with pytest.raises(ReplyError):
        link.query_definite_block("D?", "<f4")


@given(st.lists(st.floats(width=32, allow_nan=False), max_size=30))
def test_a_recorded_block_plays_back_bit_for_bit(values: list[float]) -> None:
    block = np.array(values, np.float32)
    text = f"> D?\n<b {block.dtype.str[1:]} " + " ".join(str(v) for v in block)
    assert ScriptedLink.from_text(text).query_definite_block("D?", "<f4").tobytes() == block.tobytes()


def test_a_recording_is_a_transcript_of_the_whole_exchange(tmp_path: Path) -> None:
    said = "> *RST\n> A?\n< 1.5\n> D?\n<b f4 0.1 nan\n> E?\n<b f4 1e-09\n> R?\n<r no block\n> S?\n<t\n> X?\n<e gone"
    path = tmp_path / "exchange.txt"
    with RecorderLink(ScriptedLink.from_text(said), path, title="a test, no instrument") as link:
        link.write("*RST")
        link.query("A?")
        link.query_definite_block("D?", "<f4")
        link.query_indefinite_block("E?", 1, "<f4")
        with pytest.raises(ReplyError, match="no block"):
            link.query_definite_block("R?", "<f4")
        with pytest.raises(LinkTimeoutError):
            link.query("S?")
        with pytest.raises(NotConnectedError):
            link.query("X?")
    recorded = path.read_text(encoding="utf-8")
    assert recorded.startswith("# a test")
    assert transcript(recorded)[:11] == transcript(said)[:11]
    ScriptedLink.from_file(path).write("*RST")
