"""Traces of EnergyRunner and of MLCommons' runner: windows and energy computed again, with what they are not known by."""

from __future__ import annotations

import struct
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.errors import FileError
from labd.interchange.foreign import Added, Foreign, ForeignFigure
from labd.interchange.kinds import Kind, read_foreign
from labd.interchange.windows import EnergyTrace, derive, figures, paired
from labd.records import Provenance
from tests.interchange.samples import ACTIVE_W, EDGES, INFERENCES, REST_W, SESSION, TRUTH_J, eembc_lines, log, runner_json, trace


def read(files: dict[str, bytes], **asked: Any) -> Foreign:
    (found,) = read_foreign(files, Kind.ENERGYRUNNER, replace(Added(), **asked))
    return found


def energy(found: Foreign, by: Provenance = Provenance.COMPUTED) -> ForeignFigure:
    return next(one for one in found.figures if one.id == "energy_per_inference.mlperf_median" and one.provenance is by)


def test_windows_and_energy_are_computed_again_from_the_trace() -> None:
    found = energy(read(SESSION))
    assert found.value == pytest.approx(TRUTH_J, rel=1e-6)
    assert found.least is not None
    assert found.most is not None
    assert found.least < TRUTH_J < found.most
    assert "5 windows, shortest 10.6 s" in found.conditions
    assert "supply set to 1.8 V; EnergyRunner 3.0.10" in found.conditions
    assert "no file tells them" in found.conditions


def test_the_uncertainty_of_one_window_is_that_of_its_edges() -> None:
    """Each edge within one step of 1 ms: u = 1 ms / sqrt(3) times the larger power beside it, two of them."""
    found = energy(read(SESSION))
    assert found.u == pytest.approx(np.sqrt(2) * 1e-3 / np.sqrt(3) * ACTIVE_W / INFERENCES, rel=1e-5)


def test_the_interval_covers_the_mean_of_scattered_windows_as_often_as_it_says() -> None:
    draw, hits, trials = np.random.default_rng(11), 0, 400
    for _ in range(trials):
        powers = ACTIVE_W * (1 + 0.01 * draw.normal(size=5))
        samples = np.concatenate([np.concatenate((np.full(20, REST_W), np.full(1000, p))) for p in powers]) / 100.0
        edges = [(10.2 * k + 0.2, 10.2 * k + 10.2) for k in range(5)]
        made = figures(
            derive(EnergyTrace(samples, 100.0), edges, step_s=1e-3, inferences=10), source="s", model="", meter_limit=None, conditions=""
        )[0]
        assert made.least is not None
        assert made.most is not None
        hits += made.least <= ACTIVE_W <= made.most  # 10 s over 10 inferences
    assert 0.93 * trials <= hits <= 0.995 * trials


def test_a_meters_limits_widen_the_interval() -> None:
    without, within = energy(read(SESSION)), energy(read(SESSION, meter_limit=0.02))
    assert within.u == pytest.approx(np.hypot(without.u or 0.0, 0.02 * TRUTH_J / np.sqrt(3)), rel=1e-6)
    assert within.most is not None
    assert within.most - TRUTH_J > 0.02 * TRUTH_J
    assert "meter within 0.02" in within.conditions


def test_what_was_published_stands_beside_what_the_trace_gives_and_a_contradiction_is_told() -> None:
    each = TRUTH_J * 1e6
    agree = read(SESSION | {"s/results.txt": eembc_lines((each, each, each, each, each)).encode()})
    assert energy(agree, Provenance.DECLARED).value == pytest.approx(TRUTH_J)
    assert "lies in the interval" in agree.notes
    other = read(SESSION | {"s/results.txt": eembc_lines((4000.0,) * 5).encode()})
    assert "lies outside of" in other.notes


def test_samples_of_mlcommons_runner_are_windows_too() -> None:
    found = energy(read({"results.json": runner_json()}))
    assert found.value == pytest.approx(ACTIVE_W * 10.0 / 100, rel=1e-9)
    assert energy(read({"results.json": runner_json(edges=5)})).value == found.value  # earlier edges do not count


def test_without_a_log_the_number_of_inferences_is_asked_for() -> None:
    bare = {name: data for name, data in SESSION.items() if "log" not in name}
    with pytest.raises(FileError, match="say it with --inferences"):
        read(bare)
    assert energy(read(bare, inferences=INFERENCES)).value == pytest.approx(TRUTH_J, rel=1e-6)


