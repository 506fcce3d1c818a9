"""A proxy in front of a server that takes writes: it counts them, and does to each what its script says."""

from __future__ import annotations

import enum
import itertools
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

RETRY_AFTER_S = 1
SLOW_S = 1.5
PASSED_ON = ("Content-Type", "Content-Encoding", "Authorization")


class Fault(enum.StrEnum):
    """BUSY: 503 with Retry-After. SLOW: taken, and answered after SLOW_S. CUT: the connection is reset when half of the body is there.
    UNANSWERED: taken, and the connection is closed in place of the 204."""

    NONE = "passed on"
    BUSY = "503"
    SLOW = "slow"
    CUT = "reset in mid-body"
    UNANSWERED = "204 lost"


@dataclass(slots=True)
class FaultProxy:
    """url: where it listens. answers: how often the server has answered what; done: how often each fault was done. Both by writes."""

    url: str
    target: str
    script: Iterator[Fault]
    done: Counter[Fault] = field(default_factory=Counter)
    answers: Counter[int] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)
    http: httpx.Client = field(default_factory=lambda: httpx.Client(trust_env=False, timeout=30.0))

    @property
    def writes(self) -> int:
        return self.done.total()

    def next(self) -> Fault:
        with self.lock:
            fault = next(self.script)
            self.done[fault] += 1
            return fault

    def passed_on(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        answer = self.http.post(self.target + _of_1x(path), content=body, headers=headers)
        with self.lock:
            self.answers[answer.status_code] += 1
        return answer


def _of_1x(path: str) -> str:
    """`/api/v2/write` as `/write`: InfluxDB has both from 1.8 on, Debian has 1.6."""
    parts = urlsplit(path)
    if parts.path != "/api/v2/write":
        return path
    asked = parse_qs(parts.query)
    return "/write?" + urlencode({"db": asked["bucket"][0], "precision": asked["precision"][0]})


@contextmanager
def fault_proxy(target: str, script: Sequence[Fault] = (Fault.NONE,)) -> Iterator[FaultProxy]:
    """The script begins anew at its end. A server that is away, or cuts the connection, is one for who asks the proxy too."""
    proxy = FaultProxy("", target, itertools.cycle(script))

    class Writes(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            fault = proxy.next()
            if fault is Fault.CUT:
                self.rfile.read(length // 2)
                return self._reset()
            body = self.rfile.read(length)
            if fault is Fault.BUSY:
                return self._answer(503, b'{"error":"busy"}', {"Retry-After": str(RETRY_AFTER_S)})
            headers = {name: self.headers[name] for name in PASSED_ON if name in self.headers}
            try:
                answer = proxy.passed_on(self.path, body, headers)
            except httpx.HTTPError:
                return self._reset()
            if fault is Fault.UNANSWERED:
                return self._reset()
            if fault is Fault.SLOW:
                time.sleep(SLOW_S)
            return self._answer(answer.status_code, answer.content, {})

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _reset(self) -> None:
            """RST in place of FIN."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def finish(self) -> None:
            if self.connection.fileno() >= 0:
                super().finish()

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:
                self.close_connection = True  # who asked has given up

        def log_message(self, format: str, *given: object) -> None:  # noqa: A002  the parent's name for it
            """Nothing."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Writes)
    proxy.url = f"http://127.0.0.1:{listening.server_address[1]}"
    thread = threading.Thread(target=listening.serve_forever, args=(0.05,), name="fault proxy")
    thread.start()
    try:
        yield proxy
    finally:
        listening.shutdown()
        thread.join()
        listening.server_close()
        proxy.http.close()
