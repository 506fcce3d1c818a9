"""What a PowerShield says, taken apart: answers to commands, and samples in both formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from labd_instruments.drivers._lpm01a import Kit, Options
from labd_instruments.drivers._lpm01a_stream import Binary, Stamp, Text
from labd_instruments.errors import InstrumentError, LinkTimeoutError, RefusedError, ReplyError

# --- answers, in the forms that other programs take


class Said:
    """A link on which everything has been said already."""

    timeout_s = 0.1

    def __init__(self, said: bytes) -> None:
        self._said = said
        self.sent = b""

    def send(self, data: bytes) -> None:
        self.sent += data

    def until(self, end: bytes, *, timeout_s: float | None = None) -> bytes:
        if end not in self._said:
            raise LinkTimeoutError(f"nothing within {timeout_s} s")
        found, _, self._said = self._said.partition(end)
        return found + end

    def available(self, most: int = 0, *, wait_s: float = 0.0) -> Any:
        found, self._said = np.frombuffer(self._said, np.uint8), b""
        return found

    def discard(self) -> int:
        return 0


def kit_on(said: bytes) -> Kit:
    link: Any = Said(said)
    return Kit("lpm", link, Options())


@pytest.mark.parametrize(
    "said",
    [
        b"\r\nPowerShield > ack status: ok\r\n\r\n",
        b"\r\nPowerShield > ack status\r\n\r\nok\r\n",
        b"PowerShield > \r\nPowerShield > ack status ok\r\n",
    ],
)
def test_an_answer_may_stand_behind_its_acknowledgement_or_below(said: bytes) -> None:
    kit_on(said).status()


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"\r\nPowerShield > error pwr get\r\n\r\nError detail: no host\r\n\r\n", RefusedError),
        (b"\r\nPowerShield > ack pwr\r\n", ReplyError),
        (b"\r\nPowerShield > ack pwr gets on\r\n", ReplyError),
        (b"6409-07\r\n", ReplyError),
        (b"\r\nPowerShield > ack pwr get maybe\r\n", ReplyError),
        (b"\r\nPowerShield > ack pwr get\r\n", LinkTimeoutError),
        (b"\r\nPowerShield > ack pw", LinkTimeoutError),
    ],
)
def test_what_does_not_acknowledge_is_no_answer(said: bytes, found: type[InstrumentError]) -> None:
    with pytest.raises(found):
        kit_on(said).powered()


def test_the_detail_of_an_error_is_told() -> None:
    with pytest.raises(RefusedError, match=r"'volt 9m' was refused: error volt 9m Error detail: out of range"):
        kit_on(b"\r\nPowerShield > error volt 9m\r\n\r\nError detail: out of range\r\n\r\n").order("volt 9m")


# --- parsing, by the examples of the firmware's help text


def test_the_two_examples_of_the_help_text_are_the_same_current() -> None:
    (text,) = Text("lpm").decode(b"6409-07\r\n")
    _, binary = Binary("lpm").decode(b"\xf0\xf3\0\0\0\0\0\xff\xff\x52\xa0")
    assert text == pytest.approx([640.9e-6])
    assert binary == pytest.approx([640.9e-6], abs=16**-5)


def test_bytes_may_come_in_any_pieces() -> None:
    stream = b"\r\n\r\n\xf0\xf3\0\0\0\x64\x07\xff\xff\x52\xa0\x52\xa0\xf0\xf2hello\xff\xff\x42\x8f"
    decoder = Binary("lpm")
    items = [item for byte in stream for item in decoder.decode(bytes([byte]))]
    assert items[0] == Stamp(0.1, 7)
    assert [float(item[0]) for item in items[1:]] == pytest.approx([640.9e-6, 640.9e-6, 10e-3], rel=2e-3)  # type: ignore[index]


def test_a_positive_power_of_ten_is_one() -> None:
    assert Text("lpm").decode(b"0012+01\r\n")[0] == pytest.approx([120.0])


@pytest.mark.parametrize("line", [b"64-07", b"6409-0", b"6409", b"-07", b"6409-076409-07", b"TimeStamp: 001s 00", b"buff 00%", b"6409e07"])
def test_a_torn_line_is_no_number(line: bytes) -> None:
    with pytest.raises(ReplyError, match="torn"):
        Text("lpm").decode(line + b"\r\n")


@pytest.mark.parametrize(
    "stream", [b"\x52\xa0", b"\xf0\xf9\xff\xff", b"\xf0\xf4\xff\x52", b"\xf0\xf5\xff\xff\xff\xff", b"\xf0\xf1" + b"x" * 300]
)
def test_bytes_out_of_step_are_no_number(stream: bytes) -> None:
    with pytest.raises(ReplyError):
        Binary("lpm").decode(stream)
