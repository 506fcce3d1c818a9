"""The demo files, and a way to change one line of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labd import resources


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A copy of the fixtures' benches, boards, plans and cards."""
    for folder in ("benches", "boards", "plans", "cards"):
        shutil.copytree(resources.path("fixtures") / folder, tmp_path / folder)
    return tmp_path
