"""What a server's answer to a write means for the batch; pure.

Measured on influxd 1.6.7 and VictoriaMetrics 1.79.5, documented for InfluxDB 2.x and 3 ("Troubleshoot issues writing data"): 204 alone is
success; a 400 (a 422 of 2.x) with `partial write` has stored the good points; other 400 that speak of the lines, and 422, are for one bad
line among many; 413 is for all of them together; what else refuses without a look at the lines (a proxy, a page, another protocol) is wrong
settings, as 401, 403 and 404 are, and a 500 for a retention policy that is not there; another 500 is a fault of the server's, which a line
may bring about; the rest is an outage.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

MOST_AFTER_S = 600.0  # that a server is believed: what it says to come back after a day is no use to a bench
LONGEST = 300  # characters of a server's words that are kept
# What a server says that has looked at the lines, in the JSON of an InfluxDB and in the text of others.
OF_A_LINE = re.compile(r"pars|\b(field|point|line|tag|timestamp|measurement|retention)", re.IGNORECASE)
NO_POLICY = "retention policy not found"
UNREADABLE = re.compile(r"(unable to|cannot|failed to) parse", re.IGNORECASE)


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
    FAULT = "fault"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Answer:
    """dropped: points that the server refused, of PARTIAL; lines: those of them that it names. after_s: how long it asks to be left
    alone, None where it does not say."""

    verdict: Verdict
    text: str = ""
    dropped: int = 0
    after_s: float | None = None
    lines: tuple[str, ...] = ()


def answer_of(status: int, headers: Mapping[str, str], body: str, *, now: datetime | None = None) -> Answer:
    """headers: names in lower case."""
    data = _json(body)
    said = _said(data, body)
    text = f"{status} {said[:LONGEST]}".strip()
    if status == 204:
        return Answer(Verdict.DELIVERED)
    if status in (400, 422) and "partial write" in said:
        lines = _named(data)
        return Answer(Verdict.PARTIAL, text, len(lines) or _dropped(said), lines=lines)
    if status == 413:
        return Answer(Verdict.TOO_LARGE, text)
    if status == 422 or (status == 400 and (UNREADABLE if data is None else OF_A_LINE).search(said)):
        return Answer(Verdict.POISON, text)
    if 200 <= status < 300:
        return Answer(Verdict.SETTINGS, f"{text}: a server that takes points answers 204")
    if 300 <= status < 400 or status in (400, 401, 403, 404, 405):
        return Answer(Verdict.SETTINGS, text)
    if status == 500 and NO_POLICY in said:
        return Answer(Verdict.SETTINGS, text)
    if status == 500:
        return Answer(Verdict.FAULT, text)
    return Answer(Verdict.AWAY, text, after_s=_after_s(headers.get("retry-after", ""), now or datetime.now(UTC)))


def _json(body: str) -> dict[str, Any] | None:
    """What an InfluxDB says."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    return data if isinstance(data, dict) and ("error" in data or "message" in data) else None


def _said(data: Mapping[str, Any] | None, body: str) -> str:
    """The message of InfluxDB's JSON, or the text as it is."""
    return " ".join((body if data is None else str(data.get("error") or data.get("message"))).split())


def _named(data: Mapping[str, Any] | None) -> tuple[str, ...]:
    """The lines that InfluxDB 3 gives back, up to a hundred."""
    found = (data or {}).get("data")
    return tuple(str(one["original_line"]) for one in found if isinstance(one, dict) and "original_line" in one) if found else ()


def _dropped(text: str) -> int:
    """influxd counts only points that do not fit a field's type or the retention; each line that it cannot read it names."""
    found = re.search(r"dropped=(\d+)", text)
    return max(1, (int(found[1]) if found else 0) + len(UNREADABLE.findall(text)))


def _after_s(text: str, now: datetime) -> float | None:
    """Seconds, or a date (RFC 9110, 10.2.3), at most `MOST_AFTER_S`."""
    if re.fullmatch(r"[0-9]+", text.strip()):
        return min(float(text), MOST_AFTER_S)
    try:
        return min(max(0.0, (parsedate_to_datetime(text) - now).total_seconds()), MOST_AFTER_S) if text else None
    except (TypeError, ValueError):
        return None
