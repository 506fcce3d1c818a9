"""Result lines of MLPerf Tiny's two runners."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.errors import FileError
from labd.interchange.foreign import Added, ForeignFigure
from labd.interchange.kinds import read_foreign
from labd.interchange.mlperf_lines import figures, lines_of, written
from labd.records import Provenance
from tests.interchange.samples import MLCOMMONS_ACCURACY, MLCOMMONS_ENERGY, STREAMING, SYSTEM, eembc_lines


def of(text: str, model: str = "kws01") -> dict[str, ForeignFigure]:
    return {one.id: one for one in figures(text, file="results.txt", model=model, source="results.txt")}


def test_energyrunners_median_has_the_scatter_of_the_windows_it_was_taken_of() -> None:
    found = of(eembc_lines())["energy_per_inference.mlperf_median"]
    # standard deviation of 4000.1 4000.9 3999.8 4000.4 4001.0 is 0.5128 uJ; times sqrt(pi / 10); times t(4) = 2.776
    assert found.value == pytest.approx(4000.4e-6)
    assert found.u == pytest.approx(0.28745e-6, rel=1e-3)
    assert found.most == pytest.approx(4000.4e-6 + 2.77645 * 0.28745e-6, rel=1e-6)
    assert (found.unit, found.provenance, found.model) == ("J", Provenance.DECLARED, "kws01")
    assert of(eembc_lines())["inference_rate.back_to_back"].value == pytest.approx(120 / 10.602, rel=1e-4)


def test_mlcommons_lines_are_read_and_what_breaks_the_rule_is_told() -> None:
    found = of(MLCOMMONS_ENERGY)["energy_per_inference.mlperf_median"]
    assert found.value == pytest.approx(1393.204e-6)
    assert "2 windows, shortest 9.8 s" in found.conditions
    assert "exactly 5" in found.conditions
    assert "1 shorter than the rule's 10 s" in found.conditions


def test_accuracy_is_a_share_and_the_anomaly_detectors_top_one_is_none() -> None:
    found = of(MLCOMMONS_ACCURACY)
    assert [found["task.accuracy"].value, found["task.auc"].value] == pytest.approx([0.902, 0.995])
    assert of(MLCOMMONS_ACCURACY, model="ad01").keys() == {"task.auc"}
    assert of("37927.550 ulp-mlperf: Top-1: 77.8%\n37927.598 ulp-mlperf: AUC: 0.86\n")["task.accuracy"].value == pytest.approx(0.778)


def test_a_streaming_result_is_a_mean_power_and_no_energy_per_inference() -> None:
    found = of(STREAMING, "sww01")
    assert found.keys() == {"power.mean", "duty_cycle", "inference_rate"}
    assert [found[kpi].value for kpi in ("power.mean", "duty_cycle", "inference_rate")] == pytest.approx([0.025, 0.5, 31.25])
    (foreign,) = read_foreign({"results.txt": STREAMING.encode()}, None, Added())
    assert foreign.notes == "44 true positives, 6 false negatives, 4 false positives"


def test_the_system_file_of_a_submission_names_the_card() -> None:
    files = {"results.txt": eembc_lines().encode(), "systems/x.json": json.dumps(SYSTEM).encode()}
    (foreign,) = read_foreign(files, None, Added(model="kws01"))
    assert (foreign.name, foreign.source) == ("NUCLEO-X", "MLPerf Tiny result of Somebody")
    assert foreign.facts == {"chip": "STM32X", "type": "Arm Cortex-M4", "memory": "640KB RAM"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Median energy cost is abc uJ/inf.", "results.txt: line 1: expected a number"),
        ("x\nMedian throughput is -3 inf./sec.", "results.txt: line 2: expected a number"),
        ("Top 1% = 190.2", "results.txt: line 1: expected at most 100, got 190.2"),
        ("AUC = 1.5", "results.txt: line 1: expected at most 1, got 1.5"),
        (eembc_lines(median=4100.0), "expected 4000.4, the median of the 5 windows printed, got 4100"),
        ("hello", "expected result lines of MLPerf Tiny such as 'Median energy cost is"),
        ("  # Inferences : 12.5", "line 1: expected a whole number from 1 on, got '12.5'"),
        ("  # Inferences : 12", "these lines tell windows and no result"),
    ],
)
def test_a_wrong_line_is_told_by_file_and_line(text: str, says: str) -> None:
    with pytest.raises(FileError) as error:
        of(text)
    assert says in str(error.value)


@given(
    st.floats(1e-9, 1e3, allow_nan=False),
    st.floats(1e-3, 1e6, allow_nan=False),
    st.floats(0, 1, allow_nan=False),
    st.floats(0, 1, allow_nan=False),
)
def test_what_labd_writes_it_reads_again(energy_j: float, rate_hz: float, accuracy: float, auc: float) -> None:
    text = written(energy_j=energy_j, rate_hz=rate_hz, accuracy=accuracy, auc=auc, windows=5, shortest_s=10.5)
    found = of(text)
    assert found["energy_per_inference.mlperf_median"].value == pytest.approx(energy_j, abs=0.51e-10)
    assert found["inference_rate.back_to_back"].value == pytest.approx(rate_hz, abs=0.51e-3)
    assert found["task.accuracy"].value == pytest.approx(accuracy, abs=0.51e-3)
    assert found["task.auc"].value == pytest.approx(auc, abs=0.51e-3)
    assert "ERROR" not in text


def test_written_lines_say_where_a_run_is_none_by_the_rule() -> None:
    text = written(energy_j=1e-3, rate_hz=None, accuracy=None, auc=None, windows=3, shortest_s=0.3)
    assert "All inference times must be at least 10 seconds." in text
    assert "Energy mode must include exactly 5 measurements." in text
    assert "Median throughput" not in text


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = figures(text, file="f", model="", source="f")
    except FileError:
        return
    assert lines_of(text, file="f")
    assert all(one.value is not None and one.value >= 0 for one in found)
