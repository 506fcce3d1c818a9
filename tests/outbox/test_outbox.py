"""One suite for every outbox: order, lending, caps, cursors; and for the one on disk, what a kill, a damage and older files leave."""

from __future__ import annotations

import itertools
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labd.errors import StoreError
from labd.outbox.contract import Caps, Gap, Lent, Message, Outbox
from labd.outbox.session import OutboxSession
from labd.outbox.sqlite import OutboxDamaged, SqliteOutbox
from tests.outbox.reference import PlainOutbox

NOW_NS = 10**18
Make = Callable[..., Outbox]


def message(n: int, *, size: int = 10, t_ns: int = NOW_NS) -> Message:
    return Message("events", str(n).encode().rjust(size, b"0"), t_ns)


def numbers(lent: list[Lent]) -> list[int]:
    return [int(one.message.body) for one in lent]


class Clock:
    """One that a test sets."""

    def __init__(self) -> None:
        self.now_ns = NOW_NS

    def __call__(self) -> int:
        return self.now_ns


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["plain", "sqlite"])
def make(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Make]:
    made: list[Outbox] = []

    def making(caps: Caps | None = None) -> Outbox:
        sqlite = request.param == "sqlite"
        box: Outbox = SqliteOutbox(tmp_path / "box.sqlite", caps, now_ns=clock) if sqlite else PlainOutbox(caps, now_ns=clock)
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


def test_beyond_its_age_the_oldest_are_dropped_and_counted(make: Make, clock: Clock) -> None:
    box = make(Caps(age_s=10.0))
    box.put([message(0)])
    clock.now_ns += 8 * 10**9
    box.put([message(1)])
    clock.now_ns += 8 * 10**9
    box.put([message(2)])
    assert numbers(box.lend(10)) == [1, 2]
    assert box.books().dropped == 1


def test_old_news_ages_from_when_it_was_put_and_takes_nothing_with_it(make: Make) -> None:
    box = make(Caps(age_s=10.0))
    box.put([message(n) for n in range(3)])
    box.put([message(3, t_ns=NOW_NS - 20 * 10**9)])
    assert numbers(box.lend(10)) == [0, 1, 2, 3]
    assert box.books().dropped == 0


def test_the_newest_are_lent_when_they_are_asked_for_and_the_others_later(make: Make) -> None:
    box = make()
    box.put([message(n) for n in range(6)])
    assert numbers(box.lend(2, newest=True)) == [4, 5]
    assert numbers(box.lend(10)) == [0, 1, 2, 3]


def test_no_more_is_lent_than_fits_into_a_request_but_always_one(make: Make) -> None:
    box = make()
    box.put([message(n, size=10) for n in range(4)])
    assert numbers(box.lend(10, most_bytes=25)) == [0, 1]
    assert numbers(box.lend(10, most_bytes=1)) == [2]


def test_what_was_dropped_is_a_gap_that_is_told_once(make: Make, clock: Clock) -> None:
    box = make(Caps(bytes=20))
    box.put([Message("power", bytes(10), NOW_NS + n, until_ns=NOW_NS + n + 100, points=7) for n in range(4)])
    gaps: list[Gap] = []

    def told(gap: Gap) -> Message:
        gaps.append(gap)
        return message(99, size=2)

    assert box.tell_gap(told)
    assert not box.tell_gap(told)
    assert gaps == [Gap(NOW_NS, NOW_NS + 101, 2, 14)]
    assert [len(one.message.body) for one in box.lend(10)] == [10, 10, 2]


def test_the_books_know_how_long_the_oldest_has_waited(make: Make, clock: Clock) -> None:
    box = make()
    assert box.books().oldest_ns is None
    box.put([message(0)])
    clock.now_ns += 10**9
    box.put([message(1)])
    assert box.books().oldest_ns == NOW_NS
    box.accept(box.lend(1))
    assert box.books().oldest_ns == NOW_NS + 10**9


def test_the_file_stays_as_small_as_its_caps_however_much_goes_through_it(tmp_path: Path) -> None:
    box = SqliteOutbox(tmp_path / "box.sqlite", Caps(bytes=100_000))
    for n in range(60):
        box.put([message(n, size=20_000)])
    box.put([message(60, size=10)] * 2)
    box.close()  # the log goes into the file
    assert (tmp_path / "box.sqlite").stat().st_size < 2 * 100_000


def test_a_source_is_followed_by_its_cursor(make: Make) -> None:
    box = make()
    assert box.cursor("events") == 0
    box.put([message(0)], source="events", cursor=17)
    box.put([], source="events", cursor=19)
    assert (box.cursor("events"), box.cursor("others")) == (19, 0)


