"""One suite for every outbox: order, lending, caps, cursors; and for those on disk, what a kill leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labd.errors import StoreError
from labd.outbox.contract import Caps, Lent, Message, Outbox
from labd.outbox.memory import MemoryOutbox
from labd.outbox.sqlite import SqliteOutbox

NOW_NS = 10**18
Make = Callable[..., Outbox]


def message(n: int, *, size: int = 10, t_ns: int = NOW_NS) -> Message:
    return Message("events", str(n).encode().rjust(size, b"0"), t_ns)


def numbers(lent: list[Lent]) -> list[int]:
    return [int(one.message.body) for one in lent]


@pytest.fixture(params=["memory", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    made: list[Outbox] = []

    def making(caps: Caps | None = None) -> Outbox:
        box: Outbox = (
            MemoryOutbox(caps, now_ns=lambda: NOW_NS)
            if request.param == "memory"
            else SqliteOutbox(tmp_path / "box.sqlite", caps, now_ns=lambda: NOW_NS)
        )
        made.append(box)
        return box

    yield making
    for box in made:
        box.close()


def test_messages_leave_in_the_order_in_which_they_came(make: Make) -> None:
    box = make()
    box.put([message(n) for n in range(5)])
    first = box.lend(2)
    assert numbers(first) == [0, 1]
    assert numbers(box.lend(10)) == [2, 3, 4]
    assert box.lend(1) == []
    box.accept(first)
    assert box.books().waiting == 3


def test_what_is_kept_waits_again_at_its_place(make: Make) -> None:
    box = make()
    box.put([message(n) for n in range(4)])
    lent = box.lend(3)
    box.keep(lent)
    assert numbers(box.lend(10)) == [0, 1, 2, 3]


def test_what_somebody_had_who_is_gone_waits_again(make: Make) -> None:
    box = make()
    box.put([message(n) for n in range(3)])
    box.lend(2)
    box.release()
    assert numbers(box.lend(10)) == [0, 1, 2]


def test_what_is_rejected_goes_and_is_counted(make: Make) -> None:
    box = make()
    box.put([message(0), message(1)])
    box.reject(box.lend(1))
    assert (box.books().rejected, box.books().waiting) == (1, 1)


def test_beyond_its_bytes_the_oldest_are_dropped_and_counted_although_they_are_lent(make: Make) -> None:
    box = make(Caps(bytes=50))
    box.put([message(n) for n in range(3)])
    lent = box.lend(2)
    box.put([message(n) for n in range(3, 8)])
    assert box.books().dropped == 3
    assert box.books().waiting_bytes == 50
    box.accept(lent)  # they have arrived all the same
    assert numbers(box.lend(10)) == [3, 4, 5, 6, 7]


def test_beyond_its_age_the_oldest_are_dropped_and_counted(make: Make) -> None:
    box = make(Caps(age_s=1.0))
    box.put([message(0, t_ns=NOW_NS - 2 * 10**9), message(1)])
    assert numbers(box.lend(10)) == [1]
    assert box.books().dropped == 1


def test_a_source_is_followed_by_its_cursor(make: Make) -> None:
    box = make()
    assert box.cursor("events") == 0
    box.put([message(0)], source="events", cursor=17)
    box.put([], source="events", cursor=19)
    assert (box.cursor("events"), box.cursor("others")) == (19, 0)


class Model(RuleBasedStateMachine):
    """Against a list."""

    def __init__(self) -> None:
        super().__init__()
        self.box: Outbox = SqliteOutbox(Path(":memory:"), Caps(bytes=200), now_ns=lambda: NOW_NS)
        self.waiting: list[int] = []
        self.lent: list[Lent] = []
        self.count = 0
        self.dropped = 0

    @rule(n=st.integers(1, 8))
    def put(self, n: int) -> None:
        self.box.put([message(self.count + k) for k in range(n)])
        self.waiting += range(self.count, self.count + n)
        self.count += n
        while len(self.waiting) > 20:
            self.waiting.pop(0)
            self.dropped += 1

    @rule(n=st.integers(1, 8))
    def lend(self, n: int) -> None:
        got = self.box.lend(n)
        out = set(numbers(self.lent))
        assert numbers(got) == [k for k in self.waiting if k not in out][:n]
        self.lent += got

    @precondition(lambda self: self.lent)
    @rule(what=st.sampled_from(["accept", "keep", "reject"]))
    def settle(self, what: str) -> None:
        one = self.lent.pop(0)
        getattr(self.box, what)([one])
        if what != "keep" and int(one.message.body) in self.waiting:
            self.waiting.remove(int(one.message.body))

    @invariant()
    def books(self) -> None:
        assert (self.box.books().waiting, self.box.books().dropped) == (len(self.waiting), self.dropped)

    def teardown(self) -> None:
        self.box.close()


TestModel = Model.TestCase
TestModel.settings = settings(max_examples=40, deadline=None)


KILLED = """
import os, signal, sys, time
from pathlib import Path
from labd.outbox.contract import Message
from labd.outbox.sqlite import SqliteOutbox
box = SqliteOutbox(Path(sys.argv[1]))
for n in range(100):
    box.put([Message("events", str(n).encode(), time.time_ns())], source="events", cursor=n + 1)
    if n % 10 == 0:
        box.accept(box.lend(3)); box.lend(2)
    print(n, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing_that_was_put_and_what_was_lent_waits_again(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], capture_output=True, text=True, check=False)
    assert done.stdout.split()[-1] == "99"
    box = SqliteOutbox(path)
    assert box.cursor("events") == 100
    left = numbers(box.lend(1000))
    assert left == sorted(left)
    assert left[-1] == 99
    box.close()


def test_a_file_that_is_no_outbox_is_named(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    path.write_text("something else " * 100)
    with pytest.raises(StoreError, match=r"box\.sqlite"):
        SqliteOutbox(path)
