"""The VISA link against real sockets: binary blocks full of line feeds, short reads, silence, closed ports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, ReplyError, WrongInstrumentError
from labd_instruments.links import visa, visa_inside
from labd_instruments.links.visa import VisaLink, open_link
from tests.instruments.tcp_instrument import IDENTITY, Conversation, Reply, tcp_instrument

SHORT_S = 0.2


def definite(data: bytes) -> bytes:
    digits = str(len(data)).encode()
    return b"#" + str(len(digits)).encode() + digits + data + b"\n"


@contextmanager
def linked(replies: Mapping[str, Reply], timeout_s: float = 5.0) -> Iterator[tuple[VisaLink, Conversation]]:
    with tcp_instrument(replies.get) as talk:
        link = open_link(talk.resource, timeout_s)
        try:
            yield link, talk
        finally:
            link.close()


@pytest.fixture(params=["socket", "generic"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of reading a block: straight from the socket, and PyVISA's own read_bytes."""
    if request.param == "generic":
        monkeypatch.setattr(visa_inside, "is_socket", lambda low: False)
    return str(request.param)


LINE_FEEDS: NDArray[Any] = np.frombuffer(b"\x0a" * 40_000, ">f4")


def test_a_block_full_of_line_feeds_arrives_whole(path: str) -> None:
    with linked({"DATA?": definite(LINE_FEEDS.tobytes()), "A?": b"42\n"}) as (link, _):
        assert np.array_equal(link.query_definite_block("DATA?", ">f4"), LINE_FEEDS)
        assert link.query("A?") == "42", f"{path}: the terminator behind the block was left behind"


def test_a_block_comes_aligned_in_native_byte_order(path: str) -> None:
    with linked({"DATA?": definite(np.arange(1000, dtype=">f4").tobytes())}) as (link, _):
        block = link.query_definite_block("DATA?", ">f4")
    assert path
    assert block.flags.aligned
    assert block.dtype.isnative
    assert block.sum() == 499_500


def test_a_block_in_many_small_pieces_arrives_whole(path: str) -> None:
    whole = definite(np.linspace(0, 1, 500, dtype="<f4").tobytes())
    pieces = [whole[k : k + 7] for k in range(0, len(whole), 7)]
    with linked({"DATA?": pieces}) as (link, _):
        assert path
        assert len(link.query_definite_block("DATA?", "<f4")) == 500


def test_a_block_of_several_chunks_arrives_whole(path: str) -> None:
    values = np.arange(700_000, dtype="<f4")
    with linked({"DATA?": definite(values.tobytes())}) as (link, _):
        assert path
        assert np.array_equal(link.query_definite_block("DATA?", "<f4"), values)


def test_an_empty_block_is_an_empty_array(path: str) -> None:
    with linked({"DATA?": b"#10\n"}) as (link, _):
        assert path
        assert len(link.query_definite_block("DATA?", "<f4")) == 0


def test_an_indefinite_block_is_read_by_its_count(path: str) -> None:
    values = np.frombuffer(b"\x0a\x0a\x0a\x0a" * 300, "<f4")
    with linked({"DATA?": b"#0" + values.tobytes() + b"\n", "A?": b"1\n"}) as (link, _):
        assert path
        assert np.array_equal(link.query_indefinite_block("DATA?", 300, "<f4"), values)
        assert link.query("A?") == "1"


def test_a_block_without_its_terminator_is_a_time_out(path: str) -> None:
    with linked({"DATA?": definite(b"\0" * 40)[:-1]}, SHORT_S) as (link, _), pytest.raises(LinkTimeoutError):
        link.query_definite_block("DATA?", "<f4")
    assert path


def test_a_block_that_is_longer_than_it_says_is_an_error_and_the_next_answer_is_right(path: str) -> None:
    with linked({"DATA?": b"#14abcdefgh\n", "A?": b"7\n"}, SHORT_S) as (link, _):
        with pytest.raises(ReplyError, match="line feed"):
            link.query_definite_block("DATA?", "<f4")
        assert path
        assert link.query("A?") == "7"


