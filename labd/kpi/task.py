"""Task KPIs from predictions: scikit-learn's figures, each with the interval that the number of samples leaves.

Intervals: Wilson for shares (accuracy, and of one class precision, recall, specificity, false positive rate); DeLong for one area under the
ROC; for macro and micro areas the same influence of each sample, summed over the classes it takes part in (Obuchowski, Biometrics 53, 1997,
p. 567); bootstrap over samples (percentiles) for balanced accuracy, macro means, F1 and average precision. A figure
that no sample and no resample moves, as a perfect one of few samples, has no interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labd.kpi.share import Z95, auc, influence, wilson
from labd.records import KpiRecord, Provenance

RESAMPLES = 200
SEED = 1
ROC_POINTS = 200  # kept of one class
NEVER = "never predicted"
MORE = "needs more samples"  # where nothing of them varies, their scatter says nothing of how far the truth may be
ROUNDING = 1e-9  # a standard uncertainty of a share below this is none
WILSON, DELONG, BOOTSTRAP = "scikit-learn; Wilson", "scikit-learn; DeLong", "scikit-learn; bootstrap"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Roc:
    """The ROC of one class against the rest: false and true positive rates, ascending, at most ROC_POINTS of them."""

    label: int
    false_positive_rate: tuple[float, ...]
    true_positive_rate: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TaskResult:
    """confusion[i][j]: samples of class i taken for class j; empty where one anomaly score is told."""

    samples: int
    records: tuple[KpiRecord, ...]
    confusion: tuple[tuple[int, ...], ...]
    roc: tuple[Roc, ...]


def task_kpis(labels: Sequence[int], scores: Sequence[Sequence[float]], *, at: str, resamples: int = RESAMPLES) -> TaskResult | None:
    """Of so many samples: labels int [n], scores float [n][classes], or [n][1] of how anomalous each is (then a label above 0 is an
    anomaly). None without samples, or where an anomaly score meets one kind only. Raises ValueError for shapes that do not fit."""
    truth, given = np.asarray(labels, dtype=np.int64), np.asarray(scores, dtype=np.float64)
    if not len(truth):
        return None
    if given.ndim != 2 or len(given) != len(truth) or not np.isfinite(given).all():
        raise ValueError(f"{len(truth)} labels go with as many rows of finite scores of one length, not with an array of {given.shape}")
    if given.shape[1] == 1:
        return _of_anomalies(truth > 0, given[:, 0], at, resamples)
    if truth.min() < 0 or truth.max() >= given.shape[1]:
        raise ValueError(f"labels go from {truth.min()} to {truth.max()}, the scores are of classes 0 to {given.shape[1] - 1}")
    return _of_classes(truth, given, at, resamples)


def _of_anomalies(positive: NDArray[np.bool_], scores: Floats, at: str, resamples: int) -> TaskResult | None:
    from sklearn.metrics import average_precision_score

    if positive.all() or not positive.any():
        return None
    area = auc(scores, positive)
    n = len(scores)

    def precision(chosen: Ints) -> Floats:
        known = positive[chosen].any()
        return np.array([average_precision_score(positive[chosen], scores[chosen]) if known else math.nan])

    records = [
        _area("task.auc", at, area, n),
        _area("task.objective", at, area, n, method=f"AUC; {DELONG}"),
        *_bootstrapped(["task.mean_average_precision"], at, precision, n, resamples),
    ]
    return TaskResult(n, tuple(records), (), (_roc(1, positive, scores),))


def _of_classes(truth: Ints, scores: Floats, at: str, resamples: int) -> TaskResult:
    from sklearn.metrics import confusion_matrix

    n, classes = scores.shape
    taken = scores.argmax(axis=1)  # the first of several
    matrix = confusion_matrix(truth, taken, labels=np.arange(classes)).astype(np.int64)
    present = [k for k in range(classes) if 0 < int((truth == k).sum()) < n]
    records = [*_shares(matrix, at), *_means(truth, taken, at, resamples), *_areas(truth, scores, present, at, resamples)]
    rows = tuple(tuple(int(count) for count in row) for row in matrix)
    return TaskResult(n, tuple(records), rows, tuple(_roc(k, truth == k, scores[:, k]) for k in present))


def _shares(matrix: Ints, at: str) -> Iterator[KpiRecord]:
    """Accuracy, and of each class what is a share of counted samples."""
    total = int(matrix.sum())
    right = int(np.trace(matrix))
    yield _share("task.accuracy", at, right, total)
    yield _share("task.objective", at, right, total, method=f"top-1 accuracy; {WILSON}")
    for k in range(len(matrix)):
        hit, of_class, as_class = int(matrix[k, k]), int(matrix[k].sum()), int(matrix[:, k].sum())
        false, others = as_class - hit, total - of_class
        yield _share(f"task.precision[{k}]", at, hit, as_class, flags=() if as_class else (NEVER,))
        yield _share(f"task.recall[{k}]", at, hit, of_class)
        yield _share(f"task.specificity[{k}]", at, others - false, others)
        yield _share(f"task.false_positive_rate[{k}]", at, false, others)


def _means(truth: Ints, taken: Ints, at: str, resamples: int) -> Iterator[KpiRecord]:
    """Macro means over the classes that occur, and F1 of each, from one set of resamples."""
    from sklearn.metrics import precision_recall_fscore_support

    classes = np.unique(truth)

    def figures(chosen: Ints) -> Floats:
        told = precision_recall_fscore_support(truth[chosen], taken[chosen], labels=classes, average=None, zero_division=0)
        precision, recall, f1, support = (np.asarray(one, dtype=np.float64) for one in told)
        balanced = recall[support > 0].mean()
        return np.array([balanced, precision.mean(), recall.mean(), f1.mean(), *f1])

    names = ["balanced_accuracy", "precision.macro", "recall.macro", "f1.macro", *(f"f1[{k}]" for k in classes)]
    yield from _bootstrapped([f"task.{name}" for name in names], at, figures, len(truth), resamples)


def _areas(truth: Ints, scores: Floats, present: Sequence[int], at: str, resamples: int) -> Iterator[KpiRecord]:
    """Areas under the ROC and average precisions, one class against the rest, of classes that occur."""
    from sklearn.metrics import average_precision_score, roc_auc_score

    n = len(truth)
    if not present:
        return
    for k in present:
        yield _area(f"task.auc[{k}]", at, auc(scores[:, k], truth == k), n)
    moves = np.mean([influence(scores[:, k], truth == k) for k in present], axis=0)
    macro = float(np.mean([roc_auc_score(truth == k, scores[:, k]) for k in present]))
    yield _area("task.auc.macro", at, (macro, math.sqrt(float(moves @ moves)) / n), n)
    every = truth[:, None] == np.arange(scores.shape[1])
    pairs = influence(scores.ravel(), every.ravel()).reshape(scores.shape).sum(axis=1)
    micro = float(roc_auc_score(every.ravel(), scores.ravel()))
    yield _area("task.auc.micro", at, (micro, math.sqrt(float(pairs @ pairs)) / every.size), n)

    def mean_precision(chosen: Ints) -> Floats:
        there = [k for k in present if (truth[chosen] == k).any()]
        each = [average_precision_score(truth[chosen] == k, scores[chosen, k]) for k in there]
        return np.array([np.mean(each) if each else math.nan])

    yield from _bootstrapped(["task.mean_average_precision"], at, mean_precision, n, resamples)


def _share(kpi: str, at: str, hits: int, n: int, *, flags: tuple[str, ...] = (), method: str = WILSON) -> KpiRecord:
    """A share of n samples; of none: 0 where scikit-learn says so (a class that was never predicted), else no value."""
    if n == 0:
        value = 0.0 if flags else None
        return KpiRecord(kpi, at, value, "1", None, None, None, 0, Provenance.MEASURED, method, flags=flags or ("no samples",))
    share = hits / n
    low, high = wilson(hits, n)
    return KpiRecord(kpi, at, share, "1", (high - low) / (2 * Z95), low, high, n, Provenance.MEASURED, method, flags=flags)


def _area(kpi: str, at: str, area: tuple[float, float], n: int, *, method: str = DELONG) -> KpiRecord:
    """area: value and standard uncertainty."""
    value, u = area
    if u < ROUNDING:
        return _without_interval(kpi, at, value, n, method)
    low, high = max(0.0, value - Z95 * u), min(1.0, value + Z95 * u)
    return KpiRecord(kpi, at, value, "1", u, low, high, n, Provenance.MEASURED, method)


def _bootstrapped(kpis: Sequence[str], at: str, figures: Callable[[Ints], Floats], n: int, resamples: int) -> Iterator[KpiRecord]:
    """Figures of all samples, with percentiles and spread of them over resamples; the seed is fixed, so that they repeat."""
    values = figures(np.arange(n))
    rng = np.random.default_rng(SEED)
    drawn = np.array([figures(rng.integers(0, n, n)) for _ in range(resamples)])
    for kpi, value, column in zip(kpis, values.tolist(), drawn.T, strict=True):
        known = column[~np.isnan(column)]
        if len(known) < resamples // 2 or n < 2 or np.ptp(known) < ROUNDING:
            yield _without_interval(kpi, at, value, n, BOOTSTRAP)
            continue
        low, high = (float(end) for end in np.quantile(known, (0.025, 0.975)))
        u = float(known.std(ddof=1))
        yield KpiRecord(kpi, at, value, "1", u, min(low, value), max(high, value), n, Provenance.MEASURED, BOOTSTRAP)


def _without_interval(kpi: str, at: str, value: float, n: int, method: str) -> KpiRecord:
    return KpiRecord(kpi, at, value, "1", None, None, None, n, Provenance.MEASURED, method, flags=(MORE,))


def _roc(label: int, positive: NDArray[np.bool_], scores: Floats) -> Roc:
    from sklearn.metrics import roc_curve

    false, true, _ = roc_curve(positive, scores)
    chosen = np.unique(np.linspace(0, len(false) - 1, ROC_POINTS).round().astype(int))
    return Roc(label, tuple(false[chosen].tolist()), tuple(true[chosen].tolist()))
