"""What predictions are worth: top-1 accuracy and the area under the ROC curve, each with its interval. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from labd.kpi.share import Z95, auc, wilson

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
