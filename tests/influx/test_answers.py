"""What servers answer, as measured on real ones and documented of others, and what becomes of the batch."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from labd.influx.answers import Verdict, answer_of

NOW = datetime(2026, 11, 26, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (204, "", Verdict.DELIVERED),
        (400, '{"error":"partial write: field type conflict: input field \\"a\\" dropped=2"}', Verdict.PARTIAL),
        (400, '{"error":"unable to parse \'power a=\': missing field value"}', Verdict.POISON),
        (413, "request entity too large", Verdict.TOO_LARGE),
        (422, '{"code":"unprocessable entity","message":"points beyond retention"}', Verdict.POISON),
        (401, '{"error":"authorization failed"}', Verdict.SETTINGS),
        (403, '{"error":"\\"reader\\" user is not authorized to write"}', Verdict.SETTINGS),
        (404, '{"error":"database not found: \\"nope\\""}', Verdict.SETTINGS),
        (400, '{"error":"partial write of line protocol occurred","data":[{"original_line":"a","line_number":1}]}', Verdict.PARTIAL),
        (400, "cannot parse InfluxDB line", Verdict.POISON),  # as VictoriaMetrics says it
        (400, "Client sent an HTTP request to an HTTPS server.\n", Verdict.SETTINGS),
        (400, "<html>Bad Request: your line of business may not post here</html>", Verdict.SETTINGS),
        (400, '{"error":"database is required"}', Verdict.SETTINGS),
        (200, "<html>Welcome</html>", Verdict.SETTINGS),
        (202, "", Verdict.SETTINGS),
        (301, "", Verdict.SETTINGS),
        (408, "", Verdict.AWAY),
        (429, "", Verdict.AWAY),
        (500, '{"error":"timeout"}', Verdict.FAULT),
        (502, "", Verdict.AWAY),
        (503, "", Verdict.AWAY),
    ],
)
def test_each_status_has_its_verdict(status: int, body: str, verdict: Verdict) -> None:
    assert answer_of(status, {}, body).verdict is verdict


def test_a_partial_write_says_how_many_points_are_lost() -> None:
    assert answer_of(400, {}, '{"error":"partial write: points beyond retention policy dropped=7"}').dropped == 7
    unreadable = "; ".join(f"unable to parse '{'x' * 200}': missing fields" for _ in range(5))
    assert answer_of(400, {}, f'{{"error":"partial write: {unreadable} dropped=0"}}').dropped == 5
    assert answer_of(400, {}, f'{{"error":"partial write: {unreadable} dropped=2"}}').dropped == 7


def test_lines_that_a_server_gives_back_are_kept() -> None:
    bad = [{"original_line": f"power n={k}", "line_number": k, "error_message": "no"} for k in range(3)]
    found = answer_of(400, {}, json.dumps({"error": "partial write of line protocol occurred", "data": bad}))
    assert (found.dropped, found.lines) == (3, ("power n=0", "power n=1", "power n=2"))


def test_the_servers_own_words_are_told_in_one_line() -> None:
    assert answer_of(404, {}, '{"error":"database not found: \\"nope\\""}').text == '404 database not found: "nope"'
    assert answer_of(503, {}, "<html>\n  busy\n</html>").text == "503 <html> busy </html>"
    assert answer_of(500, {}, '["a list"]').text == '500 ["a list"]'


@pytest.mark.parametrize("said", ["86400", "9" * 400, "Fri, 27 Nov 2026 08:00:00 GMT"])
def test_nobody_is_believed_who_says_to_come_back_after_a_day(said: str) -> None:
    assert answer_of(503, {"retry-after": said}, "", now=NOW).after_s == 600.0


@pytest.mark.parametrize("said", ["soon", "-1", "\xb2", "1.5"])
def test_what_is_neither_seconds_nor_a_date_says_nothing(said: str) -> None:
    assert answer_of(503, {"retry-after": said}, "").after_s is None


def test_a_server_that_says_when_to_come_back_is_believed() -> None:
    assert answer_of(503, {"retry-after": "12"}, "").after_s == 12.0
    assert answer_of(429, {"retry-after": "Thu, 26 Nov 2026 08:00:30 GMT"}, "", now=NOW).after_s == 30.0
    assert answer_of(503, {"retry-after": " 3 "}, "").after_s == 3.0
