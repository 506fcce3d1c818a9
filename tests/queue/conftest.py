"""What the scheduler's tests share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.queue.scheduler_lab import Disk, Lab


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    catalogue = Disk(tmp_path)
    async with catalogue:
        yield Lab(catalogue)
