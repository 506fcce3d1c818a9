"""What servers answer, as measured on real ones and documented of others, and what becomes of the batch."""

from __future__ import annotations

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
        (301, "", Verdict.SETTINGS),
        (408, "", Verdict.AWAY),
        (429, "", Verdict.AWAY),
        (500, '{"error":"timeout"}', Verdict.AWAY),
        (503, "", Verdict.AWAY),
    ],
)
def test_each_status_has_its_verdict(status: int, body: str, verdict: Verdict) -> None:
    assert answer_of(status, {}, body).verdict is verdict


def test_a_partial_write_says_how_many_points_are_lost() -> None:
    assert answer_of(400, {}, '{"error":"partial write: points beyond retention policy dropped=7"}').dropped == 7
    assert answer_of(400, {}, '{"error":"partial write: unable to parse \'x\': missing fields dropped=0"}').dropped == 1


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
