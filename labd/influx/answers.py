"""What a server's answer to a write means for the batch; pure.

Measured on influxd 1.6.7 and VictoriaMetrics 1.79.5, documented for InfluxDB 2.x and 3: a 400 with `partial write` has stored the good
points; other 400 and 422 are for one bad line among many, 413 is for all of them together; 401, 403 and 404 are wrong settings; the rest
is an outage.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_AFTER_S = 600.0  # that a server is believed: what it says to come back after a day is no use to a bench
LONGEST = 300  # characters of a server's words that are kept


class Verdict(enum.StrEnum):
    """What to do with the batch.

    DELIVERED: forget it. PARTIAL: forget it, some of its points were refused and are lost to the server for good. POISON: halve it until
    the bad point stands alone. TOO_LARGE: halve it, and send no more at once from then on. SETTINGS: keep it and alarm: nothing gets
    through before somebody changes something. AWAY: keep it and come back later. RESET: the same, and halve it when it happens again:
    servers cut the connection on a body that is too large.
    """

    DELIVERED = "delivered"
    PARTIAL = "partial"
    POISON = "poison"
    TOO_LARGE = "too large"
    SETTINGS = "settings"
    AWAY = "away"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Answer:
    """dropped: points that the server refused, of PARTIAL. after_s: how long it asks to be left alone, None where it does not say."""

    verdict: Verdict
    text: str = ""
    dropped: int = 0
    after_s: float | None = None


def answer_of(status: int, headers: Mapping[str, str], body: str, *, now: datetime | None = None) -> Answer:
    """headers: names in lower case."""
    said = _said(body)
    if 200 <= status < 300:
        return Answer(Verdict.DELIVERED)
    text = f"{status} {said}".strip()
    if status == 400 and "partial write" in said:
        return Answer(Verdict.PARTIAL, text, _dropped(said))
    if status == 413:
        return Answer(Verdict.TOO_LARGE, text)
    if status in (400, 422):
        return Answer(Verdict.POISON, text)
    if status in (401, 403, 404, 405) or 300 <= status < 400:
        return Answer(Verdict.SETTINGS, text)
    return Answer(Verdict.AWAY, text, after_s=_after_s(headers.get("retry-after", ""), now or datetime.now(UTC)))


def _said(body: str) -> str:
    """The message of InfluxDB's JSON, or the text as it is."""
    try:
        data = json.loads(body)
    except ValueError:
        data = None
    message = next((str(data[key]) for key in ("error", "message") if key in data), body) if isinstance(data, dict) else body
    return " ".join(message.split())[:LONGEST]


def _dropped(text: str) -> int:
    """influxd counts only points that do not fit a field's type or the retention; a line that it cannot read counts one."""
    found = re.search(r"dropped=(\d+)", text)
    count = int(found[1]) if found else 0
    return count or 1


def _after_s(text: str, now: datetime) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3), at most `MOST_AFTER_S`."""
    if re.fullmatch(r"[0-9]+", text.strip()):
        return min(float(text), MOST_AFTER_S)
    try:
        return min(max(0.0, (parsedate_to_datetime(text) - now).total_seconds()), MOST_AFTER_S) if text else None
    except (TypeError, ValueError):
        return None
