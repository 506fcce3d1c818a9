"""`labd scan` says what a trace adds up to, and what it lacks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from labd.cli import scan
from labd.store.trace_writer import TraceWriter
from labd_instruments.block import Block, BlockFlag
from tests.analyse.stored_run import copy_of_a_run
from tests.cli.local_app import Answer, Commands

DT_NS = 1_000_000


def run_scan(capsys: pytest.CaptureFixture[str], *arguments: object) -> Answer:
    return Commands(capsys, scan)("scan", *arguments)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """Three bursts, the last of which goes on, a sample that is none, and a gap."""
    path = tmp_path / "0000-mean.parquet"
    current = np.array([0, 1, 1, 0, 0, 1, 0, np.nan], np.float32)
    with TraceWriter(path) as writer:
        writer.write(Block(0, 0, DT_NS, current, np.full(8, 2, np.float32)))
        more = np.array([0, 1], np.float32)
        writer.write(Block(20, 20 * DT_NS, DT_NS, more, np.full(2, 2, np.float32), flags=BlockFlag.GAP_BEFORE))
    return path


def test_a_file_is_told_in_words(trace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = run_scan(capsys, trace, "--threshold", "1 W", "--release", "500 mW")
    assert said.code == 0
    for line in (
        "10.000 ms: 10 samples in 2 stretches",
        "LOST: 12 samples in 1 gap between stretches",
        "WITHOUT A NUMBER (over-range): 1 sample, which count nothing",
        "energy: 8.0000 mJ",
        "2 bursts from 1.0000 W of power until 500.00 mW; 1 left out",
        "energy: mean 3.0000 mJ, 2.0000 mJ to 4.0000 mJ",
        "length: mean 1.5000 ms, 1.0000 ms to 2.0000 ms",
    ):
        assert line in said.out


def test_json_has_every_capture_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    every = json.loads(run_scan(capsys, "latest", "--store", tmp_path / "store", "--json").out)["scans"]
    one = json.loads(run_scan(capsys, "latest", "--capture", "2", "--store", tmp_path / "store", "--json").out)["scans"]
    assert one == [scan for scan in every if " capture 2 " in scan["name"]]
    assert len(every) > len(one)
    assert all(scan["complete"] and scan["energy_j"] > 0 and scan["bursts"] is None for scan in every)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--threshold", "3 V"), "--threshold: expected a power or a current"),
        (("--threshold", "1 W", "--release", "1 mA"), "--release: expected a level like --threshold '1 W', got '1 mA'"),
        (("--threshold", "1 W", "--release", "2 W"), "is not below"),
        (("--voltage", "3"), "--voltage: expected a voltage"),
        (("--capture", "1"), "--capture: is of a run"),
    ],
)
def test_what_cannot_be_asked_is_told_by_option_and_value(
    trace: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], says: str
) -> None:
    said = run_scan(capsys, trace, *arguments)
    assert said.code == 2
    assert says in said.error


def test_a_run_without_samples_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy_of_a_run(tmp_path / "store")
    said = run_scan(capsys, "latest", "--capture", "99", "--store", tmp_path / "store")
    assert (said.code, "no samples of a capture 99" in said.error) == (9, True)
