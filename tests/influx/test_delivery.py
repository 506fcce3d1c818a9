"""A batch against a server that takes lines or not: every good line arrives, what never will is set apart, and it ends."""

from __future__ import annotations

import gzip
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.influx.answers import Answer, Verdict
from labd.influx.delivery import MOST_FAULTS, Delivered, Delivery, parted

OK = Answer(Verdict.DELIVERED)


class Server:
    """Refuses a whole request for the first bad line in it, as 413 and 422 do. away_after: requests that it answers."""

    def __init__(self, bad: set[bytes] = frozenset(), *, away_after: int = 10_000) -> None:  # type: ignore[assignment]
        self.bad = bad
        self.left = away_after
        self.taken: list[bytes] = []
        self.largest = 0

    async def write(self, body: bytes, *, zipped: bool) -> Answer:
        self.left -= 1
        if self.left < 0:
            return Answer(Verdict.AWAY, "503")
        lines = (gzip.decompress(body) if zipped else body).splitlines(keepends=True)
        self.largest = max(self.largest, sum(map(len, lines)))
        if any(line in self.bad for line in lines):
            return Answer(Verdict.POISON, "422 unable to parse")
        self.taken += lines
        return OK


def lines_of(count: int) -> list[bytes]:
    return [b"power n=%di %d\n" % (k, k) for k in range(count)]


async def delivered(server: Server, lines: list[bytes], *, most_bytes: int = 1 << 20) -> Delivered:
    return await Delivery(server, None, most_bytes=most_bytes).of(b"".join(lines))


@given(st.integers(1, 60), st.sets(st.integers(0, 59), max_size=5), st.integers(1, 400))
async def test_every_good_line_arrives_in_order_and_each_bad_one_stands_alone(count: int, bad: set[int], most: int) -> None:
    lines = lines_of(count)
    wrong = {lines[k] for k in bad if k < count}
    server = Server(wrong)
    found = await delivered(server, lines, most_bytes=most)
    assert server.taken == [line for line in lines if line not in wrong]
    assert {line for line, _ in found.bad} == wrong
    assert (found.points, found.dropped, found.stop) == (count - len(wrong), len(wrong), None)
    assert found.requests <= count + len(wrong) * (count.bit_length() + 1) * 2


async def test_a_server_that_goes_away_stops_it_where_it_is() -> None:
    lines = lines_of(8)
    found = await delivered(Server({lines[5]}, away_after=2), lines)
    assert found.stop == Answer(Verdict.AWAY, "503")
    assert found.bad == []


async def test_a_partial_write_is_a_delivery_that_says_what_was_lost() -> None:
    class Partial(Server):
        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            return Answer(Verdict.PARTIAL, "400 partial write: field type conflict dropped=2", dropped=2)

    found = await delivered(Partial(), lines_of(10))
    assert (found.points, found.dropped, found.stop, found.requests) == (8, 2, None, 1)
    assert found.bad == [(b"".join(lines_of(10)), "400 partial write: field type conflict dropped=2")]


async def test_of_a_partial_write_the_lines_that_the_server_names_are_kept() -> None:
    class Naming(Server):
        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            return Answer(Verdict.PARTIAL, "400 partial write", dropped=1, lines=("power n=3i 3",))

    found = await delivered(Naming(), lines_of(10))
    assert (found.points, found.bad) == (9, [(lines_of(10)[3], "400 partial write")])


async def test_a_fault_is_laid_to_lines_only_where_others_get_through() -> None:
    lines = lines_of(40)

    class Faulty(Server):
        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            answer = await super().write(body, zipped=zipped)
            return Answer(Verdict.FAULT, "500") if answer.verdict is Verdict.POISON else answer

    whole, bad = b"".join(lines), set(lines[7:9])
    assert (await Delivery(Faulty(bad), None, most_bytes=1 << 20).of(whole)).stop == Answer(Verdict.FAULT, "500")
    blamed = await Delivery(Faulty(bad), None, most_bytes=1 << 20, blame=True).of(whole)
    assert (blamed.stop, blamed.points, {line for line, _ in blamed.bad}) == (None, 38, bad)
    down = await Delivery(Faulty(set(lines)), None, most_bytes=1 << 20, blame=True).of(whole)
    assert (down.stop, down.bad, down.rest) == (Answer(Verdict.FAULT, "500"), [], whole)
    assert down.requests <= 2 * MOST_FAULTS + len(lines).bit_length()


async def test_a_server_that_has_a_limit_is_found_out_once() -> None:
    class Limited(Server):
        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            return Answer(Verdict.TOO_LARGE, "413") if len(body) > 40_000 else await super().write(body, zipped=zipped)

    lines, server = lines_of(10_000), Limited()
    delivery = Delivery(server, None, most_bytes=1 << 20)
    assert (await delivery.of(b"".join(lines))).bad == []
    assert delivery.most_bytes <= 40_000
    again = await delivery.of(b"".join(lines))
    assert server.taken == 2 * lines
    assert again.requests == -(-sum(map(len, lines)) // delivery.most_bytes)


async def test_a_single_line_that_is_too_large_is_set_apart() -> None:
    class Strict(Server):
        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            return Answer(Verdict.TOO_LARGE, "413") if b"large" in body else await super().write(body, zipped=zipped)

    server, large = Strict(), b"power large=1i 1\n"
    found = await delivered(server, [*lines_of(3), large, *lines_of(2)])
    assert server.taken == [*lines_of(3), *lines_of(2)]
    assert found.bad == [(large, "413")]


async def test_what_is_sent_compressed_was_compressed_elsewhere() -> None:
    server, threads = Server(), []

    async def in_thread(work: Callable[[], bytes]) -> bytes:
        threads.append(work)
        return work()

    await Delivery(server, in_thread, most_bytes=1 << 20).of(b"".join(lines_of(50)))
    assert server.taken == lines_of(50)
    assert len(threads) == 1


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=30), st.integers(1, 100))
def test_parts_are_whole_lines_and_together_everything(lines: list[bytes], most: int) -> None:
    body = b"".join(line + b"\n" for line in lines)
    parts = parted(body, most)
    assert b"".join(parts) == body
    assert all(part.endswith(b"\n") for part in parts)
    assert all(len(part) <= most or part.count(b"\n") == 1 for part in parts)


@pytest.mark.parametrize("verdict", [Verdict.SETTINGS, Verdict.RESET, Verdict.AWAY])
async def test_what_is_no_fault_of_a_line_blames_none(verdict: Verdict) -> None:
    class Refusing(Server):
        async def write(self, body: bytes, *, zipped: bool) -> Answer:
            return Answer(verdict, "no")

    found = await delivered(Refusing(), lines_of(3))
    assert (found.stop, found.bad, found.requests) == (Answer(verdict, "no"), [], 1)