class SideBySide(RuleBasedStateMachine):
    """The one on disk does what the plain one does, whatever is asked of both."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = Clock()
        self.caps = Caps(bytes=200, age_s=60.0)
        self.plain = PlainOutbox(self.caps, now_ns=self.clock)
        self.disk = self.opened()
        self.lent: list[Lent] = []
        self.fresh = itertools.count()

    def opened(self) -> SqliteOutbox:
        return SqliteOutbox(Path(self.folder.name) / "box.sqlite", self.caps, now_ns=self.clock)

    @rule(n=st.integers(1, 8), age_s=st.integers(0, 200))
    def put(self, n: int, age_s: int) -> None:
        told = [message(next(self.fresh), t_ns=self.clock.now_ns - age_s * 10**9) for _ in range(n)]
        for box in (self.plain, self.disk):
            box.put(told, source="events", cursor=int(told[-1].body))

    @rule(seconds=st.integers(-30, 50))
    def time_passes(self, seconds: int) -> None:
        self.clock.now_ns += seconds * 10**9

    @rule(n=st.integers(1, 8), newest=st.booleans(), most_bytes=st.none() | st.integers(1, 60))
    def lend(self, n: int, newest: bool, most_bytes: int | None) -> None:
        got = self.disk.lend(n, newest=newest, most_bytes=most_bytes)
        assert got == self.plain.lend(n, newest=newest, most_bytes=most_bytes)
        self.lent += got

    @rule()
    def a_gap_is_told(self) -> None:
        number, gaps = next(self.fresh), []

        def told(gap: Gap) -> Message:
            gaps.append(gap)
            return message(number)

        assert self.disk.tell_gap(told) == self.plain.tell_gap(told)
        assert gaps[:1] == gaps[1:]

    @precondition(lambda self: self.lent)
    @rule(what=st.sampled_from(["accept", "keep", "reject"]))
    def settle(self, what: str) -> None:
        one = self.lent.pop(0)
        for box in (self.plain, self.disk):
            getattr(box, what)([one])

    @rule(killed=st.booleans())
    def whoever_had_something_lent_is_gone(self, killed: bool) -> None:
        self.lent = []
        self.plain.release()
        if killed:
            self.disk.close()
            self.disk = self.opened()
        else:
            self.disk.release()

    @invariant()
    def same(self) -> None:
        assert self.disk.books() == self.plain.books()
        assert self.disk.cursor("events") == self.plain.cursor("events")

    def teardown(self) -> None:
        self.disk.close()
        self.folder.cleanup()


TestSideBySide = SideBySide.TestCase
TestSideBySide.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


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
    with pytest.raises(OutboxDamaged, match=r"box\.sqlite"):
        SqliteOutbox(path)


FIRST_FILES = """
CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, address TEXT NOT NULL, body BLOB NOT NULL, t_ns INTEGER NOT NULL,
    lent INTEGER NOT NULL) STRICT;
CREATE TABLE cursors (source TEXT PRIMARY KEY, place INTEGER NOT NULL) STRICT;
CREATE TABLE books (name TEXT PRIMARY KEY, count INTEGER NOT NULL) STRICT;
INSERT INTO books VALUES ('dropped', 3), ('rejected', 0);
INSERT INTO cursors VALUES ('events', 17);
INSERT INTO messages VALUES (5, 'events', '7', 1, 1);
"""


def test_a_file_of_the_first_schema_goes_on_and_what_waits_in_it_is_not_old(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "box.sqlite"
    older = sqlite3.connect(path)
    older.executescript(FIRST_FILES.replace("'7'", "x'37'"))
    older.close()
    for _ in range(2):
        box = SqliteOutbox(path, Caps(age_s=10.0), now_ns=clock)
        box.put([])
        assert (box.cursor("events"), box.books().dropped) == (17, 3)
        assert (box.books().waiting, box.books().waiting_bytes) == (1, 1)
        assert numbers(box.lend(10)) == [7]
        box.close()


def test_a_file_of_a_newer_labd_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version = 99")
    newer.close()
    with pytest.raises(StoreError, match="version 99"):
        SqliteOutbox(path)


def test_a_put_and_the_books_cost_as_much_with_many_waiting_as_with_few(tmp_path: Path) -> None:
    """In steps of SQLite's machine: a server may be away for as long as two gigabytes last."""
    path = tmp_path / "box.sqlite"
    box = SqliteOutbox(path)
    steps: list[int] = []

    def cost() -> int:
        steps.clear()
        box._db.set_progress_handler(lambda: steps.append(1), 1)
        box.put([message(1)])
        box.books()
        box._db.set_progress_handler(None, 1)
        return len(steps)

    few = cost()
    box.put([message(n) for n in range(2000)])
    assert cost() < few + 50
    box.close()


async def test_a_damaged_file_is_put_aside_and_a_new_one_begun_whose_sources_start_over(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    path.write_text("something else " * 100)
    async with OutboxSession(path, Caps()) as box:
        with pytest.raises(OutboxDamaged):
            await box.change(lambda outbox: outbox.put([message(0)], source="events", cursor=1))
        await box.change(lambda outbox: outbox.put([message(0)], source="events", cursor=1))
        assert box.books is not None
        assert box.books.waiting == 1
        assert "box.sqlite.damaged" in box.remark
    assert (tmp_path / "box.sqlite.damaged").read_text() == "something else " * 100


async def test_a_file_that_is_damaged_while_it_is_open_is_put_aside_too(tmp_path: Path) -> None:
    path = tmp_path / "box.sqlite"
    async with OutboxSession(path, Caps()) as box:
        await box.change(lambda outbox: outbox.put([message(n, size=3000) for n in range(50)], source="events", cursor=50))
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))  # the first page says what is where
    async with OutboxSession(path, Caps()) as box:
        with pytest.raises(OutboxDamaged):
            await box.do(lambda outbox: outbox.lend(50))
        assert await box.do(lambda outbox: outbox.cursor("events")) == 0


async def test_a_folder_that_cannot_be_written_is_an_error_of_the_call_and_the_next_call_tries_again(tmp_path: Path) -> None:
    folder = tmp_path / "box"
    folder.write_text("a file where a folder should be")
    async with OutboxSession(folder / "box.sqlite", Caps()) as box:
        with pytest.raises(StoreError, match="cannot be opened"):
            await box.do(lambda outbox: outbox.cursor("events"))
        folder.unlink()
        assert await box.do(lambda outbox: outbox.cursor("events")) == 0
