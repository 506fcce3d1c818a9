"""Every case that a VISA link is tried with behind a double of the USB or GPIB library, in a process of its own: what each came to, as
JSON."""

from __future__ import annotations

import json
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import closing

import numpy as np

from labd_instruments.errors import LinkTimeoutError, ReplyError
from labd_instruments.links.visa import VisaLink, open_link
from tests.instruments.double_talker import IDENTITY, INDEFINITE, LONG, VALUES, Talker

TIMEOUT_S = 0.3


def identity(link: VisaLink, talker: Talker) -> None:
    assert link.identity.encode() == IDENTITY
    assert talker.heard == [b"*IDN?"]


def definite_block(link: VisaLink, talker: Talker) -> None:
    del talker
    for _ in range(2):
        assert link.query_definite_block("DATA?", "<f4", timeout_s=20.0).tobytes() == VALUES
        assert link.query("A?") == "1"


def indefinite_block(link: VisaLink, talker: Talker) -> None:
    del talker
    assert link.query_indefinite_block("RAW?", len(INDEFINITE) // 4, "<f4", timeout_s=5.0).view(np.uint8).tobytes() == INDEFINITE
    assert link.query("A?") == "1"


def long_line(link: VisaLink, talker: Talker) -> None:
    del talker
    assert link.query("LONG?").encode() == LONG
    assert link.query("A?") == "1"


def after_a_time_out(link: VisaLink, talker: Talker) -> None:
    for _ in range(2):
        try:
            link.query("SLOW?")
        except LinkTimeoutError:
            talker.release()  # its answer is there now, before the next question
            assert link.query("A?") == "1"
        else:
            raise AssertionError("an answer that is not there was read")


def after_half_a_block(link: VisaLink, talker: Talker) -> None:
    try:
        link.query_indefinite_block("DATA?", 1, "<f4")
    except ReplyError:
        assert link.query("A?") == "1"
    else:
        raise AssertionError("a definite block passed for an indefinite one")
    del talker


def what_was_left_by_another(link: VisaLink, talker: Talker) -> None:
    """An answer that an earlier session asked for and never took."""
    link.close()
    talker.out += b"of before\n"
    again = open_link(link.resource, link.timeout_s)
    assert again.identity == link.identity
    assert again.query("A?") == "1"
    again.close()


CASES: dict[str, Callable[[VisaLink, Talker], None]] = {
    case.__name__: case
    for case in (
        identity,
        definite_block,
        indefinite_block,
        long_line,
        after_a_time_out,
        after_half_a_block,
        what_was_left_by_another,
    )
}


def usb(talker: Talker, most: int) -> str:
    import usb.backend.libusb1 as libusb

    from tests.instruments.double_usbtmc import RESOURCE, UsbtmcBackend

    backend = UsbtmcBackend(talker, most=most)
    libusb.get_backend = lambda *_args, **_more: backend
    return RESOURCE


def gpib(talker: Talker) -> str:
    from tests.instruments import double_gpib

    sys.modules.update(double_gpib.modules(talker))
    return double_gpib.RESOURCE


BEHIND: dict[str, Callable[[Talker], str]] = {
    "USBTMC": lambda talker: usb(talker, 1 << 30),
    "USBTMC in short transfers": lambda talker: usb(talker, 60_000),
    "GPIB": gpib,
}


def main(behind: str) -> None:
    warnings.simplefilter("error")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    talker = Talker()
    resource = BEHIND[behind](talker)
    came_to = {}
    for name, case in CASES.items():
        talker.__init__()  # type: ignore[misc]
        try:
            with closing(open_link(resource, TIMEOUT_S)) as link:
                case(link, talker)
            came_to[name] = ""
        except Exception:  # noqa: BLE001  the test shows it
            came_to[name] = traceback.format_exc()
    print(json.dumps(came_to))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
