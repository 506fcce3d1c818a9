"""What the analysis is told of bench and plan: values and half widths as they were declared."""

from __future__ import annotations

from pathlib import Path

from labd.analyse.setup import AnalysisSetup
from labd.bench_file import station
from tests.bench_file.changes import BENCH, change, load


def setup(files: Path) -> AnalysisSetup:
    return station.analysis_setup(*load(files), ())


def test_a_latency_that_the_bench_declares_is_the_analysis_limit(files: Path) -> None:
    change(files, BENCH, ('trigger_latency = "0 s"', 'trigger_latency = "5 us"'))
    assert setup(files).trigger_latency_s == 5e-6


def test_a_latency_that_the_bench_leaves_out_is_unknown_and_not_0(files: Path) -> None:
    assert setup(files).trigger_latency_s == 0
    change(files, BENCH, ('trigger_latency = "0 s" ', "#"))
    assert setup(files).trigger_latency_s is None
