"""What predictions are worth: top-1 accuracy and the area under the ROC curve, each with its interval. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964
# least quality of the closed division (MLPerf Tiny rules); ad01 is an AUC, the others top-1
GATES = {"kws01": 0.90, "vww01": 0.80, "ic01": 0.85, "ic02": 0.91, "ad01": 0.85}


@dataclass(frozen=True, slots=True)
class Prediction:
    """One sample. label: the truth, None where nobody says. scores: of each class, or one number: how anomalous it is."""

    label: int | None
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """metric: `top_1` or `auc`, a share. low, high: 95 % interval. n: scored samples; ties: of them, the largest score is shared by
    classes (the first one counts). unlabelled: samples without one. gate: least value of the closed division, or None."""

    metric: str
    value: float
    low: float
    high: float
    n: int
    ties: int = 0
    unlabelled: int = 0
    gate: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.gate is None else self.value >= self.gate


def score(predictions: Sequence[Prediction], *, model: str = "") -> Score | None:
    """None where no sample has a label, or where all have the same one and an AUC is asked for. One score a sample: AUC, else top-1."""
    known = [one for one in predictions if one.label is not None]
    if not known:
        return None
    lacking = len(predictions) - len(known)
    labels = np.array([one.label for one in known])
    gate = GATES.get(model)
    if len(known[0].scores) == 1:
        if len(set((labels > 0).tolist())) < 2:
            return None
        value, u = auc(np.array([one.scores[0] for one in known]), labels > 0)
        return Score("auc", value, max(0.0, value - Z95 * u), min(1.0, value + Z95 * u), len(known), 0, lacking, gate)
    right = sum(best(one.scores) == one.label for one in known)
    low, high = wilson(right, len(known))
    ties = sum(one.scores.count(max(one.scores)) > 1 for one in known)
    return Score("top_1", right / len(known), low, high, len(known), ties, lacking, gate)


def best(scores: Sequence[float]) -> int:
    """The class with the largest score, the first of several."""
    return max(range(len(scores)), key=lambda k: scores[k])


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927, p. 209); n > 0."""
    share, z2 = hits / n, Z95 * Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Share of pairs in which the positive sample has the larger score, ties count half; and its standard uncertainty.

    scores: float64 [n]; positive: bool [n], both kinds among them. Rank statistic and variance of DeLong et al., Biometrics 44 (1988),
    p. 837, by midranks as in Sun and Xu, IEEE Signal Processing Letters 21 (2014), p. 1389.
    """
    high, low = scores[positive], scores[~positive]
    m, n = len(high), len(low)
    ranks = midranks(np.concatenate((high, low)))
    of_high = (ranks[:m] - midranks(high)) / n
    of_low = 1 - (ranks[m:] - midranks(low)) / m
    variance = (of_high.var(ddof=1) / m if m > 1 else 0.25) + (of_low.var(ddof=1) / n if n > 1 else 0.25)
    return float(of_high.mean()), math.sqrt(float(variance))


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 on, equal values share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: NDArray[np.float64] = (last - (counts - 1) / 2)[index]
    return found