@pytest.mark.parametrize("head", [b"1,", b"#A", b"##", b"#0"])
def test_a_block_that_does_not_begin_like_one_leaves_nothing_to_answer_the_next_question(path: str, head: bytes) -> None:
    with linked({"DATA?": head + b"0\n0\n0\n", "OUTP?": b"1\n"}, SHORT_S) as (link, _):
        with pytest.raises(ReplyError, match="begins with #"):
            link.query_definite_block("DATA?", "<f4")
        assert path
        assert link.query("OUTP?") == "1"


def test_a_block_whose_length_is_no_number_leaves_nothing_to_answer_the_next_question(path: str) -> None:
    with linked({"DATA?": b"#2x0\n0\n", "OUTP?": b"1\n"}, SHORT_S) as (link, _):
        with pytest.raises(ReplyError, match="length in digits"):
            link.query_definite_block("DATA?", "<f4")
        assert path
        assert link.query("OUTP?") == "1"


def test_a_block_of_broken_values_leaves_nothing_to_answer_the_next_question(path: str) -> None:
    with linked({"DATA?": b"#13abc\n", "OUTP?": b"1\n"}, SHORT_S) as (link, _):
        with pytest.raises(ReplyError, match="no whole number"):
            link.query_definite_block("DATA?", "<f4")
        assert path
        assert link.query("OUTP?") == "1"


def test_a_short_indefinite_block_is_a_time_out_that_says_how_much_came() -> None:
    with linked({"DATA?": b"#0" + b"\x01" * 10}, SHORT_S) as (link, _), pytest.raises(LinkTimeoutError, match="10 of 400 bytes"):
        link.query_indefinite_block("DATA?", 100, "<f4", timeout_s=SHORT_S)


@pytest.mark.parametrize("reply", [b"1.5,2.5\n", b"#X12\n", b"#0abcd\n", b"##2\n"])
def test_what_is_no_definite_block_is_a_reply_error(reply: bytes) -> None:
    with linked({"DATA?": reply}, SHORT_S) as (link, _), pytest.raises(ReplyError):
        link.query_definite_block("DATA?", "<f4")


def test_a_definite_block_is_no_indefinite_one() -> None:
    with linked({"DATA?": b"#14abcd\n"}, SHORT_S) as (link, _), pytest.raises(ReplyError, match="#0"):
        link.query_indefinite_block("DATA?", 1, "<f4")


def test_half_a_value_is_a_reply_error() -> None:
    with linked({"DATA?": b"#16abcdef\n"}) as (link, _), pytest.raises(ReplyError, match="whole number"):
        link.query_definite_block("DATA?", "<f4")


def test_after_a_time_out_question_and_answer_match_again() -> None:
    late = {"SLOW?": None, "LATE": b"answer to SLOW\n", "A?": b"answer to A\n"}
    with linked(late, SHORT_S) as (link, talk):
        with pytest.raises(LinkTimeoutError, match=r"SLOW\?"):
            link.query("SLOW?")
        link.write("LATE")  # the late answer comes now
        assert link.query("A?") == "answer to A"
        assert talk.heard.count("*IDN?") == 2  # at opening and for the resync


@pytest.mark.parametrize("failures", [1, 2, 3])
@pytest.mark.parametrize("asked", ["A?", "*IDN?"])
def test_answers_that_come_after_several_time_outs_are_no_other_questions(failures: int, asked: str) -> None:
    """A time-out of the question that is to bring the session in step again is no exception."""
    going_on = threading.Event()

    def answer(command: str) -> Reply:
        if command == "SLOW?":
            going_on.wait(10.0)
        return {"SLOW?": b"answer to SLOW\n", "A?": b"answer to A\n", "B?": b"answer to B\n", "DATA?": b"#14abcd\n"}.get(command)

    with tcp_instrument(answer) as talk:
        link = open_link(talk.resource, SHORT_S)
        for command in ("SLOW?", *[asked] * failures):
            with pytest.raises(LinkTimeoutError):
                link.query(command)
        going_on.set()
        assert link.query("A?") == "answer to A"
        assert link.query("B?") == "answer to B"
        assert link.query_definite_block("DATA?", "<u4").tobytes() == b"abcd"
        link.close()


