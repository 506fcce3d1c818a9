"""Task KPIs are scikit-learn's on the same predictions, by hand on small ones, and their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from labd.kpi.share import auc, influence
from labd.kpi.targets import Answer, Target, conformity
from labd.kpi.task import NEVER, TaskResult, task_kpis


def predicted(n: int, classes: int, *, seed: int = 3) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels and scores of a fairly good classifier, with ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, n)
    scores = rng.normal(0, 1, (n, classes))
    scores[np.arange(n), labels] += 1.5
    return labels, scores.round(1)


def found(result: TaskResult | None) -> dict[str, float | None]:
    assert result is not None
    return {record.id: record.value for record in result.records}


def test_the_figures_are_scikit_learn_s() -> None:
    labels, scores = predicted(300, 5)
    result = task_kpis(labels.tolist(), scores.tolist(), at="net", resamples=20)
    taken = scores.argmax(axis=1)
    values = found(result)
    every = np.eye(5, dtype=int)[labels]
    assert {
        name: values[f"task.{name}"]
        for name in (
            "accuracy",
            "balanced_accuracy",
            "precision.macro",
            "recall.macro",
            "f1.macro",
            "auc.macro",
            "auc.micro",
            "mean_average_precision",
        )
    } == {
        "accuracy": metrics.accuracy_score(labels, taken),
        "balanced_accuracy": pytest.approx(metrics.balanced_accuracy_score(labels, taken)),
        "precision.macro": metrics.precision_score(labels, taken, average="macro"),
        "recall.macro": metrics.recall_score(labels, taken, average="macro"),
        "f1.macro": metrics.f1_score(labels, taken, average="macro"),
        "auc.macro": pytest.approx(metrics.roc_auc_score(every, scores, average="macro")),
        "auc.micro": pytest.approx(metrics.roc_auc_score(every, scores, average="micro")),
        "mean_average_precision": pytest.approx(metrics.average_precision_score(every, scores, average="macro")),
    }
    matrices = metrics.multilabel_confusion_matrix(labels, taken)
    for k, ((tn, fp), (fn, tp)) in enumerate(matrices):
        assert values[f"task.recall[{k}]"] == tp / (tp + fn)
        assert values[f"task.specificity[{k}]"] == tn / (tn + fp)
        assert values[f"task.false_positive_rate[{k}]"] == fp / (fp + tn)
        assert values[f"task.precision[{k}]"] == tp / (tp + fp)
        assert values[f"task.f1[{k}]"] == pytest.approx(2 * tp / (2 * tp + fp + fn))
        assert values[f"task.auc[{k}]"] == metrics.roc_auc_score(labels == k, scores[:, k])
    assert result is not None
    assert np.array_equal(np.array(result.confusion), metrics.confusion_matrix(labels, taken))
    false, true, _ = metrics.roc_curve(labels == 2, scores[:, 2])
    assert result.roc[2].false_positive_rate == tuple(false.tolist())
    assert result.roc[2].true_positive_rate == tuple(true.tolist())


def test_by_hand() -> None:
    """Classes 0 0 0 1 1, taken for 0 0 1 1 1: the denominators are the class's samples, not all."""
    taken = [0, 0, 1, 1, 1]
    scores = [[1.0 - k, float(k)] for k in taken]
    values = found(task_kpis([0, 0, 0, 1, 1], scores, at="net", resamples=20))
    assert values["task.accuracy"] == 4 / 5
    assert values["task.balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert (values["task.recall[0]"], values["task.precision[1]"], values["task.false_positive_rate[1]"]) == (2 / 3, 2 / 3, 1 / 3)


def test_a_class_that_is_never_predicted_has_precision_0_and_says_so() -> None:
    result = task_kpis([0, 1, 2], [[1.0, 0.0, 0.0]] * 3, at="net", resamples=20)
    assert result is not None
    record = next(r for r in result.records if r.id == "task.precision[2]")
    assert (record.value, record.u, record.flags) == (0.0, None, (NEVER,))


def test_a_perfect_score_of_few_samples_is_not_certain() -> None:
    classes = task_kpis([0] * 8 + [1] * 8, [[0.9, 0.1]] * 8 + [[0.2, 0.8]] * 8, at="net", resamples=40)
    anomalies = task_kpis([0] * 8 + [1] * 8, [[0.1]] * 8 + [[0.8]] * 8, at="net", resamples=40)
    assert classes is not None
    assert anomalies is not None
    for record in (*classes.records, *anomalies.records):
        assert record.value in (0.0, 1.0)
        target = Target("x", 0.99, "1", least=True) if record.value else Target("x", 0.01, "1")
        assert conformity(record, target).answer in (Answer.OPEN, Answer.UNKNOWN), record
        if "Wilson" not in record.method:
            assert (record.u, record.low, record.high, record.flags) == (None, None, None, ("needs more samples",))
            assert conformity(record, target).why == "no interval: needs more samples"


def test_an_anomaly_score_gives_an_area_and_no_accuracy() -> None:
    labels, scores = [0, 0, 1, 1, 1], [[0.1], [0.4], [0.4], [0.8], [0.9]]
    values = found(task_kpis(labels, scores, at="ad", resamples=20))
    assert values["task.auc"] == values["task.objective"] == (6 - 0.5) / 6
    assert values["task.mean_average_precision"] == metrics.average_precision_score(labels, [row[0] for row in scores])
    assert "task.accuracy" not in values


def test_nothing_to_score_gives_nothing() -> None:
    assert task_kpis([], [], at="net", resamples=20) is None
    assert task_kpis([1, 1], [[0.1], [0.2]], at="ad", resamples=20) is None


@pytest.mark.parametrize(
    ("labels", "scores", "told"),
    [
        ([0, 3], [[1.0, 0.0], [0.0, 1.0]], "labels go from 0 to 3, the scores are of classes 0 to 1"),
        ([0, 1], [[1.0, float("nan")], [0.0, 1.0]], "finite scores"),
        ([0], [[1.0, 0.0], [0.0, 1.0]], "1 labels go with as many rows"),
    ],
)
def test_what_does_not_fit_is_told(labels: list[int], scores: list[list[float]], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        task_kpis(labels, scores, at="net", resamples=20)


@settings(max_examples=5, deadline=None)
@given(st.integers(2, 4), st.integers(1, 30), st.integers(0, 10**6))
def test_every_interval_holds_its_value_within_0_and_1(classes: int, n: int, seed: int) -> None:
    labels, scores = predicted(n, classes, seed=seed)
    result = task_kpis(labels.tolist(), scores.tolist(), at="net", resamples=4)
    assert result is not None
    for record in result.records:
        if record.low is not None and record.high is not None and record.value is not None:
            assert -1e-12 <= record.low <= record.value + 1e-12, record
            assert record.value - 1e-12 <= record.high <= 1 + 1e-12, record


def test_the_influence_of_the_samples_is_the_variance_of_an_area() -> None:
    labels, scores = predicted(400, 2)
    _, u = auc(scores[:, 1], labels == 1)
    moves = influence(scores[:, 1], labels == 1)
    assert float(np.sqrt(moves @ moves)) / 400 == pytest.approx(u, rel=0.01)


def test_the_uncertainty_of_macro_and_micro_areas_is_their_scatter() -> None:
    made = []
    for seed in range(40):
        labels, scores = predicted(120, 3, seed=seed)
        result = task_kpis(labels.tolist(), scores.tolist(), at="net", resamples=4)
        assert result is not None
        made.append([(r.value, r.u) for r in result.records if r.id in ("task.auc.macro", "task.auc.micro")])
    values = np.array(made, dtype=float)
    for k in range(2):
        assert values[:, k, 0].std() == pytest.approx(np.sqrt((values[:, k, 1] ** 2).mean()), rel=0.3)
