"""Scores against scipy, against counting pairs, and against how often their intervals hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from labd.accuracy.score import Prediction, best, score
from labd.kpi.share import auc, midranks, wilson

some = st.lists(st.integers(-4, 4), min_size=1, max_size=30)


@given(some, some)
def test_the_auc_is_the_share_of_pairs_in_order(high: list[int], low: list[int]) -> None:
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in high for b in low]
    value, _ = auc(np.array([*low, *high], float), np.array([False] * len(low) + [True] * len(high)))
    assert value == pytest.approx(np.mean(pairs))


def test_the_auc_is_scipy_s_rank_statistic() -> None:
    rng = np.random.default_rng(1)
    high, low = rng.normal(1, 1, 137).round(1), rng.normal(0, 1, 59).round(1)
    value, _ = auc(np.concatenate((high, low)), np.arange(196) < 137)
    assert value == pytest.approx(stats.mannwhitneyu(high, low).statistic / (137 * 59))
    np.testing.assert_allclose(midranks(high), stats.rankdata(high))


def test_the_uncertainty_of_an_auc_is_its_scatter() -> None:
    rng = np.random.default_rng(2)
    made = [auc(np.concatenate((rng.normal(1, 1, 80), rng.normal(0, 1, 50))), np.arange(130) < 80) for _ in range(600)]
    values, u = np.array(made).T
    assert float(values.std()) == pytest.approx(float(np.sqrt((u**2).mean())), rel=0.1)


@pytest.mark.parametrize(("share", "n"), [(0.5, 40), (0.9, 200), (0.99, 100)])
def test_the_interval_of_a_share_holds_it_in_nineteen_of_twenty(share: float, n: int) -> None:
    chance = stats.binom(n, share)
    covered = sum(chance.pmf(hits) for hits in range(n + 1) if wilson(hits, n)[0] <= share <= wilson(hits, n)[1])
    assert 0.92 < covered < 0.99


@given(st.integers(1, 2000), st.data())
def test_an_interval_holds_its_own_share(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n + 1e-12
    assert hits / n - 1e-12 <= high <= 1


def test_top_1_counts_what_is_right_and_tells_ties_and_lacking_labels() -> None:
    made = [Prediction(1, (0.1, 0.9)), Prediction(0, (0.1, 0.9)), Prediction(0, (0.5, 0.5)), Prediction(None, (1.0, 0.0))]
    found = score(made, model="kws01")
    assert found is not None
    assert (found.metric, found.n, found.ties, found.unlabelled, found.gate, found.met) == ("top_1", 3, 1, 1, 0.9, False)
    assert found.value == pytest.approx(2 / 3)


def test_one_number_a_sample_is_scored_by_its_auc() -> None:
    found = score([Prediction(k % 2, (float(k % 2) + 0.1 * (k % 3),)) for k in range(20)], model="ad01")
    assert found is not None
    assert (found.metric, found.value, found.gate, found.met) == ("auc", 1.0, 0.85, True)


def test_without_labels_or_with_one_kind_there_is_nothing_to_score() -> None:
    assert score([Prediction(None, (0.1, 0.9))]) is None
    assert score([Prediction(1, (3.0,)), Prediction(1, (4.0,))]) is None
    assert score([]) is None


def test_the_first_of_several_largest_scores_is_the_best() -> None:
    assert best((0.1, 0.4, 0.4)) == 1
