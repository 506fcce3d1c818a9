"""What `labd status` says of the sinks: whether they get through, why not, and what waits."""

from __future__ import annotations

from typing import Any

import pytest

from labd.cli.status import sink_line

INFLUX = {"connected": True, "server": "http://db:8086", "error": "", "alarm": "", "waiting": 0, "dropped": 0, "sent": 1200, "rejected": 0}


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (INFLUX, "connected to http://db:8086; 1200 sent"),
        (
            {**INFLUX, "connected": False, "error": "away: refused", "waiting": 7, "dropped": 3},
            "NOT connected to http://db:8086; away: refused; 7 wait, 1200 sent, 3 dropped before they could be sent",
        ),
        (
            {"connected": True, "broker": "mq:1883", "error": "", "waiting": 1, "rejected": 2, "remark": "an outbox was damaged"},
            "connected to mq:1883; 1 wait, 2 refused for good; an outbox was damaged",
        ),
        (
            {"connected": False, "url": "http://g:3000", "error": "", "sent": 0, "failed": 4, "lost_blocks": 5},
            "NOT connected to http://g:3000; 4 not sent, 5 blocks left out",
        ),
    ],
)
def test_a_sink_is_told_in_words(said: dict[str, Any], line: str) -> None:
    assert sink_line(said) == line
