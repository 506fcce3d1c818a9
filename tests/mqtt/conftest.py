"""A broker for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mqtt.broker import Broker, broker


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Broker]:
    found = broker(tmp_path / "broker")
    yield found
    found.stop()
