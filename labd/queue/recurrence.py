"""When a recurring job is due: five cron fields in a time zone that is stated."""

from __future__ import annotations

import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from labd.errors import LabdError

FIELDS = 5
EXPECTED = "expected five cron fields (minute hour day month weekday), such as '0 2 * * *' for 2:00 every day"


class RecurrenceError(LabdError):
    """A recurrence is no cron expression, or its zone no time zone."""

    exit_code = 2


def next_due_ns(recurrence: str, zone: str, after_ns: int) -> int:
    """UTC, later than after_ns. In the hour that summer time skips a job runs right after it, in the hour that comes twice it runs once.

    Raises RecurrenceError naming what would be right.
    """
    found = zone_of(zone)
    after = datetime.datetime.fromtimestamp(after_ns / 1e9, found)
    if (fields := len(recurrence.split())) != FIELDS:  # with six, CronSim takes the first for seconds
        raise RecurrenceError(f"recurrence {recurrence!r} has {fields} fields; {EXPECTED}")
    try:
        due = next(CronSim(recurrence, after))
    except CronSimError as error:
        raise RecurrenceError(f"recurrence {recurrence!r}: {error}; {EXPECTED}") from error
    except StopIteration as error:
        raise RecurrenceError(f"recurrence {recurrence!r} never comes") from error
    return round(due.timestamp() * 1e9)


def is_due(recurrence: str, zone: str, at_ns: int) -> bool:
    """Whether a job that recurs so is due at that instant. A recurrence that means nothing (any more) is due at none."""
    try:
        return next_due_ns(recurrence, zone, at_ns - 10**9) == at_ns
    except RecurrenceError:
        return False


def zone_of(name: str) -> ZoneInfo:
    """Raises RecurrenceError."""
    if not name:
        raise RecurrenceError("a recurrence needs the zone its hours are meant in, such as Europe/Berlin or UTC")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise RecurrenceError(f"zone {name!r}: there is no such time zone; expected a name such as Europe/Berlin or UTC") from error
