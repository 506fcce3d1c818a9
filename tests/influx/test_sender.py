"""One batch after the other out of an outbox, against a server that is played: what is counted, and what is kept of what was refused."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labd.influx.answers import Answer, Verdict
from labd.influx.sender import Sender
from labd.outbox.contract import Caps, Lent, Message, Outbox
from labd.outbox.session import OutboxSession
from labd.stream.session import InstrumentSession

GOOD, BAD, REFUSED = b"power n=1i 1\n", b"power n=one 2\n", "422 unable to parse"


class Played:
    """Refuses a request for the bad line in it; away: the numbers of the requests that it does not answer."""

    def __init__(self, *away: int) -> None:
        self.away = away
        self.requests = 0

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        self.requests += 1
        if self.requests in self.away:
            return Answer(Verdict.AWAY, "503 busy")
        return Answer(Verdict.POISON, REFUSED) if BAD in body else Answer(Verdict.DELIVERED)


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[OutboxSession]:
    async with OutboxSession(tmp_path / "outbox.sqlite", Caps()) as found:
        await found.change(lambda box: box.put([Message("power", line, 1) for line in (GOOD, BAD, GOOD)]))
        yield found


async def test_what_is_sent_again_is_counted_and_kept_once(outbox: OutboxSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.patience.FIRST_S", 0.0)
    async with InstrumentSession("packing") as thread:
        sender = Sender(outbox, thread, refused=tmp_path / "refused.lp")
        server = Played(5)  # whole, GOOD and BAD, GOOD, BAD: then it is away
        while await sender.some(server, zipped=False):  # type: ignore[arg-type]  # nobody asks it anything
            pass
    assert (sender.counts.sent, sender.counts.rejected, sender.counts.retries) == (2, 1, 1)
    assert sender.counts.requests == server.requests
    assert (tmp_path / "refused.lp").read_bytes() == b"# " + REFUSED.encode() + b"\n" + BAD
    assert sender.connected


def _waiting(box: Outbox) -> list[Lent]:
    lent = box.lend(1000)
    box.keep(lent)
    return lent


class Faulty(Played):
    """Meets a fault of its own at the bad line; down: at everything."""

    down = False

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        self.requests += 1
        return Answer(Verdict.FAULT, "500 internal error") if self.down or BAD in body else Answer(Verdict.DELIVERED)


async def test_a_line_that_a_server_stumbles_over_holds_nothing_up_for_good(
    outbox: OutboxSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labd.patience.FIRST_S", 0.0)
    async with InstrumentSession("packing") as thread:
        sender = Sender(outbox, thread, refused=tmp_path / "refused.lp")
        server = Faulty()
        while BAD in b"".join(one.message.body for one in await outbox.do(_waiting)):
            assert server.requests < 100
            await outbox.change(lambda box: box.put([Message("bench", GOOD, 1)]))  # what the daemon says of itself
            await sender.some(server, zipped=False)  # type: ignore[arg-type]
    assert sender.counts.rejected == 1
    assert BAD in (tmp_path / "refused.lp").read_bytes()


async def test_a_server_that_is_down_loses_no_line(outbox: OutboxSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labd.patience.FIRST_S", 0.0)
    async with InstrumentSession("packing") as thread:
        sender = Sender(outbox, thread, refused=tmp_path / "refused.lp")
        server = Faulty()
        server.down = True
        for _ in range(100):
            await sender.some(server, zipped=False)  # type: ignore[arg-type]
        assert (await outbox.do(lambda box: box.books())).waiting == 3
        assert not sender.connected
    assert not (tmp_path / "refused.lp").exists()


class Nothing(Played):
    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        return Answer(Verdict.POISON, REFUSED)


async def test_a_server_that_takes_no_line_is_not_called_connected(outbox: OutboxSession, tmp_path: Path) -> None:
    async with InstrumentSession("packing") as thread:
        sender = Sender(outbox, thread, refused=tmp_path / "refused.lp")
        await sender.some(Nothing(), zipped=False)  # type: ignore[arg-type]
    assert (sender.connected, sender.error, sender.counts.last_success_ns) == (False, REFUSED, None)


class Cut(Played):
    """Cuts the connection beyond a limit that it does not tell."""

    largest = 100_000

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        self.requests += 1
        return Answer(Verdict.RESET, "cut") if len(body) > self.largest else Answer(Verdict.DELIVERED)


class Waits:
    """A patience that waits for nothing. longest: failures in a row for which it would have waited longer and longer."""

    now = longest = 0

    def spent(self) -> float:
        Waits.now += 1
        Waits.longest = max(Waits.longest, Waits.now)
        return 0.0

    def restored(self) -> None:
        Waits.now = 0


async def test_a_limit_that_a_server_does_not_tell_is_found_without_longer_and_longer_waits(
    outbox: OutboxSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labd.influx.sender.Patience", Waits)
    await outbox.change(lambda box: box.put([Message("power", GOOD * 40_000, 1)]))
    async with InstrumentSession("packing") as thread:
        sender = Sender(outbox, thread, refused=tmp_path / "refused.lp")
        server = Cut()
        while await sender.some(server, zipped=False):  # type: ignore[arg-type]
            pass
        assert sender.counts.sent == 40_003
        server.largest, server.requests = 1 << 20, 0  # it was a balancer with a server of its own away
        for _ in range(2000):
            await outbox.change(lambda box: box.put([Message("power", GOOD, 1)]))
            await sender.some(server, zipped=False)  # type: ignore[arg-type]
        await outbox.change(lambda box: box.put([Message("power", GOOD * 40_000, 1)]))
        server.requests = 0
        await sender.some(server, zipped=False)  # type: ignore[arg-type]
        assert server.requests == 1
    assert (sender.counts.retries, Waits.longest) == (6, 2)  # two each at 520, 260 and 130 kB
