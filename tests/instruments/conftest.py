"""What is asked of a driver holds over every interface that its instrument's network offers."""

from __future__ import annotations

import pytest

from labd_virtual.persona import SERVERS
from labd_virtual.wire import Interface


@pytest.fixture(params=SERVERS)
def interface(request: pytest.FixtureRequest) -> Interface:
    found: Interface = request.param
    return found