def test_an_identity_that_nobody_asked_for_puts_no_answer_out_of_step() -> None:
    with linked({"SLOW?": None, "A?": b"answer to A\n", "B?": b"answer to B\n"}, SHORT_S) as (link, talk):
        with pytest.raises(LinkTimeoutError):
            link.query("SLOW?")
        talk.identity = 2 * IDENTITY
        assert link.query("A?") == "answer to A"
        talk.identity = IDENTITY
        assert [link.query(question) for question in ("B?", "*IDN?", "A?")] == ["answer to B", link.identity, "answer to A"]


def test_a_late_answer_is_no_head_of_a_block() -> None:
    with linked({"SLOW?": None, "LATE": b"1\n", "DATA?": b"#14abcd\n"}, SHORT_S) as (link, _):
        with pytest.raises(LinkTimeoutError):
            link.query("SLOW?")
        link.write("LATE")  # the late answer comes now
        assert link.query_definite_block("DATA?", "<u4").tobytes() == b"abcd"


def test_an_identity_that_is_cut_by_a_time_out_counts_when_its_rest_has_come() -> None:
    first, rest = IDENTITY[:8], IDENTITY[8:]
    said: dict[str, Reply] = {"SLOW?": None, "REST": rest, "A?": b"answer to A\n"}
    with linked(said, SHORT_S) as (link, talk):
        with pytest.raises(LinkTimeoutError):
            link.query("SLOW?")
        talk.identity = first
        with pytest.raises(LinkTimeoutError):
            link.query("A?")
        talk.identity = IDENTITY
        link.write("REST")
        assert link.query("A?") == "answer to A"


@pytest.mark.parametrize("lost", [1, 2])
def test_an_answer_that_never_comes_does_not_end_an_instrument_for_good(lost: int) -> None:
    """As one that is thrown away by the abort before it: a session that waits for it is opened anew by whoever switches off."""
    with linked({"A?": b"1\n"}, SHORT_S) as (link, talk):
        talk.identity = b""
        for _ in range(lost):
            with pytest.raises(LinkTimeoutError):
                link.query("*IDN?")
        talk.identity = IDENTITY
        with pytest.raises(LinkTimeoutError, match="do not match again"):
            link.query("A?")  # late or lost: nobody knows, and no number is made of it
        link.resync()
        assert [link.query("A?"), link.query("*IDN?"), link.query("A?")] == ["1", link.identity, "1"]


def test_another_instrument_on_the_new_connection_is_refused_and_sent_nothing_but_the_question() -> None:
    with linked({"A?": b"1\n"}, SHORT_S) as (link, talk):
        talk.identity = b"ACME,MODEL 1,43,1.0\n"
        before = len(talk.heard)
        with pytest.raises(WrongInstrumentError, match=r"'ACME,MODEL 1,43,1\.0' answers where 'ACME,MODEL 1,42,1\.0' was"):
            link.resync()
        assert set(talk.heard[before:]) == {"*IDN?"}
        with pytest.raises(NotConnectedError, match="the link is closed"):
            link.write("OUTP ON")


def test_a_resync_that_finds_nobody_says_so() -> None:
    with tcp_instrument(lambda _command: None) as talk:
        link = open_link(talk.resource, SHORT_S)
        talk.identity = b""
        with pytest.raises(LinkTimeoutError):
            link.resync()
        with pytest.raises(NotConnectedError, match="the link is closed"):
            link.write("A")


