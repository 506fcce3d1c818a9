"""A bench of real instruments that are not there."""

from __future__ import annotations

import shutil
from pathlib import Path

from labd.bench_file import Bench
from labd.daemon.opened import load_bench
from tests.bench.whole_run import FIXTURES


def real_bench(folder: Path, change: tuple[str, str] = ("", "")) -> Bench:
    """A bench file of a real supply, which nobody opens here; its guard serves in `folder`."""
    (folder / "benches").mkdir()
    shutil.copytree(FIXTURES / "boards", folder / "boards")
    shutil.copytree(FIXTURES / "cards", folder / "cards")
    text = (FIXTURES / "benches/n6705c.toml").read_text("utf-8").replace(*change)
    path = folder / "benches/bench.toml"
    path.write_text(text + '\n[guard]\nsocket = "../guard.sock"\n', "utf-8")
    return load_bench(path)
