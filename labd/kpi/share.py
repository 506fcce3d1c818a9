"""Shares and areas under the ROC curve with the uncertainty that a finite number of samples leaves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Z95 = 1.959964


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson, J. Am. Stat. Assoc. 22, 1927, p. 209); n > 0."""
    share, z2 = hits / n, Z95 * Z95
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def auc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Area under the ROC (scikit-learn): the share of pairs in which the positive sample has the larger score, ties count half; and its
    standard uncertainty.

    scores: float64 [n]; positive: bool [n], both kinds among them. Variance of DeLong et al., Biometrics 44 (1988), p. 837.
    """
    from sklearn.metrics import roc_auc_score  # 0.9 s that only a score is worth

    of_high, of_low = placements(scores, positive)
    m, n = len(of_high), len(of_low)
    variance = (of_high.var(ddof=1) / m if m > 1 else 0.25) + (of_low.var(ddof=1) / n if n > 1 else 0.25)
    return float(roc_auc_score(positive, scores)), math.sqrt(float(variance))


def placements(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each positive sample the share of negatives below it, of each negative that of positives above it; ties count half. By midranks
    as in Sun and Xu, IEEE Signal Processing Letters 21 (2014), p. 1389."""
    high, low = scores[positive], scores[~positive]
    m, n = len(high), len(low)
    ranks = midranks(np.concatenate((high, low)))
    of_high: NDArray[np.float64] = (ranks[:m] - midranks(high)) / n
    of_low: NDArray[np.float64] = 1 - (ranks[m:] - midranks(low)) / m
    return of_high, of_low


def influence(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How far each sample moves the area, float64 [n]: the variance of the area is the sum of their squares over n^2."""
    of_high, of_low = placements(scores, positive)
    area, n = float(of_high.mean()), len(scores)
    found = np.empty(n)
    found[positive] = (of_high - area) * n / len(of_high)
    found[~positive] = (of_low - area) * n / len(of_low)
    return found


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1 on, equal values share the mean of theirs."""
    _, index, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    found: NDArray[np.float64] = (last - (counts - 1) / 2)[index]
    return found
