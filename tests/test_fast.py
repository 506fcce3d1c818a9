"""Labd without numba, and with a place where nothing can be kept."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = """
import numpy as np
from labd import fast
from labd.influx.scratch import Scratch
from labd.influx.summaries import summarised

found = summarised([{"current": np.float32([1, 2, 3, 4]), "voltage": np.float32([3, 3, 3, 3])}], 2, 1.0, Scratch())
print(fast.rows() is not None, found["energy"].tolist(), found["power_max"].tolist())
"""


def figures(before: str = "", **environment: str) -> str:
    given = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'instruments'}"} | environment
    ended = subprocess.run([sys.executable, "-c", before + FIGURES], env=given, capture_output=True, text=True, timeout=120, check=True)
    return ended.stdout.strip()


def test_without_numba_numpy_does_it() -> None:
    assert figures("import sys; sys.modules['numba'] = None") == "False [9.0, 21.0] [6.0, 12.0]"


def test_what_is_compiled_need_not_be_kept(tmp_path: Path) -> None:
    """numba is told of a place for it that is none."""
    (tmp_path / "file").touch()
    assert figures(NUMBA_CACHE_DIR=str(tmp_path / "file")) == "True [9.0, 21.0] [6.0, 12.0]"


def test_what_was_kept_and_is_broken_is_compiled_anew(tmp_path: Path) -> None:
    assert figures(NUMBA_CACHE_DIR=str(tmp_path)) == "True [9.0, 21.0] [6.0, 12.0]"
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(b"nothing that was kept")
    assert figures(NUMBA_CACHE_DIR=str(tmp_path)) == "True [9.0, 21.0] [6.0, 12.0]"


def test_who_cannot_wait_is_told_whether_it_is_loaded() -> None:
    script = "from labd import fast; print(fast.loaded() is None, fast.rows() is fast.loaded(), fast.loaded() is not None)"
    given = os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'instruments'}"}
    ended = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.split() == ["True", "True", "True"]