def test_a_byte_that_is_no_ascii_is_part_of_the_answer() -> None:
    with linked({"A?": b'-100,"23 \xb0C"\n'}) as (link, _):
        assert link.query("A?") == '-100,"23 \xb0C"'


def test_a_resync_ends_when_the_instrument_has_hung_up() -> None:
    """pyvisa-py's own clear waits for silence, which a closed connection never is: a thread would spin for ever."""
    with tcp_instrument(lambda _command: None) as talk:
        link = open_link(talk.resource, timeout_s=SHORT_S)
    try:
        with pytest.raises(NotConnectedError, match="clear failed: the instrument closed the connection"):
            link.resync()
    finally:
        link.close()


def test_a_link_that_was_closed_says_so_to_everything() -> None:
    with linked({"A?": b"1\n"}, SHORT_S) as (link, talk):
        link.close()
        before = len(talk.heard)
        for use in (
            lambda: link.write("OUTP ON"),
            lambda: link.query("A?"),
            link.resync,
            lambda: link.query_definite_block("DATA?", "<f4"),
        ):
            with pytest.raises(NotConnectedError, match="the link is closed"):
                use()
        assert talk.heard[before:] == []


def test_after_a_reset_the_instrument_is_reached_by_a_new_link() -> None:
    with linked({"A?": b"1\n"}, SHORT_S) as (link, talk):
        talk.reset()
        with pytest.raises(NotConnectedError):
            link.query("A?")
        link.close()
        again = open_link(talk.resource, SHORT_S)
        assert (again.identity, again.query("A?")) == (link.identity, "1")
        again.close()


def test_an_instrument_that_hangs_up_in_a_block_is_not_connected() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # the opening is by hand, so that the far end can be closed in the middle of a block
        resource = f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
        session = visa._open_resource(resource, 2.0, "@py")
        far, _ = listener.accept()
        link = VisaLink(session, resource, 2.0)
        far.sendall(b"#3400" + b"\0" * 100)
        far.shutdown(socket.SHUT_WR)
        with far, pytest.raises(NotConnectedError, match="closed the connection"):
            link.query_definite_block("DATA?", "<f4")
        link.close()


def test_a_closed_port_is_not_connected_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(NotConnectedError) as caught:
        open_link(f"TCPIP::127.0.0.1::{port}::SOCKET", 1.0)
    assert f"::{port}::" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("resource", ["", "TCPIP::127.0.0.1::x::y", "nonsense", "FOO::1::INSTR"])
def test_a_resource_that_is_none_is_not_connected_in_one_line(resource: str) -> None:
    with pytest.raises(NotConnectedError) as caught:
        open_link(resource, 0.5)
    assert "\n" not in str(caught.value)


def test_a_silent_instrument_is_a_time_out_at_opening() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        resource = f"TCPIP::127.0.0.1::{listener.getsockname()[1]}::SOCKET"
        with pytest.raises(LinkTimeoutError, match="IDN"):
            open_link(resource, SHORT_S)


def test_nothing_waits_for_an_acknowledge_before_it_is_sent() -> None:
    with linked({}) as (link, _):
        assert link._low.interface.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_backend_without_private_parts_still_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visa_inside, "low_level_session", lambda session: None)
    with linked({"DATA?": definite(b"\x0a" * 8)}) as (link, _):
        assert len(link.query_definite_block("DATA?", "<f4")) == 2


@settings(max_examples=25, deadline=None)
@given(data=st.binary(max_size=300).map(lambda b: b + b"\0" * (-len(b) % 4)), cut=st.integers(1, 40))
def test_any_bytes_in_any_pieces_arrive_as_they_were(data: bytes, cut: int) -> None:
    whole = definite(data)
    with linked({"DATA?": [whole[k : k + cut] for k in range(0, len(whole), cut)]}) as (link, _):
        assert link.query_definite_block("DATA?", "<u4").tobytes() == np.frombuffer(data, "<u4").tobytes()
