"""When a recurring job is due, over changes of summer time."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.queue.recurrence import RecurrenceError, is_due, next_due_ns

BERLIN = "Europe/Berlin"


def ns(text: str, zone: str = "UTC") -> int:
    return round(datetime.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1e9)


def due(recurrence: str, zone: str, after: str) -> str:
    """Local time of the next one."""
    found = next_due_ns(recurrence, zone, ns(after, zone))
    return datetime.datetime.fromtimestamp(found / 1e9, ZoneInfo(zone)).isoformat(timespec="minutes")


def test_a_nightly_job_keeps_its_hour_over_both_changes() -> None:
    assert due("0 4 * * *", BERLIN, "2026-03-28T12:00") == "2026-03-29T04:00+02:00"
    assert due("0 4 * * *", BERLIN, "2026-10-24T12:00") == "2026-10-25T04:00+01:00"


def test_in_the_skipped_hour_it_runs_right_after() -> None:
    assert due("30 2 * * *", BERLIN, "2026-03-28T12:00") == "2026-03-29T03:00+02:00"
    assert due("30 2 * * *", BERLIN, "2026-03-29T03:01") == "2026-03-30T02:30+02:00"


def test_in_the_hour_that_comes_twice_it_runs_once() -> None:
    first = next_due_ns("30 2 * * *", BERLIN, ns("2026-10-24T12:00", BERLIN))
    second = next_due_ns("30 2 * * *", BERLIN, first)
    assert second - first > 20 * 3600 * 10**9


@pytest.mark.parametrize("after", ["2026-03-28T12:00", "2026-10-24T12:00", "2026-06-01T12:00"])
def test_an_occurrence_is_known_again_in_the_hour_that_is_skipped_and_in_the_one_that_comes_twice(after: str) -> None:
    found = next_due_ns("30 2 * * *", BERLIN, ns(after, BERLIN))
    assert is_due("30 2 * * *", BERLIN, found)
    assert not is_due("30 2 * * *", BERLIN, found + 60 * 10**9)
    assert not is_due("30 2 * * *", "Mars/Olympus", found)


@given(st.datetimes(datetime.datetime(2024, 1, 1), datetime.datetime(2030, 1, 1)), st.sampled_from(["UTC", BERLIN, "America/New_York"]))  # noqa: DTZ001
def test_the_next_time_is_always_later_and_within_a_day_of_a_nightly_job(after: datetime.datetime, zone: str) -> None:
    now_ns = round(after.replace(tzinfo=datetime.UTC).timestamp()) * 10**9
    found = next_due_ns("15 3 * * *", zone, now_ns)
    assert 0 < found - now_ns <= 25 * 3600 * 10**9


@pytest.mark.parametrize(
    ("recurrence", "zone", "text"),
    [
        ("every night", BERLIN, "expected five cron fields"),
        ("61 2 * * *", BERLIN, "expected five cron fields"),
        ("* * * * * *", BERLIN, "has 6 fields; expected five cron fields"),
        ("0 2 * *", BERLIN, "has 4 fields; expected five cron fields"),
        ("0 2 * * *", "", "needs the zone"),
        ("0 2 * * *", "Mars/Olympus", "there is no such time zone"),
        ("0 2 * * *", "../../etc/passwd", "there is no such time zone"),
    ],
)
def test_a_recurrence_that_means_nothing_is_refused(recurrence: str, zone: str, text: str) -> None:
    with pytest.raises(RecurrenceError, match=text):
        next_due_ns(recurrence, zone, ns("2026-03-28T12:00"))
