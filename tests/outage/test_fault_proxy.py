"""The proxy of `make outage` does what its script says, and counts it; a write that it passes on reaches the server as it came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from benchmarks.outage.fault_proxy import Fault, fault_proxy

Got = list[tuple[str, bytes]]
BODY = b"power n=1i 1\n" * 1000


@pytest.fixture
def got() -> Got:
    return []


@pytest.fixture
def target(got: Got) -> Iterator[str]:
    class Takes(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *given: object) -> None:  # noqa: A002  the parent's name for it
            """Nothing."""

    with HTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_is_passed_on_arrives_and_is_answered(target: str, got: Got) -> None:
    with fault_proxy(target) as proxy:
        assert httpx.post(f"{proxy.url}/write?db=labd", content=BODY).status_code == 204
    assert got == [("/write?db=labd", BODY)]
    assert (proxy.writes, dict(proxy.answers)) == (1, {204: 1})


def test_a_write_of_2x_becomes_one_of_1x(target: str, got: Got) -> None:
    with fault_proxy(target) as proxy:
        httpx.post(f"{proxy.url}/api/v2/write?org=-&bucket=labd&precision=ns", content=BODY)
    assert got == [("/write?db=labd&precision=ns", BODY)]


def test_busy_says_when_to_come_back(target: str, got: Got) -> None:
    with fault_proxy(target, [Fault.BUSY, Fault.NONE]) as proxy:
        answers = [httpx.post(f"{proxy.url}/write", content=BODY) for _ in range(2)]
    assert [one.status_code for one in answers] == [503, 204]
    assert answers[0].headers["retry-after"] == "1"
    assert len(got) == 1


@pytest.mark.parametrize(("fault", "taken"), [(Fault.CUT, 0), (Fault.UNANSWERED, 1)])
def test_a_connection_is_cut_before_or_after_the_server_has_it(target: str, got: Got, fault: Fault, taken: int) -> None:
    with fault_proxy(target, [fault]) as proxy:
        with pytest.raises((httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)):
            httpx.post(f"{proxy.url}/write", content=BODY)
        assert proxy.done[fault] == 1
    assert len(got) == taken


def test_a_server_that_is_away_is_away_behind_the_proxy_too(target: str) -> None:
    with fault_proxy("http://127.0.0.1:1") as proxy, pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        httpx.post(f"{proxy.url}/write", content=BODY)
    assert not proxy.answers
