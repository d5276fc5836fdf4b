"""What other libraries call the same: examples worked by hand after their definitions."""

from math import log2

import numpy as np
import pytest
import scipy.sparse as sp

from pyrec_core import metrics

# Three users, lists of four of eight items: two hits of three, no hit of one, one hit of five.
RANKED = np.array([[5, 1, 7, 3], [0, 2, 4, 6], [4, 3, 2, 1]])
RELEVANT = [[1, 3, 0], [7], [3, 5, 6, 7, 0]]
K, N_ITEMS = 4, 8


def test_implicit():
    """``ranking_metrics_at_k``: a pooled precision, and an AUC that sums hits before each miss, then half the rest."""
    assert metrics.pooled_recall_trunc(RANKED, RELEVANT, K) == (2 + 0 + 1) / (3 + 1 + 4)
    expected_map = np.mean([(1 / 2 + 2 / 4) / 3, 0, (1 / 2) / 4])
    assert metrics.average_precision(RANKED, RELEVANT, K).mean() == pytest.approx(expected_map)
    ideal = [sum(1 / log2(r + 1) for r in range(1, n + 1)) for n in (3, 1, 4)]
    gains = [1 / log2(3) + 1 / log2(5), 0, 1 / log2(3)]
    assert metrics.ndcg(RANKED, RELEVANT, K).mean() == pytest.approx(np.mean(np.divide(gains, ideal)))
    # user 1: misses 5 and 7, with 0 and 1 hits before; then (2 + 3) / 2 for each of the 5 - 2 others
    # user 2: 4 misses without hits; then (0 + 1) / 2 for each of 7 - 4.  user 3: 0, 1, 1; none of the 3 others is left
    auc = np.mean([(1 + 2.5 * 3) / 15, (0.5 * 3) / 7, (0 + 1 + 1 + 3 * 0) / 15])
    assert metrics.partial_auc(RANKED, RELEVANT, K, N_ITEMS).mean() == pytest.approx(auc)


def test_recbole():
    """Means over users of Recall, Precision, Hit, MRR, NDCG and MAP, each over min(K, n) where it is cut."""
    found = {name: values.mean() for name, values in metrics.from_lists(
        RANKED, RELEVANT, ["recall", "precision", "hit_rate", "mrr", "average_precision"], K).items()}  # fmt: skip
    assert found["recall@4"] == pytest.approx(np.mean([2 / 3, 0, 1 / 5]))
    assert found["precision@4"] == pytest.approx(np.mean([2 / 4, 0, 1 / 4]))
    assert found["hit_rate@4"] == pytest.approx(2 / 3)
    assert found["mrr@4"] == pytest.approx(np.mean([1 / 2, 0, 1 / 2]))
    assert found["average_precision@4"] == pytest.approx(np.mean([1 / 3, 0, 1 / 8]))
    assert metrics.coverage(RANKED, N_ITEMS) == 8 / 8
    # GiniIndex: sum of (2 i - I - 1) f_i over I sum f, with the counts ascending
    counts = np.sort(metrics.item_counts(RANKED, N_ITEMS))
    theirs = ((2 * np.arange(1, N_ITEMS + 1) - N_ITEMS - 1) * counts).sum() / (N_ITEMS * counts.sum())
    assert metrics.gini(RANKED, N_ITEMS) == pytest.approx(theirs)


def test_vae_cf():
    """Recall over min(k, n), NDCG over the ideal of min(k, n): both reach 1."""
    np.testing.assert_allclose(metrics.recall_trunc(RANKED, RELEVANT, 2), [1 / 2, 0, 1 / 2])
    np.testing.assert_allclose(metrics.ndcg(RANKED, RELEVANT, 2), np.array([1, 0, 1]) / log2(3) / (1 + 1 / log2(3)))


@pytest.mark.parametrize(
    ("ties", "ranks"), [("standard", [2, 1, 1]), ("conservative", [3, 4, 1]), ("median", [2.5, 2.5, 1])]
)
def test_gru4rec(ties, ranks):
    """Recall and MRR of the next item among all, by three ways to count equal scores."""
    scores = np.array([[0.1, 0.9, 0.5, 0.5], [0.3, 0.3, 0.3, 0.3], [0.0, 0.1, 0.2, 0.9]], np.float32)
    targets = [2, 0, 3]
    np.testing.assert_array_equal(metrics.rank(scores, targets, ties=ties), ranks)
    one_each = sp.csr_array((np.ones(3), (range(3), targets)), shape=scores.shape)
    found = metrics.from_scores(scores, one_each, ["hit_rate", "mrr"], 2, ties=ties)
    np.testing.assert_array_equal(found["hit_rate@2"], np.array(ranks) <= 2)
    np.testing.assert_allclose(found["mrr@2"], [1 / r if r <= 2 else 0 for r in ranks])