STAMPS, BIN = "s/trace1-timestamps.json", "s/trace1-energy.bin"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({STAMPS: b"[0.1, 0.1]"}, f"{STAMPS}: [1]: expected more than 0.1 s, the timestamp before, got 0.1"),
        ({STAMPS: b"[0.1, 900]"}, f"{STAMPS}: [1]: expected at most 65 s, which the trace lasts, got 900"),
        ({STAMPS: b'[0.1, "x"]'}, f"{STAMPS}: [1]: expected seconds from 0 on, got 'x'"),
        ({STAMPS: b"[0.1, NaN]"}, f"{STAMPS}: [1]: expected seconds from 0 on, got 'NaN'"),
        ({STAMPS: b"[1.0, 2.0]"}, f"{STAMPS}: timestamps: expected at least 10 for the 5 windows of the log, got 2"),
        ({STAMPS: b"{}"}, f"{STAMPS}: expected an array of seconds"),
        ({STAMPS: b"[1.0,\n2.0"}, f"{STAMPS}: line 2: is not JSON"),
        ({STAMPS: b"\xff"}, f"{STAMPS}: line 1: expected UTF-8 text, got byte 0xff"),
        ({BIN: b"\x01"}, f"{BIN}: expected a version byte, a sample rate and samples of 4 bytes, got 1 bytes"),
        ({BIN: b"\x02" + trace()[1:]}, f"{BIN}: byte 0: expected version 1 of EnergyRunner's trace, got 2"),
        ({BIN: trace()[:-1]}, f"{BIN}: expected whole samples of 4 bytes"),
        ({BIN: struct.pack("<Bf", 1, -5.0) + trace()[5:]}, f"{BIN}: bytes 1 to 4: expected a sample rate"),
        ({BIN: trace() + struct.pack("<f", float("nan"))}, f"{BIN}: sample 65000: expected joules, got nan"),
        (
            {"s/log.txt": log() + b'1 parser: Command "io dut infer 7 1"\n'},
            "s/log.txt: line 10: expected windows of 200 inferences each, got one of 7",
        ),
        ({"s/results.json": b'[{"infer": 3}]'}, "s/results.json: [0].infer: expected an object of results and iterations, got 3"),
        (
            {"s/results.json": b'[{"infer": {"iterations": 2}, "power": {"samples": [1], "timestamps": [[0, 1], [1, 9]]}}]'},
            "s/results.json: [0].power.timestamps: expected a window within its 1 samples, got 1 to 9",
        ),
    ],
)
def test_a_wrong_file_is_told_by_file_place_and_value(changed: dict[str, bytes], says: str) -> None:
    with pytest.raises(FileError) as error:
        read(SESSION | changed)
    assert says in str(error.value)


def test_a_trace_without_timestamps_says_which_file_is_missing() -> None:
    with pytest.raises(FileError, match=r"expected s/trace1-timestamps\.json beside it, got no JSON file"):
        read({BIN: trace(), "s/log.txt": log()})


@given(st.integers(2, 60), st.floats(10.0, 1e5), st.data())
@settings(deadline=None, max_examples=40)
def test_windows_that_part_a_trace_hold_all_of_its_energy(n: int, rate_hz: float, data: st.DataObject) -> None:
    """Whatever the places of the edges, whole samples or not."""
    samples = np.array(data.draw(st.lists(st.floats(0.0, 1e-3), min_size=n, max_size=n)))
    made = EnergyTrace(samples, rate_hz)
    cuts = sorted(data.draw(st.lists(st.floats(0.0, made.length_s), min_size=1, max_size=6, unique=True)))
    edges = [0.0, *cuts, made.length_s]
    windows = derive(made, list(pairwise(edges)), step_s=1e-6, inferences=1)
    assert sum(w.energy_j for w in windows) == pytest.approx(float(samples.sum()), rel=1e-9, abs=1e-12)
    assert all(w.energy_j >= -1e-15 and w.u_edge_j >= 0 for w in windows)


@given(st.lists(st.floats(0, 100), unique=True, max_size=30).map(sorted), st.one_of(st.none(), st.integers(1, 8)))
def test_the_last_edges_are_paired_in_their_order(edges: list[float], windows: int | None) -> None:
    try:
        pairs = paired(edges, windows=windows, file="f")
    except FileError:
        assert len(edges) < 2 * (windows or 1)
        return
    assert len(pairs) == (windows or len(edges) // 2)
    assert [edge for pair in pairs for edge in pair] == edges[len(edges) - 2 * len(pairs) :]


def test_boot_and_asked_for_edges_before_the_windows_do_not_count() -> None:
    assert paired(EDGES, windows=5, file="f")[0] == (2.5, 13.1)
    assert paired((0.001, *EDGES), windows=5, file="f")[0] == (2.5, 13.1)
    assert paired(EDGES, windows=None, file="f")[0] == (2.5, 13.1)
